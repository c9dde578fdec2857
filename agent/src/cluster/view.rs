//! The live view: what is needed to say "unchanged" of every managed object, and nothing more.
//!
//! Watches and the answers to our own writes feed it; `observe` and `health` read it. An entry is a few hundred
//! bytes: fingerprints, not objects. No I/O.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast_diff::compare;
use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::SeenAt;
use serde_json::Value;
use tokio::sync::mpsc;

use super::entry::Entry;
use super::judges::Judges;
use super::requests::ResourceType;
use crate::sync_ref::SyncRef;

#[derive(Default)]
struct State {
    objects: HashMap<ObjectId, Entry>,
    members: HashMap<SyncRef, BTreeSet<ObjectId>>,
    /// Which Sync has an object in its newest render. One view over all Syncs, so that two never fight.
    claims: HashMap<ObjectId, SyncRef>,
    /// Who wants an object that another Sync has.
    refused: HashMap<ObjectId, SyncRef>,
    /// Syncs whose claims are known.
    claimants: HashSet<SyncRef>,
    /// What was as git said when somebody else removed it, and the manifest that it satisfied. Only of claimed objects.
    lost: HashMap<ObjectId, Digest>,
    /// Objects that we are writing now: how they were when that was planned, and what was seen of them since.
    writing: HashMap<ObjectId, (SeenAt, Vec<Value>)>,
    /// What somebody wrote and we overwrote before anybody had looked at it.
    overwritten: HashMap<SyncRef, Vec<Overwritten>>,
}

/// An object as somebody left it, before we wrote over it.
#[derive(Clone)]
pub struct Overwritten {
    pub kind: Arc<ResourceType>,
    pub object: ObjectId,
    pub live: Value,
}

/// Objects of one Sync that were overwritten and not looked at yet.
const OVERWRITTEN: usize = 100;

/// A manifest, and the object that does not satisfy it: the fields of it that we own, and all of it if that was noted. Both
/// are `None` if there is no such object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Differs {
    pub manifest: Digest,
    pub live: Option<Digest>,
    pub whole: Option<Digest>,
}

impl Differs {
    /// There is no object.
    pub fn absent(manifest: Digest) -> Self {
        Self { manifest, live: None, whole: None }
    }
}

/// What of a Sync is not as its manifests say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differing {
    /// The positions of the manifests that are not satisfied.
    pub manifests: Vec<(usize, Differs)>,
    /// The Sync owns something else too.
    pub surplus: bool,
}

impl Differing {
    pub fn is_nothing(&self) -> bool {
        self.manifests.is_empty() && !self.surplus
    }
}

/// The live view of one cluster.
pub struct View {
    pub judges: Judges,
    state: Mutex<State>,
    wake: mpsc::UnboundedSender<SyncRef>,
}

impl View {
    /// `wake` hears of every Sync whose objects changed other than by its own hand.
    pub fn new(wake: mpsc::UnboundedSender<SyncRef>) -> Self {
        Self { judges: Judges::default(), state: Mutex::default(), wake }
    }

    /// Takes an object from a watch. Events older than what is known are ignored.
    pub fn put(&self, kind: &Arc<ResourceType>, object: ObjectId, live: &Value) {
        let Some(mut entry) = Entry::of(kind, live, &self.judges) else {
            return self.remove(&object, u64::MAX);
        };
        let owner = entry.owner.clone();
        let mut state = self.lock();
        if state.objects.get(&object).is_some_and(|before| before.rare().whole.is_some()) {
            let whole = Digest::of(&compare::essence(live));
            entry.with_rare(|rare| rare.whole = Some(whole));
        }
        if let Some((_, seen)) = state.writing.get_mut(&object) {
            seen.push(live.clone());
        }
        let lost = state.was_overwritten(&object, &entry);
        if lost {
            state.overwritten(
                Overwritten { kind: kind.clone(), object: object.clone(), live: live.clone() },
                &owner,
            );
        }
        let news = state.put(object, entry) || lost;
        drop(state);
        if news {
            self.wake(owner);
        }
    }

    /// Notes that an object is about to be written. False if it is not as it was when that was planned.
    pub fn begin_write(&self, object: &ObjectId, seen: Option<SeenAt>) -> bool {
        let mut state = self.lock();
        let Some(seen) = seen else { return true };
        let changed = |entry: &Entry| entry.version > seen.version && entry.live != seen.live;
        if state.objects.get(object).is_some_and(changed) {
            return false;
        }
        state.writing.insert(object.clone(), (seen, Vec::new()));
        true
    }

