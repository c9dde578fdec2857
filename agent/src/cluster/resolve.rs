//! Resolves manifests to desired objects: the served kind, the namespace, the marks of ownership.
//!
//! I/O: API reads, for kinds that were not looked up before.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use holdfast_diff::applyset::{MARK, PART_OF};
use holdfast_diff::compare::BOOKKEEPING;
use holdfast_diff::digest::Digest;
use holdfast_diff::ignore::{Ignored, Rules};
use holdfast_diff::normalise::{normalise, without_nulls, without_status};
use holdfast_diff::object::{GroupKind, Manifest, ObjectId};
use holdfast_diff::takeover::Takeover;
use serde_json::{Map, Value};

use super::discovery::Discovery;
use super::judges;
use super::refusal::ObjectError;
use super::requests::ResourceType;
use crate::api::names;
use crate::sync_ref::SyncRef;

/// One desired object.
#[derive(Clone, Debug)]
pub struct Desired {
    pub object: ObjectId,
    pub kind: Arc<ResourceType>,
    /// False if the kind's definition is in the same render and not in the cluster yet.
    pub served: bool,
    pub manifest: Arc<Manifest>,
    /// Digest of the manifest and of its ignored fields.
    pub digest: Digest,
    pub ignored: Ignored,
    /// The manifest with its `null`s, which request the removal of fields, if it has any.
    pub nulls: Option<Arc<Value>>,
    /// The manifest in Git has a status, which was removed.
    pub has_status: bool,
    /// The version in which its objects can be read, if that of the manifest is not served yet.
    pub lives_as: Option<Arc<ResourceType>>,
    /// The part of earlier manifests that this one does not have, if it may still be live.
    pub before: Option<Arc<Value>>,
    /// True if the object satisfied this manifest before, so that a difference is drift.
    pub was_applied: bool,
    /// Paths (RFC 6901) that left Git and were reported as kept, since other managers write them.
    pub returned: Vec<String>,
}

impl Desired {
    /// The manifest as it is in Git, with its `null`s.
    pub fn in_git(&self) -> Cow<'_, Manifest> {
        match &self.nulls {
            Some(nulls) => Cow::Owned(Manifest { value: (**nulls).clone(), ..(*self.manifest).clone() }),
            None => Cow::Borrowed(&*self.manifest),
        }
    }

    /// Keeps the live values of ignored fields. `takeover` happens before the apply.
    pub fn keep_live(&mut self, live: &Value, takeover: Option<&Takeover>) {
        if self.ignored.is_empty() {
            return;
        }
        let kept = match takeover {
            Some(takeover) => {
                let mut live = live.clone();
                if let Some(metadata) = live.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.insert("managedFields".to_owned(), takeover.managed_fields.clone());
                }
                self.ignored.keep_live(&self.manifest.value, &live)
            }
            None => self.ignored.keep_live(&self.manifest.value, live),
        };
        self.replace(kept);
    }

    /// Replaces the value to apply.
    pub fn replace(&mut self, value: Value) {
        if value != self.manifest.value {
            self.manifest = Arc::new(Manifest { value, ..(*self.manifest).clone() });
        }
    }
}

