//! Dependencies among Syncs: which must be Ready before a Sync is applied, and which are deleted before it. No I/O: Syncs are
//! read from the store of the watch.

use std::collections::HashSet;
use std::sync::Arc;

use kube::runtime::reflector::{ObjectRef, Store};

use super::claims::{Claims, name};
use super::gate::Error;
use super::sync_at::SyncAt;
use crate::api::{Sync, conditions};
use crate::policy::Policy;
use crate::report::Seen;
use crate::sync_ref::SyncRef;

/// The dependencies among Syncs, as far as the installation allows them.
#[derive(Clone, Copy)]
pub struct Dependencies<'a> {
    pub syncs: &'a Store<Sync>,
    pub policy: &'a Policy,
}

impl Dependencies<'_> {
    /// Refuses a dependency on a Sync of another namespace, unless the installation allows it. Does not check whether that Sync
    /// exists.
    pub fn allow(&self, SyncAt { sync, owner, .. }: SyncAt<'_>) -> Result<(), Error> {
        let own = owner.namespace();
        let mut others = sync.spec.depends_on.iter().map(|dependency| dependency.of(own));
        match others.find(|other| !self.policy.allows_reference(own, other.namespace())) {
            Some(other) => Err(Error::CrossNamespaceRefused(other)),
            None => Ok(()),
        }
    }

    /// Checks that all dependencies are Ready, and those of the same source at the same revision.
    pub fn ready(&self, at: SyncAt<'_>, claims: Claims<'_>, seen: &Seen) -> Result<(), Error> {
        for dependency in &at.sync.spec.depends_on {
            let other = dependency.of(at.owner.namespace());
            if let Some(cycle) = self.cycle(at.owner, &other) {
                return Err(Error::DependencyCycle(cycle));
            }
            let Some(sync) = self.sync(&other) else { return Err(Error::DependencyNotFound(other)) };
            if !is_ready(&sync) {
                return Err(Error::DependencyNotReady { sync: other, revision: None });
            }
            let is_same_source = sync.spec.source == at.sync.spec.source && claims.together;
            if is_same_source && !claims.peers.is_ready_at(&other, &seen.revision) {
                let revision = Some(seen.short.clone());
                return Err(Error::DependencyNotReady { sync: other, revision });
            }
        }
        Ok(())
    }

    /// Returns the Syncs that depend on this one, without those in a cycle with it.
    pub fn dependents(&self, owner: &SyncRef) -> Vec<(SyncRef, Arc<Sync>)> {
        let found = self.syncs.state().into_iter().filter_map(|other| {
            let name = name(&other)?;
            let depends = self.of(&other, name.namespace()).any(|dependency| dependency == *owner);
            (depends && self.cycle(&name, owner).is_none()).then_some((name, other))
        });
        found.collect()
    }

    /// Returns the Syncs that depend on this one, including those in a cycle with it.
    pub fn waiting(&self, owner: &SyncRef) -> Vec<SyncRef> {
        let all = self.syncs.state();
        let named = all.iter().filter_map(|other| Some((name(other)?, other)));
        named
            .filter(|(name, other)| self.of(other, name.namespace()).any(|dependency| dependency == *owner))
            .map(|(name, _)| name)
            .collect()
    }

    /// Returns the dependencies of a Sync that the installation allows.
    fn of(&self, sync: &Sync, namespace: &str) -> impl Iterator<Item = SyncRef> {
        let all = sync.spec.depends_on.iter().map(|dependency| dependency.of(namespace));
        all.filter(|other| self.policy.allows_reference(namespace, other.namespace()))
    }

    /// Returns the path from a Sync through its dependency back to itself, if there is one.
    fn cycle(&self, owner: &SyncRef, dependency: &SyncRef) -> Option<String> {
        let mut paths = vec![vec![owner.clone(), dependency.clone()]];
        let mut seen = HashSet::new();
        while let Some(path) = paths.pop() {
            let last = path.last()?.clone();
            if last == *owner {
                return Some(path.iter().map(ToString::to_string).collect::<Vec<_>>().join(" -> "));
            }
            if seen.insert(last.clone())
                && let Some(sync) = self.sync(&last)
            {
                let next = self.of(&sync, last.namespace());
                paths.extend(next.map(|next| [path.clone(), vec![next]].concat()));
            }
        }
        None
    }

    fn sync(&self, name: &SyncRef) -> Option<Arc<Sync>> {
        self.syncs.get(&ObjectRef::new(name.name()).within(name.namespace()))
    }
}

fn is_ready(sync: &Sync) -> bool {
    sync.status.as_ref().is_some_and(|status| {
        status.observed_generation == sync.metadata.generation
            && conditions::is_true(&status.conditions, conditions::READY)
    })
}
