//! The live view: what is needed to recognize an unchanged object, and nothing more.
//!
//! Watches and the answers to our own writes feed it; `observe` and `health` read it. An entry is a few hundred
//! bytes: fingerprints, not objects. No I/O.

mod claims;
mod copy;
mod ignored;
mod listed;
mod queries;
mod returns;
mod state;
#[cfg(test)]
mod tests;
mod writing;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{Change, Operation, SeenAt};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;
use tokio::sync::mpsc;

pub use self::listed::Listed;
pub use self::state::Overwritten;
use self::state::State;
use self::writing::Flight;
pub use self::writing::Writing;
use super::entry::{self, Entry, Sight};
use super::judges::Judges;
use super::marks::Marks;
use super::requests::ResourceType;
use crate::sync_ref::SyncRef;

/// A manifest, and the object that does not satisfy it: the fingerprints of the fields that Holdfast owns, and of the whole
/// object if that was recorded. Both are `None` if the view has no such object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Differs {
    pub manifest: Digest,
    pub live: Option<Digest>,
    pub whole: Option<Digest>,
}

impl Differs {
    /// The view has no such object.
    pub fn absent(manifest: Digest) -> Self {
        Self { manifest, live: None, whole: None }
    }
}

/// A manifest that an object satisfies, according to the API server.
#[derive(Clone, Copy, Debug)]
pub struct Verified {
    pub manifest: Digest,
    /// True if the object satisfies the manifest only as long as no field of it changes, ours or not.
    pub all: bool,
}

/// How the objects of a Sync differ from its manifests.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differing {
    /// The positions of the manifests that are not satisfied.
    pub manifests: Vec<(usize, Differs)>,
    /// True if the Sync owns other objects too.
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
    pub marks: Arc<Marks>,
    state: Mutex<State>,
    wake: mpsc::UnboundedSender<SyncRef>,
}

impl View {
    /// `wake` receives every Sync whose objects were changed by others.
    pub fn new(marks: Marks, wake: mpsc::UnboundedSender<SyncRef>) -> Self {
        Self { judges: Judges::default(), marks: Arc::new(marks), state: Mutex::default(), wake }
    }

    /// Classifies a live object.
    pub fn sight(&self, kind: &Arc<ResourceType>, object: &ObjectId, live: &Value) -> Sight {
        Sight::of(kind, object, live, &self.judges, &self.marks)
    }

    /// Stores an object from a watch. Older versions than the stored one are ignored. An object that was neither in the first
    /// list nor written by us is not a member, whatever its mark.
    pub fn put(&self, kind: &Arc<ResourceType>, object: ObjectId, live: &Value) {
        let sight = self.sight(kind, &object, live);
        self.take(kind, object, live, sight);
    }

    /// The same, for an object that is classified.
    pub fn take(&self, kind: &Arc<ResourceType>, object: ObjectId, live: &Value, sight: Sight) {
        let mut entry = match sight {
            Sight::Member(entry) => *entry,
            Sight::Copy(owner) => {
                let removed = self.lock().ignore(object, owner, entry::version(live));
                return self.wake_owner(removed);
            }
            Sight::Other => return self.remove(&object, entry::version(live)),
        };
        let owner = entry.owner.clone();
        let mut state = self.lock();
        if !state.knows(&object, &entry.uid) {
            let removed = state.meet(object, entry);
            drop(state);
            return self.wake_owner(removed);
        }
        let wanted = |before: &Entry| before.rare().whole.is_some() || before.version > entry.version;
        if state.objects.get(&object).is_some_and(wanted) {
            entry.note_whole(live);
        }
        if let Some(flight) = state.writing.get_mut(&object) {
            flight.see(live);
        }
        let lost = state.was_overwritten(&object, &entry);
        if lost {
            state.overwritten(
                Overwritten { kind: kind.clone(), object: object.clone(), live: live.clone() },
                &owner,
            );
        }
        let back = state.returns.come_back(&object, live);
        let woken: BTreeSet<SyncRef> =
            state.put(object.clone(), entry).into_iter().chain((lost || back).then_some(owner)).collect();
        if let Some(entry) = state.objects.get_mut(&object).filter(|_| back) {
            entry.verified = None;
        }
        drop(state);
        woken.into_iter().for_each(|sync| self.wake(sync));
    }