/// Resolves all manifests of a Sync. Objects that cannot be resolved are errors, and the others are returned all the same.
pub async fn resolve(
    discovery: &Discovery,
    owner: &SyncRef,
    namespace: &str,
    rules: Option<(Arc<Rules>, Digest)>,
    manifests: Vec<Manifest>,
) -> (Vec<Desired>, Vec<ObjectError>) {
    let set = owner.applyset();
    let mut kinds: HashMap<(String, Arc<GroupKind>), Kind> = HashMap::new();
    let mut first: HashMap<ObjectId, Arc<Manifest>> = HashMap::new();
    let (mut desired, mut errors) = (Vec::new(), Vec::new());
    let defined: Vec<ResourceType> = manifests.iter().flat_map(definitions).collect();
    for mut manifest in manifests {
        let key = (manifest.api_version.clone(), manifest.kind.clone());
        if !kinds.contains_key(&key) {
            let kind = find(discovery, &manifest, &defined).await;
            kinds.insert(key.clone(), kind);
        }
        let (kind, served, lives_as) = match &kinds[&key] {
            Kind::Served(kind) => (kind.clone(), true, None),
            Kind::Defined(kind, lives_as) => (kind.clone(), false, lives_as.clone()),
            Kind::Missing(error) => {
                errors.push(ObjectError {
                    object: manifest.id().to_string(),
                    origin: Some(manifest.origin.clone()),
                    ..error.clone()
                });
                continue;
            }
        };
        let object = kind.id(&manifest, namespace);
        if let Some(other) = first.get(&object) {
            let message = format!("the same object is also at {}; remove one of them", other.origin);
            errors.push(ObjectError::user(&object, Some(&manifest.origin), "DuplicateObject", message));
            continue;
        }
        manifest.value = stamp(&manifest.value, &object, owner, &set);
        let has_status = without_status(&mut manifest.value);
        normalise(&object.kind, &mut manifest.value);
        let nulls = without_nulls(&object.kind, &mut manifest.value).map(Arc::new);
        object.namespace.as_ref().clone_into(&mut manifest.namespace);
        let manifest = Arc::new(manifest);
        first.insert(object.clone(), manifest.clone());
        let mut digest = Digest::of(nulls.as_deref().unwrap_or(&manifest.value));
        let mut ignored = Ignored::default();
        if let Some((rules, spec)) = &rules {
            ignored = judges::ignored(rules, &kind, &manifest.value);
            if !ignored.is_empty() {
                digest = digest.with(*spec);
            }
        }
        desired.push(Desired {
            object,
            kind,
            served,
            manifest,
            digest,
            ignored,
            nulls,
            has_status,
            lives_as,
            before: None,
            was_applied: false,
            returned: Vec::new(),
        });
    }
    (desired, errors)
}

enum Kind {
    Served(Arc<ResourceType>),
    /// Not served yet; with another version that is, if there is one.
    Defined(Arc<ResourceType>, Option<Arc<ResourceType>>),
    Missing(ObjectError),
}

async fn find(discovery: &Discovery, manifest: &Manifest, defined: &[ResourceType]) -> Kind {
    let (version, kind) = (&manifest.api_version, &manifest.kind.kind);
    let mut found = discovery.find(version, kind).await;
    if matches!(found, Ok(None)) {
        // A definition may have been created since the group was looked up.
        discovery.forget(&manifest.kind.group);
        found = discovery.find(version, kind).await;
    }
    match found {
        Ok(Some(kind)) => kept(discovery, manifest, kind).await,
        Ok(None) => match defined
            .iter()
            .find(|defined| defined.api_version() == *version && defined.kind == manifest.kind)
        {
            Some(kind) => {
                Kind::Defined(Arc::new(kind.clone()), other_version(discovery, kind, defined).await)
            }
            None => Kind::Missing(unknown(discovery, manifest).await),
        },
        Err(error) => Kind::Missing(ObjectError::from_server(&manifest.id(), None, &error)),
    }
}

/// Returns a served kind, or an error if its objects cannot be kept in sync.
async fn kept(discovery: &Discovery, manifest: &Manifest, kind: ResourceType) -> Kind {
    match discovery.unkept(&kind).await {
        Ok(None) => Kind::Served(Arc::new(kind)),
        Ok(Some(why)) => {
            let message = format!("{why}; remove it from Git");
            Kind::Missing(ObjectError::user(&manifest.id(), None, "UnsupportedKind", message))
        }
        Err(error) => Kind::Missing(ObjectError::from_server(&manifest.id(), None, &error)),
    }
}

