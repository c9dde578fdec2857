//! Which Sync claims which object: one view for all Syncs, so that two never fight, and an object that moves is not deleted. No I/O.

use std::collections::{BTreeSet, HashSet};

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;

use super::View;
use crate::sync_ref::SyncRef;

impl View {
    /// Returns the other Syncs that own, claim or were refused an object that a Sync desires, by object.
    pub fn rivals(
        &self,
        owner: &SyncRef,
        objects: &[(ObjectId, Digest)],
    ) -> Vec<(ObjectId, BTreeSet<SyncRef>)> {
        let state = self.lock();
        let found = objects.iter().map(|(object, _)| {
            let live = state.objects.get(object).map(|entry| &entry.owner);
            let all = [live, state.claims.get(object), state.refused.get(object)];
            (
                object,
                all.into_iter().flatten().filter(|other| *other != owner).cloned().collect::<BTreeSet<_>>(),
            )
        });
        found
            .filter(|(_, others)| !others.is_empty())
            .map(|(object, others)| (object.clone(), others))
            .collect()
    }

    /// Claims the objects of the newest render of a Sync, and removes its other claims. Returns the objects that another Sync has,
    /// with that Sync. A removed claim passes to the Sync that was refused the object, if there is one. `barred` claims do not
    /// count.
    pub fn claim(
        &self,
        owner: &SyncRef,
        objects: &[(ObjectId, Digest)],
        exists: impl Fn(&SyncRef) -> bool,
        barred: &HashSet<(ObjectId, SyncRef)>,
    ) -> Vec<(ObjectId, SyncRef)> {
        let mut state = self.lock();
        for (object, sync) in barred {
            state.bar(object, sync);
        }
        let is_barred = |object: &ObjectId, sync: &SyncRef| {
            !barred.is_empty() && barred.contains(&(object.clone(), sync.clone()))
        };
        let wanted: HashSet<&ObjectId> =
            objects.iter().map(|(object, _)| object).filter(|object| !is_barred(object, owner)).collect();
        state.refused.retain(|_, other| other != owner);
        let heirs = state.give_up(owner, |object| !wanted.contains(object));
        state.claimants.insert(owner.clone());
        let mut taken = Vec::new();
        for (object, _) in objects.iter().filter(|(object, _)| wanted.contains(object)) {
            let stands = |other: &SyncRef| other != owner && exists(other) && !is_barred(object, other);
            // The owner of the live object keeps it while it exists and may still desire it.
            let live = state.objects.get(object).map(|entry| entry.owner.clone()).filter(|other| {
                stands(other) && (!state.claimants.contains(other) || state.claims.get(object) == Some(other))
            });
            let claimed = state.claims.get(object).filter(|other| stands(other)).cloned();
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

    /// Removes a claim that does not count.
    pub fn bar(&self, object: &ObjectId, sync: &SyncRef) {
        self.lock().bar(object, sync);
    }

    /// True if an object is in the newest render of a Sync.
    pub fn wants(&self, owner: &SyncRef, object: &ObjectId) -> bool {
        self.lock().claims.get(object) == Some(owner)
    }

    /// Returns another Sync that claims an object.
    pub fn claimed_by_another(&self, owner: &SyncRef, object: &ObjectId) -> Option<SyncRef> {
        self.lock().claims.get(object).filter(|other| *other != owner).cloned()
    }

    /// True if a Sync has an object in its newest render, or if its render is not known yet.
    pub fn may_want(&self, owner: &SyncRef, object: &ObjectId) -> bool {
        let state = self.lock();
        !state.claimants.contains(owner) || state.claims.get(object) == Some(owner)
    }

    /// Removes the claims of a Sync on objects that do not exist, because it may not create them yet.
    pub fn disclaim_absent(&self, owner: &SyncRef) {
        let mut state = self.lock();
        let claims =
            state.claims.iter().filter(|(object, by)| *by == owner && !state.objects.contains_key(*object));
        let absent: HashSet<ObjectId> = claims.map(|(object, _)| object.clone()).collect();
        let heirs = state.give_up(owner, |object| absent.contains(object));
        drop(state);
        heirs.into_iter().for_each(|heir| self.wake(heir));
    }

    /// Removes all claims of a Sync that is deleted.
    pub fn disclaim(&self, owner: &SyncRef) {
        self.judges.forget(owner);
        let mut state = self.lock();
        state.refused.retain(|_, other| other != owner);
        let heirs = state.give_up(owner, |_| true);
        state.claimants.remove(owner);
        state.overwritten.remove(owner);
        drop(state);
        heirs.into_iter().for_each(|heir| self.wake(heir));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use holdfast_diff::object::GroupKind;
    use serde_json::json;
    use tokio::sync::mpsc;
    use zeroize::Zeroizing;

    use super::*;
    use crate::cluster::marks::Marks;
    use crate::cluster::requests::ResourceType;
    use crate::cluster::view::Listed;

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
    fn view(owner: &SyncRef) -> View {
        let (wake, woken) = mpsc::unbounded_channel();
        std::mem::forget(woken);
        let marks = Marks::own("cluster", &Zeroizing::new([1; 32])).expect("any 32 bytes are a seed");
        let view = View::new(marks, wake);
        let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop", "uid": "u",
            "resourceVersion": "7", "labels": {"applyset.kubernetes.io/part-of": owner.applyset()},
            "annotations": {"holdfast.dev/sync": owner.to_string()}}});
        let live = view.marks.stamp(owner, &object(), &live);
        let mut listed = Listed::default();
        listed.push(object(), view.sight(&kind(), &object(), &live));
        view.replace(&kind(), |_, _| true, listed, true);
        view
    }

