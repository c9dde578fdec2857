//! Why a scalar cannot be edited, with what to do.
//!
//! Pure.

use std::sync::Arc;

use crate::yaml::YamlError;

/// Why a file was not edited. Lines count from 1, in the original file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The original file cannot be read, so it cannot be edited.
    #[error(transparent)]
    Unreadable(#[from] YamlError),
    /// One edit is refused.
    #[error("{file}:{line}: `{path}` {problem}")]
    Refused { file: Arc<str>, line: u32, path: String, problem: EditProblem },
    /// The edit would change another value too.
    #[error(
        "{file}:{line}: changed elsewhere: the edit would change `{path}` as well: write the value out where \
         an alias or a merge repeats it, or edit the file by hand"
    )]
    Elsewhere { file: Arc<str>, line: u32, path: String },
    /// The edited file cannot be read; the place is in the edited text.
    #[error("the edit would break the file, so edit it by hand: {0}")]
    Broken(#[source] YamlError),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditProblem {
    #[error("is in document {wanted}, but the file holds {held}, counted from 0: read the file again")]
    NoDocument { wanted: usize, held: usize },
    #[error("does not exist: this line has no `{0}`; correct the path, or add it to the file")]
    Absent(String),
    #[error("is {0}, not a scalar: name one of the scalars in it")]
    Collection(&'static str),
    #[error("cannot become {0}: give it a string, a number, a bool or null")]
    NewCollection(&'static str),
    #[error("already exists: edit it instead of adding it")]
    Present,
    #[error("is named by two edits: remove one of them")]
    Twice,
    #[error(
        "comes from the anchor `&{name}` on line {anchor}, which other values use too: write the value out here, or \
         edit the anchor"
    )]
    Alias { name: String, anchor: u32 },
    #[error("is merged in by `<<` from line {anchor}: write the key out behind the `<<`, or edit it there")]
    Merged { anchor: u32 },
    #[error("has a tag that does not allow the new value: remove the tag first")]
    Tag,
    #[error("has no form here in which the new value reads back: edit the file by hand")]
    Unwritable,
}
