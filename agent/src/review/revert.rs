//! The pull request that reverts a failed revision of a Sync: when it is due, and what it says. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::fit::list;
use super::follow::{Course, commit, course};
use super::markdown::{code, fenced, line};
use crate::api::{SyncStatus, conditions};
use crate::sync_ref::SyncRef;

/// Errors and files that a pull request lists.
const LISTED: usize = 50;
/// Characters of the message of a condition.
const MESSAGE: usize = 4000;

/// What a Sync needs of its revert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The newest revision failed.
    Revert(Failed),
    /// This revision is applied and healthy.
    Healthy(String),
    /// It is being applied, waits, or fails for a reason that no revert mends.
    Nothing,
}

/// A revision that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub revision: String,
    /// The last revision that worked, if one is known.
    pub good: Option<String>,
    pub since: Option<Timestamp>,
    pub reason: String,
    pub message: String,
}

/// Decides by the status of a Sync. `healthy` is the revision at which it was healthy last.
pub fn need(status: &SyncStatus, healthy: Option<&str>) -> Need {
    let Some(seen) = status.revision.as_ref().and_then(|revision| revision.seen.as_deref()) else {
        return Need::Nothing;
    };
    match course(status, commit(seen), None) {
        Course::Healthy => Need::Healthy(seen.to_owned()),
        Course::Failed(_) => failed(status, seen, healthy),
        Course::Unseen | Course::Applying | Course::Waits(_) | Course::Superseded(_) => Need::Nothing,
    }
}

fn failed(status: &SyncStatus, seen: &str, healthy: Option<&str>) -> Need {
    let ready = status.conditions.iter().find(|condition| condition.type_ == conditions::READY);
    let Some(ready) = ready.filter(|ready| ready.status == "False" && ready.reason != "InternalError") else {
        return Need::Nothing;
    };
    let is_other = |revision: &&str| commit(revision) != commit(seen);
    let mut history = status.history.iter().map(|entry| entry.revision.as_str());
    let good = healthy.filter(is_other).or_else(|| history.find(is_other));
    Need::Revert(Failed {
        revision: seen.to_owned(),
        good: good.map(ToOwned::to_owned),
        since: Some(ready.last_transition_time.0),
        reason: ready.reason.clone(),
        message: ready.message.clone(),
    })
}

/// The branch of a revert: another one for each cluster, Sync and revision.
pub fn branch(cluster: &str, sync: &SyncRef, revision: &str) -> String {
    let (cluster, commit) = (short(cluster, 8), short(commit(revision), 12));
    format!("holdfast/revert/{cluster}/{}/{}-{commit}", sync.namespace(), sync.name())
}

/// The title of the pull request, and the first line of the commit.
pub fn title(sync: &SyncRef, failed: &Failed) -> String {
    let commit = short(commit(&failed.revision), 7);
    format!("Revert {commit}: Sync {}/{} failed", sync.namespace(), sync.name())
}

/// The message of the commit.
pub fn message(sync: &SyncRef, failed: &Failed, good: &str) -> String {
    format!("{}\n\nThis sets the files that the Sync reads back to {}.\n", title(sync, failed), commit(good))
}

/// The description of the pull request: what failed, since when and why. `events` are lines of Markdown.
pub fn description(
    cluster: &str,
    sync: &SyncRef,
    failed: &Failed,
    good: &str,
    files: &[String],
    events: &[String],
    status: &SyncStatus,
) -> String {
    let Failed { revision, since, reason, message, .. } = failed;
    let mut text = format!(
        "Sync {} in cluster {} failed at {}. This pull request sets the files that the Sync reads back to {}.\n\n",
        code(&sync.to_string()),
        code(short(cluster, 8)),
        code(revision),
        code(good)
    );
    let since = since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
    let message: String = message.chars().take(MESSAGE).collect();
    let _ = write!(text, "**Failed{since}: {}**\n\n{}", code(reason), fenced("text", &message));
    if !status.errors.is_empty() {
        text.push_str("\n**Errors**\n\n");
        for error in status.errors.iter().take(LISTED) {
            let places: Vec<String> = error.places.iter().take(5).map(|place| code(place)).collect();
            let _ = writeln!(text, "- {} ({} times): {}", code(&error.cause), error.count, places.join(", "));
        }
    }
    if !events.is_empty() {
        let _ = write!(text, "\n**Events**\n\n{}", list(events));
    }
    let _ = write!(text, "\n**Files**\n\n");
    for file in files.iter().take(LISTED) {
        let _ = writeln!(text, "- {}", code(file));
    }
    if files.len() > LISTED {
        let _ = writeln!(text, "- and {} more", files.len() - LISTED);
    }
    text.push_str(
        "\nHoldfast never merges this pull request. It is closed when a newer revision is applied and healthy. If you close it, it \
         is not opened again for this revision.\n",
    );
    text
}

