//! The `images` of a kustomization: newName, newTag and digest of the entries with a name.
//!
//! A missing newTag or digest is added below the name; a missing newName is not. Pure.

use serde_json::{Map, Value};

use super::problem::Cause;
use super::wish::EditRequests;
use super::{ImagePart, WantedImage};
use crate::image::reference::is_same_repository;

impl EditRequests<'_> {
    /// Sets the image in the entries of `images` with this name. Without a name: in those of the repository,
    /// or else in those that have it as their newName.
    pub(super) fn kustomization(&mut self, image: &WantedImage, name: Option<&str>) {
        let is_repository = name.is_none();
        let name = name.unwrap_or(&image.repository);
        let Some(Value::Object(root)) = self.documents.first().map(|document| &document.value) else {
            return self.problem(Some(image), 1, Cause::NoMapping(0));
        };
        let empty = Vec::new();
        let entries = root.get("images").and_then(Value::as_array).unwrap_or(&empty);
        let entries: Vec<_> = entries.iter().map(Value::as_object).enumerate().collect();
        let with = |key: &str, is_it: &dyn Fn(&str) -> bool| -> Vec<(usize, &Map<String, Value>)> {
            let entries = entries.iter().filter_map(|(at, entry)| Some((*at, (*entry)?)));
            entries.filter(|(_, entry)| entry.get(key).and_then(Value::as_str).is_some_and(is_it)).collect()
        };
        let is_same = |found: &str| is_same_repository(found, name);
        let mut meant = with("name", &|found| found == name);
        if meant.is_empty() {
            meant = with("name", &is_same);
        }
        if meant.is_empty() && is_repository {
            meant = with("newName", &is_same);
        }
        if meant.is_empty() {
            let name = name.to_owned();
            return self.problem(Some(image), self.line(0, "/images"), Cause::NoEntry { name });
        }
        for (at, entry) in meant {
            self.entry(image, &format!("/images/{at}"), entry);
        }
    }

    fn entry(&mut self, image: &WantedImage, path: &str, entry: &Map<String, Value>) {
        let at = |name: &str| format!("{path}/{name}");
        let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if image.digest.is_none() && text("digest").is_some() {
            let path = at("digest");
            return self.problem(Some(image), self.line(0, &path), Cause::Pinned { path });
        }
        if text("newName").is_some_and(|name| !is_same_repository(name, &image.repository)) {
            self.wish(image, 0, &at("newName"), ImagePart::Name, image.repository.clone());
        }
        let name = if text("newName").is_some() { "newName" } else { "name" };
        match &image.tag {
            Some(_) if entry.contains_key("newTag") => self.set(image, 0, &at("newTag"), ImagePart::Tag),
            Some(tag) => self.add(image, path, ("newTag", ImagePart::Tag, tag), name),
            None => {}
        }
        let behind = if text("newTag").is_some() { "newTag" } else { name };
        match &image.digest {
            Some(_) if entry.contains_key("digest") => self.set(image, 0, &at("digest"), ImagePart::Digest),
            Some(digest) => self.add(image, path, ("digest", ImagePart::Digest, digest), behind),
            None => {}
        }
    }
}
