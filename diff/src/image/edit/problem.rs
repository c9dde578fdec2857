//! Why an image cannot be written to a file, with what to do.
//!
//! Pure.

use std::sync::Arc;

use crate::yaml::YamlProblem;
use crate::yaml::edit::{EditError, EditProblem};

/// One problem at one place. The rest of the file is handled. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {cause}")]
pub struct Problem {
    pub file: Arc<str>,
    pub line: u32,
    /// The image that is not written, if it is known.
    pub image: Option<String>,
    #[source]
    pub cause: Cause,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("a merge conflict begins here: resolve it")]
    Conflict,
    #[error("{0}")]
    Unreadable(YamlProblem),
    #[error(
        "this marker is malformed: write `# {{\"$imagepolicy\": \"namespace:name\"}}`, with `:tag`, `:name` \
         or `:digest` after the name if the value is a part of the image, and nothing else in the comment"
    )]
    Malformed,
    #[error(
        "this marker names the part `{0}`: write `tag`, `name` or `digest`, or leave it out for the \
         whole image"
    )]
    Part(String),
    #[error("this marker belongs to no value: put it on the line of the value, after the value")]
    Misplaced,
    #[error("this marker follows an alias: put the same marker after its anchor on line {anchor} too")]
    Alias { anchor: u32 },
    #[error("this marker follows an alias of more than one value: mark the value that it repeats")]
    AliasOfMany,
    #[error(
        "this marker is inside a string, where it is not a comment: move the string to its own YAML file (for example of a configMapGenerator), and mark the value there"
    )]
    Buried,
    #[error("this marker is in a mapping that `<<` merges: mark the value where it is used")]
    Merged,
    #[error("the value of this marker has another marker: remove one of them")]
    Second,
    #[error("`{path}` does not contain {expected}, which its marker or target requires: {hint}")]
    Unfit { path: String, expected: &'static str, hint: &'static str },
    #[error("`{path}` holds {lines} lines, so it is not an image: mark a value of one line")]
    Lines { path: String, lines: usize },
    #[error("`{path}` is to hold the tag, but the image is known by its digest alone: mark the digest")]
    NoTag { path: String },
    #[error(
        "`{path}` is to hold the digest, but none is known: set `digest: IfNotPresent` or `Always` for \
         the image"
    )]
    NoDigest { path: String },
    #[error("`{path}` is to hold both `{one}` and `{other}`: let one image set it")]
    Disagree { path: String, one: String, other: String },
    #[error("`{path}` {problem}")]
    Edit { path: String, problem: EditProblem },
    #[error(
        "a change of `{path}` would change `{elsewhere}` on line {line} as well: put the same marker behind the \
         alias there, or write the value out where an alias or a merge repeats it"
    )]
    Elsewhere { path: String, elsewhere: String, line: u32 },
    #[error("{0}")]
    Broken(String),
    #[error("document {0} of the file is not a mapping: correct the target")]
    NoMapping(usize),
    #[error("no `{name}` in `images`: add `- name: {name}` to the `images` of this kustomization")]
    NoEntry { name: String },
    #[error(
        "`{path}` pins a digest, and the image would stay there whatever its tag: remove it, or set \
         `digest: IfNotPresent` or `Always` for the image"
    )]
    Pinned { path: String },
    #[error(
        "`{path}` is pinned by a digest, which the new value would lose: remove it, or set \
         `digest: IfNotPresent` or `Always` for the image"
    )]
    Unpinned { path: String },
    #[error(
        "`{path}` pins a digest beside the tag, and the image would stay there whatever its tag: remove it, or \
         mark it with `:digest` and set `digest: IfNotPresent` or `Always` for the image"
    )]
    PinnedBeside { path: String },
    #[error("no `{path}`: correct the path of the target, or add `image` with `repository` and `tag` there")]
    NoImage { path: String },
    #[error("nothing in `{path}` holds the {part} of the image: add `{part}:` to it")]
    NothingToSet { path: String, part: &'static str },
}

impl Cause {
    /// Returns why an edit at `path` was not made, and the line of the problem.
    pub(super) fn of(error: EditError, path: &str, line: u32) -> (u32, Self) {
        let path = path.to_owned();
        match error {
            EditError::Unreadable(error) => (error.line, Self::Unreadable(error.problem)),
            EditError::Refused { line, path, problem, file: _ } => (line, Self::Edit { path, problem }),
            EditError::Elsewhere { line: other, path: elsewhere, file: _ } => {
                (line, Self::Elsewhere { path, elsewhere, line: other })
            }
            error @ EditError::Broken(_) => (line, Self::Broken(error.to_string())),
        }
    }
}
