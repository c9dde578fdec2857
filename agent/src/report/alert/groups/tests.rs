//! Which Sync owns the alert of several that fail for the same cause. Pure.

use jiff::Timestamp;

use super::*;
use crate::report::alert::notice::{Status, VERSION};

fn of(key: &str) -> Subject {
    Subject::of_key("shop", key)
}

fn snapshot(sync: &str, cause: Option<&str>) -> Arc<Snapshot> {
    let notice = Notice {
        version: VERSION,
        event: AlertEvent::Failed,
        status: Status::Firing,
        cluster: "uid".to_owned(),
        object: of(sync),
        syncs: Vec::new(),
        revision: String::new(),
        commit: None,
        starts_at: Timestamp::UNIX_EPOCH,
        ends_at: None,
        summary: format!("{sync} failed"),
        command: None,
        objects: Vec::new(),
        omitted: None,
    };
    let wanted = |cause: &str| Wanted { notice, meaning: cause.to_owned(), cause: Some(cause.to_owned()) };
    Arc::new(Snapshot { firing: cause.map(wanted).into_iter().collect(), ..Snapshot::default() })
}

/// Snapshots as text: `a: failed by a, b`, or that nothing fires.
fn words(snapshots: &[(Subject, Snapshot)]) -> Vec<String> {
    let word = |(subject, snapshot): &(Subject, Snapshot)| match snapshot.firing.first() {
        Some(wanted) => format!("{}: {}", subject.key(), wanted.notice.syncs.join(" ")),
        None if snapshot.unknown.contains(&AlertEvent::Failed) => format!("{}: unknown", subject.key()),
        None => format!("{}: nothing", subject.key()),
    };
    snapshots.iter().map(word).collect()
}

#[test]
fn a_summary_names_the_kinds_of_what_failed() {
    let now = Instant::now();
    let summary = |subjects: [&str; 2]| {
        let mut groups = Groups::default();
        subjects.iter().for_each(|key| drop(groups.take(&of(key), snapshot(key, Some("host")), now)));
        let (_, last) = groups.take(&of(subjects[0]), snapshot(subjects[0], Some("host")), now).remove(0);
        last.firing[0].notice.summary.clone()
    };
    assert_eq!(summary(["a", "b"]), "2 Syncs failed for the same reason (a, b): a failed");
    assert!(summary(["imageupdate/a", "imageupdate/b"]).starts_with("2 ImageUpdates failed"));
    assert!(summary(["a", "imageupdate/b"]).starts_with("2 Syncs and ImageUpdates failed"));
}

#[test]
fn syncs_that_fail_by_one_cause_are_one_alert_until_the_last_has_recovered() {
    let (mut groups, now) = (Groups::default(), Instant::now());
    assert_eq!(words(&groups.take(&of("a"), snapshot("a", Some("git")), now)), ["a: "]);
    assert_eq!(words(&groups.take(&of("b"), snapshot("b", Some("git")), now)), ["a: a b", "b: nothing"]);
    assert_eq!(words(&groups.take(&of("c"), snapshot("c", Some("git")), now)), ["a: a b c", "c: nothing"]);
    // The owner recovers first.
    assert_eq!(words(&groups.take(&of("a"), snapshot("a", None), now)), ["a: a b c"]);
    assert_eq!(words(&groups.take(&of("c"), snapshot("c", None), now)), ["a: a b c", "c: nothing"]);
    assert_eq!(words(&groups.take(&of("b"), snapshot("b", None), now)), ["a: nothing", "b: nothing"]);
}

#[test]
fn other_causes_are_alerts_of_their_own() {
    let (mut groups, now) = (Groups::default(), Instant::now());
    groups.take(&of("a"), snapshot("a", Some("one")), now);
    assert_eq!(words(&groups.take(&of("b"), snapshot("b", Some("other")), now)), ["b: "]);
}

#[test]
fn a_mistake_that_another_one_replaces_is_told_once_by_the_same_sync() {
    let (mut groups, now) = (Groups::default(), Instant::now());
    for sync in ["a", "b", "c"] {
        groups.take(&of(sync), snapshot(sync, Some("one")), now);
    }
    assert_eq!(words(&groups.take(&of("a"), snapshot("a", Some("two")), now)), ["a: "]);
    assert_eq!(words(&groups.take(&of("b"), snapshot("b", Some("two")), now)), ["a: a b", "b: nothing"]);
    assert_eq!(words(&groups.pass(now)), Vec::<String>::new());
    // A Sync that keeps failing owns the alert after a while.
    assert_eq!(words(&groups.pass(now + FOLLOW)), ["c: "]);
}

#[test]
fn a_restart_leaves_the_alert_to_the_sync_that_told_it() {
    let firing = Firing {
        event: AlertEvent::Failed,
        sync: "b".to_owned(),
        starts_at: Timestamp::UNIX_EPOCH,
        meaning: String::new(),
        reference: None,
        cause: Some("git".to_owned()),
        syncs: vec!["a".to_owned(), "b".to_owned()],
    };
    let now = Instant::now();
    let mut groups = Groups::load("shop", std::slice::from_ref(&firing));
    assert_eq!(words(&groups.take(&of("a"), snapshot("a", Some("git")), now)), ["a: nothing", "b: a b"]);
    // The owner has recovered meanwhile, and the other Sync has not reported yet.
    let mut groups = Groups::load("shop", &[firing]);
    assert_eq!(words(&groups.take(&of("b"), snapshot("b", None), now)), ["b: unknown"]);
    assert_eq!(words(&groups.take(&of("a"), snapshot("a", None), now)), ["a: nothing", "b: nothing"]);
}

#[test]
fn the_alert_of_a_sync_that_goes_is_told_by_another_one() {
    let (mut groups, now) = (Groups::default(), Instant::now());
    for sync in ["a", "b"] {
        groups.take(&of(sync), snapshot(sync, Some("git")), now);
    }
    assert_eq!(words(&groups.forget(&of("a"), now)), ["b: "]);
    assert_eq!(groups.subjects().into_iter().collect::<Vec<_>>(), [of("b")]);
}
