//! The resources of a build, in their order.
//!
//! Pure.

use super::bounds::{Growth, Work};
use super::error::KustomizeError;
use super::id::ResId;
use super::resource::Resource;

/// Number of identities that are compared in the time in which one rule is tested on a resource.
pub(super) const COMPARED: usize = 8;

/// Resources in the order in which they were read.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    pub list: Vec<Resource>,
    /// Bytes that the steps added since the last query.
    pub grown: usize,
    /// True if it contains objects of another renderer: only the cluster knows whether two of those are the same
    /// object.
    pub given: bool,
    /// True if a step merged a patch since the last query.
    pub merged: bool,
    /// Values that a step lost, for a warning.
    pub warnings: Vec<String>,
    /// Work since the last query.
    pub work: Work,
}

impl Resources {
    /// Records what a step added.
    pub fn grew(&mut self, growth: &Growth) {
        self.grown = self.grown.saturating_add(growth.bytes());
    }

    /// Appends a resource with a new identity.
    pub fn append(&mut self, resource: Resource) -> Result<(), KustomizeError> {
        self.work.take(self.list.len() / COMPARED).map_err(|error| error.or_at(&resource.origin))?;
        let same = self.list.iter().find(|there| there.id().is_same(resource.id()));
        if let Some(there) = same.filter(|_| !self.given) {
            return Err(KustomizeError::at(
                &resource.origin,
                format!("{} is already in {}: remove one of the two", resource.id(), there.origin),
            ));
        }
        self.list.push(resource);
        Ok(())
    }

    /// Returns the positions of the resources of which `matches` is true for the current or a previous identity.
    pub fn with_any_id(&self, matches: impl Fn(&ResId) -> bool) -> Vec<usize> {
        let found = self.list.iter().enumerate().filter(|(_, resource)| {
            !resource.node().is_empty()
                && (matches(resource.id()) || resource.previous_ids().any(|id| matches(&id)))
        });
        found.map(|(at, _)| at).collect()
    }
}
