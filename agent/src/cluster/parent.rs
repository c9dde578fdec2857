//! The Sync as the parent of its ApplySet (KEP-3659): which kinds and namespaces its members are in, so that nothing is
//! lost over a restart, and the finalizer that keeps the Sync until its objects are gone.
//!
//! I/O: API writes.

use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_diff::applyset::{self, GROUP_KINDS, ID, NAMESPACES, TOOLING};
use holdfast_diff::object::{GroupKind, ObjectId};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use super::Cluster;
use super::refusal::{ObjectError, chain};
use super::requests::ResourceType;
use crate::api::{Sync, names};
use crate::sync_ref::SyncRef;

const TOOL: &str = concat!("holdfast/v", env!("CARGO_PKG_VERSION"));

/// What the marks of a parent must cover.
pub struct Members<'a> {
    /// What the Sync desires, and may see.
    pub desired: Vec<&'a ObjectId>,
    /// False if it may have more than is known.
    pub complete: bool,
}

/// Writes the marks of a parent, before anything is applied that they do not cover yet.
pub async fn mark(
    client: &Client,
    cluster: &Cluster,
    sync: &Sync,
    owner: &SyncRef,
    Members { desired, complete }: Members<'_>,
) -> Result<(), kube::Error> {
    let written: BTreeSet<GroupKind> = kinds(sync).into_iter().collect();
    let places = places(sync, owner);
    let covered = desired.iter().all(|object| {
        written.contains(&object.kind) && (object.namespace.is_empty() || places.contains(&object.namespace))
    });
    let has_finalizer = sync.finalizers().iter().any(|finalizer| finalizer == names::FINALIZER);
    let id = owner.applyset();
    if covered && has_finalizer && sync.labels().get(ID) == Some(&id) {
        return Ok(());
    }
    let members: Vec<ObjectId> = cluster.view.members(owner).into_iter().map(|(object, _)| object).collect();
    let all = || desired.iter().copied().chain(&members);
    let former = places.iter().filter(|_| !complete).map(|place| &**place);
    let inhabited: BTreeSet<&str> =
        all().map(|object| &*object.namespace).chain(former).filter(|place| !place.is_empty()).collect();
    // The Sync's own namespace goes without saying where there is no other one, and is named beside others.
    let only_own = inhabited.iter().all(|place| *place == owner.namespace());
    let namespaces = inhabited.into_iter().filter(|_| !only_own);
    let mut finalizers: BTreeSet<&str> = sync.finalizers().iter().map(String::as_str).collect();
    finalizers.insert(names::FINALIZER);
    let patch = json!({"metadata": {
        "resourceVersion": sync.metadata.resource_version,
        "finalizers": finalizers,
        "labels": {ID: id},
        "annotations": {
            TOOLING: TOOL,
            GROUP_KINDS: applyset::format_kinds(all().map(|object| &*object.kind).chain(&written)),
            NAMESPACES: applyset::format_namespaces(namespaces),
        },
    }});
    patch_metadata(client, owner, &patch).await
}

/// Lets a Sync go whose objects are gone.
pub async fn release(client: &Client, sync: &Sync, owner: &SyncRef) -> Result<(), kube::Error> {
    let finalizers: Vec<&String> =
        sync.finalizers().iter().filter(|finalizer| *finalizer != names::FINALIZER).collect();
    let patch =
        json!({"metadata": {"resourceVersion": sync.metadata.resource_version, "finalizers": finalizers}});
    patch_metadata(client, owner, &patch).await
}

async fn patch_metadata(
    client: &Client,
    owner: &SyncRef,
    patch: &serde_json::Value,
) -> Result<(), kube::Error> {
    let api: Api<Sync> = Api::namespaced(client.clone(), owner.namespace());
    let params = PatchParams { field_manager: Some("holdfast".to_owned()), ..PatchParams::default() };
    match api.patch_metadata(owner.name(), &params, &Patch::Merge(patch)).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(|_| ()),
    }
}

/// The kinds that the members of a set have, as the parent says.
pub fn kinds(sync: &Sync) -> Vec<GroupKind> {
    sync.annotations().get(GROUP_KINDS).map(|text| applyset::parse_kinds(text)).unwrap_or_default()
}

/// The namespaces that the members of a set have, as the parent says: its own, if it names no others.
pub fn places(sync: &Sync, owner: &SyncRef) -> Vec<Arc<str>> {
    let named = sync.annotations().get(NAMESPACES).map(String::as_str).unwrap_or_default();
    let named: Vec<Arc<str>> = named.split(',').filter(|name| !name.is_empty()).map(Arc::from).collect();
    if named.is_empty() && !kinds(sync).is_empty() { vec![owner.namespace().into()] } else { named }
}

/// The kinds of a set that its newest render does not name, as the server serves them, and those that it cannot tell
/// about. Kinds that it does not serve any more have no objects.
pub async fn former_kinds(
    cluster: &Cluster,
    sync: &Sync,
    desired: &[ObjectId],
) -> (Vec<Arc<ResourceType>>, Vec<ObjectError>) {
    let current: BTreeSet<&GroupKind> = desired.iter().map(|object| &*object.kind).collect();
    let (mut former, mut errors) = (Vec::new(), Vec::new());
    for kind in kinds(sync).into_iter().filter(|kind| !current.contains(kind)) {
        match cluster.discovery.preferred(&kind).await {
            Ok(served) => former.extend(served.map(Arc::new)),
            Err(error) => {
                let message = format!("cannot be looked for: {}", chain(&error));
                errors.push(ObjectError::transient(&kind, None, "Unreachable", message));
            }
        }
    }
    (former, errors)
}