    /// Notes that a write did not come to its end.
    pub fn abandon_write(&self, object: &ObjectId) {
        self.lock().writing.remove(object);
    }

    /// Takes what we overwrote of a Sync before anybody had looked at it.
    pub fn take_overwritten(&self, owner: &SyncRef) -> Vec<Overwritten> {
        self.lock().overwritten.remove(owner).unwrap_or_default()
    }

    /// Takes an object from the answer to our own write, with the manifest that it now satisfies.
    pub fn verify(&self, kind: &Arc<ResourceType>, object: &ObjectId, live: &Value, manifest: Digest) {
        let entry = Entry::of(kind, live, &self.judges);
        let mut state = self.lock();
        let writing = state.writing.remove(object);
        let Some(mut entry) = entry else { return };
        let seen = writing.as_ref().map(|(seen, _)| *seen);
        entry.with_rare(|rare| rare.overwrote = seen);
        for seen in writing.into_iter().flat_map(|(_, seen)| seen) {
            let between =
                Entry::of(kind, &seen, &self.judges).is_some_and(|between| entry.overwrites(&between));
            if between {
                let lost = Overwritten { kind: kind.clone(), object: object.clone(), live: seen };
                state.overwritten(lost, &entry.owner);
            }
        }
        state.put(object.clone(), entry);
        if let Some(entry) = state.objects.get_mut(object) {
            entry.verified = entry.live.map(|live| (manifest, live));
            entry.with_rare(|rare| rare.whole = None);
        }
    }

    /// Notes that an object, as it was seen at `live`, satisfies a manifest.
    pub fn note_satisfied(&self, object: &ObjectId, manifest: Digest, live: Digest) {
        if let Some(entry) = self.lock().objects.get_mut(object) {
            entry.verified = Some((manifest, live));
            entry.with_rare(|rare| rare.whole = None);
        }
    }

    /// Notes that an object may be left as it is though it differs: what others own of it counts too from now on.
    pub fn note_left(&self, object: &ObjectId, live: &Value) -> Digest {
        let whole = Digest::of(&compare::essence(live));
        if let Some(entry) = self.lock().objects.get_mut(object).filter(|entry| entry.is_of(live)) {
            entry.with_rare(|rare| rare.whole = Some(whole));
        }
        whole
    }

    /// Forgets an object that is gone, or not ours any more.
    pub fn remove(&self, object: &ObjectId, version: u64) {
        let removed = self.lock().remove(object, version);
        if let Some(entry) = removed {
            self.wake(entry.owner);
        }
    }

    /// Replaces all objects of one kind, within one namespace unless that is empty, by what a list said.
    pub fn replace(&self, kind: &ResourceType, namespace: &str, listed: Vec<(ObjectId, Entry)>) {
        let mut state = self.lock();
        let present: HashSet<&ObjectId> = listed.iter().map(|(object, _)| object).collect();
        let gone: Vec<ObjectId> = state
            .objects
            .iter()
            .filter(|(object, entry)| {
                *entry.kind == *kind
                    && (namespace.is_empty() || &*object.namespace == namespace)
                    && !present.contains(object)
            })
            .map(|(object, _)| object.clone())
            .collect();
        let mut woken: BTreeSet<SyncRef> = BTreeSet::new();
        for object in gone {
            woken.extend(state.remove(&object, u64::MAX).map(|entry| entry.owner));
        }
        for (object, entry) in listed {
            let owner = entry.owner.clone();
            if state.put(object, entry) {
                woken.insert(owner);
            }
        }
        drop(state);
        woken.into_iter().for_each(|owner| self.wake(owner));
    }

    pub fn get(&self, object: &ObjectId) -> Option<Entry> {
        self.lock().objects.get(object).cloned()
    }

    /// Everything that belongs to a Sync, in the order of identities.
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

    /// How many objects belong to a Sync.
    pub fn count(&self, owner: &SyncRef) -> usize {
        self.lock().members.get(owner).map_or(0, BTreeSet::len)
    }

    /// The objects of a Sync that are as `which` says, in the order of identities.
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

    /// What differs from the manifests of a Sync. What is done needs no object.
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

    /// True if an object differs from its manifest as it did.
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