    #[test]
    fn an_object_that_moved_between_two_runs_goes_to_the_sync_that_was_refused_it() {
        let (one, two) = (SyncRef::new("shop", "one"), SyncRef::new("shop", "two"));
        let none = HashSet::new();
        let view = view(&two);
        // The first one to look wants what the second one has, who may want it still.
        let wanted = [(object(), Digest::of_bytes(b""))];
        assert_eq!(view.claim(&one, &wanted, |_| true, &none), [(object(), two.clone())]);
        assert_eq!(view.claimed_by_another(&two, &object()), None);
        // The second one does not: it must not remove it.
        assert_eq!(view.claim(&two, &[], |_| true, &none), []);
        assert_eq!(view.claimed_by_another(&two, &object()), Some(one.clone()));
        assert_eq!(view.claim(&one, &wanted, |_| true, &none), []);
    }

    #[test]
    fn a_sync_that_may_not_apply_yet_holds_only_objects_that_exist() {
        let (waiting, other) = (SyncRef::new("shop", "waiting"), SyncRef::new("shop", "other"));
        let absent = ObjectId::new(kind().kind.clone(), "shop", "absent");
        let wanted = [(object(), Digest::of_bytes(b"")), (absent.clone(), Digest::of_bytes(b""))];
        let none = HashSet::new();
        let view = view(&waiting);
        assert_eq!(view.claim(&waiting, &wanted, |_| true, &none), []);
        assert_eq!(view.claim(&other, &wanted, |_| true, &none).len(), 2);
        view.disclaim_absent(&waiting);
        assert!(view.wants(&waiting, &object()) && view.wants(&other, &absent));
        assert_eq!(view.claim(&waiting, &wanted, |_| true, &none), [(absent, other)]);
    }

    #[test]
    fn a_claim_that_does_not_count_neither_refuses_an_object_nor_keeps_it_from_being_pruned() {
        let (good, evil) = (SyncRef::new("shop", "good"), SyncRef::new("evil", "evil"));
        let wanted = [(object(), Digest::of_bytes(b""))];
        let barred = HashSet::from([(object(), evil.clone())]);
        let none = HashSet::new();
        // No other Sync claims it yet, so no permission is checked.
        let empty = HashSet::new();
        let view = view(&SyncRef::new("shop", "gone"));
        view.forget(&object());
        assert_eq!(view.claim(&evil, &wanted, |_| true, &empty), []);
        let rivals = view.rivals(&good, &wanted);
        assert_eq!(rivals, [(object(), BTreeSet::from([evil.clone()]))]);
        assert_eq!(view.claim(&good, &wanted, |_| true, &barred), []);
        // It tries again, and is nothing again.
        assert_eq!(view.rivals(&evil, &wanted), [(object(), BTreeSet::from([good.clone()]))]);
        assert_eq!(view.claim(&evil, &wanted, |_| true, &barred), []);
        assert!(view.wants(&good, &object()));
        assert_eq!(view.claim(&good, &[], |_| true, &none), []);
        assert_eq!(view.claimed_by_another(&good, &object()), None);
        // What it claims after that is found when the other one is about to prune.
        assert_eq!(view.claim(&evil, &wanted, |_| true, &none), []);
        assert_eq!(view.claimed_by_another(&good, &object()), Some(evil.clone()));
        view.bar(&object(), &evil);
        assert_eq!(view.claimed_by_another(&good, &object()), None);
    }
}
