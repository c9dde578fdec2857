//! ImageTagTransformer: names, tags and digests of images.
//!
//! Changes the images of all containers, at any depth, and then the fields of the field specs. Does not change
//! CustomResourceDefinitions. Pure.

use regex::Regex;
use serde::Deserialize;

use crate::bounds;
use crate::fieldspec::{Create, FieldSpec, scalar_text};
use crate::node::Node;
use crate::rewrite::set_text;
use crate::select::compile;
use crate::{KustomizeError, Resource, Resources, Transform};

/// An image and where it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ImageTagTransformer {
    pub image_tag: Image,
    pub field_specs: Vec<FieldSpec>,
}

/// An entry of `images` in a kustomization. Empty parts are not changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Image {
    /// The name without tag; kustomize treats it as a regular expression.
    pub name: String,
    pub new_name: String,
    pub tag_suffix: String,
    pub new_tag: String,
    pub digest: String,
}

impl Transform for ImageTagTransformer {
    fn rules(&self) -> usize {
        1 + self.field_specs.len()
    }

    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        let Image { name: _, new_name, tag_suffix, new_tag, digest } = &self.image_tag;
        for (field, text) in
            [("newName", new_name), ("tagSuffix", tag_suffix), ("newTag", new_tag), ("digest", digest)]
        {
            bounds::name(field, text).map_err(|reason| KustomizeError::new(format!("images: {reason}")))?;
        }
        let update = Update { image: &self.image_tag, name: Name::new(&self.image_tag.name) };
        for resource in resources.list.iter_mut().filter(|resource| is_changed(resource)) {
            update_containers(resource.edit_at("spec"), &update).map_err(|reason| {
                KustomizeError::at(&resource.origin, format!("images: {}: {reason}", resource.id()))
            })?;
        }
        for resource in resources.list.iter_mut().filter(|resource| is_changed(resource)) {
            for spec in &self.field_specs {
                spec.apply(resource, Create::Never, &mut |node| update.apply(node))?;
            }
        }
        resources.list.retain(|resource| !resource.node().is_empty());
        Ok(())
    }
}

fn is_changed(resource: &Resource) -> bool {
    resource.gvk().kind != "CustomResourceDefinition"
}

/// Updates the `image` of each item of each list that is called `containers` or `initContainers`.
fn update_containers(node: &mut Node, update: &Update<'_>) -> Result<(), String> {
    match node {
        Node::Scalar(_) => Ok(()),
        Node::Seq(items) => items.iter_mut().try_for_each(|item| update_containers(item, update)),
        Node::Map(map) => map.iter_mut().try_for_each(|(key, value)| {
            update_containers(value, update)?;
            match (&*key.text, value) {
                ("containers" | "initContainers", Node::Seq(containers)) => {
                    containers.iter_mut().try_for_each(|container| update_container(container, update))
                }
                _ => Ok(()),
            }
        }),
    }
}

fn update_container(container: &mut Node, update: &Update<'_>) -> Result<(), String> {
    match container {
        Node::Map(container) => container.get_mut("image").map_or(Ok(()), |image| update.apply(image)),
        other if other.is_null() => Ok(()),
        other => Err(format!("a container must be a mapping, not {}", other.describe())),
    }
}

/// An update with a compiled name.
struct Update<'a> {
    image: &'a Image,
    name: Name,
}

impl Update<'_> {
    fn apply(&self, node: &mut Node) -> Result<(), String> {
        let text = scalar_text(node)?;
        if self.name.matches(text)? {
            let updated = self.image.updated(text);
            set_text(node, updated)?;
        }
        Ok(())
    }
}

impl Image {
    fn updated(&self, image: &str) -> String {
        let Self { name: _, new_name, tag_suffix, new_tag, digest: new_digest } = self;
        let (name, tag, digest) = split(image);
        let name = if new_name.is_empty() { name } else { new_name };
        let (tag, digest) = match (new_tag.as_str(), new_digest.as_str(), tag_suffix.as_str()) {
            ("", "", "") => (tag.to_owned(), digest),
            ("", "", suffix) => (format!("{tag}{suffix}"), ""),
            (tag, digest, _) => (tag.to_owned(), digest),
        };
        let tag = if tag.is_empty() { tag } else { format!(":{tag}") };
        let digest = if digest.is_empty() { String::new() } else { format!("@{digest}") };
        format!("{name}{tag}{digest}")
    }
}

/// Splits an image into name, tag and digest. A colon before the first slash belongs to a port.
fn split(image: &str) -> (&str, &str, &str) {
    let path = image.find('/').unwrap_or_default();
    let at = image[path..].find('@').map(|at| at + path);
    let colon = image[path..].find(':').map(|colon| colon + path);
    match (colon, at) {
        (None, None) => (image, "", ""),
        (Some(colon), None) => (&image[..colon], &image[colon + 1..], ""),
        (Some(colon), Some(at)) if colon < at => (&image[..colon], &image[colon + 1..at], &image[at + 1..]),
        (_, Some(at)) => (&image[..at], "", &image[at + 1..]),
    }
}

