//! What there is to tell of Syncs and ImageUpdates, by what their runs came to and how long ago. Pure.

use kube::runtime::reflector;
use serde_json::json;

use super::*;

/// These Syncs of the namespace `shop`, of one repository.
fn alerts(names: &[&str]) -> Alerts {
    let (store, mut writer) = reflector::store::<Sync>();
    for name in names {
        let sync = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"path": name, "interval": "1m", "source": {"git": {"url": "https://git.example.com/config.git"}}}});
        let sync: Sync = serde_json::from_value(sync).expect("a Sync");
        writer.apply_watcher_event(&Event::Apply(sync));
    }
    Alerts::new("uid".to_owned(), store)
}

fn shop(name: &str) -> SyncRef {
    SyncRef::new("shop", name)
}

fn tell(alerts: &Alerts, name: &str, failure: Option<&Failure>) {
    let applied = |verified: bool| {
        let mut status = SyncStatus::default();
        status.revision.get_or_insert_default().applied = verified.then(|| "main@sha1:1a2b".to_owned());
        status
    };
    let heard = Some(Instant::now());
    let status = applied(failure.is_none());
    let verified = failure.is_none();
    alerts.tell(&shop(name), &Ran { status: &status, failure, suspended: false, verified, heard });
}

fn ago(time: Duration) -> Instant {
    Instant::now().checked_sub(time).expect("the clock runs for longer")
}

/// What fires of a Sync, after its state was changed.
fn firing(
    alerts: &Alerts,
    name: &str,
    change: impl FnOnce(&mut SyncEntry),
) -> Vec<(AlertEvent, Option<String>)> {
    let mut state = alerts.lock();
    change(state.syncs.get_mut(&shop(name)).expect("it is known"));
    alerts.update(&mut state, &shop(name));
    let fires = state.syncs[&shop(name)].snapshot.firing.iter();
    fires.map(|wanted| (wanted.notice.event, wanted.cause.clone())).collect()
}

/// Longer than any bound.
const LONG: Duration = Duration::from_mins(10);

#[test]
fn who_waits_for_another_sync_is_neither_failed_nor_stale() {
    let alerts = alerts(&["a"]);
    let waits = Failure::transient("source", "DependencyNotReady", "waits for Sync shop/base");
    tell(&alerts, "a", Some(&waits));
    let long = |entry: &mut SyncEntry| {
        entry.since = ago(LONG);
        entry.failure.iter_mut().for_each(|failing| failing.since = ago(LONG));
    };
    assert_eq!(firing(&alerts, "a", long), []);
}

#[test]
fn a_sync_that_never_worked_is_failed_and_not_stale() {
    let alerts = alerts(&["a"]);
    tell(&alerts, "a", Some(&Failure::user("source", "PathNotFound", "path a not found")));
    let fires = firing(&alerts, "a", |entry| (entry.since, entry.heard) = (ago(LONG), Some(ago(LONG))));
    assert_eq!(fires.iter().map(|(event, _)| *event).collect::<Vec<_>>(), [AlertEvent::Failed]);
}

#[test]
fn a_verdict_becomes_stale_when_it_is_not_confirmed_any_more_and_not_beside_a_failure() {
    let alerts = alerts(&["a"]);
    tell(&alerts, "a", None);
    assert_eq!(firing(&alerts, "a", |_| {}), []);
    let old = |entry: &mut SyncEntry| {
        entry.verified = Some((ago(LONG), Timestamp::UNIX_EPOCH));
        entry.heard = Some(ago(LONG));
    };
    assert_eq!(firing(&alerts, "a", old), [(AlertEvent::Stale, Some("silent".to_owned()))]);
    let state = alerts.lock();
    let summary = &state.syncs[&shop("a")].snapshot.firing[0].notice.summary;
    assert!(summary.contains("it was verified last at 1970-01-01T00:00:00Z"), "{summary}");
    drop(state);
    tell(&alerts, "a", Some(&Failure::user("source", "PathNotFound", "path a not found")));
    let fires = firing(&alerts, "a", |entry| entry.verified = Some((ago(LONG), Timestamp::UNIX_EPOCH)));
    assert_eq!(fires.iter().map(|(event, _)| *event).collect::<Vec<_>>(), [AlertEvent::Failed]);
}

#[test]
fn a_failure_that_has_lasted_for_one_is_told_of_all_that_it_holds_up() {
    let alerts = alerts(&["a", "b", "c"]);
    let down = |said: &str| Failure::transient("source", "GitUnreachable", said);
    for name in ["a", "b"] {
        tell(&alerts, name, Some(&down("connection refused")));
    }
    tell(&alerts, "c", Some(&down("no answer in time")));
    assert_eq!(firing(&alerts, "b", |_| {}), []);
    let old =
        |entry: &mut SyncEntry| entry.failure.iter_mut().for_each(|failing| failing.since = ago(PASSING));
    let one = firing(&alerts, "a", old);
    let other = firing(&alerts, "b", |_| {});
    assert_eq!((one.len(), &one), (1, &other));
    assert_eq!(firing(&alerts, "c", |_| {}), []);
}

#[test]
fn an_image_update_that_fails_in_turns_has_failed_since_its_last_success() {
    let (alerts, update) = (alerts(&[]), Subject::new(Kind::ImageUpdate, "shop", "web"));
    let entry = |reason: Option<&'static str>| {
        let failure = reason.map(|reason| Failure::transient("scan", reason, "the registry does not answer"));
        alerts.tell_update(&update, &BTreeMap::new(), &ImageUpdateStatus::default(), failure.as_ref());
        alerts.lock().updates[&update].snapshot.firing.len()
    };
    assert_eq!(entry(Some("Unreachable")), 0);
    let since = |state: &mut State| {
        let failing = state.updates.get_mut(&update).and_then(|update| update.failing.as_mut());
        failing.expect("it fails").0 = ago(PASSING);
    };
    since(&mut alerts.lock());
    assert_eq!(entry(Some("Timeout")), 1, "another reason, and no success between them");
    assert_eq!(entry(None), 0);
    assert_eq!(entry(Some("Timeout")), 0, "it counts anew");
}