    /// The manifest that an object satisfied until somebody else changed or removed it.
    pub fn satisfied(&self, object: &ObjectId) -> Option<Digest> {
        let state = self.lock();
        let entry = state.objects.get(object).and_then(|entry| entry.verified);
        entry.map(|(manifest, _)| manifest).or_else(|| state.lost.get(object).copied())
    }

    /// Claims objects for the newest render of a Sync and gives up what it does not name any more. Returns the
    /// objects that another Sync has, and which. What is given up goes to the Sync that was refused it, if there is one.
    pub fn claim(
        &self,
        owner: &SyncRef,
        objects: &[(ObjectId, Digest)],
        exists: impl Fn(&SyncRef) -> bool,
    ) -> Vec<(ObjectId, SyncRef)> {
        let mut state = self.lock();
        let wanted: HashSet<&ObjectId> = objects.iter().map(|(object, _)| object).collect();
        state.refused.retain(|_, other| other != owner);
        let heirs = state.give_up(owner, |object| !wanted.contains(object));
        state.claimants.insert(owner.clone());
        let mut taken = Vec::new();
        for (object, _) in objects {
            // The label on the live object decides, as long as its Sync exists and may still want it.
            let live = state.objects.get(object).map(|entry| entry.owner.clone()).filter(|other| {
                other != owner
                    && exists(other)
                    && (!state.claimants.contains(other) || state.claims.get(object) == Some(other))
            });
            let claimed = state.claims.get(object).filter(|other| *other != owner && exists(other)).cloned();
            if let Some(other) = live.or(claimed) {
                state.refused.insert(object.clone(), owner.clone());
                taken.push((object.clone(), other));
            } else {
                state.claims.insert(object.clone(), owner.clone());
            }
        }
        drop(state);
        heirs.into_iter().for_each(|heir| self.wake(heir));
        taken
    }

    /// Which other Sync wants an object that this one is about to remove.
    pub fn claimed_by_another(&self, owner: &SyncRef, object: &ObjectId) -> Option<SyncRef> {
        self.lock().claims.get(object).filter(|other| *other != owner).cloned()
    }

    /// True if a Sync has an object in its newest render, or if its render is not known yet.
    pub fn may_want(&self, owner: &SyncRef, object: &ObjectId) -> bool {
        let state = self.lock();
        !state.claimants.contains(owner) || state.claims.get(object) == Some(owner)
    }

    /// Forgets an object that our own hand removed: nobody needs to be told.
    pub fn forget(&self, object: &ObjectId) {
        let mut state = self.lock();
        state.remove(object, u64::MAX);
        state.lost.remove(object);
    }

    /// Gives up all claims of a Sync that is gone.
    pub fn disclaim(&self, owner: &SyncRef) {
        self.judges.forget(owner);
        let mut state = self.lock();
        state.refused.retain(|_, other| other != owner);
        let heirs = state.give_up(owner, |_| true);
        state.claimants.remove(owner);
        drop(state);
        heirs.into_iter().for_each(|heir| self.wake(heir));
    }

