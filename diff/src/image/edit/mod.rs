//! Images in files: where they stand, what is to stand there, and the file with that in it.
//!
//! `markers` finds Flux's comments, `targets` what an ImageUpdate names itself, `value` makes the text of a
//! scalar. The edit and its proof are those of `yaml::edit`. Leaves walking folders, selecting tags, what a
//! person took back and the proof by rendering to others. Pure.

mod comment;
mod fit;
mod helm;
mod kustomization;
mod marker;
mod problem;
mod read;
mod value;
mod wish;

use std::sync::Arc;

use serde_json::Value;

use crate::yaml::edit::{Edit, NewField, edit_repeated};
use read::documents;
use wish::Wishes;

pub use crate::yaml::edit::EditError;
pub use marker::{Found, Marker, has_marker, markers};
pub use problem::{Cause, Problem};
pub use value::current;

/// What the files below a path are to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The namespace that markers name.
    pub namespace: String,
    pub images: Vec<WantedImage>,
}

/// An image and what was selected of it. With neither tag nor digest nothing was, and it is left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedImage {
    /// What markers name.
    pub name: String,
    /// As it is to be written.
    pub repository: String,
    pub tag: Option<String>,
    /// With its algorithm. None where digests are not pinned.
    pub digest: Option<String>,
    pub targets: Vec<Target>,
}

/// Scalars without a marker. Files are named as their callers name them; a leading `./` does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One scalar of a YAML or JSON file. Documents count from 0, without those that hold nothing.
    File { file: String, document: usize, path: String, part: ImagePart },
    /// The entry of `images` of this name; of the repository if there is none.
    Kustomization { file: String, name: Option<String> },
    /// `image`, or its repository, tag and digest, of the mapping at the path.
    HelmValues { file: String, path: String },
}

/// What of an image a scalar holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ImagePart {
    #[default]
    Image,
    Name,
    Tag,
    Digest,
}

/// A scalar that gets another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name of the image.
    pub image: String,
    /// Counts from 0, without documents that hold nothing.
    pub document: usize,
    /// RFC 6901.
    pub path: String,
    /// In the file as it is.
    pub line: u32,
    pub part: ImagePart,
    /// The text as it is, without quotes. Empty for a new field.
    pub before: String,
    pub after: String,
    /// The field behind which this one is new. None where it is there.
    pub behind: Option<String>,
    /// Where aliases and merges repeat the scalar.
    pub repeats: Vec<String>,
    /// The same for all settings of one target, which are to be made together.
    pub group: usize,
}

/// What is to change in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// In the order of the text. All of them together can be made.
    pub set: Vec<Setting>,
    /// What is as it should be already.
    pub fulfilled: Vec<Setting>,
    /// Markers of the namespace that name none of the images: perhaps another ImageUpdate's.
    pub unknown: Vec<Marker>,
    /// Markers of other namespaces that have the name of one of the images: perhaps a mistake.
    pub foreign: Vec<Marker>,
    pub problems: Vec<Problem>,
}

/// True for a file that may hold markers; targets may name any file.
pub fn is_candidate(file_name: &str) -> bool {
    let name = file_name.rsplit('/').next().unwrap_or(file_name);
    // a file that is only called `.yaml` has no name before its ending
    name == "Kustomization" || [".yaml", ".yml"].iter().any(|end| name.ends_with(end))
}

/// What a file needs so that it holds the images. Nothing if it does.
///
/// A file that cannot be read is a problem if it has a marker or a target names it.
pub fn settings(file: &str, text: &[u8], wanted: &Wanted) -> Settings {
    let selected = wanted.images.iter().filter(|image| image.tag.is_some() || image.digest.is_some());
    let targets: Vec<_> = selected
        .flat_map(|image| image.targets.iter().map(move |target| (image, target)))
        .filter(|(_, target)| is_same_file(target.file(), file))
        .collect();
    let is_marked = has_marker(text);
    if !is_marked && targets.is_empty() {
        return Settings::default();
    }
    let name: Arc<str> = file.into();
    let documents = match documents(&name, text) {
        Ok(documents) => documents,
        Err(problem) => return Settings { problems: vec![problem], ..Settings::default() },
    };
    let mut wishes = Wishes::new(name, text, &documents);
    if is_marked {
        wishes.markers(wanted);
    }
    for (image, target) in targets {
        wishes.target(image, target);
    }
    wishes.settle()
}

/// Makes settings: those that [`settings`] found in the same text, or some of them.
///
/// # Guarantees
/// Only the bytes of the scalars change, or of the new fields. Read again, the file differs at the paths of
/// the settings and nowhere else.
///
/// # Errors
/// The first setting that cannot be made; nothing is changed then.
pub fn apply(file: &str, text: &[u8], settings: &[Setting]) -> Result<Vec<u8>, EditError> {
    if settings.is_empty() {
        return Ok(text.to_vec());
    }
    let values: Vec<Value> = settings.iter().map(|setting| setting.after.as_str().into()).collect();
    let (mut edits, mut fields, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for (setting, value) in settings.iter().zip(&values) {
        let Setting { document, path, after, behind, repeats, .. } = setting;
        let document = *document;
        repeated.extend(repeats.iter().map(|path| Edit { document, path: path.clone(), value }));
        match (behind, path.rsplit_once('/')) {
            (Some(behind), Some((mapping, name))) => {
                fields.push(NewField { document, mapping: mapping.to_owned(), behind, name, value: after });
            }
            _ => edits.push(Edit { document, path: path.clone(), value }),
        }
    }
    edit_repeated(file, text, &edits, &fields, &repeated)
}

impl Target {
    pub fn file(&self) -> &str {
        let (Self::File { file, .. } | Self::Kustomization { file, .. } | Self::HelmValues { file, .. }) =
            self;
        file
    }
}

fn is_same_file(one: &str, other: &str) -> bool {
    let parts = |path| str::split(path, '/').filter(|part| !matches!(*part, "" | "."));
    parts(one).eq(parts(other))
}

#[cfg(test)]
mod tests;