/// The comment of a pull request that is closed.
pub fn mended(sync: &SyncRef, revision: &str) -> String {
    format!(
        "Sync {} is healthy at {}, so there is nothing to revert.",
        code(&sync.to_string()),
        code(revision)
    )
}

/// The comment of a pull request that is closed because a newer revision failed too.
pub fn replaced(sync: &SyncRef, revision: &str) -> String {
    format!(
        "A newer revision of Sync {} failed too: {}. It gets a revert of its own.",
        code(&sync.to_string()),
        code(&line(revision))
    )
}

fn short(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NEW: &str = "main@sha1:bbbb";

    fn status(ready: &str, reason: &str, stalled: &str) -> SyncStatus {
        let at = "2026-01-01T00:00:00Z";
        let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "message": "`x` <b>", "lastTransitionTime": at});
        let entry = |revision: &str| json!({"revision": revision, "at": at, "outcome": "Applied"});
        serde_json::from_value(json!({
            "revision": {"seen": NEW, "applied": NEW},
            "history": [entry(NEW), entry("main@sha1:aaaa"), entry("main@sha1:0000")],
            "conditions": [condition("Ready", ready, reason), condition("Stalled", stalled, reason)],
        }))
        .expect("a status")
    }

    fn good(need: &Need) -> Option<&str> {
        match need {
            Need::Revert(failed) => failed.good.as_deref(),
            Need::Healthy(_) | Need::Nothing => None,
        }
    }

    #[test]
    fn a_failed_revision_is_reverted_to_the_last_one_that_worked() {
        let unhealthy = status("False", "HealthTimeout", "False");
        assert_eq!(good(&need(&unhealthy, None)), Some("main@sha1:aaaa"));
        assert_eq!(good(&need(&unhealthy, Some("main@sha1:0000"))), Some("main@sha1:0000"));
        assert_eq!(good(&need(&unhealthy, Some(NEW))), Some("main@sha1:aaaa"));
        assert_eq!(good(&need(&status("False", "BuildFailed", "True"), None)), Some("main@sha1:aaaa"));
    }

    #[test]
    fn only_what_a_commit_can_mend_is_reverted() {
        assert_eq!(need(&status("True", "InSync", "False"), None), Need::Healthy(NEW.to_owned()));
        assert_eq!(need(&status("False", "Progressing", "False"), None), Need::Nothing);
        assert_eq!(need(&status("False", "InternalError", "True"), None), Need::Nothing);
        assert_eq!(need(&SyncStatus::default(), None), Need::Nothing);
    }

    #[test]
    fn the_evidence_is_in_the_description_and_injects_nothing() {
        let sync = SyncRef::new("team".to_owned(), "shop".to_owned());
        let status = status("False", "HealthTimeout", "False");
        let Need::Revert(failed) = need(&status, None) else { unreachable!("it failed") };
        let files = vec!["a`b.yaml".to_owned()];
        let events = vec!["`Pod web-1`: `BackOff`: `why`".to_owned()];
        let text = description("1a2b3c4d-5", &sync, &failed, "main@sha1:aaaa", &files, &events, &status);
        for part in [
            "`team/shop`",
            "since 2026-01-01T00:00:00Z",
            "```text\n`x` <b>\n```",
            "``a`b.yaml``",
            "**Events**\n\n- `Pod web-1`",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(branch("1a2b3c4d-5", &sync, NEW), "holdfast/revert/1a2b3c4d/team/shop-bbbb");
    }
}
