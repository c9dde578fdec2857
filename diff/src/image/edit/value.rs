//! The text of a scalar with an image or a part of it, and its parser.
//!
//! Pure.

use super::fit::check;
use super::problem::Cause;
use super::{ImagePart, WantedImage};
use crate::image::reference::{Reference, is_digest, is_tag, split_host};

/// Parses the current text of a scalar. Parts that it does not contain are empty. `None` if it is not an image.
///
/// The repository is empty if the scalar contains a tag or a digest.
pub fn current(value: &str, part: ImagePart) -> Option<Reference> {
    let value = value.trim_end_matches('\n');
    let nameless = |tag: Option<&str>, digest: Option<&str>| Reference {
        repository: String::new(),
        tag: tag.map(ToOwned::to_owned),
        digest: digest.map(ToOwned::to_owned),
    };
    match part {
        ImagePart::Image => Reference::parse(value),
        ImagePart::Name => {
            Reference::parse(value).filter(|found| found.tag.is_none() && found.digest.is_none())
        }
        ImagePart::Tag => match value.split_once('@') {
            Some((tag, digest)) => {
                (is_tag(tag) && is_digest(digest)).then(|| nameless(Some(tag), Some(digest)))
            }
            None => is_tag(value).then(|| nameless(Some(value), None)),
        },
        ImagePart::Digest => is_digest(value).then(|| nameless(None, Some(value))),
    }
}

/// Returns the new text of the scalar at `path`. Trailing line breaks of a block scalar are kept. A tag with a
/// digest after it, as in charts without a `digest`, gets both if both are known.
///
/// # Errors
/// The scalar contains something else than the part, or would lose a digest.
pub(super) fn text(
    image: &WantedImage,
    part: ImagePart,
    path_of: &str,
    before: &str,
) -> Result<String, Cause> {
    let WantedImage { repository, tag, digest, name: _, targets: _ } = image;
    let path = || path_of.to_owned();
    let core = before.trim_end_matches('\n');
    let lines = core.split('\n').count();
    if lines > 1 {
        return Err(Cause::Lines { path: path(), lines });
    }
    check(image, part, path_of, core)?;
    let is_unpinned = digest.is_none() && core.contains('@');
    if is_unpinned && matches!(part, ImagePart::Image | ImagePart::Tag) {
        return Err(Cause::Unpinned { path: path() });
    }
    let text = match part {
        ImagePart::Image => {
            let (repository, tag, digest) = (repository.clone(), tag.clone(), digest.clone());
            Reference { repository, tag, digest }.to_string()
        }
        ImagePart::Name => repository.clone(),
        ImagePart::Tag => {
            let tag = tag.as_ref().ok_or_else(|| Cause::NoTag { path: path() })?;
            match digest {
                Some(digest) if core.contains('@') => format!("{tag}@{digest}"),
                _ => tag.clone(),
            }
        }
        ImagePart::Digest => digest.clone().ok_or_else(|| Cause::NoDigest { path: path() })?,
    };
    Ok(text + before.get(core.len()..).unwrap_or_default())
}

/// Returns the registry and the path in it, for charts that separate them.
pub(super) fn registry_and_path(repository: &str) -> (&str, &str) {
    split_host(repository).unwrap_or(("docker.io", repository))
}
