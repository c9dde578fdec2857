//! Limits the calls that are read at the same time: for each path, and for each namespace. A caller without a valid
//! path uses none of them, and the calls of one namespace never use those of another, even if all arrive through the
//! same Ingress. Pure.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::subject::Subject;

/// Maximum number of concurrent calls of one path.
pub const EACH: usize = 8;
/// Maximum number of concurrent calls of one namespace. One push to a repository can cause a call for each of its
/// Syncs.
pub const NAMESPACE: usize = 64;

/// The current calls. Cheap to clone.
#[derive(Clone, Default)]
pub struct Slots(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    owners: HashMap<Subject, usize>,
    namespaces: HashMap<String, usize>,
}

/// The permit of one call. It is released when this is dropped.
pub struct Slot {
    slots: Slots,
    owner: Subject,
}

impl Slots {
    /// `None`: too many calls for this owner, or for its namespace, are being read.
    pub fn take(&self, owner: &Subject) -> Option<Slot> {
        let mut taken = self.0.lock();
        let full = taken.owners.get(owner).is_some_and(|count| *count >= EACH)
            || taken.namespaces.get(&owner.namespace).is_some_and(|count| *count >= NAMESPACE);
        if full {
            return None;
        }
        *taken.owners.entry(owner.clone()).or_default() += 1;
        *taken.namespaces.entry(owner.namespace.clone()).or_default() += 1;
        Some(Slot { slots: self.clone(), owner: owner.clone() })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.0.lock();
        give_back(&mut taken.owners, &self.owner);
        give_back(&mut taken.namespaces, &self.owner.namespace);
    }
}

fn give_back<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Kind;

    fn owner(namespace: &str, name: usize) -> Subject {
        Subject { kind: Kind::Sync, namespace: namespace.to_owned(), name: name.to_string() }
    }

    #[test]
    fn a_path_and_a_namespace_have_slots_of_their_own() {
        let slots = Slots::default();
        let mut held: Vec<Slot> = (0..EACH).filter_map(|_| slots.take(&owner("a", 0))).collect();
        assert_eq!(held.len(), EACH);
        assert!(slots.take(&owner("a", 0)).is_none(), "the path is full");
        held.extend((0..NAMESPACE).filter_map(|name| slots.take(&owner("a", name + 1))));
        assert_eq!(held.len(), NAMESPACE, "the namespace is full");
        assert!(slots.take(&owner("b", 0)).is_some(), "another namespace is not concerned");
        drop(held);
        let taken = slots.0.lock();
        assert!(taken.owners.is_empty() && taken.namespaces.is_empty());
    }
}
