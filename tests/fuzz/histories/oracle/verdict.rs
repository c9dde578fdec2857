//! What the status says is so. Pure.

use super::{Case, Violation};

/// Reasons of Ready with which everything is applied. Health is none of this oracle's business.
const APPLIED: &[&str] =
    &["InSync", "Healthy", "Progressing", "Unhealthy", "HealthTimeout", "DriftCorrected"];

impl Case<'_> {
    /// The newest commit is seen, and everything that can be in sync is said to be.
    pub(super) fn verdict(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut wrong = |check: &'static str, text: String| {
            found.push(Violation { check, object: "Sync".to_owned(), path: String::new(), text });
        };
        let status = &self.seen.sync["status"];
        let seen = status["revision"]["seen"].as_str().unwrap_or_default();
        if !seen.ends_with(&self.seen.commit) {
            wrong("not seen", format!("git is at {}, the status at {seen}", self.seen.commit));
            return found;
        }
        let refused = self.seen.canon.values().any(Result::is_err);
        let (ready, reason, message) = self.condition("Ready");
        let (stalled, _, _) = self.condition("Stalled");
        let (drifted, drift, what) = self.condition("Drifted");
        if refused {
            if ready == "True" {
                wrong(
                    "false verdict",
                    format!("git has what the API server refuses, and Ready is True: {message}"),
                );
            }
            return found;
        }
        let fight = drift == "DriftFight" && self.world.ids().iter().any(|id| self.fights(id));
        if !APPLIED.contains(&reason) && !fight {
            wrong("refused", format!("{reason}: {message}"));
        }
        if stalled == "True" && !fight && APPLIED.contains(&reason) {
            wrong("stalled", format!("{reason}: {message}"));
        }
        // What is told of paths that left git is looked at there.
        if drifted == "True" && !fight && !self.is_shared() {
            wrong("false drift", format!("{drift}: {what}"));
        }
        let total = status["objects"]["total"].as_u64().unwrap_or_default();
        let expected = self.world.head().map_or(0, |head| head.states.len() + 1);
        if u64::try_from(expected).is_ok_and(|expected| expected != total) {
            wrong("count", format!("git has {expected} objects, the status counts {total}"));
        }
        found
    }

    /// True if a controller holds fields of an object that git has or had, which may be told as drift.
    fn is_shared(&self) -> bool {
        let world = self.world;
        world.writes.iter().any(|wrote| wrote.by != super::super::world::By::Hand && self.in_git(&wrote.id))
    }
}
