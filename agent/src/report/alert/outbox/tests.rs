//! What is sent to a receiver, and when. Pure.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::*;
use crate::api::{AlertStatus, DriftObject, DriftState};

const CADENCE: Cadence = Cadence { keep: Duration::from_secs(5), repeat: None, settle: None };
const ON: [AlertEvent; 2] = [AlertEvent::Drifted, AlertEvent::Applied];

fn app() -> Subject {
    Subject::of_key("shop", "app")
}

/// An outbox with a clock of its own.
struct Case {
    outbox: Outbox,
    cadence: Cadence,
    begun: Instant,
    millis: u64,
}

impl Case {
    fn new() -> Self {
        Self::after(&AlertStatus::default())
    }

    /// After a restart.
    fn after(status: &AlertStatus) -> Self {
        let begun = Instant::now();
        let outbox = Outbox::load("uid", "shop", status, Timestamp::UNIX_EPOCH, begun);
        Self { outbox, cadence: CADENCE, begun, millis: 0 }
    }

    fn now(&self) -> Instant {
        self.begun + Duration::from_millis(self.millis)
    }

    fn take(&mut self, snapshot: &Snapshot) {
        let (now, time) = (self.now(), Timestamp::UNIX_EPOCH);
        self.outbox.take(&app(), snapshot, &ON, self.cadence, now, time);
    }

    /// Advances the clock to a time in milliseconds, and delivers what is due. Returns the deliveries: `50 firing a b`.
    fn until(&mut self, millis: u64) -> Vec<String> {
        let mut sent = Vec::new();
        loop {
            while let Some(due) = self.outbox.due(self.now()) {
                sent.push(format!("{} {}", self.millis, words(&due.notice)));
                self.outbox.delivered(&due, None, self.cadence, self.now());
            }
            if self.millis >= millis {
                return sent;
            }
            self.millis += 10;
        }
    }

    /// The status that a restart finds.
    fn written(&self, down: bool) -> AlertStatus {
        let (firing, pending, sent_until) = self.outbox.status(down);
        AlertStatus { firing, pending, sent_until, ..AlertStatus::default() }
    }
}

fn words(notice: &Notice) -> String {
    let status = if notice.status == Status::Resolved { "resolved" } else { "firing" };
    let names: Vec<&str> = notice.objects.iter().map(|object| object.name.as_str()).collect();
    format!("{status} {}", names.join(" "))
}

fn object(name: &str) -> DriftObject {
    DriftObject {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        state: DriftState::Drifted,
        since: Timestamp::UNIX_EPOCH,
        deleted: true,
        user: None,
        changes: Vec::new(),
        omitted: None,
        note: None,
        ignore: None,
        origin: None,
        manifest: None,
        refusal: None,
    }
}

/// A snapshot with drift of these objects, empty if there are none.
fn drift(names: &[&str]) -> Snapshot {
    let outbox = Outbox::load("uid", "shop", &AlertStatus::default(), Timestamp::UNIX_EPOCH, Instant::now());
    let notice = outbox.blank(AlertEvent::Drifted, &app(), Timestamp::UNIX_EPOCH);
    let notice = Notice { objects: names.iter().map(|name| object(name)).collect(), ..notice };
    let wanted = Wanted { notice, meaning: names.join(" "), cause: None };
    Snapshot { firing: if names.is_empty() { Vec::new() } else { vec![wanted] }, ..Snapshot::default() }
}

#[test]
fn an_onset_goes_out_at_once_and_an_end_when_it_was_kept_long_enough() {
    let mut case = Case::new();
    case.take(&drift(&["a"]));
    assert_eq!(case.until(100), ["50 firing a"]);
    case.take(&drift(&[]));
    assert_eq!(case.until(10_000), ["5050 resolved a"]);
    assert_eq!(case.outbox.next(), None);
}

#[test]
fn what_follows_is_told_at_most_once_a_second() {
    let mut case = Case::new();
    case.take(&drift(&["a"]));
    case.until(100);
    case.take(&drift(&["a", "b"]));
    case.until(500);
    case.take(&drift(&["a", "b", "c"]));
    assert_eq!(case.until(3000), ["1050 firing a b c"]);
    // The same again is no news.
    case.take(&drift(&["a", "b", "c"]));
    assert_eq!(case.until(6000), Vec::<String>::new());
}

#[test]
fn what_goes_on_before_its_end_was_told_did_not_end() {
    let mut case = Case::new();
    case.take(&drift(&["a"]));
    case.until(1000);
    case.take(&drift(&[]));
    case.until(2000);
    case.take(&drift(&["a"]));
    assert_eq!(case.until(20_000), Vec::<String>::new());
}

#[test]
fn everything_is_told_after_a_receiver_was_down() {
    let mut case = Case::new();
    case.take(&drift(&["a"]));
    case.millis = 60;
    let due = case.outbox.due(case.now()).expect("the onset is due");
    case.outbox.failed(due, false, case.now());
    // It ends, and another one starts, before the first is sent.
    case.take(&drift(&[]));
    case.take(&drift(&["b"]));
    case.take(&drift(&[]));
    let sent = case.until(10_000);
    assert_eq!(sent, ["60 firing b a", "5060 resolved b a"]);
}

