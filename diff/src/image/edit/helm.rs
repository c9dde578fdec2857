//! Values of a chart: `image` as one string, or its repository, tag and digest.
//!
//! Charts with a separate registry get the repository without it. Pure.

use serde_json::{Map, Value};

use super::problem::Cause;
use super::value::registry_and_path;
use super::wish::EditRequests;
use super::{ImagePart, WantedImage};
use crate::image::reference::is_same_repository;

impl EditRequests<'_> {
    /// Sets the image in the mapping at `path` of a values file.
    pub(super) fn helm(&mut self, image: &WantedImage, path: &str) {
        let Some(document) = self.documents.first() else {
            return self.problem(Some(image), 1, Cause::NoMapping(0));
        };
        let path = format!("{path}/image");
        match document.value.pointer(&path) {
            Some(Value::Object(fields)) => self.helm_fields(image, &path, fields),
            Some(Value::String(_)) => self.set(image, 0, &path, ImagePart::Image),
            _ => {
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                self.problem(Some(image), self.line(0, parent), Cause::NoImage { path });
            }
        }
    }

    fn helm_fields(&mut self, image: &WantedImage, path: &str, fields: &Map<String, Value>) {
        let at = |name: &str| format!("{path}/{name}");
        let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if image.digest.is_none() && text("digest").is_some() {
            let path = at("digest");
            return self.problem(Some(image), self.line(0, &path), Cause::Pinned { path });
        }
        if let Some(repository) = fields.get("repository") {
            let repository = repository.as_str().unwrap_or_default();
            self.helm_repository(image, path, text("registry"), repository);
        }
        let sets_tag = image.tag.is_some() && fields.contains_key("tag");
        let sets_digest = image.digest.is_some() && fields.contains_key("digest");
        if sets_tag {
            self.set(image, 0, &at("tag"), ImagePart::Tag);
        }
        if sets_digest {
            self.set(image, 0, &at("digest"), ImagePart::Digest);
        }
        if !sets_tag && !sets_digest {
            let part = if image.tag.is_some() { "tag" } else { "digest" };
            self.problem(
                Some(image),
                self.line(0, path),
                Cause::NothingToSet { path: path.to_owned(), part },
            );
        }
    }

    /// A repository that is the same under another name is not changed.
    fn helm_repository(&mut self, image: &WantedImage, path: &str, registry: Option<&str>, repository: &str) {
        let held = registry.map_or(repository.to_owned(), |registry| format!("{registry}/{repository}"));
        if is_same_repository(&held, &image.repository) {
            return;
        }
        let at = |name: &str| format!("{path}/{name}");
        if registry.is_none() {
            return self.wish(image, 0, &at("repository"), ImagePart::Name, image.repository.clone());
        }
        let (registry, repository) = registry_and_path(&image.repository);
        self.wish(image, 0, &at("registry"), ImagePart::Name, registry.to_owned());
        self.wish(image, 0, &at("repository"), ImagePart::Name, repository.to_owned());
    }
}
