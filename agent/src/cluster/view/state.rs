//! The state of the live view, which is behind its lock. No I/O.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;
use serde_json::Value;

use super::ignored::Ignored;
use super::returns::Returns;
use super::writing::Flight;
use crate::cluster::entry::Entry;
use crate::cluster::requests::ResourceType;
use crate::sync_ref::SyncRef;

#[derive(Default)]
pub(super) struct State {
    pub objects: HashMap<ObjectId, Entry>,
    pub members: HashMap<SyncRef, BTreeSet<ObjectId>>,
    /// The Sync that has an object in its newest render. There is one view for all Syncs, so that two never fight.
    pub claims: HashMap<ObjectId, SyncRef>,
    /// The Sync that desires an object which another Sync owns.
    pub refused: HashMap<ObjectId, SyncRef>,
    /// Syncs that have claimed their objects since the start.
    pub claimants: HashSet<SyncRef>,
    /// Objects that satisfied their manifest when another client removed them, with that manifest. Claimed objects only.
    pub lost: HashMap<ObjectId, Digest>,
    /// Objects with a write in progress.
    pub writing: HashMap<ObjectId, Flight>,
    /// Objects that carry the marks of a Sync and do not belong to it.
    pub ignored: Ignored,
    /// States of objects that our writes replaced before they were compared.
    pub overwritten: HashMap<SyncRef, Vec<Overwritten>>,
    /// Fields that were removed although others owned them.
    pub returns: Returns,
}

/// An object as another client wrote it, before we overwrote it.
#[derive(Clone)]
pub struct Overwritten {
    pub kind: Arc<ResourceType>,
    pub object: ObjectId,
    pub live: Value,
}

/// Maximum number of overwritten objects of one Sync that wait for a comparison.
const OVERWRITTEN: usize = 100;

impl State {
    /// True if the object with this UID is a member.
    pub fn knows(&self, object: &ObjectId, uid: &str) -> bool {
        self.objects.get(object).is_some_and(|entry| &*entry.uid == uid)
    }

    /// Handles an object with a valid mark that the view does not have: another client created it again with the mark of its
    /// predecessor, unless we are writing it now. Returns the entry that it replaces.
    pub fn meet(&mut self, object: ObjectId, entry: Entry) -> Option<Entry> {
        if let Some(flight) = self.writing.get_mut(&object) {
            flight.hold(entry);
            return None;
        }
        self.ignore(object, entry.owner, entry.version)
    }

    /// Records an object that carries the marks of a Sync and is not a member, at this version. Returns the member that had its
    /// name.
    pub fn ignore(&mut self, object: ObjectId, owner: SyncRef, version: u64) -> Option<Entry> {
        // A watch event from before our write may arrive late.
        if self.objects.get(&object).is_some_and(|before| before.version > version) {
            return None;
        }
        let removed = self.remove(&object, u64::MAX);
        self.ignored.note(owner, object);
        removed
    }

    /// True if this event is about a version that our write replaced.
    pub fn was_overwritten(&self, object: &ObjectId, entry: &Entry) -> bool {
        self.objects.get(object).is_some_and(|now| now.uid == entry.uid && now.overwrites(entry))
    }

    pub fn overwritten(&mut self, lost: Overwritten, owner: &SyncRef) {
        let all = self.overwritten.entry(owner.clone()).or_default();
        if all.len() < OVERWRITTEN {
            all.push(lost);
        }
    }

    /// Stores an entry, and returns the Syncs to wake: its owner, and its previous owner.
    pub fn put(&mut self, object: ObjectId, mut entry: Entry) -> Vec<SyncRef> {
        let before = self.objects.get(&object);
        if let Some(before) = before {
            if before.uid == entry.uid && before.version > entry.version {
                return Vec::new();
            }
            if before.uid == entry.uid {
                // A watch of another version of the kind cannot read the fields that Holdfast owns; the watch of the right
                // version can.
                if entry.live.is_none() && before.live.is_some() && before.kind.version != entry.kind.version
                {
                    return Vec::new();
                }
                entry.verified = before.verified;
                let overwrote = entry.rare().overwrote.or(before.rare().overwrote);
                let owned = entry.rare().owned.or(before.rare().owned);
                entry.with_rare(|rare| (rare.overwrote, rare.owned) = (overwrote, owned));
            }
        }
        let news = before.is_none_or(|before| {
            before.uid != entry.uid
                || before.live != entry.live
                || before.rare().whole != entry.rare().whole
                || before.rare().unmanaged != entry.rare().unmanaged
                || before.ending != entry.ending
                || before.health != entry.health
                || before.judged != entry.judged
                || before.owner != entry.owner
        });
        let former = before.map(|before| before.owner.clone()).filter(|owner| *owner != entry.owner);
        if let Some(former) = &former {
            self.leave(former, &object);
        }
        let owner = news.then(|| entry.owner.clone());
        self.lost.remove(&object);
        self.ignored.forget(&object);
        self.members.entry(entry.owner.clone()).or_default().insert(object.clone());
        self.objects.insert(object, entry);
        owner.into_iter().chain(former).collect()
    }

    /// Removes claims of a Sync, and returns the Syncs that have them now.
    pub fn give_up(&mut self, owner: &SyncRef, which: impl Fn(&ObjectId) -> bool) -> BTreeSet<SyncRef> {
        let claimed = self.claims.iter().filter(|(_, by)| *by == owner).map(|(object, _)| object);
        // After a restart a Sync owns objects that it has not claimed yet, and another one may have been refused them already.
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

    /// Removes a claim, and a refusal that would become one.
    pub fn bar(&mut self, object: &ObjectId, sync: &SyncRef) {
        if self.claims.get(object) == Some(sync) {
            self.claims.remove(object);
            self.lost.remove(object);
        }
        if self.refused.get(object) == Some(sync) {
            self.refused.remove(object);
        }
    }

    pub fn remove(&mut self, object: &ObjectId, version: u64) -> Option<Entry> {
        self.ignored.forget(object);
        if self.objects.get(object)?.version > version {
            return None;
        }
        let entry = self.objects.remove(object)?;
        self.returns.forget(object);
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
