//! What a Sync does to its objects as an overlay would: patches, images, components, prefixes.
//!
//! It is a kustomization on top of whatever rendered the objects. Leaves the work to `holdfast_diff::kustomize`. Pure,
//! beside the files that it is given.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_diff::budget::Budget;
use holdfast_diff::files::{Entry, FileKind, Files, FilesError, Place};
use holdfast_diff::kustomize::host::{HelmChart, Host};
use holdfast_diff::kustomize::{self, Options};
use serde_json::{Map, Value, json};

use super::{Object, RenderError};
use crate::api::{KustomizeOptions, Patch};

/// The folder of the kustomization, which no repository can have.
const FOLDER: &str = ".holdfast\u{1}";

/// A host with a folder of its own beside it.
struct Overlay<'a> {
    host: &'a dyn Host,
    files: BTreeMap<String, Arc<[u8]>>,
}

/// Does to objects what the Sync says, if it says anything. Components are seen from `folder`.
pub fn apply(
    host: &dyn Host,
    folder: &str,
    objects: Vec<Object>,
    options: Option<&KustomizeOptions>,
    patches: &[Patch],
) -> Result<Vec<Object>, RenderError> {
    let Some(kustomization) = kustomization(folder, options, patches) else { return Ok(objects) };
    let mut files = BTreeMap::new();
    let mut names = Vec::new();
    let mut origins = BTreeMap::new();
    for (number, Object { value, origin }) in objects.into_iter().enumerate() {
        let name = format!("{number}.json");
        let path = format!("{FOLDER}/{name}");
        files.insert(path.clone(), value.to_string().into_bytes().into());
        origins.insert(path, origin);
        names.push(name);
    }
    let mut kustomization = kustomization;
    kustomization.insert("resources".to_owned(), json!(names));
    let text = Value::Object(kustomization).to_string();
    files.insert(format!("{FOLDER}/kustomization.yaml"), text.into_bytes().into());
    let overlay = Overlay { host, files };
    let built = kustomize::build(&overlay, FOLDER, &Options::default());
    let output = built.map_err(|error| {
        let said = error.to_string().replace(FOLDER, "spec.render");
        RenderError::of(vec![said])
    })?;
    let object = |(value, origin): (Value, holdfast_diff::object::Origin)| {
        let origin = origins.get(&*origin.file).cloned().unwrap_or(origin);
        Object { value, origin }
    };
    Ok(output.resources.into_iter().map(object).collect())
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
    fn resolve(&self, path: &str) -> Result<Option<Place>, FilesError> {
        let place = |kind| Ok(Some(Place { path: path.to_owned(), kind }));
        if path == FOLDER {
            place(FileKind::Folder)
        } else if self.files.contains_key(path) {
            place(FileKind::File)
        } else {
            self.host.resolve(path)
        }
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        self.files.get(path).map_or_else(|| self.host.read(path), |bytes| Ok(Some(bytes.clone())))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        self.host.list(path)
    }

    fn budget(&self) -> Option<&Budget> {
        self.host.budget()
    }
}

impl Host for Overlay<'_> {
    fn remote(&self, url: &str) -> Result<String, FilesError> {
        self.host.remote(url)
    }

    fn chart(&self, chart: &HelmChart, folder: &str) -> Result<Vec<u8>, FilesError> {
        self.host.chart(chart, folder)
    }
}