/// The condition for the name of an image.
enum Name {
    /// No special character but `.`, which matches any character.
    Text(String),
    Regex(Box<Regex>),
    /// Not a valid expression, which is only an error if there is an image.
    Wrong(String),
}

impl Name {
    fn new(name: &str) -> Self {
        let is_text = |character: char| character.is_ascii_alphanumeric() || "-_/:@.".contains(character);
        if name.chars().all(is_text) {
            return Self::Text(name.to_owned());
        }
        let all = format!("^{name}(:[a-zA-Z0-9_.{{}}-]*)?(@sha256:[a-zA-Z0-9_.{{}}-]*)?$");
        match compile(&all) {
            Ok(regex) => Self::Regex(Box::new(regex)),
            Err(reason) => {
                Self::Wrong(format!("the name {name:?} of an image is not a regular expression: {reason}"))
            }
        }
    }

    fn matches(&self, image: &str) -> Result<bool, String> {
        match self {
            Self::Text(name) => Ok(strip_name(image, name).is_some_and(is_tag_and_digest)),
            Self::Regex(regex) => Ok(regex.is_match(image)),
            Self::Wrong(reason) => Err(reason.clone()),
        }
    }
}

/// Returns the text after the name.
fn strip_name<'a>(image: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = image.chars();
    let same = |expected: char| match rest.next() {
        Some(found) => expected == found || (expected == '.' && found != '\n'),
        None => false,
    };
    name.chars().all(same).then_some(())?;
    Some(rest.as_str())
}

/// True for an empty text, a tag, a digest, or both.
fn is_tag_and_digest(text: &str) -> bool {
    let is_word = |character: char| character.is_ascii_alphanumeric() || "_.{}-".contains(character);
    let rest = text.strip_prefix(':').map_or(text, |tag| tag.trim_start_matches(is_word));
    let rest = rest.strip_prefix("@sha256:").map_or(rest, |digest| digest.trim_start_matches(is_word));
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::{Image, Name, split};

    #[test]
    fn an_image_has_a_name_a_tag_and_a_digest() {
        for (image, expected) in [
            ("nginx", ("nginx", "", "")),
            ("nginx:1", ("nginx", "1", "")),
            ("nginx@sha256:ab", ("nginx", "", "sha256:ab")),
            ("nginx:1@sha256:ab", ("nginx", "1", "sha256:ab")),
            ("r.io:5000/a/b:1", ("r.io:5000/a/b", "1", "")),
            ("r.io:5000/a/b", ("r.io:5000/a/b", "", "")),
            ("r.io:5000/a@sha256:ab", ("r.io:5000/a", "", "sha256:ab")),
        ] {
            assert_eq!(split(image), expected, "{image}");
        }
    }

    #[test]
    fn a_name_matches_with_any_tag_and_digest() {
        for (name, image, expected) in [
            ("nginx", "nginx", true),
            ("nginx", "nginx:1.2-a_{b}", true),
            ("nginx", "nginx:1@sha256:ab", true),
            ("nginx", "nginx@sha256:ab", true),
            ("nginx", "nginx@sha512:ab", false),
            ("nginx", "nginx-2", false),
            ("nginx", "r.io/nginx", false),
            ("nginx", "nginx:1:2", false),
            ("r.io:5000/a", "r.io:5000/a:1", true),
            ("r.io/a", "rxio/a", true),
            ("a|b", "abc", true),
            ("a|b", "b:1", true),
            ("a|b", "xb:1", true),
            (".*/a", "r.io/a:1", true),
            ("", ":1", true),
        ] {
            assert_eq!(Name::new(name).matches(image), Ok(expected), "{name} {image}");
        }
        assert!(Name::new("a(").matches("a").is_err_and(|reason| reason.contains("\"a(\"")));
    }

    #[test]
    fn a_new_tag_or_digest_replaces_both() {
        let image = |new_tag: &str, digest: &str, tag_suffix: &str| Image {
            new_name: "new".to_owned(),
            new_tag: new_tag.to_owned(),
            digest: digest.to_owned(),
            tag_suffix: tag_suffix.to_owned(),
            ..Image::default()
        };
        for (update, expected) in [
            (image("", "", ""), "new:1@sha256:a"),
            (image("2", "", ""), "new:2"),
            (image("", "sha256:b", ""), "new@sha256:b"),
            (image("2", "sha256:b", ""), "new:2@sha256:b"),
            (image("", "", "-x"), "new:1-x"),
            (image("2", "", "-x"), "new:2"),
        ] {
            assert_eq!(update.updated("old:1@sha256:a"), expected);
        }
    }
}