/// Describes a kind that is not served: its version, or the kind.
async fn unknown(discovery: &Discovery, manifest: &Manifest) -> ObjectError {
    let Manifest { api_version, kind, .. } = manifest;
    let unserved = format!("the API server does not serve kind {} of {api_version}", kind.kind);
    let message = match discovery.versions(kind).await {
        Ok(versions) if !versions.is_empty() => {
            format!("{unserved}; it serves the kind in {}: change the apiVersion", versions.join(", "))
        }
        Ok(_) => format!("{unserved}; check the spelling, or install its CustomResourceDefinition first"),
        Err(error) => return ObjectError::from_server(&manifest.id(), None, &error),
    };
    ObjectError::user(&manifest.id(), None, "UnknownKind", message)
}

/// Returns another served version of a kind, in which its objects may exist already.
async fn other_version(
    discovery: &Discovery,
    kind: &ResourceType,
    defined: &[ResourceType],
) -> Option<Arc<ResourceType>> {
    let others = defined.iter().filter(|other| other.kind == kind.kind && other.version != kind.version);
    for other in others {
        if let Ok(Some(served)) = discovery.find(&other.api_version(), &kind.kind.kind).await {
            return Some(Arc::new(served));
        }
    }
    None
}

/// The kinds that a CustomResourceDefinition defines, one for each version it serves.
fn definitions(manifest: &Manifest) -> Vec<ResourceType> {
    if !manifest.kind.is("apiextensions.k8s.io", "CustomResourceDefinition") {
        return Vec::new();
    }
    let Some(spec) = manifest.value.get("spec") else { return Vec::new() };
    let text = |pointer: &str| spec.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = Arc::new(GroupKind::new(text("/group"), text("/names/kind")));
    let versions = spec.get("versions").and_then(Value::as_array).into_iter().flatten();
    versions
        .filter(|version| version.get("served") == Some(&Value::Bool(true)))
        .filter_map(|version| version.get("name")?.as_str())
        .map(|version| ResourceType {
            kind: kind.clone(),
            version: version.to_owned(),
            plural: text("/names/plural"),
            namespaced: text("/scope") == "Namespaced",
        })
        .collect()
}

/// Adds the namespace and the marks of ownership to an object, except for the proof, which is added when the object is sent.
/// Removes what only the API server writes.
fn stamp(value: &Value, object: &ObjectId, owner: &SyncRef, set: &str) -> Value {
    let mut value = value.clone();
    let Some(fields) = value.as_object_mut() else { return value };
    let metadata = map(fields, "metadata");
    metadata.retain(|name, _| !BOOKKEEPING.contains(&name.as_str()));
    if object.namespace.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".to_owned(), (*object.namespace).into());
    }
    map(metadata, "labels").insert(PART_OF.to_owned(), set.into());
    let annotations = map(metadata, "annotations");
    annotations.remove(MARK);
    annotations.insert(names::SYNC.to_owned(), owner.to_string().into());
    value
}

/// Returns the mapping at a field, created if it is missing or `null`.
fn map<'a>(fields: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let field = fields.entry(name.to_owned()).or_insert(Value::Null);
    if !field.is_object() {
        *field = Value::Object(Map::new());
    }
    match field {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object on the line above"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn leftovers_of_an_export_are_not_applied() {
        let value = json!({"metadata": {"name": "a", "resourceVersion": "7", "uid": "u", "creationTimestamp": null,
            "labels": null, "annotations": {"holdfast.dev/mark": "of another object"}}});
        let object = ObjectId::new(Arc::new(GroupKind::new("", "ConfigMap")), "shop", "a");
        let owner = SyncRef::new("team", "shop");
        assert_eq!(
            stamp(&value, &object, &owner, "applyset-x-v1"),
            json!({"metadata": {"name": "a", "namespace": "shop",
                "labels": {"applyset.kubernetes.io/part-of": "applyset-x-v1"},
                "annotations": {"holdfast.dev/sync": "team/shop"}}})
        );
    }
}