#[test]
fn a_restart_tells_nothing_twice_and_what_ended_meanwhile() {
    let mut case = Case::new();
    case.take(&drift(&["a"]));
    case.until(100);
    let mut case = Case::after(&case.written(false));
    case.take(&drift(&["a"]));
    assert_eq!(case.until(10_000), Vec::<String>::new());
    // A longer list is sent.
    case.take(&drift(&["a", "b"]));
    assert_eq!(case.until(11_000), ["10000 firing a b"]);
    let mut case = Case::after(&case.written(false));
    case.take(&drift(&[]));
    case.millis = 5000;
    let end = case.outbox.due(case.now()).expect("the end is due").notice;
    // Alertmanager knows an alert by its labels, and the cluster is one of them.
    assert_eq!((end.status, &*end.cluster), (Status::Resolved, "uid"));
}

#[test]
fn what_a_receiver_that_is_down_was_not_told_outlives_a_restart() {
    let mut case = Case::new();
    case.take(&drift(&["a"]));
    case.take(&drift(&[]));
    let mut case = Case::after(&case.written(true));
    case.take(&drift(&[]));
    assert_eq!(case.until(10_000), ["0 firing a", "5000 resolved a"]);
}

#[test]
fn until_a_sync_was_looked_at_nothing_about_it_ends() {
    let mut case = Case::new();
    case.take(&drift(&["a"]));
    case.until(100);
    let mut case = Case::after(&case.written(false));
    case.take(&Snapshot { unknown: vec![AlertEvent::Drifted], ..Snapshot::default() });
    assert_eq!(case.until(20_000), Vec::<String>::new());
}

#[test]
fn events_are_told_once_in_their_order_and_the_oldest_go_when_there_is_no_room() {
    let outbox = Outbox::load("uid", "shop", &AlertStatus::default(), Timestamp::UNIX_EPOCH, Instant::now());
    let at = |second: i64| Timestamp::from_second(second).expect("a small number");
    let happened = |seconds: std::ops::Range<i64>| Snapshot {
        happened: seconds.map(|second| outbox.blank(AlertEvent::Applied, &app(), at(second))).collect(),
        ..Snapshot::default()
    };
    let mut case = Case::new();
    case.take(&happened(1..4));
    assert_eq!(case.until(10).len(), 3);
    case.take(&happened(1..5));
    assert_eq!(case.until(20).len(), 1);
    let mut case = Case::after(&case.written(false));
    case.take(&happened(1..5));
    assert_eq!(case.until(10), Vec::<String>::new());
    case.take(&happened(5..5 + 2 * 200));
    assert_eq!(case.until(20).len(), 200);
    assert_eq!(case.outbox.dropped, 200);
}

#[test]
fn a_message_that_cannot_be_edited_is_corrected_when_the_storm_is_over() {
    let mut case = Case::new();
    case.cadence.settle = Some(Duration::from_secs(10));
    case.take(&drift(&["a"]));
    assert_eq!(case.until(100), ["50 firing a"]);
    case.take(&drift(&["a", "b"]));
    assert_eq!(case.until(8000), Vec::<String>::new());
    case.take(&drift(&["a", "b", "c"]));
    // The same again does not prolong it.
    case.until(12_000);
    case.take(&drift(&["a", "b", "c"]));
    assert_eq!(case.until(30_000), ["18000 firing a b c"]);
}

#[test]
fn a_storm_without_an_end_is_told_after_a_minute() {
    let mut case = Case::new();
    case.cadence.settle = Some(Duration::from_secs(10));
    case.take(&drift(&["a"]));
    case.until(1000);
    let mut sent = Vec::new();
    for at in 0..80_u64 {
        case.take(&drift(&["a", &at.to_string()]));
        sent.extend(case.until(1000 + at * 1000));
    }
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].starts_with("61000 "), "{sent:?}");
}

#[test]
fn everything_ends_with_its_alert_and_only_what_was_told() {
    let mut case = Case::new();
    case.take(&drift(&["a"]));
    case.until(100);
    let (now, time) = (case.now(), Timestamp::UNIX_EPOCH);
    case.outbox.end(CADENCE, now, time);
    assert_eq!(case.until(200), ["100 resolved a"]);
    assert!(case.outbox.is_empty());
    let mut case = Case::new();
    case.take(&drift(&["a"]));
    let now = case.now();
    case.outbox.end(CADENCE, now, time);
    assert!(case.outbox.is_empty());
}

#[test]
fn another_receiver_is_told_what_goes_on() {
    let mut case = Case::new();
    case.take(&drift(&["a"]));
    case.until(100);
    case.outbox = case.outbox.successor();
    case.take(&drift(&["a"]));
    assert_eq!(case.until(1000), ["150 firing a"]);
}
