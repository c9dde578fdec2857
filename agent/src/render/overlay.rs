//! The changes that a Sync makes to its objects like an overlay: patches, images, components, prefixes.
//!
//! A kustomization on top of the rendered objects. Leaves the work to `holdfast_kustomize`. Pure, except for the files that it
//! reads.

use std::sync::Arc;

use holdfast_diff::budget::Budget;
use holdfast_diff::files::{Entry, FileKind, Files, FilesError, Resolved};
use holdfast_kustomize::{self as kustomize, Output};
use holdfast_kustomize::{HelmChart, Host};
use serde_json::{Map, Value, json};

use super::{Object, RenderError};
use crate::api::{KustomizeOptions, Patch};

/// The folder of the kustomization, a name that no repository can have.
const FOLDER: &str = ".holdfast\u{1}";
/// The name of the kustomization in messages.
const NAME: &str = "spec.render";

/// A host with an additional folder for the kustomization.
struct Overlay<'a>(&'a dyn Host);

/// Applies the overlay of a Sync to objects, if it has one. Components are relative to `folder`. Returns warnings too.
pub fn apply(
    host: &dyn Host,
    folder: &str,
    objects: Vec<Object>,
    options: Option<&KustomizeOptions>,
    patches: &[Patch],
) -> Result<(Vec<Object>, Vec<String>), RenderError> {
    let Some(fields) = kustomization(folder, options, patches) else { return Ok((objects, Vec::new())) };
    let objects = objects.into_iter().map(|Object { value, origin }| (value, origin)).collect();
    let built = kustomize::overlay(&Overlay(host), FOLDER, NAME, fields, objects);
    let Output { resources, warnings } = built.map_err(|error| RenderError::of(vec![error.to_string()]))?;
    let objects = resources.into_iter().map(|(value, origin)| Object { value, origin }).collect();
    Ok((objects, warnings))
}

/// The fields of the kustomization; `None` if there is nothing to do.
fn kustomization(
    folder: &str,
    options: Option<&KustomizeOptions>,
    patches: &[Patch],
) -> Option<Map<String, Value>> {
    let mut fields = Map::new();
    let mut all: Vec<Patch> = patches.to_vec();
    if let Some(options) = options {
        let KustomizeOptions {
            load_restrictions: _,
            enable_helm: _,
            remotes: _,
            patches,
            images,
            components,
            name_prefix,
            name_suffix,
        } = options;
        all.extend(patches.clone());
        let seen = |component: &String| format!("../{folder}/{component}");
        let components: Vec<String> = components.iter().map(seen).collect();
        let mut set = |name: &str, value: Value| {
            let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if !empty {
                fields.insert(name.to_owned(), value);
            }
        };
        set("images", json!(images));
        set("components", json!(components));
        set("namePrefix", json!(name_prefix));
        set("nameSuffix", json!(name_suffix));
    }
    if !all.is_empty() {
        fields.insert("patches".to_owned(), json!(all));
    }
    (!fields.is_empty()).then_some(fields)
}

impl Files for Overlay<'_> {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        if path == FOLDER {
            return Ok(Some(Resolved { path: path.to_owned(), kind: FileKind::Folder }));
        }
        self.0.resolve(path)
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        self.0.read(path)
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        self.0.list(path)
    }

    fn budget(&self) -> Option<&Budget> {
        self.0.budget()
    }
}

impl Host for Overlay<'_> {
    fn remote(&self, url: &str) -> Result<String, FilesError> {
        self.0.remote(url)
    }

    fn remote_file(&self, url: &str) -> Result<Option<String>, FilesError> {
        self.0.remote_file(url)
    }

    fn chart(&self, chart: &HelmChart, folder: &str) -> Result<Vec<u8>, FilesError> {
        self.0.chart(chart, folder)
    }
}
