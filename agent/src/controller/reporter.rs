//! Reports what a run is doing while it goes on: in the metrics at once, in the status after the first second, at most once in
//! five seconds. A shorter run writes nothing of it. While many Syncs run, as after a start, the first report comes later: the
//! writes would slow down the work that they report.
//!
//! I/O: status writes.

use std::pin::pin;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::warn;

use super::memory::{Runs, Shown};
use crate::api::SyncStatus;
use crate::cluster::refusal::chain;
use crate::progress::POLLING;
use crate::reconcile::Run;
use crate::reconcile::past::since;
use crate::report::{progress, write};

/// Time after which the progress of a run is reported.
const FIRST: Duration = Duration::from_millis(900);
/// How much later that is for each run at the same time.
const EACH: Duration = Duration::from_millis(15);
/// The same for a poll of the source, which mostly changes nothing.
const POLL: Duration = Duration::from_secs(5);
/// The shortest time between two writes.
const PACE: Duration = Duration::from_secs(5);
/// Time between two checks of a run.
const LOOK: Duration = Duration::from_millis(500);

/// Waits for the work of a run, one of `runs` at the same time, and reports its progress meanwhile. `shown` is the status on the
/// server if it reports progress, and `written` is when progress was written last.
pub(super) async fn accompany<T>(
    (run, runs): (&Run<'_>, &Runs),
    shown: &mut Option<Shown>,
    written: &mut Option<Timestamp>,
    work: impl Future<Output = T>,
) -> T {
    let begun = Instant::now();
    let mut work = pin!(work);
    let mut look = begun + FIRST;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep_until(look.into()) => {}
        }
        look = Instant::now() + LOOK;
        let first = FIRST + EACH * u32::try_from(runs.count()).unwrap_or(u32::MAX).saturating_sub(1);
        let Some((after, said)) = due(run, shown.as_ref(), *written, (begun, first)) else { continue };
        let on_server = shown.as_ref().map_or(run.at.status, |shown| &shown.status).clone();
        let client = run.services.cluster.clients.own();
        let writing = write::write(&client, run.at.owner, &on_server, &after);
        let (result, ended) = both(writing, &mut work).await;
        let status = match result {
            Ok(()) => after,
            Err(error) => {
                warn!(sync = %run.at.owner, stage = "report", error = %chain(&error), "Cannot write the progress of a run; retrying");
                progress::doubtful(&on_server)
            }
        };
        *shown = Some(Shown { status, said });
        *written = Some(Timestamp::now());
        if let Some(done) = ended {
            return done;
        }
    }
}

/// Waits for a write, and returns the result of the work if it has ended by then. The write is not dropped: the status of
/// progress must be written before that of the result.
async fn both<W, T>(
    writing: impl Future<Output = W>,
    work: &mut (impl Future<Output = T> + Unpin),
) -> (W, Option<T>) {
    let mut writing = pin!(writing);
    let mut ended = None;
    loop {
        tokio::select! {
            biased;
            done = &mut *work, if ended.is_none() => ended = Some(done),
            written = &mut writing => return (written, ended),
        }
    }
}

/// Returns the status with the progress of the run, if it is due to be written: a while after it has begun at first.
fn due(
    run: &Run<'_>,
    shown: Option<&Shown>,
    written: Option<Timestamp>,
    (begun, first): (Instant, Duration),
) -> Option<(SyncStatus, String)> {
    let step = run.progress.step();
    if step.is(POLLING) && begun.elapsed() < POLL {
        return None;
    }
    let before = shown.and_then(|shown| shown.status.progress.as_ref()).or(run.at.status.progress.as_ref());
    let now = progress::of(&step, before, run.at.now);
    run.services.metrics.progress(run.at.owner, &now);
    let said = now.message.clone();
    if written.is_some_and(|written| since(written, Timestamp::now()) < PACE)
        || shown.is_some_and(|shown| shown.said == said)
        || begun.elapsed() < first
    {
        return None;
    }
    let generation = run.at.sync.metadata.generation.unwrap_or_default();
    let after = progress::shown(run.at.status, &step, now, generation, Timestamp::now());
    let (was, is) = (ready(run.at.status), ready(&after));
    if was && !is {
        // Its dependents are woken when it is ready again.
        run.services.peers.report(run.at.owner, "", false);
    }
    Some((after, said))
}

fn ready(status: &SyncStatus) -> bool {
    crate::api::conditions::is_true(&status.conditions, crate::api::conditions::READY)
}
