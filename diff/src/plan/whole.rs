//! All changes of one object set in the order in which they are made, and the id of the plan. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::change::Change;
use crate::digest::Hasher;
use crate::object::ObjectId;

/// The digest of the meaning of a plan: operations, objects, UIDs of objects that are deleted, field changes, and the
/// cluster. Commit and resourceVersions are not part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanId(String);

impl PlanId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Changes in the order of apply, deletions last and in reverse order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    pub id: PlanId,
    pub changes: Vec<Change>,
}

impl Plan {
    /// Creates a plan for the cluster whose namespace `kube-system` has this UID.
    pub fn new(cluster: &str, mut changes: Vec<Change>) -> Self {
        changes.sort_by(|one, other| place(one).cmp(&place(other)));
        let mut hasher = Hasher::default();
        hasher.text(cluster);
        changes.iter().for_each(|change| change.hash(&mut hasher));
        Self { id: PlanId(hasher.finish().to_string()), changes }
    }

    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Splits off the changes for which `keep` is false. Both parts are plans.
    pub fn split(self, cluster: &str, mut keep: impl FnMut(&Change) -> bool) -> (Self, Self) {
        let (kept, rest) = self.changes.into_iter().partition(|change| keep(change));
        (Self::new(cluster, kept), Self::new(cluster, rest))
    }
}

/// Sorts applied objects before removed ones, and both by their stage.
fn place(change: &Change) -> (bool, i64, i64, &ObjectId) {
    let (wave, rank) = (i64::from(change.stage.wave), i64::from(change.stage.rank));
    match change.operation {
        operation if operation.removes() => (true, -wave, -rank, &change.object),
        _ => (false, wave, rank, &change.object),
    }
}
