//! Checks whether a scalar fits its marker or target: it must contain an image reference, a repository, a tag or a
//! digest, as the part requires. Any other scalar is not changed.
//!
//! A single word can be each of these, so the name of the field decides in this case. Pure.

use super::problem::Cause;
use super::{ImagePart, WantedImage};
use crate::image::reference::{Reference, is_same_repository, is_tag};

/// Checks the text of the scalar at a path. An empty one may be filled.
pub(super) fn check(image: &WantedImage, part: ImagePart, path: &str, text: &str) -> Result<(), Cause> {
    let field = Field::of(path);
    let fits = field.may_hold(part) && (text.is_empty() || holds(image, part, field, text));
    if fits {
        return Ok(());
    }
    let hint = hint(image, part, field, text);
    Err(Cause::Unfit { path: path.to_owned(), expected: expected(part), hint })
}

/// The content that the name of a field suggests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// `image`, `sidecarImage`
    Image,
    /// `newName` of a kustomization, which accepts nothing else.
    NewName,
    /// `repository`
    Name,
    /// `tag`, `newTag`
    Tag,
    /// `digest`
    Digest,
    Other,
}

impl Field {
    fn of(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        match name {
            _ if name == "newname" => Self::NewName,
            _ if name.ends_with("image") => Self::Image,
            _ if name.ends_with("tag") => Self::Tag,
            _ if name.ends_with("digest") => Self::Digest,
            _ if ["name", "repository", "repo"].iter().any(|end| name.ends_with(end)) => Self::Name,
            _ => Self::Other,
        }
    }

    fn may_hold(self, part: ImagePart) -> bool {
        match self {
            Self::Tag => part == ImagePart::Tag,
            Self::Digest => part == ImagePart::Digest,
            Self::NewName => part == ImagePart::Name,
            Self::Name => matches!(part, ImagePart::Name | ImagePart::Image),
            Self::Image | Self::Other => true,
        }
    }
}

fn holds(image: &WantedImage, part: ImagePart, field: Field, text: &str) -> bool {
    match part {
        ImagePart::Image => Reference::parse(text).is_some_and(|found| {
            // The field of a repository has its tag in a separate field.
            let is_repository =
                field != Field::Name && names_repository(image, &found.repository, field == Field::Image);
            let is_whole = found.tag.is_some() || found.digest.is_some();
            (is_whole && !is_host_and_port(text)) || is_repository
        }),
        ImagePart::Name => Reference::parse(text).is_some_and(|found| {
            let is_known = matches!(field, Field::NewName | Field::Name | Field::Image);
            let is_whole = found.tag.is_none() && found.digest.is_none();
            is_whole && names_repository(image, &found.repository, is_known)
        }),
        ImagePart::Tag => match text.split_once('@') {
            Some((tag, digest)) => is_tag(tag) && reads_as_digest(digest),
            None => is_tag(text) && !names_repository(image, text, false),
        },
        ImagePart::Digest => reads_as_digest(text),
    }
}

/// True for a repository. A single word is one if its field suggests so, or if it is the repository of the image.
fn names_repository(image: &WantedImage, text: &str, is_known: bool) -> bool {
    let last = image.repository.rsplit('/').next();
    let is_word = is_known && !reads_as_version(text);
    is_word || text.contains('/') || last == Some(text) || is_same_repository(text, &image.repository)
}

/// True for `1.0.0` and `v1.2-rc`, which are not repositories.
fn reads_as_version(text: &str) -> bool {
    let number = text.strip_prefix('v').unwrap_or(text);
    number.starts_with(|first: char| first.is_ascii_digit()) && number.contains('.')
}

