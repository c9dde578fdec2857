//! When the findings of a run are reported, and when a Sync runs again. Time is an argument. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::PAUSE;
use super::memory::{Memory, Unreported};
use crate::api::SyncSpec;
use crate::reconcile::past::since;
use crate::report::findings::Remarks;
use crate::report::{Done, Findings};

/// How long a report waits for objects to become healthy.
const GATHER: Duration = Duration::from_millis(500);
/// How often the progress of objects that are not healthy yet is reported.
const PROGRESS: Duration = Duration::from_secs(5);
/// How early a timer may fire.
const SLACK: Duration = Duration::from_millis(100);
/// The longest pause after consecutive failures; each failure doubles the pause.
const PAUSE_LIMIT: Duration = Duration::from_mins(2);

/// Delays the report that objects are not healthy yet: most become healthy within a moment, and then one status covers both.
/// Until they are healthy, their progress is reported every few seconds. Returns the time to wait as the error, if nothing is to
/// be reported now.
pub(super) fn gathered(
    memory: &mut Memory,
    mut findings: Findings,
    now: Timestamp,
) -> Result<Findings, Duration> {
    let mut first = now;
    if let Some(Unreported { done, warnings, since }) = memory.unreported.take() {
        first = since;
        findings.remarks.warnings = findings.remarks.warnings.or(warnings);
        findings.done = match (done, findings.done) {
            (Some(mut done), Some(newer)) => {
                done.changes.extend(newer.changes);
                Some(Done { id: newer.id, ..done })
            }
            (done, newer) => done.or(newer),
        };
    }
    let on_the_way = findings.on_the_way();
    // If no Sync waits for the objects, their health is not urgent.
    let minor = on_the_way || (!findings.started.wait_for_health && findings.is_well());
    let left = |since_then: Timestamp, pause: Duration| pause.saturating_sub(since(since_then, now));
    let wait = match memory.reported {
        Some(reported) if minor && findings.done.is_none() => {
            // Changes of health that end within a moment are not reported.
            let gathers = if on_the_way { left(first, GATHER) } else { Duration::ZERO };
            gathers.max(left(reported, PROGRESS))
        }
        // Drift is reported at once.
        _ if on_the_way && findings.live.corrected().is_empty() => left(first, GATHER),
        _ => {
            memory.reported = minor.then_some(now);
            return Ok(findings);
        }
    };
    if !wait.is_zero() {
        let Findings { done, remarks: Remarks { warnings, .. }, .. } = findings;
        memory.unreported = Some(Unreported { done, warnings, since: first });
        return Err(wait);
    }
    memory.reported = Some(now);
    Ok(findings)
}

/// When a Sync runs again if nothing wakes it.
pub(super) fn next(spec: &SyncSpec, memory: &Memory, findings: &Findings, now: Timestamp) -> Duration {
    let (interval, past) = (spec.interval(), &memory.past);
    let left = past.source.at.map_or(interval, |_| past.source.left(interval, now));
    // A run that did not contact the source must not be repeated at once.
    let mut next = if left.is_zero() && !past.source.postponed { interval } else { left };
    if memory.failures > 0 {
        next = next.min(backoff(memory.failures));
    }
    if findings.next.again {
        next = next.min(PAUSE);
    }
    if let Some(sooner) = findings.next.within {
        next = next.min(sooner + SLACK);
    }
    past.drift.next(memory.status.as_ref(), now).map_or(next, |drift| next.min(drift))
}

/// The pause after this number of consecutive failures.
fn backoff(failures: u32) -> Duration {
    PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(PAUSE_LIMIT)
}

#[cfg(test)]
mod tests {
    use holdfast_diff::health::{Health, Status};
    use holdfast_diff::object::{GroupKind, ObjectId};
    use jiff::SignedDuration;
    use serde_json::json;

