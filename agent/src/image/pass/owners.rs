//! Finds images that belong to another ImageUpdate already. Two of them with different policies for the same markers
//! would overwrite each other again and again. Pure.

use std::sync::Arc;

use holdfast_diff::files::join;
use kube::ResourceExt as _;

use crate::api::{Image, ImageUpdate};
use crate::report::Failure;
use crate::source::Location;

/// Returns the images that belong to an ImageUpdate. `others` are those of its namespace; of two that share a name and
/// a folder the older one owns the image.
pub fn own<'u>(
    update: &'u ImageUpdate,
    others: &[Arc<ImageUpdate>],
    failures: &mut Vec<Failure>,
) -> Vec<&'u Image> {
    let mut own = Vec::new();
    for image in &update.spec.images {
        let has = |other: &&Arc<ImageUpdate>| other.spec.images.iter().any(|one| one.name == image.name);
        let mut older = others.iter().filter(|other| is_older(other, update) && is_same_place(other, update));
        match older.find(has) {
            None => own.push(image),
            Some(other) => failures.push(taken(update, image, other)),
        }
    }
    own
}

fn taken(update: &ImageUpdate, image: &Image, other: &ImageUpdate) -> Failure {
    let marker = format!("{}:{}", update.namespace().unwrap_or_default(), image.name);
    let message = format!(
        "image {}: the markers {marker} are those of ImageUpdate {}, which edits the same files: rename one of the images, \
         or give each its own git.path",
        image.name,
        other.name_any()
    );
    Failure::user("select", "ImageTaken", message)
}

fn is_older(one: &ImageUpdate, other: &ImageUpdate) -> bool {
    let age = |update: &ImageUpdate| {
        let created = update.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, update.name_any())
    };
    one.metadata.deletion_timestamp.is_none() && age(one) < age(other)
}

/// True if both edit the same files of a branch.
fn is_same_place(one: &ImageUpdate, other: &ImageUpdate) -> bool {
    let (one, other) = (&one.spec, &other.spec);
    let same = match (Location::parse(&one.git.url, None), Location::parse(&other.git.url, None)) {
        (Ok(one), Ok(other)) => one.is_same_repository(&other),
        _ => one.git.url == other.git.url,
    };
    let folder = |path: &Option<String>| join("", path.as_deref().unwrap_or_default()).unwrap_or_default();
    let (here, there) = (folder(&one.git.path), folder(&other.git.path));
    same && one.branch() == other.branch() && (is_within(&here, &there) || is_within(&there, &here))
}

/// True if a normalised path is the folder or below it.
pub fn is_within(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_some_and(|rest| folder.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn update(name: &str, created: &str, git: &serde_json::Value) -> ImageUpdate {
        let images = json!([{"name": "web", "repository": "r.io/web", "policy": {"semver": {"range": "*"}}}]);
        serde_json::from_value(json!({
            "apiVersion": "holdfast.dev/v1alpha1", "kind": "ImageUpdate",
            "metadata": {"name": name, "namespace": "shop", "creationTimestamp": created},
            "spec": {"git": git, "images": images},
        }))
        .expect("an ImageUpdate")
    }

    /// Returns whether the younger of two owns the image too.
    fn check(one: &serde_json::Value, other: &serde_json::Value) -> bool {
        let older = Arc::new(update("b", "2026-01-01T00:00:00Z", one));
        let younger = Arc::new(update("a", "2026-01-02T00:00:00Z", other));
        let mut failures = Vec::new();
        assert_eq!(own(&older, std::slice::from_ref(&younger), &mut failures).len(), 1, "the older has it");
        let has = own(&younger, std::slice::from_ref(&older), &mut failures).len() == 1;
        assert_eq!(failures.is_empty(), has, "{failures:?}");
        has
    }

    #[test]
    fn an_image_of_the_same_files_is_the_olders() {
        let git = |url: &str, branch: &str, path: &str| json!({"url": url, "branch": branch, "path": path});
        let one = git("https://git.example.com/shop.git", "main", "./a/");
        for (other, has) in [
            (one.clone(), false),
            (git("ssh://git@git.example.com/shop", "main", "a"), false),
            (git("https://git.example.com/shop.git", "main", "a/b"), false),
            (git("https://git.example.com/shop.git", "main", ""), false),
            (git("https://git.example.com/shop.git", "main", "ab"), true),
            (git("https://git.example.com/shop.git", "next", "a"), true),
            (git("https://git.example.com/other.git", "main", "a"), true),
        ] {
            assert_eq!(check(&one, &other), has, "{other}");
        }
    }
}
