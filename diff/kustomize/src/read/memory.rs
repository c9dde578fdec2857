//! The annotations in which kustomize keeps the state of a resource. Manifests that have them affect it.
//!
//! They are removed from the resource, as kustomize does at the end, and become fields of it. Pure.

use smol_str::SmolStr;

use super::super::error::KustomizeError;
use super::super::id::{Gvk, ResId};
use super::super::node::Node;
use super::super::resource::{Behavior, Names, Previous, Resource};

const DOMAIN: &str = "internal.config.kubernetes.io/";

/// The known annotations of this domain, which are removed.
const KNOWN: [&str; 16] = [
    "previousKinds",
    "previousNames",
    "prefixes",
    "suffixes",
    "previousNamespaces",
    "allowNameChange",
    "allowKindChange",
    "refBy",
    "generatorBehavior",
    "needsHashSuffix",
    "path",
    "index",
    "seqindent",
    "id",
    "annotations-migration-resource-id",
    "helm-generated",
];

/// Stays in the resource until the end, since a transformer reads it there.
const HELM_GENERATED: &str = "internal.config.kubernetes.io/helm-generated";

const LEGACY: [&str; 3] = ["config.kubernetes.io/path", "config.kubernetes.io/index", "config.k8s.io/id"];

/// Moves the state in the annotations of a resource to its fields.
pub fn remember(mut resource: Resource) -> Result<Resource, KustomizeError> {
    if !resource.metadata("annotations").any(|(key, _)| is_memory(key)) {
        return Ok(resource);
    }
    resource.touch();
    let text = |name: &str| resource.annotation(&format!("{DOMAIN}{name}")).cloned();
    let list =
        |name: &str| text(name).map_or_else(Vec::new, |text| text.split(',').map(SmolStr::from).collect());
    let enabled = |name: &str| text(name).is_some_and(|text| text == "enabled");
    let previous = previous(list("previousKinds"), list("previousNamespaces"), list("previousNames"))
        .map_err(|error| error.or_at(&resource.origin))?;
    let written = ["previousKinds", "previousNamespaces", "previousNames"].map(|name| text(name).is_some());
    let (prefixes, suffixes) = (list("prefixes"), list("suffixes"));
    let referred_by = list("refBy").iter().map(|text| res_id(text)).collect();
    let behavior = match text("generatorBehavior").as_deref() {
        Some("create") => Behavior::Create,
        Some("replace") => Behavior::Replace,
        Some("merge") => Behavior::Merge,
        _ => Behavior::Unspecified,
    };
    let needs_hash = enabled("needsHashSuffix");
    let (allow_name_change, allow_kind_change) = (enabled("allowNameChange"), enabled("allowKindChange"));
    forget(resource.edit());
    resource.previous = previous;
    if written.contains(&true) && written.contains(&false) {
        resource.names = Names::Partial;
    }
    (resource.prefixes, resource.suffixes) = (prefixes, suffixes);
    (resource.referred_by, resource.behavior, resource.needs_hash) = (referred_by, behavior, needs_hash);
    (resource.allow_name_change, resource.allow_kind_change) = (allow_name_change, allow_kind_change);
    Ok(resource)
}

fn is_memory(key: &str) -> bool {
    key.strip_prefix(DOMAIN).is_some_and(|name| KNOWN.contains(&name)) || LEGACY.contains(&key)
}

/// Removes these annotations, and the whole field if it becomes empty.
fn forget(node: &mut Node) {
    let Some(metadata) = node.get_mut("metadata").and_then(Node::as_map_mut) else { return };
    let Some(annotations) = metadata.get_mut("annotations").and_then(Node::as_map_mut) else { return };
    annotations.retain(|key, _| !is_memory(&key.text) || key.text == HELM_GENERATED);
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
}

fn previous(
    kinds: Vec<SmolStr>,
    namespaces: Vec<SmolStr>,
    names: Vec<SmolStr>,
) -> Result<Vec<Previous>, KustomizeError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    // A missing annotation is one empty text.
    let [kinds, namespaces] =
        [kinds, namespaces].map(|list| if list.is_empty() { vec![SmolStr::default()] } else { list });
    if kinds.len() != names.len() || namespaces.len() != names.len() {
        let message = format!(
            "the annotations {DOMAIN}previousNames, previousNamespaces and previousKinds differ in length: remove them"
        );
        return Err(KustomizeError::new(message));
    }
    let parts = kinds.into_iter().zip(namespaces).zip(names);
    Ok(parts.map(|((kind, namespace), name)| Previous { kind, namespace, name }).collect())
}

/// Parses `Kind.version.group/name.namespace`, where `[noName]` and similar mean an empty part.
fn res_id(text: &str) -> ResId {
    let (gvk, name) = text.split_once('/').unwrap_or((text, ""));
    let mut parts = gvk.splitn(3, '.');
    let mut part =
        |missing: &str| SmolStr::from(parts.next().filter(|part| *part != missing).unwrap_or_default());
    let (kind, version, group) = (part("[noKind]"), part("[noVer]"), part("[noGrp]"));
    let (name, namespace) = name.rsplit_once('.').unwrap_or((name, ""));
    let or = |text: &str, missing: &str| SmolStr::from(if text == missing { "" } else { text });
    ResId {
        gvk: Gvk { group, version, kind },
        namespace: or(namespace, "[noNs]"),
        name: or(name, "[noName]"),
    }
}