    use super::*;
    use crate::api::Sync;
    use crate::reconcile::past::{Contact, Past};
    use crate::report::findings::{Ended, Live, Next};
    use crate::report::{Failure, Objects};
    use crate::sync_ref::SyncRef;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn sync() -> Sync {
        let sync = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": "app"},
            "spec": {"interval": "1m", "source": {"git": {"url": "https://git.example.com/config"}}}});
        serde_json::from_value(sync).expect("a Sync")
    }

    fn after(milliseconds: i64) -> Timestamp {
        START + SignedDuration::from_millis(milliseconds)
    }

    /// The findings of a run after which an object is on its way.
    fn on_the_way() -> Findings {
        let object = ObjectId::new(std::sync::Arc::new(GroupKind::new("apps", "Deployment")), "shop", "web");
        let health = Health {
            status: Status::InProgress,
            message: "0 of 1 replicas".to_owned(),
            waits_for_consumer: false,
        };
        let objects = Some(Objects { total: 1, unhealthy: vec![(object, health)] });
        let live = Live { objects, ..Live::default() };
        Findings { live, ..Findings::of(&sync(), &SyncRef::new("shop", "app"), START) }
    }

    fn healthy() -> Findings {
        let objects = Some(Objects { total: 1, unhealthy: Vec::new() });
        Findings { live: Live { objects, ..Live::default() }, ..on_the_way() }
    }

    #[test]
    fn one_report_says_that_objects_are_applied_and_healthy_if_they_are_within_half_a_second() {
        let mut memory = Memory::default();
        assert_eq!(gathered(&mut memory, on_the_way(), START).err(), Some(GATHER));
        assert_eq!(gathered(&mut memory, on_the_way(), after(100)).err(), Some(Duration::from_millis(400)));
        assert!(gathered(&mut memory, healthy(), after(200)).is_ok());
        assert!(memory.unreported.is_none());
    }

    #[test]
    fn objects_that_stay_on_their_way_are_reported_every_five_seconds() {
        let mut memory = Memory::default();
        assert!(gathered(&mut memory, on_the_way(), START).is_err());
        assert!(gathered(&mut memory, on_the_way(), after(500)).is_ok());
        assert_eq!(gathered(&mut memory, on_the_way(), after(1500)).err(), Some(Duration::from_secs(4)));
        assert!(gathered(&mut memory, on_the_way(), after(5500)).is_ok());
    }

    #[test]
    fn a_failure_is_reported_at_once() {
        let failure = Some(Failure::transient("source", "Unreachable", "no answer"));
        let mut memory = Memory::default();
        assert!(
            gathered(
                &mut memory,
                Findings { ended: Ended { failure, ..Ended::default() }, ..on_the_way() },
                START
            )
            .is_ok()
        );
    }

    #[test]
    fn pauses_double_after_failures_and_end_at_two_minutes() {
        let pauses: Vec<u64> = (1..10).map(|failures| backoff(failures).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(backoff(u32::MAX), PAUSE_LIMIT);
    }

    #[test]
    fn the_next_run_is_when_the_interval_ends_or_sooner_if_something_waits() {
        let (sync, findings) = (sync(), healthy());
        let source = Contact { at: Some(START), ..Contact::default() };
        let mut memory = Memory { past: Past { source, ..Past::default() }, ..Memory::default() };
        let next = |memory: &Memory, findings: &Findings, at| next(&sync.spec, memory, findings, at);
        assert_eq!(next(&memory, &findings, after(20_000)), Duration::from_secs(40));
        // A run that did not contact the source is not repeated at once, unless the contact was put off for drift.
        assert_eq!(next(&memory, &findings, after(60_000)), Duration::from_mins(1));
        memory.past.source.postponed = true;
        assert_eq!(next(&memory, &findings, after(60_000)), Duration::ZERO);
        memory.past.source.postponed = false;
        memory.failures = 3;
        assert_eq!(next(&memory, &findings, after(0)), Duration::from_secs(4));
        let again = Findings { next: Next { again: true, within: None }, ..healthy() };
        assert_eq!(next(&memory, &again, after(0)), PAUSE);
    }
}
