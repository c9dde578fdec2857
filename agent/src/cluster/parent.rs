//! The Sync as the parent of its ApplySet (KEP-3659): which kinds and namespaces its members are in, so that nothing is
//! lost over a restart, and the finalizer that keeps the Sync until its objects are gone.
//!
//! I/O: API writes.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use holdfast_diff::applyset::{self, GROUP_KINDS, ID, NAMESPACES, TOOLING};
use holdfast_diff::object::{GroupKind, ObjectId};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::Cluster;
use super::refusal::chain;
use super::requests::{ResourceType, is_conflict, is_not_found};
use crate::api::{Sync, names};
use crate::sync_ref::SyncRef;

/// Maximum bytes of the list of namespaces. All annotations of an object together may have 256 KiB.
const PLACES: usize = 64 * 1024;
/// The value of the annotation if the list of namespaces is too long.
const EVERYWHERE: &str = "*";

const TOOL: &str = concat!("holdfast/v", env!("CARGO_PKG_VERSION"));

/// How often a change is retried after a conflict with another writer.
const TRIES: usize = 5;

/// What the marks of a parent must cover.
pub struct Members<'a> {
    /// The desired objects that the Sync may read.
    pub desired: Vec<&'a ObjectId>,
    /// False if the Sync may have members that are not known.
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
    let members: Vec<ObjectId> = cluster.view.members(owner).into_iter().map(|(object, _)| object).collect();
    let all = || desired.iter().copied().chain(&members);
    change(client, sync, owner, |sync| {
        let written: BTreeSet<GroupKind> = kinds(sync).into_iter().collect();
        let places = named_places(sync, owner);
        let covered = desired.iter().all(|object| {
            written.contains(&object.kind)
                && (object.namespace.is_empty() || covers(&places, &object.namespace))
        });
        let has_finalizer = sync.finalizers().iter().any(|finalizer| finalizer == names::FINALIZER);
        let id = owner.applyset();
        if covered && has_finalizer && sync.labels().get(ID) == Some(&id) {
            return None;
        }
        let former = places.iter().filter(|_| !complete).map(|place| &**place);
        let inhabited = all().map(|object| &*object.namespace).chain(former).collect();
        let mut finalizers: BTreeSet<&str> = sync.finalizers().iter().map(String::as_str).collect();
        finalizers.insert(names::FINALIZER);
        Some(json!({
            "finalizers": finalizers,
            "labels": {ID: id},
            "annotations": {
                TOOLING: TOOL,
                GROUP_KINDS: applyset::format_kinds(all().map(|object| &*object.kind).chain(&written)),
                NAMESPACES: format_places(inhabited, owner),
            },
        }))
    })
    .await
}

/// What a parent names and its set needs no more, as soon as no member of it is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Former {
    pub kinds: BTreeSet<GroupKind>,
    pub places: BTreeSet<Arc<str>>,
}

impl Former {
    /// What a parent names, without what its set desires, and what it may have without seeing it.
    pub fn of<'a>(
        sync: &Sync,
        owner: &SyncRef,
        desired: impl Iterator<Item = &'a ObjectId>,
        unseen: &[Unseen],
    ) -> Self {
        let mut former = Self {
            kinds: kinds(sync).into_iter().collect(),
            places: named_places(sync, owner).into_iter().collect(),
        };
        for object in desired {
            former.kinds.remove(&*object.kind);
            former.places.remove(&object.namespace);
        }
        for Unseen { kind, namespace, .. } in unseen {
            former.kinds.remove(&**kind);
            match &**namespace {
                "" => former.places.clear(),
                _ => _ = former.places.remove(namespace),
            }
        }
        // The Sync's own namespace goes without saying.
        former.places.retain(|place| **place != *owner.namespace() && **place != *EVERYWHERE);
        former
    }

    /// The part of it of which no member is left.
    #[must_use]
    pub fn left(&self, cluster: &Cluster, owner: &SyncRef) -> Self {
        let mut left = self.clone();
        if !left.is_nothing() {
            for (kind, places) in cluster.view.places(owner) {
                left.kinds.remove(&*kind);
                left.places.retain(|place| !places.contains(place));
            }
        }
        left
    }

    pub fn is_nothing(&self) -> bool {
        self.kinds.is_empty() && self.places.is_empty()
    }
}