/// True for `example.com:8080`, which parses as a repository with a tag.
fn is_host_and_port(text: &str) -> bool {
    text.split_once(':').is_some_and(|(host, port)| {
        host.contains('.') && !host.contains('/') && port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// True for text that was meant as a digest, of any length.
fn reads_as_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        !hex.is_empty()
            && algorithm.starts_with("sha")
            && algorithm.bytes().chain(hex.bytes()).all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn expected(part: ImagePart) -> &'static str {
    match part {
        ImagePart::Image => "an image reference",
        ImagePart::Name => "a repository",
        ImagePart::Tag => "a tag",
        ImagePart::Digest => "a digest",
    }
}

/// Returns the part that would fit, or another remedy.
fn hint(image: &WantedImage, part: ImagePart, field: Field, text: &str) -> &'static str {
    let parts = [ImagePart::Tag, ImagePart::Digest, ImagePart::Name, ImagePart::Image];
    let fits =
        |other: &&ImagePart| **other != part && field.may_hold(**other) && holds(image, **other, field, text);
    match parts.iter().find(fits) {
        Some(ImagePart::Tag) => "name the part `tag` (`namespace:name:tag` in the marker)",
        Some(ImagePart::Digest) => "name the part `digest` (`namespace:name:digest` in the marker)",
        Some(ImagePart::Name) => "name the part `name` (`namespace:name:name` in the marker)",
        Some(ImagePart::Image) => {
            "leave the part out of the marker (`namespace:name`), or name the part `Image`"
        }
        None => "mark a value that contains nothing else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:6745aaad46d795c9836632e1fb62f24b7e7f4c843144da8e47a5465c411a14be";

    fn fits(part: ImagePart, path: &str, text: &str) -> Option<&'static str> {
        let image = WantedImage { repository: "r.io/m/app".to_owned(), ..WantedImage::default() };
        match check(&image, part, path, &text.replace("DIGEST", DIGEST)) {
            Ok(()) => None,
            Err(Cause::Unfit { hint, .. }) => Some(hint),
            Err(_) => Some("another cause"),
        }
    }

    #[test]
    fn a_scalar_of_the_part_fits() {
        for (part, path, text) in [
            (ImagePart::Image, "/image", "r.io/m/app:1.0.0"),
            (ImagePart::Image, "/a", "r.io/m/app"),
            (ImagePart::Image, "/a", "old.io/app:1@DIGEST"),
            (ImagePart::Image, "/a", "app"),
            (ImagePart::Image, "/spec/containers/0/image", "placeholder"),
            (ImagePart::Image, "/image", ""),
            (ImagePart::Name, "/images/0/newName", "replaced"),
            (ImagePart::Name, "/a", "old.io/app"),
            (ImagePart::Tag, "/images/0/newTag", "1.0.0"),
            (ImagePart::Tag, "/a", "latest"),
            (ImagePart::Tag, "/image/tag", ""),
            (ImagePart::Tag, "/image/tag", "1.0@DIGEST"),
            (ImagePart::Digest, "/digest", "DIGEST"),
            (ImagePart::Digest, "/digest", ""),
        ] {
            assert_eq!(fits(part, path, text), None, "{part:?} {path} {text}");
        }
    }

    #[test]
    fn anything_else_does_not_and_the_hint_names_the_part_that_would() {
        for (part, path, text, expected) in [
            (ImagePart::Image, "/images/0/newTag", "1.0.0", "`tag`"),
            (ImagePart::Image, "/images/0/newTag", "latest", "`tag`"),
            (ImagePart::Image, "/images/0/newTag", "", "nothing else"),
            (ImagePart::Image, "/images/0/newTag", "r.io/m/app:1.0.0", "nothing else"),
            (ImagePart::Image, "/value", "1.0.0", "`tag`"),
            (ImagePart::Image, "/args/0", "--image=r.io/m/app:1.0.0", "nothing else"),
            (ImagePart::Image, "/url", "https://r.io/m/app:1.0.0", "nothing else"),
            (ImagePart::Image, "/url", "oci://r.io/m/app:1.0.0", "nothing else"),
            (ImagePart::Image, "/value", "${IMAGE}", "nothing else"),
            (ImagePart::Image, "/digest", "DIGEST", "`digest`"),
            (ImagePart::Tag, "/image", "r.io/m/app:1.0.0", "leave the part out"),
            (ImagePart::Tag, "/image", "r.io/m/app", "`name`"),
            (ImagePart::Tag, "/value", "KEY=1.0.0", "nothing else"),
            (ImagePart::Tag, "/value", "app", "`name`"),
            (ImagePart::Tag, "/digest", "1.0.0", "nothing else"),
            (ImagePart::Digest, "/image", "r.io/m/app@DIGEST", "leave the part out"),
            (ImagePart::Digest, "/value", "1.0.0", "`tag`"),
            (ImagePart::Name, "/newTag", "1.0.0", "`tag`"),
            (ImagePart::Name, "/value", "1.0.0", "`tag`"),
            (ImagePart::Name, "/newName", "r.io/m/app:1.0.0", "nothing else"),
            (ImagePart::Image, "/images/0/newName", "r.io/m/app", "`name`"),
            (ImagePart::Image, "/images/0/newName", "r.io/m/app:1.0.0", "nothing else"),
            (ImagePart::Image, "/image/repository", "r.io/m/app", "`name`"),
            (ImagePart::Image, "/host", "example.com:8080", "nothing else"),
            (ImagePart::Image, "/image", "1.0.0", "`tag`"),
        ] {
            let hint = fits(part, path, text).unwrap_or("it fits");
            assert!(hint.contains(expected), "{part:?} {path} {text}: {hint}");
        }
    }
}
