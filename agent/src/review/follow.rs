//! What becomes of a pull request after its merge: read off the status of the Syncs that it affects. Pure.

use std::fmt::Write as _;

use jiff::SignedDuration;

use super::markdown::code;
use crate::api::{PlanState, SyncStatus, conditions};
use crate::sync_ref::SyncRef;

/// How long a merge is followed.
pub const FOLLOWED: SignedDuration = SignedDuration::from_hours(24);
/// The verdict while a plan waits.
pub const WAITS: &str = "waits for an approval";

/// How far a Sync is with the commit of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Course {
    /// It has not read the commit yet.
    Unseen,
    Applying,
    /// Part of its plan waits for an approval.
    Waits(String),
    Failed(String),
    /// It is applied, and its objects are healthy.
    Healthy,
    /// A later commit was read before it was applied and healthy.
    Superseded(String),
}

impl Course {
    /// True if nothing more becomes of it.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Healthy | Self::Superseded(_))
    }
}

/// How far a Sync is, by its status. `before` is the revision that it was at when the merge was noticed.
pub fn course(status: &SyncStatus, merged: &str, before: Option<&str>) -> Course {
    let revision = status.revision.as_ref();
    let seen = revision.and_then(|revision| revision.seen.as_deref());
    let is_it = |revision: &str| commit(revision) == merged;
    let is = |kind: &str, value: &str| {
        let found = status.conditions.iter().find(|condition| condition.type_ == kind);
        found.filter(|condition| condition.status == value)
    };
    let Some(seen) = seen else { return Course::Unseen };
    if !is_it(seen) {
        let was_there = status.history.iter().any(|entry| is_it(&entry.revision));
        let has_moved = before.is_some_and(|before| before != seen);
        return if was_there || has_moved { Course::Superseded(seen.to_owned()) } else { Course::Unseen };
    }
    if is(conditions::AWAITING_APPROVAL, "True").is_some() {
        let waits = |state| matches!(state, PlanState::AwaitingApproval | PlanState::Rejected);
        let plan = status.plan.as_ref().filter(|plan| waits(plan.state));
        return Course::Waits(plan.map(|plan| plan.id.clone()).unwrap_or_default());
    }
    if let Some(stalled) = is(conditions::STALLED, "True") {
        return Course::Failed(stalled.message.clone());
    }
    let applied = revision.and_then(|revision| revision.applied.as_deref()).is_some_and(is_it);
    if applied && is(conditions::READY, "True").is_some() {
        return Course::Healthy;
    }
    let unhealthy = [conditions::reason::UNHEALTHY, conditions::reason::HEALTH_TIMEOUT];
    match is(conditions::READY, "False").filter(|ready| unhealthy.contains(&ready.reason.as_str())) {
        Some(ready) => Course::Failed(ready.message.clone()),
        None => Course::Applying,
    }
}

/// The commit of a revision such as `main@sha1:…`.
pub fn commit(revision: &str) -> &str {
    revision.rsplit_once("sha1:").map_or(revision, |(_, commit)| commit)
}

/// The verdict over all Syncs, in a few words.
pub fn verdict(all: &[(SyncRef, Course)]) -> &'static str {
    let any = |is: fn(&Course) -> bool| all.iter().any(|(_, course)| is(course));
    if any(|course| matches!(course, Course::Failed(_))) {
        "failed"
    } else if any(|course| matches!(course, Course::Waits(_))) {
        WAITS
    } else if any(|course| matches!(course, Course::Unseen | Course::Applying)) {
        "merged, being applied"
    } else if any(|course| matches!(course, Course::Healthy)) {
        "applied and healthy"
    } else {
        "superseded"
    }
}

/// The comment after the merge, above what it said before. `is_left`: the merge is not followed any more, and has not ended.
pub fn text(merged: &str, all: &[(SyncRef, Course)], before: &str, is_left: bool) -> String {
    let short = merged.get(..7).unwrap_or(merged);
    let mut text = format!("### Holdfast: {}\n\nMerged as {}.\n\n", verdict(all), code(short));
    for (sync, course) in all {
        let sync = code(&sync.to_string());
        let _ = match course {
            Course::Unseen => writeln!(text, "- Sync {sync}: has not read the commit yet"),
            Course::Applying => writeln!(text, "- Sync {sync}: is being applied"),
            Course::Waits(plan) => {
                writeln!(text, "- Sync {sync}: waits for an approval of plan {}", code(plan))
            }
            Course::Failed(why) => writeln!(text, "- Sync {sync}: failed: {}", code(why)),
            Course::Healthy => writeln!(text, "- Sync {sync}: applied, and its objects are healthy"),
            Course::Superseded(by) => writeln!(text, "- Sync {sync}: superseded by {}", code(by)),
        };
    }
    if is_left {
        let _ = writeln!(
            text,
            "\nThis comment is not updated any more, because the merge was followed for {} hours. The status of the Sync in the \
             cluster says how it ends, and commands in this pull request are no longer read.",
            FOLLOWED.as_hours()
        );
    }
    if !before.is_empty() {
        let _ =
            write!(text, "\n<details><summary>The preview of the merge</summary>\n\n{before}\n</details>\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(status: serde_json::Value, before: Option<&str>, expected: &Course) {
        let status: SyncStatus = serde_json::from_value(status).expect("a status");
        assert_eq!(course(&status, "aaaa", before), *expected);
    }

    #[test]
    fn a_merge_that_is_followed_no_longer_says_so() {
        let sync = SyncRef::new("a".to_owned(), "app".to_owned());
        let all = [(sync, Course::Waits("0123".to_owned()))];
        assert!(!text("aaaaaaaaa", &all, "before", false).contains("24 hours"));
        let left = text("aaaaaaaaa", &all, "before", true);
        assert!(
            left.starts_with("### Holdfast: waits for an approval") && left.contains("for 24 hours"),
            "{left}"
        );
    }

    fn condition(kind: &str, status: &str, reason: &str) -> serde_json::Value {
        json!({"type": kind, "status": status, "reason": reason, "message": "why",
            "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    #[test]
    fn a_merge_is_followed_until_it_is_healthy_or_superseded() {
        let (old, new, later) = ("main@sha1:0000", "main@sha1:aaaa", "main@sha1:bbbb");
        check(json!({}), None, &Course::Unseen);
        check(json!({"revision": {"seen": old, "applied": old}}), Some(old), &Course::Unseen);
        check(json!({"revision": {"seen": new, "applied": old}}), Some(old), &Course::Applying);
        check(
            json!({"revision": {"seen": new, "applied": new}, "conditions": [condition("Ready", "True", "InSync")]}),
            None,
            &Course::Healthy,
        );
        check(
            json!({"revision": {"seen": new, "applied": new}, "conditions": [condition("Ready", "False", "Unhealthy")]}),
            None,
            &Course::Failed("why".to_owned()),
        );
        check(
            json!({"revision": {"seen": new, "applied": old}, "conditions": [condition("Stalled", "True", "Forbidden")]}),
            None,
            &Course::Failed("why".to_owned()),
        );
        check(
            json!({"revision": {"seen": later, "applied": new}}),
            Some(old),
            &Course::Superseded(later.to_owned()),
        );
        check(
            json!({"revision": {"seen": later, "applied": later}, "history": [
                {"revision": new, "at": "2026-01-01T00:00:00Z", "outcome": "Applied"}]}),
            Some(later),
            &Course::Superseded(later.to_owned()),
        );
    }
}
