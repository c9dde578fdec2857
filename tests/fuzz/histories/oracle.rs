//! Decides by git's history and the writers' log whether a cluster is as it must be. It shares no code with the agent, and
//! knows of it only what its documentation says. Pure.

mod left;
mod present;
mod strangers;
mod verdict;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::fragment::{self, Path, Step};
use super::kinds;
use super::world::{Effect, Id, World};

/// What is in the cluster at a moment.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Objects that the history knows, of those that are there.
    pub live: BTreeMap<Id, Value>,
    /// What the API server makes of each object that git has, or why it refuses it.
    pub canon: BTreeMap<Id, Result<Value, String>>,
    /// The copies, in their order.
    pub copies: Vec<Option<Value>>,
    /// The Syncs: `app`, and perhaps the one to which objects move.
    pub syncs: Vec<Value>,
    /// The id of the commit that git has.
    pub commit: String,
}

/// What was there at the last quiet point.
#[derive(Clone, Debug, Default)]
pub struct Before {
    pub uids: BTreeMap<Id, String>,
    pub replicas: BTreeMap<Id, Value>,
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The check that failed.
    pub check: &'static str,
    pub object: String,
    pub path: String,
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, object, path, text } = self;
        write!(out, "{check}: {object} {path}: {text}")
    }
}

/// All that the oracle knows.
pub struct Case<'a> {
    pub world: &'a World,
    pub seen: &'a Seen,
    pub before: &'a Before,
}

impl Case<'_> {
    /// Everything that is wrong.
    pub fn check(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        for id in self.world.ids() {
            found.extend(self.present(&id));
            found.extend(self.left(&id));
            found.extend(self.gone(&id));
            found.extend(self.kept(&id));
            found.extend(self.recreated(&id));
            found.extend(self.replicas(&id));
            found.extend(self.foreign(&id));
        }
        found.extend(self.copied());
        found.extend(self.verdict());
        found
    }

    /// Everything that is wrong after the Sync was deleted.
    pub fn after_deletion(&self) -> Vec<Violation> {
        let ids = self.world.ids();
        let mut found: Vec<Violation> = ids.iter().filter_map(|id| self.pruned(id)).collect();
        found.extend(ids.iter().filter_map(|id| self.foreign(id)));
        found.extend(self.copied());
        found
    }

    /// True if git has the object now.
    fn in_git(&self, id: &Id) -> bool {
        self.world.head().is_some_and(|head| head.state(id).is_some())
    }

    /// True if a Sync reports something of this place of this object, as something that is not as git has it.
    fn told(&self, id: &Id, path: &[Step]) -> bool {
        // As paths are written: `example.com~1note`.
        let last = path.iter().rev().find_map(|step| match step {
            Step::Field(name) => Some(name.replace('~', "~0").replace('/', "~1")),
            Step::Item(_) => None,
        });
        (0..self.seen.syncs.len()).any(|sync| {
            let status = &self.seen.syncs[sync]["status"];
            let mut text = format!("{}{}{}", status["conditions"], status["drift"], status["warnings"]);
            if self.awaits(sync) {
                text.push_str(&status["plan"].to_string());
            }
            text.contains(&id.name) && last.as_ref().is_none_or(|last| text.contains(last))
        })
    }

    /// True if a Sync waits for an approval.
    fn awaits(&self, sync: usize) -> bool {
        self.condition(sync, "AwaitingApproval").0 == "True"
    }

    /// True if a container left git that holds what another Sync has in git: its deletion waits for an approval, whatever the
    /// policy.
    fn holds_of_another(&self) -> bool {
        let head = self.world.head().map_or(&[][..], |head| &head.states);
        let is_in_git = |slot: usize| head.iter().any(|state| state.id.slot == slot);
        head.iter().any(|state| {
            let inner = self.world.kind(state.id.slot);
            (0..self.world.slots.len())
                .any(|slot| kinds::holds(self.world.kind(slot), inner) && !is_in_git(slot))
        })
    }

    /// True if deletions may wait for an approval.
    fn may_wait(&self) -> bool {
        self.world.mode.gated || self.holds_of_another()
    }

    /// True if an approval is awaited that concerns this object.
    fn is_held(&self, id: &Id) -> bool {
        self.may_wait() && (0..self.seen.syncs.len()).any(|sync| self.awaits(sync)) && self.told(id, &[])
    }

    /// True if a Sync reports this place as drift.
    fn drifts(&self, id: &Id, path: &[Step]) -> bool {
        self.told(id, path)
            && (0..self.seen.syncs.len()).any(|sync| self.condition(sync, "Drifted").0 == "True")
    }

    fn condition(&self, sync: usize, kind: &str) -> (&str, &str, &str) {
        let all = self.seen.syncs.get(sync).and_then(|sync| sync["status"]["conditions"].as_array());
        let found = all.into_iter().flatten().find(|condition| condition["type"] == kind);
        let text = |field: &str| found.and_then(|found| found[field].as_str()).unwrap_or_default();
        (text("status"), text("reason"), text("message"))
    }

    /// True if the agent has given up an object for a time, because others write it again and again.
    fn fights(&self, id: &Id) -> bool {
        let writes = || self.world.writes.iter().filter(|wrote| wrote.id == *id);
        let goes_on = writes().any(|wrote| matches!(wrote.effect, Effect::Autoscaler(_)));
        (writes().count() >= 3 || goes_on)
            && (0..self.seen.syncs.len()).any(|sync| self.condition(sync, "Drifted").1 == "DriftFight")
    }

    fn live_at(&self, id: &Id, path: &Path) -> Option<&Value> {
        fragment::get(self.seen.live.get(id)?, path)
    }

    fn canon_at(&self, id: &Id, path: &Path) -> Option<&Value> {
        fragment::get(self.seen.canon.get(id)?.as_ref().ok()?, path)
    }
}

fn violation(check: &'static str, id: &Id, path: &[Step], text: String) -> Violation {
    Violation { check, object: id.name.clone(), path: fragment::show(path), text }
}

/// The path of the number of replicas.
fn is_replicas(path: &[Step]) -> bool {
    fragment::show(path) == "/spec/replicas"
}