/// Where a Sync may have objects that it does not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    pub kind: Arc<GroupKind>,
    /// Empty: in the whole cluster.
    pub namespace: Arc<str>,
    /// True if a right is missing, so that trying again does not help.
    pub forbidden: bool,
    /// Why, in the words of a message.
    pub said: String,
}

/// Takes out of the marks of a parent what its set needs no more.
pub async fn forget(
    client: &Client,
    sync: &Sync,
    owner: &SyncRef,
    former: &Former,
) -> Result<(), kube::Error> {
    change(client, sync, owner, |sync| {
        let (written, places) = (kinds(sync), named_places(sync, owner));
        let stays = |kind: &&GroupKind| !former.kinds.contains(*kind);
        let inhabited = places.iter().filter(|place| !former.places.contains(*place));
        let annotations = json!({
            GROUP_KINDS: applyset::format_kinds(written.iter().filter(stays)),
            NAMESPACES: format_places(inhabited.map(|place| &**place).collect(), owner),
        });
        let is_written =
            |name: &str| sync.annotations().get(name).map(String::as_str) == annotations[name].as_str();
        (!is_written(GROUP_KINDS) || !is_written(NAMESPACES)).then(|| json!({"annotations": annotations}))
    })
    .await
}

/// Removes the finalizer of a Sync whose objects are gone.
pub async fn release(client: &Client, sync: &Sync, owner: &SyncRef) -> Result<(), kube::Error> {
    change(client, sync, owner, |sync| {
        let (held, others): (Vec<&String>, Vec<_>) =
            sync.finalizers().iter().partition(|finalizer| *finalizer == names::FINALIZER);
        (!held.is_empty()).then(|| json!({"finalizers": others}))
    })
    .await
}

