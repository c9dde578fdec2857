//! The notices of Syncs and ImageUpdates, by the results and times of their runs, on a clock of the test. Pure.

use jiff::Timestamp;
use kube::runtime::reflector;
use serde_json::json;

use super::*;
use crate::subject::Kind;

/// Longer than any bound.
const LONG: Duration = Duration::from_mins(10);

/// Alerts of Syncs of the namespace `shop`, of one repository, and a clock.
struct Stage {
    alerts: Alerts,
    clock: Arc<Mutex<Now>>,
}

impl Stage {
    fn of(names: &[&str]) -> Self {
        let (store, mut writer) = reflector::store::<Sync>();
        for name in names {
            let sync = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync",
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {"path": name, "interval": "1m", "source": {"git": {"url": "https://git.example.com/config.git"}}}});
            let sync: Sync = serde_json::from_value(sync).expect("a Sync");
            writer.apply_watcher_event(&Event::Apply(sync));
        }
        let clock = Arc::new(Mutex::new(Now { instant: Instant::now(), time: Timestamp::UNIX_EPOCH }));
        let read = clock.clone();
        Self { alerts: Alerts::new("uid".to_owned(), store, Arc::new(move || *read.lock())), clock }
    }

    fn pass(&self, time: Duration) {
        let mut clock = self.clock.lock();
        *clock = Now { instant: clock.instant + time, time: clock.time + time };
    }

    /// Reports a run that ended now.
    fn tell(&self, name: &str, failure: Option<&Failure>) {
        let mut status = SyncStatus::default();
        let verified = failure.is_none();
        status.revision.get_or_insert_default().applied = verified.then(|| "main@sha1:1a2b".to_owned());
        let heard = Some(self.clock.lock().instant);
        let ran = RunResult { status: &status, failure, suspended: false, verified, heard };
        self.alerts.tell(&shop(name), &ran);
    }

    /// What fires for a Sync now.
    fn firing(&self, name: &str) -> Vec<(AlertEvent, Option<String>)> {
        let (mut state, now) = (self.alerts.lock(), *self.clock.lock());
        self.alerts.update(&mut state, &shop(name), now);
        let fires = state.syncs[&shop(name)].snapshot.firing.iter();
        fires.map(|wanted| (wanted.notice.event, wanted.cause.clone())).collect()
    }

    fn events(&self, name: &str) -> Vec<AlertEvent> {
        self.firing(name).into_iter().map(|(event, _)| event).collect()
    }
}

fn shop(name: &str) -> SyncRef {
    SyncRef::new("shop", name)
}

fn not_found() -> Failure {
    Failure::user("source", "PathNotFound", "path a not found")
}

#[test]
fn a_sync_that_waits_for_another_one_is_neither_failed_nor_stale() {
    let stage = Stage::of(&["a"]);
    stage.tell("a", Some(&Failure::transient("source", "DependencyNotReady", "waits for Sync shop/base")));
    stage.pass(LONG);
    assert_eq!(stage.firing("a"), []);
}

#[test]
fn a_sync_that_never_worked_is_failed_and_not_stale() {
    let stage = Stage::of(&["a"]);
    stage.tell("a", Some(&not_found()));
    stage.pass(LONG);
    assert_eq!(stage.events("a"), [AlertEvent::Failed]);
}

#[test]
fn a_state_becomes_stale_when_it_is_no_longer_verified_unless_the_sync_fails() {
    let stage = Stage::of(&["a"]);
    stage.tell("a", None);
    assert_eq!(stage.firing("a"), []);
    stage.pass(LONG);
    assert_eq!(stage.firing("a"), [(AlertEvent::Stale, Some("silent".to_owned()))]);
    let state = stage.alerts.lock();
    let summary = &state.syncs[&shop("a")].snapshot.firing[0].notice.summary;
    assert!(summary.contains("it was verified last at 1970-01-01T00:00:00Z"), "{summary}");
    drop(state);
    stage.tell("a", Some(&not_found()));
    assert_eq!(stage.events("a"), [AlertEvent::Failed]);
}

#[test]
fn a_verified_state_stays_fresh_for_three_intervals() {
    let stage = Stage::of(&["a"]);
    stage.tell("a", None);
    // The interval is a minute, and an idle API server is heard once a minute.
    let bound = Duration::from_mins(3).max(FRESH + Duration::from_mins(1));
    stage.pass(bound.saturating_sub(Duration::from_millis(1)));
    assert_eq!(stage.firing("a"), []);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.events("a"), [AlertEvent::Stale]);
    stage.tell("a", None);
    assert_eq!(stage.firing("a"), []);
}

#[test]
fn a_failure_that_has_lasted_for_one_sync_is_reported_for_all_with_the_same_cause() {
    let stage = Stage::of(&["a", "b", "c"]);
    let down = |said: &str| Failure::transient("source", "GitUnreachable", said);
    stage.tell("a", Some(&down("connection refused")));
    stage.pass(PASSING);
    stage.tell("b", Some(&down("connection refused")));
    stage.tell("c", Some(&down("no answer in time")));
    let (one, other) = (stage.firing("a"), stage.firing("b"));
    assert_eq!((one.len(), &one), (1, &other));
    assert_eq!(stage.firing("c"), []);
}

#[test]
fn a_transient_failure_is_reported_after_half_a_minute_and_not_before() {
    let stage = Stage::of(&["a"]);
    stage.tell("a", Some(&Failure::transient("source", "GitUnreachable", "connection refused")));
    stage.pass(PASSING.saturating_sub(Duration::from_millis(1)));
    assert_eq!(stage.firing("a"), []);
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.events("a"), [AlertEvent::Failed]);
}

#[test]
fn an_image_update_that_fails_in_turns_has_failed_since_its_last_success() {
    let (stage, update) = (Stage::of(&[]), Subject::new(Kind::ImageUpdate, "shop", "web"));
    let entry = |reason: Option<&'static str>| {
        let failure = reason.map(|reason| Failure::transient("scan", reason, "the registry does not answer"));
        stage.alerts.report_update(
            &update,
            &BTreeMap::new(),
            &ImageUpdateStatus::default(),
            failure.as_ref(),
        );
        stage.alerts.lock().updates[&update].snapshot.firing.len()
    };
    assert_eq!(entry(Some("Unreachable")), 0);
    stage.pass(PASSING);
    assert_eq!(entry(Some("Timeout")), 1, "another reason, and no success between them");
    assert_eq!(entry(None), 0);
    assert_eq!(entry(Some("Timeout")), 0, "it counts anew");
}
