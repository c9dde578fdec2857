//! Which lists of Kubernetes' own kinds a strategic merge merges, and by which keys: what an API server's OpenAPI
//! document says, as the table that the renderer holds.
//!
//! Only what leads to such a list is in the table. Pure, but for [`openapi`]. I/O: network.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;

use crate::controlplane::{ControlPlane, Options};
use crate::{root, tools};

const HEAD: &str = "\
# Which lists of Kubernetes' own kinds a strategic merge merges, and by which keys. Written by a program:
#   cargo run -p holdfast-tests --bin schema > table.txt && mv table.txt diff/kustomize/src/schema/table.txt
# A line at the margin begins a type, one that is indented is a field of it: `field type`, `field {type}` for a map of
# them, `field [type] keys` for a list of them that is merged by keys, `field []` for one of plain values.
# At the end stand the kinds, with their types; `-` has nothing but metadata.
";

/// Where the table is kept.
pub fn path() -> PathBuf {
    root().join("diff/kustomize/src/schema/table.txt")
}

/// The OpenAPI document of an API server that is started for it.
pub async fn openapi() -> anyhow::Result<Value> {
    let tools = tools().await?;
    let plane = ControlPlane::start(&tools, Options { controllers: false, ..Options::default() }).await?;
    let text = plane.must(&["get", "--raw", "/openapi/v2"]).await?;
    Ok(serde_json::from_str(&text)?)
}

/// The table of an OpenAPI document.
pub fn table(openapi: &Value) -> anyhow::Result<String> {
    let definitions = openapi["definitions"].as_object().context("no definitions")?;
    let fields = |name: &str| -> Vec<(String, Field)> {
        let properties = definitions.get(name).and_then(|definition| definition["properties"].as_object());
        let named = properties.into_iter().flatten();
        named.filter_map(|(field, schema)| Some((field.clone(), Field::of(schema)?))).collect()
    };
    let types: Types<'_> = definitions.keys().map(|name| (name, fields(name))).collect();
    let names = Names::of(&types);
    let mut out = HEAD.to_owned();
    for (name, fields) in types.iter().filter(|(name, _)| names.is_type(name)) {
        writeln!(out, "{}", names.text(name))?;
        for (field, of) in fields.iter().filter(|(_, of)| names.is_used(of)) {
            writeln!(out, "  {field} {}", of.text(&names))?;
        }
    }
    for (group_version, kind, name) in
        kinds(definitions).into_iter().filter(|(_, _, name)| names.used.contains(name))
    {
        writeln!(out, "kind {group_version} {kind} {}", names.text(&name))?;
    }
    Ok(out)
}

/// What a field leads to.
enum Field {
    One(String),
    Map(String),
    /// A list that is merged: what is in it, and its keys.
    List(Option<String>, Vec<String>),
}

impl Field {
    fn of(schema: &Value) -> Option<Self> {
        let target = |schema: &Value| {
            let name = schema["$ref"].as_str()?.strip_prefix("#/definitions/")?;
            Some(name.to_owned())
        };
        let strategy = schema["x-kubernetes-patch-strategy"].as_str().unwrap_or_default();
        if strategy.split(',').any(|word| word == "merge") && schema["type"] == "array" {
            let listed = schema["x-kubernetes-list-map-keys"].as_array();
            let keys = listed.map_or_else(
                || schema["x-kubernetes-patch-merge-key"].as_str().map(str::to_owned).into_iter().collect(),
                |keys| keys.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            );
            return Some(Self::List(target(&schema["items"]), keys));
        }
        target(schema).map(Self::One).or_else(|| target(&schema["additionalProperties"]).map(Self::Map))
    }

    fn text(&self, names: &Names) -> String {
        match self {
            Self::One(name) => names.text(name).to_owned(),
            Self::Map(name) => format!("{{{}}}", names.text(name)),
            Self::List(name, keys) => {
                let name = name.as_deref().filter(|name| names.used.contains(*name));
                let name = name.map_or("", |name| names.text(name));
                format!("[{name}] {}", keys.join(" ")).trim_end().to_owned()
            }
        }
    }
}

type Types<'a> = BTreeMap<&'a String, Vec<(String, Field)>>;

/// The types that the table is about.
#[derive(Default)]
struct Names {
    /// From which a list that is merged can be reached.
    used: BTreeSet<String>,
    /// Of those, the ones that have nothing but metadata.
    plain: BTreeSet<String>,
}

impl Names {
    fn of(types: &Types<'_>) -> Self {
        let mut names = Self::default();
        loop {
            let reach = |fields: &[(String, Field)]| fields.iter().any(|(_, field)| names.is_used(field));
            let new: Vec<String> = types
                .iter()
                .filter(|(name, fields)| !names.used.contains(name.as_str()) && reach(fields))
                .map(|(name, _)| (*name).clone())
                .collect();
            if new.is_empty() {
                break;
            }
            names.used.extend(new);
        }
        let is_plain = |fields: &[(String, Field)]| {
            fields.iter().filter(|(_, field)| names.is_used(field)).all(|(name, _)| name == "metadata")
        };
        let used = types.iter().filter(|(name, _)| names.used.contains(name.as_str()));
        let plain = used.filter(|(_, fields)| is_plain(fields)).map(|(name, _)| (*name).clone()).collect();
        Self { plain, ..names }
    }

    fn is_used(&self, field: &Field) -> bool {
        match field {
            Field::One(name) | Field::Map(name) => self.used.contains(name),
            Field::List(..) => true,
        }
    }

    fn is_type(&self, name: &str) -> bool {
        self.used.contains(name) && !self.plain.contains(name)
    }

    fn text<'a>(&self, name: &'a str) -> &'a str {
        if self.plain.contains(name) { "-" } else { short(name) }
    }
}

/// The kinds that a manifest can be of: `group/version`, kind and type.
fn kinds(definitions: &serde_json::Map<String, Value>) -> Vec<(String, String, String)> {
    let mut kinds = Vec::new();
    for (name, definition) in definitions.iter().filter(|(_, it)| it["properties"]["metadata"].is_object()) {
        for of in definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let [group, version, kind] =
                ["group", "version", "kind"].map(|part| of[part].as_str().unwrap_or(""));
            if !kind.ends_with("List") {
                let group_version = format!("{group}/{version}").trim_start_matches('/').to_owned();
                kinds.push((group_version, kind.to_owned(), name.clone()));
            }
        }
    }
    kinds.sort();
    kinds
}

fn short(name: &str) -> &str {
    let prefixes = [
        "io.k8s.api.",
        "io.k8s.apimachinery.pkg.apis.",
        "io.k8s.kube-aggregator.pkg.apis.",
        "io.k8s.apiextensions-apiserver.pkg.apis.",
    ];
    prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}
