//! The text of a scalar that holds an image or a part of it, and what such a text says.
//!
//! Pure.

use super::fit::check;
use super::problem::Cause;
use super::{ImagePart, WantedImage};
use crate::image::reference::{Reference, is_digest, is_tag, split_host};

/// What a scalar says now: of a part that it does not hold, nothing. None if it reads as no image.
///
/// The repository is empty where the scalar holds a tag or a digest.
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

/// The text that the scalar at `path` is to hold. The line ends behind a block's text stay. A tag with a
/// digest behind it, as charts have it that know no `digest`, gets both where both are known.
///
/// # Errors
/// Where the scalar holds something else than the part, or would lose a digest.
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

/// The registry and the path in it, for those who keep them apart.
pub(super) fn registry_and_path(repository: &str) -> (&str, &str) {
    split_host(repository).unwrap_or(("docker.io", repository))
}