    fn wake(&self, owner: SyncRef) {
        // The receiver ends with the process.
        let _ = self.wake.send(owner);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// True if this is news of a form of an object that we wrote over before it came.
    fn was_overwritten(&self, object: &ObjectId, entry: &Entry) -> bool {
        self.objects.get(object).is_some_and(|now| now.uid == entry.uid && now.overwrites(entry))
    }

    fn overwritten(&mut self, lost: Overwritten, owner: &SyncRef) {
        let all = self.overwritten.entry(owner.clone()).or_default();
        if all.len() < OVERWRITTEN {
            all.push(lost);
        }
    }

    /// Stores an entry; true if its owner has something to look at.
    fn put(&mut self, object: ObjectId, mut entry: Entry) -> bool {
        let before = self.objects.get(&object);
        if let Some(before) = before {
            if before.uid == entry.uid && before.version > entry.version {
                return false;
            }
            if before.uid == entry.uid {
                // A watch of another version of the kind cannot read the fields that we own, and the right one can.
                if entry.live.is_none() && before.live.is_some() && before.kind.version != entry.kind.version
                {
                    return false;
                }
                entry.verified = before.verified;
                let overwrote = entry.rare().overwrote.or(before.rare().overwrote);
                entry.with_rare(|rare| rare.overwrote = overwrote);
            }
        }
        let news = before.is_none_or(|before| {
            before.uid != entry.uid
                || before.live != entry.live
                || before.rare().whole != entry.rare().whole
                || before.rare().ghosts != entry.rare().ghosts
                || before.ending != entry.ending
                || before.health != entry.health
                || before.judged != entry.judged
                || before.owner != entry.owner
        });
        let former = before.map(|before| before.owner.clone()).filter(|owner| *owner != entry.owner);
        if let Some(former) = former {
            self.leave(&former, &object);
        }
        self.lost.remove(&object);
        self.members.entry(entry.owner.clone()).or_default().insert(object.clone());
        self.objects.insert(object, entry);
        news
    }

    /// Takes claims from a Sync, and returns those who have them now.
    fn give_up(&mut self, owner: &SyncRef, which: impl Fn(&ObjectId) -> bool) -> BTreeSet<SyncRef> {
        let claimed = self.claims.iter().filter(|(_, by)| *by == owner).map(|(object, _)| object);
        // After a restart a Sync owns what it has not claimed yet, and somebody may have been refused that already.
        let owned = self.refused.keys().filter(|object| {
            !self.claims.contains_key(*object)
                && self.objects.get(*object).is_some_and(|entry| entry.owner == *owner)
        });
        let lost: Vec<ObjectId> = claimed.chain(owned).filter(|object| which(object)).cloned().collect();
        let mut heirs = BTreeSet::new();
        for object in lost {
            if let Some(heir) = self.refused.remove(&object) {
                heirs.insert(heir.clone());
                self.claims.insert(object, heir);
            } else {
                self.claims.remove(&object);
                self.lost.remove(&object);
            }
        }
        heirs
    }

    fn remove(&mut self, object: &ObjectId, version: u64) -> Option<Entry> {
        if self.objects.get(object)?.version > version {
            return None;
        }
        let entry = self.objects.remove(object)?;
        if let Some((manifest, _)) = entry.verified.filter(|_| self.claims.get(object) == Some(&entry.owner))
        {
            self.lost.insert(object.clone(), manifest);
        }
        self.leave(&entry.owner, object);
        Some(entry)
    }

    fn leave(&mut self, owner: &SyncRef, object: &ObjectId) {
        if let Some(members) = self.members.get_mut(owner) {
            members.remove(object);
            if members.is_empty() {
                self.members.remove(owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_diff::object::GroupKind;
    use serde_json::json;

    use super::*;

    fn kind() -> Arc<ResourceType> {
        Arc::new(ResourceType {
            kind: Arc::new(GroupKind::new("", "ConfigMap")),
            version: "v1".to_owned(),
            plural: "configmaps".to_owned(),
            namespaced: true,
        })
    }

    fn object() -> ObjectId {
        ObjectId::new(kind().kind.clone(), "shop", "a")
    }

    /// A view with one object of a Sync, as a list after a restart has it.
    fn view(owner: &SyncRef, managers: &serde_json::Value) -> View {
        let (wake, woken) = mpsc::unbounded_channel();
        std::mem::forget(woken);
        let view = View::new(wake);
        let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop", "uid": "u",
            "resourceVersion": "7", "labels": {"applyset.kubernetes.io/part-of": owner.applyset()},
            "annotations": {"holdfast.dev/sync": owner.to_string()}, "managedFields": managers}});
        view.put(&kind(), object(), &live);
        view
    }

    #[test]
    fn what_moved_while_nobody_looked_goes_to_whoever_was_refused_it() {
        let (one, two) = (SyncRef::new("shop", "one"), SyncRef::new("shop", "two"));
        let ours = json!([{"manager": "holdfast", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {}}}]);
        let view = view(&two, &ours);
        // The first one to look wants what the second one has, who may want it still.
        let wanted = [(object(), Digest::of_bytes(b""))];
        assert_eq!(view.claim(&one, &wanted, |_| true), [(object(), two.clone())]);
        assert_eq!(view.claimed_by_another(&two, &object()), None);
        // The second one does not: it must not remove it.
        assert_eq!(view.claim(&two, &[], |_| true), []);
        assert_eq!(view.claimed_by_another(&two, &object()), Some(one.clone()));
        assert_eq!(view.claim(&one, &wanted, |_| true), []);
    }

    #[test]
    fn marks_without_fields_of_ours_make_nobody_an_owner() {
        let owner = SyncRef::new("shop", "one");
        assert_eq!(view(&owner, &json!([])).count(&owner), 0);
    }
}
