//! Which Sync has which object: one view over all of them, so that two never fight, and what moves is not deleted. No I/O.

use std::collections::HashSet;

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;

use super::View;
use crate::sync_ref::SyncRef;

impl View {
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
    fn what_moved_while_nobody_looked_goes_to_whoever_was_refused_it() {
        let (one, two) = (SyncRef::new("shop", "one"), SyncRef::new("shop", "two"));
        let view = view(&two);
        // The first one to look wants what the second one has, who may want it still.
        let wanted = [(object(), Digest::of_bytes(b""))];
        assert_eq!(view.claim(&one, &wanted, |_| true), [(object(), two.clone())]);
        assert_eq!(view.claimed_by_another(&two, &object()), None);
        // The second one does not: it must not remove it.
        assert_eq!(view.claim(&two, &[], |_| true), []);
        assert_eq!(view.claimed_by_another(&two, &object()), Some(one.clone()));
        assert_eq!(view.claim(&one, &wanted, |_| true), []);
    }
}
