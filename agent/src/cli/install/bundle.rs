//! The kustomizations of `manifests/`, which are a part of the program, and the objects that they render to. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_kustomize::files::{Entry, EntryKind, FileKind, Files, FilesError, Resolved};
use holdfast_kustomize::{Host, KustomizeError, Options, build};
use serde_json::{Value, json};

macro_rules! embedded {
    ($($path:literal),* $(,)?) => {
        &[$((concat!("manifests/", $path), include_str!(concat!("../../../../manifests/", $path)))),*]
    };
}

/// Every file that a kustomization names.
const FILES: &[(&str, &str)] = embedded![
    "kustomization.yaml",
    "cluster-admin.yaml",
    "base/kustomization.yaml",
    "base/admission.yaml",
    "base/crds.yaml",
    "base/deployment.yaml",
    "base/namespace.yaml",
    "base/networkpolicy.yaml",
    "base/people.yaml",
    "base/rbac.yaml",
    "base/service.yaml",
    "tenants/kustomization.yaml",
    "tenants/tenant.yaml",
    "ui/kustomization.yaml",
    "ui/networkpolicy.yaml",
    "ui/rbac.yaml",
    "ui/service.yaml",
    "monitoring/kustomization.yaml",
    "monitoring/dashboard.json",
    "monitoring/rules.yaml",
    "monitoring/servicemonitor.yaml",
];

/// Renders a kustomization of these resources and components, which are folders of `manifests/`.
pub fn render(resources: &[&str], components: &[&str]) -> Result<Vec<Value>, KustomizeError> {
    let beside = |names: &[&str]| names.iter().map(|name| format!("../{name}")).collect::<Vec<_>>();
    let overlay = json!({"resources": beside(resources), "components": beside(components)});
    let tree = Tree { overlay: overlay.to_string() };
    let output = build(&tree, "install", &Options::default())?;
    Ok(output.resources.into_iter().map(|(object, _)| object).collect())
}

/// The files, and beside them the folder `install` with a kustomization.
struct Tree {
    overlay: String,
}

impl Tree {
    fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = ("install/kustomization.yaml", self.overlay.as_str());
        FILES.iter().copied().chain([own])
    }

    /// The paths below a folder.
    fn below(&self, folder: &str) -> impl Iterator<Item = &str> {
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        self.files().filter_map(move |(path, _)| path.strip_prefix(start.as_str()))
    }
}

impl Files for Tree {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        let kind = if self.files().any(|(file, _)| file == path) {
            FileKind::File
        } else if self.below(path).next().is_some() {
            FileKind::Folder
        } else {
            return Ok(None);
        };
        Ok(Some(Resolved { path: path.to_owned(), kind }))
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        Ok(self.files().find(|(file, _)| *file == path).map(|(_, text)| text.as_bytes().into()))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        let names: BTreeSet<(&str, bool)> = self
            .below(path)
            .map(|rest| rest.split_once('/').map_or((rest, false), |(folder, _)| (folder, true)))
            .collect();
        let entry = |(name, is_folder): (&str, bool)| Entry {
            name: name.to_owned(),
            kind: if is_folder { EntryKind::Folder } else { EntryKind::File },
        };
        Ok((!names.is_empty()).then(|| names.into_iter().map(entry).collect()))
    }
}

impl Host for Tree {}
