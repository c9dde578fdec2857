//! What the status says is so. Pure.

use super::{Case, Violation};
use crate::histories::world::By;

/// Reasons of Ready with which everything is applied. Health is none of this oracle's business.
const APPLIED: &[&str] =
    &["InSync", "Healthy", "Progressing", "Unhealthy", "HealthTimeout", "DriftCorrected"];

impl Case<'_> {
    /// The newest commit is seen, and everything that can be in sync is said to be.
    pub(super) fn verdict(&self) -> Vec<Violation> {
        (0..self.seen.syncs.len()).flat_map(|sync| self.verdict_of(sync)).collect()
    }

    fn verdict_of(&self, sync: usize) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut wrong = |check: &'static str, text: String| {
            let object = format!("Sync {sync}");
            found.push(Violation { check, object, path: String::new(), text });
        };
        let status = &self.seen.syncs[sync]["status"];
        let seen = status["revision"]["seen"].as_str().unwrap_or_default();
        if !seen.ends_with(&self.seen.commit) {
            wrong("not seen", format!("git is at {}, the status at {seen}", self.seen.commit));
            return found;
        }
        let states = self.world.head().map_or(&[][..], |head| &head.states);
        let mine: Vec<_> = states.iter().filter(|state| state.sync == sync).collect();
        let refused = mine.iter().any(|state| self.seen.canon.get(&state.id).is_some_and(Result::is_err));
        let (ready, reason, message) = self.condition(sync, "Ready");
        if refused {
            if ready == "True" {
                let text = format!("git has what the API server refuses, and Ready is True: {message}");
                wrong("false verdict", text);
            }
            return found;
        }
        if self.awaits(sync) && self.may_wait() {
            let summary = &status["plan"]["summary"];
            if summary["delete"] == 0 && summary["recreate"] == 0 {
                wrong("false wait", format!("{summary} waits for an approval: {message}"));
            }
            return found;
        }
        let (drifted, drift, what) = self.condition(sync, "Drifted");
        let fight = drift == "DriftFight" && self.world.ids().iter().any(|id| self.fights(id));
        let excused = fight || (self.world.mode.report && self.may_drift());
        // A field that left Git and that a controller owns too stays, and is reported as drift.
        let is_kept = reason == drift && self.is_shared();
        if !APPLIED.contains(&reason) && !is_kept && !(excused && (reason == drift || self.is_shared())) {
            wrong("refused", format!("{reason}: {message}"));
        }
        // What is told of paths that left git is looked at there.
        if drifted == "True" && !excused && !self.is_shared() {
            wrong("false drift", format!("{drift}: {what}"));
        }
        let total = status["objects"]["total"].as_u64().unwrap_or_default();
        if u64::try_from(mine.len() + 1).is_ok_and(|expected| expected != total) && !excused {
            wrong("count", format!("git has {} objects, the status counts {total}", mine.len() + 1));
        }
        found
    }

    /// True if another client wrote to an object in Git: drift that is only reported stays over commits that do not change it.
    pub fn may_drift(&self) -> bool {
        self.world.writes.iter().any(|wrote| self.in_git(&wrote.id))
    }

    /// True if something waits for an approval, or for another client to stop writing.
    pub fn is_open(&self) -> bool {
        let mut syncs = 0..self.seen.syncs.len();
        syncs.any(|sync| self.awaits(sync) || self.condition(sync, "Drifted").0 == "True")
    }

    /// True if a controller holds fields of an object that git has or had, which may be told as drift.
    fn is_shared(&self) -> bool {
        self.world.writes.iter().any(|wrote| wrote.by != By::Hand && self.in_git(&wrote.id))
    }
}