    /// Registers a write of an object, until the result is dropped. `None` if the object has changed since the write was planned.
    pub fn begin_write<'a>(&'a self, object: &'a ObjectId, seen: Option<SeenAt>) -> Option<Writing<'a>> {
        let mut state = self.lock();
        if let Some(seen) = seen {
            let changed = |entry: &Entry| entry.version > seen.version && entry.is_other_than(seen);
            if state.objects.get(object).is_some_and(changed) {
                return None;
            }
        }
        state.writing.insert(object.clone(), Flight::new(seen));
        Some(Writing::new(self, object))
    }

    /// True if an object has changed since this change was planned, so that the plan is outdated. A deletion of an object that is
    /// gone does not make it so.
    pub fn moved(&self, owner: &SyncRef, change: &Change) -> bool {
        let state = self.lock();
        let entry = state.objects.get(&change.object);
        match change.operation {
            Operation::Create => entry.is_some_and(|entry| entry.ending.is_none()),
            Operation::Delete => entry.is_some_and(|entry| {
                let is_claimed = state.claims.get(&change.object).is_some_and(|other| other != owner);
                is_claimed || entry.owner != *owner || entry.kept().is_some()
            }),
            _ => change.seen.is_some_and(|seen| {
                entry.is_some_and(|entry| entry.version > seen.version && entry.is_other_than(seen))
            }),
        }
    }

    /// Takes the states of objects that our writes replaced before they were compared.
    pub fn take_overwritten(&self, owner: &SyncRef) -> Vec<Overwritten> {
        self.lock().overwritten.remove(owner).unwrap_or_default()
    }

    /// Stores an object from the answer to our own write, with what it now satisfies.
    pub fn verify(&self, kind: &Arc<ResourceType>, object: &ObjectId, live: &Value, verified: Verified) {
        let Verified { manifest, all } = verified;
        let whole = all.then(|| entry::whole(live));
        let entry = self.sight(kind, object, live).member();
        let mut state = self.lock();
        let flight = state.writing.remove(object);
        let Some(mut entry) = entry else { return };
        let Flight { planned, seen, newest } = flight.unwrap_or_else(|| Flight::new(None));
        entry.with_rare(|rare| rare.overwrote = planned);
        for seen in seen {
            let between = self.sight(kind, object, &seen).member().is_some_and(|mut between| {
                between.note_whole(&seen);
                entry.overwrites(&between)
            });
            if between {
                let lost = Overwritten { kind: kind.clone(), object: object.clone(), live: seen };
                state.overwritten(lost, &entry.owner);
            }
        }
        let (uid, version, owner) = (entry.uid.clone(), entry.version, entry.owner.clone());
        let satisfied = entry.live.map(|live| (manifest, live));
        // The Sync that writes needs no wake. The previous owner does.
        let mut woken: BTreeSet<SyncRef> = state.put(object.clone(), entry).into_iter().collect();
        woken.remove(&owner);
        // A later change that the watch delivered before this answer satisfies the manifest only if it changes nothing of it.
        if let Some(entry) = state.objects.get_mut(object).filter(|entry| entry.uid == uid) {
            let is_newer = entry.version > version;
            entry.verified = satisfied;
            entry.with_rare(|rare| {
                rare.owned = whole;
                rare.whole = if is_newer { rare.whole } else { whole };
            });
        }
        // The watch may have delivered a later version already.
        if let Some(newer) = newest.filter(|newest| newest.uid == uid && newest.version > version) {
            woken.extend(state.put(object.clone(), newer));
        }
        drop(state);
        woken.into_iter().for_each(|sync| self.wake(sync));
    }

    /// Records that an object with the fingerprint `live` satisfies a manifest.
    pub fn note_satisfied(&self, object: &ObjectId, manifest: Digest, live: Digest) {
        if let Some(entry) = self.lock().objects.get_mut(object) {
            entry.verified = Some((manifest, live));
            entry.with_rare(|rare| (rare.whole, rare.owned) = (None, None));
        }
    }

    /// Records the digest of the whole object at a version, because it differs and may not be corrected: from now on a change of
    /// any field is a new difference, whichever manager owns it.
    pub fn note_left(&self, object: &ObjectId, version: u64, whole: Digest) {
        if let Some(entry) = self.lock().objects.get_mut(object).filter(|entry| entry.version == version) {
            entry.with_rare(|rare| rare.whole = Some(whole));
        }
    }

