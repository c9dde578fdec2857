//! Makes resources of Holdfast from those of another tool, beside a report of every field that has no counterpart, and the steps
//! that hand the objects over without deleting one.
//!
//! Leaves reading the objects, and checking the resources against their definitions, to the command line. Pure.

pub mod argo;
pub mod fields;
pub mod flux;
pub mod found;
pub mod note;
pub mod output;
pub mod shell;
pub mod steps;
mod words;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_diff::files::Files;
use holdfast_diff::object::Manifest;
use serde_json::{Map, Value, json};

use self::found::{Found, Index, Key};
use self::note::Note;
use self::output::Drafts;
use self::steps::Step;
use crate::api::Render;

/// The tool whose resources are imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Flux,
    ArgoCd,
}

/// What an import makes.
#[derive(Debug, Default)]
pub struct Imported {
    pub drafts: Drafts,
    pub notes: Vec<Note>,
    pub steps: Vec<Step>,
}

/// What an import needs beside the objects.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// URL of the repository for charts that no repository comes with.
    pub config_repository: Option<String>,
    /// The command line, as the steps repeat it.
    pub command: String,
}

/// A folder of the config repository in which more resources may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub folder: String,
    pub render: Render,
    /// Namespace of the objects that do not set one.
    pub namespace: String,
}

impl Tool {
    pub fn name(self) -> &'static str {
        if self == Self::Flux { "Flux" } else { "Argo CD" }
    }

    /// The API groups of the tool.
    pub fn groups(self) -> &'static [&'static str] {
        match self {
            Self::Flux => &flux::GROUPS,
            Self::ArgoCd => &argo::GROUPS,
        }
    }

    /// Kinds of the core API in which the tool keeps settings: kind, plural and label selector.
    pub fn others(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Self::Flux => &[],
            Self::ArgoCd => &[("Secret", "secrets", argo::SECRETS)],
        }
    }

    /// Texts of which a file with resources of the tool has one.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Self::Flux => &["fluxcd.io/"],
            Self::ArgoCd => &["argoproj.io/"],
        }
    }

    /// True for an object that an import reads.
    pub fn reads(self, manifest: &Manifest) -> bool {
        let label = format!("/metadata/labels/{}", holdfast_diff::pointer::escape(argo::SECRET_TYPE));
        let is_login = || manifest.kind.is("", "Secret") && manifest.value.pointer(&label).is_some();
        self.has(manifest.kind.group.as_str(), manifest.kind.kind.as_str())
            || (self == Self::ArgoCd && is_login())
    }

    /// True for a kind of the tool.
    pub fn has(self, group: &str, kind: &str) -> bool {
        self.groups().contains(&group) && (self == Self::Flux || argo::KINDS.contains(&kind))
    }
}

/// Imports everything.
pub fn import(tool: Tool, index: &Index, options: &Options) -> Imported {
    let mut imported = match tool {
        Tool::Flux => flux::import(index, options),
        Tool::ArgoCd => argo::import(index, options),
    };
    imported.notes = note::distinct(imported.notes);
    imported
}

/// Returns the folders in which an object says that more resources are.
pub fn places(tool: Tool, index: &Index, found: &Found, options: &Options) -> Vec<Place> {
    match tool {
        Tool::Flux => flux::place(index, found, options).into_iter().collect(),
        Tool::ArgoCd => argo::place(index, found, options),
    }
}

/// Returns the objects that an object generates: the Applications of an ApplicationSet, unless they are there.
pub fn expand(
    tool: Tool,
    index: &Index,
    found: &Found,
    files: Option<&dyn Files>,
    notes: &mut Vec<Note>,
) -> Vec<Found> {
    match tool {
        Tool::Flux => Vec::new(),
        Tool::ArgoCd => argo::expand(index, found, files, notes),
    }
}

/// Reports marks of another tool on a rendered object, which is no resource of the tool.
pub fn scan(tool: Tool, manifest: &Manifest, via: Option<&Key>, notes: &mut Vec<Note>) {
    if tool == Tool::ArgoCd {
        argo::scan(manifest, via, notes);
    }
}

/// Keys of a Secret whose values are no secrets: what a login is for.
const SHOWN: [&str; 4] = ["url", "type", "project", "insecure"];

/// Takes the values out of a Secret, and leaves the names of its keys. The URL that a login is for stays, without a password.
pub fn forget_secrets(value: &mut Value) {
    if value["kind"] != "Secret" || value["apiVersion"] != "v1" {
        return;
    }
    let mut kept = Map::new();
    for (field, encoded) in [("data", true), ("stringData", false)] {
        for (key, value) in value[field].as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            let decoded = || STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text = if encoded { decoded().unwrap_or_default() } else { text.to_owned() };
            let text =
                if SHOWN.contains(&key.as_str()) { words::without_password(&text).0 } else { String::new() };
            kept.insert(key.clone(), Value::from(text));
        }
    }
    let metadata = &value["metadata"];
    let metadata =
        json!({"name": metadata["name"], "namespace": metadata["namespace"], "labels": metadata["labels"]});
    *value = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": kept});
    if value["metadata"]["namespace"].is_null()
        && let Some(metadata) = value["metadata"].as_object_mut()
    {
        metadata.remove("namespace");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_secret_only_its_keys_and_its_url_are_kept() {
        let mut secret = json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "repo", "labels": {"a": "b"}, "annotations": {"last-applied": "hunter2"}},
            "data": {"password": "aHVudGVyMg==", "url": "aHR0cHM6Ly91OnBAZ2l0LnRlc3QvYQ=="},
            "stringData": {"sshPrivateKey": "hunter2"}});
        forget_secrets(&mut secret);
        let expected = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "repo", "labels": {"a": "b"}},
            "stringData": {"password": "", "url": "https://git.test/a", "sshPrivateKey": ""}});
        assert_eq!(secret, expected);
    }
}
