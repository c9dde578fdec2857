//! When what a run found is told, and when a Sync runs again. No I/O.

use std::time::{Duration, Instant};

use super::PAUSE;
use crate::memory::{Memory, Unreported};
use crate::reconcile::{Run, drift};
use crate::report::{Done, Findings};

/// How long a report waits for the objects to become healthy.
const GATHER: Duration = Duration::from_millis(500);
/// How often it is told how far objects are that stay on their way.
const PROGRESS: Duration = Duration::from_secs(5);
/// What a clock may be early.
const SLACK: Duration = Duration::from_millis(100);
/// The longest pause after failures in a row; each doubles it.
const PAUSE_LIMIT: Duration = Duration::from_mins(2);

/// Holds back for a moment the report that objects are on their way: mostly they are there before it is written, and one
/// status tells both. While they stay on their way, how far they are is told every few seconds.
pub(super) fn gathered(memory: &mut Memory, mut findings: Findings) -> Result<Findings, Duration> {
    let now = Instant::now();
    let mut since = now;
    if let Some(Unreported { done, warnings, since: first }) = memory.unreported.take() {
        since = first;
        findings.warnings = findings.warnings.or(warnings);
        findings.done = match (done, findings.done) {
            (Some(mut done), Some(newer)) => {
                done.changes.extend(newer.changes);
                Some(Done { id: newer.id, ..done })
            }
            (done, newer) => done.or(newer),
        };
    }
    let on_the_way = findings.on_the_way();
    // Where nobody waits for the objects, how they are is no urgent news.
    let minor = on_the_way || (!findings.wait_for_health && findings.is_well());
    let due = match memory.told {
        Some(told) if minor && findings.done.is_none() => {
            // What is over after a moment is not told at all.
            let gathered = if on_the_way { since + GATHER } else { since };
            gathered.max(told + PROGRESS)
        }
        // Who drifted is told at once.
        _ if on_the_way && findings.corrected().is_empty() => since + GATHER,
        _ => {
            memory.told = minor.then_some(now);
            return Ok(findings);
        }
    };
    if now < due {
        memory.unreported = Some(Unreported { done: findings.done, warnings: findings.warnings, since });
        return Err(due.duration_since(now));
    }
    memory.told = Some(now);
    Ok(findings)
}

/// When a Sync runs again if nothing wakes it.
pub(super) fn next(run: &Run<'_>, memory: &Memory, findings: &Findings) -> Duration {
    let interval = run.sync.spec.interval();
    let left = interval.saturating_sub(memory.looked.map_or(Duration::ZERO, |looked| looked.elapsed()));
    // A run that did not come as far as git must not be repeated at once.
    let mut next = if left.is_zero() && !memory.postponed { interval } else { left };
    if memory.failures > 0 {
        let failures = memory.failures.saturating_sub(1).min(10);
        next = next.min(PAUSE.saturating_mul(1 << failures).min(PAUSE_LIMIT));
    }
    if findings.again {
        next = next.min(PAUSE);
    }
    if let Some(sooner) = findings.next {
        next = next.min(sooner + SLACK);
    }
    drift::next(memory).map_or(next, |drift| next.min(drift))
}
