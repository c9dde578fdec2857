//! What the stages read of the live view. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::object::{GroupKind, ObjectId};

use super::super::entry::Entry;
use super::super::requests::ResourceType;
use super::{Differing, Differs, View};
use crate::sync_ref::SyncRef;

impl View {
    /// Returns all members of a Sync, ordered by id.
    pub fn members(&self, owner: &SyncRef) -> Vec<(ObjectId, Entry)> {
        self.members_that(owner, |_, _| true)
    }

    /// The kinds of the objects of a Sync.
    pub fn kinds(&self, owner: &SyncRef) -> Vec<Arc<ResourceType>> {
        let state = self.lock();
        let members = state.members.get(owner).into_iter().flatten();
        let mut kinds: Vec<Arc<ResourceType>> = Vec::new();
        for entry in members.filter_map(|object| state.objects.get(object)) {
            if !kinds.contains(&entry.kind) {
                kinds.push(entry.kind.clone());
            }
        }
        kinds
    }

    /// The namespaces of the objects of a Sync, by their kind.
    pub fn places(&self, owner: &SyncRef) -> BTreeMap<Arc<GroupKind>, BTreeSet<Arc<str>>> {
        let mut places: BTreeMap<Arc<GroupKind>, BTreeSet<Arc<str>>> = BTreeMap::new();
        for object in self.lock().members.get(owner).into_iter().flatten() {
            places.entry(object.kind.clone()).or_default().insert(object.namespace.clone());
        }
        places
    }

    /// The members of all Syncs in a namespace that are kept, with the mark that keeps them.
    pub fn kept_in(&self, namespace: &str) -> Vec<(ObjectId, Option<String>)> {
        let state = self.lock();
        let inside = state.objects.iter().filter(|(object, _)| *object.namespace == *namespace);
        let kept =
            inside.filter_map(|(object, entry)| Some((object.clone(), Some(entry.kept()?.to_owned()))));
        kept.collect()
    }

    /// The number of members of a Sync.
    pub fn count(&self, owner: &SyncRef) -> usize {
        self.lock().members.get(owner).map_or(0, BTreeSet::len)
    }

    /// Returns the members of a Sync that match `which`, ordered by id.
    pub fn members_that(
        &self,
        owner: &SyncRef,
        which: impl Fn(&ObjectId, &Entry) -> bool,
    ) -> Vec<(ObjectId, Entry)> {
        let state = self.lock();
        let members = state.members.get(owner).into_iter().flatten();
        members
            .filter_map(|object| state.objects.get_key_value(object))
            .filter(|(object, entry)| which(object, entry))
            .map(|(object, entry)| (object.clone(), entry.clone()))
            .collect()
    }

    /// Returns the members of a Sync that its newest render does not have and that match `which`. None while the render is unknown.
    pub fn unwanted(&self, owner: &SyncRef, which: impl Fn(&Entry) -> bool) -> BTreeSet<ObjectId> {
        let state = self.lock();
        let members = state.members.get(owner).filter(|_| state.claimants.contains(owner));
        let unwanted =
            members.into_iter().flatten().filter(|object| state.claims.get(*object) != Some(owner));
        unwanted.filter(|object| state.objects.get(*object).is_some_and(&which)).cloned().collect()
    }

    /// Returns how the objects of a Sync differ from its manifests. Manifests that are done need no object.
    pub fn differing(
        &self,
        owner: &SyncRef,
        manifests: &[(ObjectId, Digest)],
        is_done: impl Fn(&ObjectId, Digest) -> bool,
    ) -> Differing {
        let state = self.lock();
        let (mut members, mut differing) = (0, Differing::default());
        for (at, (object, manifest)) in manifests.iter().enumerate() {
            match state.objects.get(object) {
                Some(entry) => {
                    let ours = entry.owner == *owner;
                    members += usize::from(ours);
                    if !ours || entry.ending.is_some() || !entry.satisfies(*manifest) {
                        differing.manifests.push((at, entry.differs(*manifest)));
                    }
                }
                None if is_done(object, *manifest) => {}
                None => differing.manifests.push((at, Differs::absent(*manifest))),
            }
        }
        differing.surplus = state.members.get(owner).map_or(0, BTreeSet::len) > members;
        differing
    }

    /// True if an object still differs from its manifest in the same way.
    pub fn still_differs(&self, owner: &SyncRef, object: &ObjectId, seen: Differs) -> bool {
        let state = self.lock();
        match state.objects.get(object) {
            Some(entry) => {
                entry.owner == *owner
                    && entry.differs(seen.manifest) == seen
                    && !entry.satisfies(seen.manifest)
            }
            None => seen == Differs::absent(seen.manifest),
        }
    }

    /// Returns whether the view has an object, and the manifest that the object satisfied until another writer changed or removed it.
    pub fn viewed(&self, object: &ObjectId) -> (bool, Option<Digest>) {
        let state = self.lock();
        let entry = state.objects.get(object);
        let verified = entry.and_then(|entry| entry.verified).map(|(manifest, _)| manifest);
        (entry.is_some(), verified.or_else(|| state.lost.get(object).copied()))
    }
}