    /// Records that an object satisfies its manifest as long as neither its fields nor their owners change.
    pub fn note_owned(&self, object: &ObjectId, whole: Digest) {
        if let Some(entry) = self.lock().objects.get_mut(object) {
            entry.with_rare(|rare| (rare.whole, rare.owned) = (Some(whole), Some(whole)));
        }
    }

    /// Requires that an object is compared again, unless its recorded digest covers the owners of fields.
    pub fn watch_owners(&self, object: &ObjectId) {
        let mut state = self.lock();
        let Some(entry) = state.objects.get_mut(object) else { return };
        if entry.rare().owned.is_some() || entry.verified.take().is_none() {
            return;
        }
        let owner = entry.owner.clone();
        drop(state);
        self.wake(owner);
    }

    /// Forgets an object that is gone.
    pub fn remove(&self, object: &ObjectId, version: u64) {
        let removed = self.lock().remove(object, version);
        self.wake_owner(removed);
    }

    /// Removes an object that is no longer a member of one of these Syncs.
    pub fn remove_of(&self, ours: impl Fn(&SyncRef) -> bool, object: &ObjectId, version: u64) {
        let mut state = self.lock();
        let is_ours = state.objects.get(object).is_some_and(|entry| ours(&entry.owner));
        let removed = if is_ours { state.remove(object, version) } else { None };
        drop(state);
        self.wake_owner(removed);
    }

    /// Replaces the objects of one kind that are `within` the scope of a list by those that it returned. An object with a valid
    /// mark in the first list of a watch was written by an earlier process. In a later list it was not, unless the view has it.
    pub fn replace(
        &self,
        kind: &ResourceType,
        within: impl Fn(&ObjectId, &SyncRef) -> bool,
        listed: Listed,
        first: bool,
    ) {
        let Listed { members, copies } = listed;
        let mut state = self.lock();
        state.ignored.forget_kind(&kind.kind, &within);
        let present: HashSet<&ObjectId> = members.iter().map(|(object, _)| object).collect();
        let gone: Vec<ObjectId> = state
            .objects
            .iter()
            .filter(|(object, entry)| {
                *entry.kind == *kind && !present.contains(object) && within(object, &entry.owner)
            })
            .map(|(object, _)| object.clone())
            .collect();
        let mut woken: BTreeSet<SyncRef> = BTreeSet::new();
        for object in gone {
            woken.extend(state.remove(&object, u64::MAX).map(|entry| entry.owner));
        }
        for (object, entry) in members {
            if !first && !state.knows(&object, &entry.uid) {
                woken.extend(state.meet(object, entry).map(|entry| entry.owner));
                continue;
            }
            woken.extend(state.put(object, entry));
        }
        copies.into_iter().for_each(|(object, owner)| state.ignored.note(owner, object));
        drop(state);
        woken.into_iter().for_each(|owner| self.wake(owner));
    }

    /// True if the object with this UID is a member of a set.
    pub fn knows(&self, object: &ObjectId, live: &Value) -> bool {
        let uid = live.pointer("/metadata/uid").and_then(Value::as_str);
        uid.is_some_and(|uid| self.lock().knows(object, uid))
    }

    pub fn get(&self, object: &ObjectId) -> Option<Entry> {
        self.lock().objects.get(object).cloned()
    }

    /// Removes an object that this process deleted. No Sync is woken.
    pub fn forget(&self, object: &ObjectId) {
        let mut state = self.lock();
        state.remove(object, u64::MAX);
        state.lost.remove(object);
    }

    /// Returns objects that carry the marks of a Sync and do not belong to it, up to a limit.
    pub fn ignored(&self, owner: &SyncRef) -> Vec<ObjectId> {
        self.lock().ignored.of(owner)
    }

    /// Removes entries of Syncs that no longer exist.
    pub fn sweep(&self, exists: impl Fn(&SyncRef) -> bool) {
        self.lock().ignored.sweep(exists);
    }

    fn wake_owner(&self, removed: Option<Entry>) {
        if let Some(entry) = removed {
            self.wake(entry.owner);
        }
    }

    fn wake(&self, owner: SyncRef) {
        // The receiver ends with the process.
        let _ = self.wake.send(owner);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}
