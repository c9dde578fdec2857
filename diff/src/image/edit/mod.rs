//! Images in files: finds the scalars, computes their new values, and edits the file.
//!
//! `markers` finds Flux's comments, `targets` handles the targets of an ImageUpdate, `value` computes the text of a
//! scalar. The edit and its verification are those of `yaml::edit`. Leaves walking folders, selecting tags,
//! reverts and the proof by rendering to others. Pure.

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
use wish::EditRequests;

pub use crate::yaml::edit::EditError;
pub use marker::{Found, Marker, has_marker, markers};
pub use problem::{Cause, Problem};
pub use value::current;

/// The images that the files below a path have to contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The namespace in markers.
    pub namespace: String,
    pub images: Vec<WantedImage>,
}

/// An image and its selected version. Without tag and digest no version was selected, and the image is not changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedImage {
    /// The name in markers.
    pub name: String,
    /// The repository as it is written.
    pub repository: String,
    pub tag: Option<String>,
    /// With its algorithm. `None` if digests are not written.
    pub digest: Option<String>,
    pub targets: Vec<Target>,
}

/// Scalars without a marker. Files have the names that callers use; a leading `./` is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One scalar of a YAML or JSON file. Documents are numbered from 0, without empty ones.
    File { file: String, document: usize, path: String, part: ImagePart },
    /// The entry of `images` with this name; without a name, that of the repository.
    Kustomization { file: String, name: Option<String> },
    /// `image`, or its repository, tag and digest, of the mapping at the path.
    HelmValues { file: String, path: String },
}

/// The part of an image that a scalar contains.
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
    /// Number of the document from 0, without empty ones.
    pub document: usize,
    /// RFC 6901.
    pub path: String,
    /// Line in the current file.
    pub line: u32,
    pub part: ImagePart,
    /// The current text, without quotes. Empty for a new field.
    pub before: String,
    pub after: String,
    /// The field after which a new field is inserted. `None` if the field exists.
    pub behind: Option<String>,
    /// Paths at which aliases and merges repeat the scalar.
    pub repeats: Vec<String>,
    /// Equal for all settings of one target, which are made together.
    pub group: usize,
}

/// The changes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// In the order of the text. All of them can be made together.
    pub set: Vec<Setting>,
    /// Scalars that are up to date.
    pub fulfilled: Vec<Setting>,
    /// Markers of the namespace that name none of the images: they may belong to another ImageUpdate.
    pub unknown: Vec<Marker>,
    /// Markers of other namespaces that have the name of one of the images: they may be mistakes.
    pub foreign: Vec<Marker>,
    pub problems: Vec<Problem>,
}

/// True for a file that may contain markers; targets may name any file.
pub fn is_candidate(file_name: &str) -> bool {
    let name = file_name.rsplit('/').next().unwrap_or(file_name);
    // A file that is only called `.yaml` has no name before its extension.
    name == "Kustomization" || [".yaml", ".yml"].iter().any(|end| name.ends_with(end))
}

/// Computes the changes that a file needs to contain the images. Empty if there are none.
///
/// A file that cannot be parsed is a problem if it has a marker or a target names it.
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
    let mut wishes = EditRequests::new(name, text, &documents);
    if is_marked {
        wishes.markers(wanted);
    }
    for (image, target) in targets {
        wishes.target(image, target);
    }
    wishes.settle()
}

/// Makes settings: those that [`settings`] returned for the same text, or some of them.
///
/// # Guarantees
/// Only the bytes of the scalars, or of new fields, change. The file is parsed again, and differs only at the paths of
/// the settings.
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