/// Changes the metadata of a Sync, if there is something to change. After a conflict, the newest form is read and changed
/// instead. A Sync that is gone, or another one of its name, is not changed.
async fn change(
    client: &Client,
    sync: &Sync,
    owner: &SyncRef,
    changed: impl Fn(&Sync) -> Option<Value>,
) -> Result<(), kube::Error> {
    let api: Api<Sync> = Api::namespaced(client.clone(), owner.namespace());
    let params = PatchParams { field_manager: Some("holdfast".to_owned()), ..PatchParams::default() };
    let mut newest = Cow::Borrowed(sync);
    for tries in 1.. {
        let Some(mut metadata) = changed(&newest) else { return Ok(()) };
        metadata["resourceVersion"] = json!(newest.metadata.resource_version);
        let patch = json!({"metadata": metadata});
        match api.patch_metadata(owner.name(), &params, &Patch::Merge(patch)).await {
            Err(error) if is_not_found(&error) => return Ok(()),
            Err(error) if is_conflict(&error) && tries < TRIES => {}
            other => return other.map(|_| ()),
        }
        match api.get_opt(owner.name()).await? {
            Some(found) if found.metadata.uid == sync.metadata.uid => newest = Cow::Owned(found),
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Formats the annotation of namespaces. It is empty if all members are in the namespace of the Sync; otherwise it lists that
/// namespace too.
fn format_places(inhabited: BTreeSet<&str>, owner: &SyncRef) -> String {
    let inhabited: BTreeSet<&str> = inhabited.into_iter().filter(|place| !place.is_empty()).collect();
    let only_own = inhabited.iter().all(|place| *place == owner.namespace());
    let text = applyset::format_namespaces(inhabited.iter().copied().filter(|_| !only_own));
    if text.len() > PLACES || inhabited.contains(EVERYWHERE) { EVERYWHERE.to_owned() } else { text }
}

/// True if a list of namespaces covers this one.
fn covers(places: &[Arc<str>], namespace: &str) -> bool {
    places.iter().any(|place| **place == *EVERYWHERE || **place == *namespace)
}

/// The kinds of the members of a set, from the annotation of the Sync.
pub fn kinds(sync: &Sync) -> Vec<GroupKind> {
    sync.annotations().get(GROUP_KINDS).map(|text| applyset::parse_kinds(text)).unwrap_or_default()
}

/// The namespaces of the members of a set, from the annotation of the Sync; its own namespace if the annotation is empty. An empty
/// name is the whole cluster.
pub fn places(sync: &Sync, owner: &SyncRef) -> Vec<Arc<str>> {
    let named = named_places(sync, owner);
    named.into_iter().map(|place| if *place == *EVERYWHERE { "".into() } else { place }).collect()
}

fn named_places(sync: &Sync, owner: &SyncRef) -> Vec<Arc<str>> {
    let named = sync.annotations().get(NAMESPACES).map(String::as_str).unwrap_or_default();
    let named: Vec<Arc<str>> = named.split(',').filter(|name| !name.is_empty()).map(Arc::from).collect();
    if named.is_empty() && !kinds(sync).is_empty() { vec![owner.namespace().into()] } else { named }
}

/// Returns the kinds of a set that are not in its newest render, as the API server serves them, and those that discovery could not
/// read. Kinds that are no longer served have no objects.
pub async fn former_kinds(
    cluster: &Cluster,
    sync: &Sync,
    desired: &[ObjectId],
) -> (Vec<Arc<ResourceType>>, Vec<Unseen>) {
    let current: BTreeSet<&GroupKind> = desired.iter().map(|object| &*object.kind).collect();
    let (mut former, mut unseen) = (Vec::new(), Vec::new());
    for kind in kinds(sync).into_iter().filter(|kind| !current.contains(kind)) {
        match cluster.discovery.former(&kind).await {
            Ok(served) => former.extend(served.map(Arc::new)),
            Err(error) => {
                let said = format!("cannot look for {kind}: {}", chain(&error));
                unseen.push(Unseen { kind: Arc::new(kind), namespace: "".into(), forbidden: false, said });
            }
        }
    }
    (former, unseen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_that_are_too_many_are_not_named() {
        let owner = SyncRef::new("own", "app");
        let names: Vec<String> = (0..4400).map(|at| format!("{at:0>60}")).collect();
        let of = |count: usize| format_places(names.iter().take(count).map(String::as_str).collect(), &owner);
        assert_eq!(of(2), format!("{},{}", names[0], names[1]));
        assert_eq!(of(4400), EVERYWHERE);
        assert_eq!(format_places(BTreeSet::from(["a", EVERYWHERE]), &owner), EVERYWHERE);
        assert_eq!(format_places(BTreeSet::from(["own", ""]), &owner), "");
        assert_eq!(format_places(BTreeSet::from(["own", "other"]), &owner), "other,own");
    }

    #[test]
    fn what_is_not_desired_and_not_unseen_is_former() {
        let owner = SyncRef::new("own", "app");
        let annotations =
            json!({GROUP_KINDS: "ConfigMap,Job.batch,Queue.example.com", NAMESPACES: "a,b,own"});
        let sync = json!({"metadata": {"name": "app", "annotations": annotations}, "spec": {"source": {"git": {"url": "https://a/b"}}},
            "apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync"});
        let sync: Sync = serde_json::from_value(sync).expect("a Sync");
        let desired = [ObjectId::new(Arc::new(GroupKind::new("", "ConfigMap")), "a", "x")];
        let job = GroupKind::new("batch", "Job");
        let unseen = |namespace: &str| Unseen {
            kind: Arc::new(job.clone()),
            namespace: namespace.into(),
            forbidden: true,
            said: String::new(),
        };
        let queue = GroupKind::new("example.com", "Queue");
        let former = |unseen: &[Unseen]| Former::of(&sync, &owner, desired.iter(), unseen);
        let all = Former { kinds: [job.clone(), queue.clone()].into(), places: ["b".into()].into() };
        assert_eq!(former(&[]), all);
        assert_eq!(former(&[unseen("b")]), Former { kinds: [queue.clone()].into(), places: [].into() });
        assert_eq!(former(&[unseen("")]), Former { kinds: [queue].into(), places: [].into() });
    }
}
