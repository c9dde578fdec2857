//! Objects that carry the marks of a Sync but are no members of it: copies, forgeries, and objects that another client deleted
//! and created again. They are only counted for the report. Users can create any number of them, so only a few are kept.
//! No I/O.

use std::collections::{BTreeSet, HashMap};

use holdfast_diff::object::{GroupKind, ObjectId};

use crate::sync_ref::SyncRef;

/// Objects that are kept of one Sync.
const OBJECTS: usize = 20;
/// Syncs that objects are kept of, be there such a Sync or not.
const SYNCS: usize = 1000;

#[derive(Default)]
pub(super) struct Ignored {
    by_sync: HashMap<SyncRef, BTreeSet<ObjectId>>,
    by_object: HashMap<ObjectId, SyncRef>,
}

impl Ignored {
    /// Notes an object that names this Sync.
    pub fn note(&mut self, owner: SyncRef, object: ObjectId) {
        self.forget(&object);
        if self.by_sync.len() >= SYNCS && !self.by_sync.contains_key(&owner) {
            return;
        }
        let objects = self.by_sync.entry(owner.clone()).or_default();
        if objects.len() < OBJECTS {
            objects.insert(object.clone());
            self.by_object.insert(object, owner);
        }
    }

    /// Forgets an object that is gone, or a member now.
    pub fn forget(&mut self, object: &ObjectId) {
        let Some(owner) = self.by_object.remove(object) else { return };
        if let Some(objects) = self.by_sync.get_mut(&owner) {
            objects.remove(object);
            if objects.is_empty() {
                self.by_sync.remove(&owner);
            }
        }
    }

    /// Forgets the objects of a kind that are `within` what a list covers.
    pub fn forget_kind(&mut self, kind: &GroupKind, within: impl Fn(&ObjectId, &SyncRef) -> bool) {
        let of_kind =
            self.by_object.iter().filter(|(object, owner)| *object.kind == *kind && within(object, owner));
        let gone: Vec<ObjectId> = of_kind.map(|(object, _)| object.clone()).collect();
        gone.iter().for_each(|object| self.forget(object));
    }

    /// Forgets what names Syncs that do not exist.
    pub fn sweep(&mut self, exists: impl Fn(&SyncRef) -> bool) {
        self.by_sync.retain(|owner, _| exists(owner));
        self.by_object.retain(|_, owner| exists(owner));
    }

    /// What names this Sync, in the order of identities.
    pub fn of(&self, owner: &SyncRef) -> Vec<ObjectId> {
        self.by_sync.get(owner).into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn no_more_is_kept_than_a_few_objects_and_what_is_kept_can_be_forgotten() {
        let kind = Arc::new(GroupKind::new("", "ConfigMap"));
        let object = |number: usize| ObjectId::new(kind.clone(), "team-b", &number.to_string());
        let mut ignored = Ignored::default();
        for number in 0..5000 {
            ignored.note(SyncRef::new("team-a", "shop"), object(number));
            ignored.note(SyncRef::new("team-b", number.to_string()), object(5000 + number));
        }
        let owner = SyncRef::new("team-a", "shop");
        assert_eq!((ignored.of(&owner).len(), ignored.by_sync.len()), (OBJECTS, SYNCS));
        assert_eq!(ignored.by_object.len(), OBJECTS + SYNCS - 1);
        ignored.sweep(|sync| *sync == owner);
        assert_eq!((ignored.by_sync.len(), ignored.by_object.len()), (1, OBJECTS));
        ignored.forget_kind(&kind, |object, _| &*object.namespace == "team-a");
        assert_eq!(ignored.of(&owner).len(), OBJECTS);
        ignored.forget_kind(&kind, |_, _| true);
        assert_eq!((ignored.by_sync.len(), ignored.by_object.len()), (0, 0));
    }
}
