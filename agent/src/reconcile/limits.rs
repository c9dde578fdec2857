//! What ends a run early: its timeout, a change or the deletion of its Sync, the end of the process.
//!
//! Work that can be dropped is dropped at once. A write that has begun is finished, and no other one begins. No I/O.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::report::Failure;

/// The reason of a run that ended because a newer one is due. It is not reported.
pub const SUPERSEDED: &str = "Superseded";

/// Added to the limit of the run, so that a stage with the same limit ends first and reports what it waited for.
const SPARE: Duration = Duration::from_secs(1);

/// The limits of one run. The default ones are never reached.
#[derive(Default)]
pub struct Limits {
    superseded: CancellationToken,
    end: Option<(Instant, Duration)>,
    /// The fields of the Sync that were reduced to the limits of the installation.
    pub shortened: Option<String>,
}

impl Limits {
    /// Creates the limits of a run that ends when its Sync has changed, and after `limit`.
    pub fn new(superseded: CancellationToken, limit: Duration, shortened: Option<String>) -> Self {
        let end = Instant::now().checked_add(limit.saturating_add(SPARE)).map(|end| (end, limit));
        Self { superseded, end, shortened }
    }

    /// Waits for work that may be dropped at any moment.
    pub async fn wait<T, E: Into<Failure>>(
        &self,
        stage: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        let late = async {
            match self.end {
                Some((end, _)) => tokio::time::sleep_until(end.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            done = work => done.map_err(Into::into),
            () = self.superseded.cancelled() => Err(superseded()),
            () = late => Err(self.timeout(stage)),
        }
    }

    /// As [`Self::wait`], for work that does not fail.
    pub async fn run<T>(&self, stage: &'static str, work: impl Future<Output = T>) -> Result<T, Failure> {
        self.wait(stage, async { Ok::<_, Failure>(work.await) }).await
    }

    /// True if a newer run is due.
    pub fn is_superseded(&self) -> bool {
        self.superseded.is_cancelled()
    }

    /// Returns why no other write may begin; `None` if it may.
    pub fn reached(&self) -> Option<String> {
        if self.superseded.is_cancelled() {
            return Some("the Sync has changed, or the agent is shutting down".to_owned());
        }
        let (_, limit) = self.end.filter(|(end, _)| *end <= Instant::now())?;
        Some(over(limit))
    }

    fn timeout(&self, stage: &'static str) -> Failure {
        let limit = self.end.map(|(_, limit)| limit).unwrap_or_default();
        Failure::transient(stage, "Timeout", over(limit))
    }
}

fn over(limit: Duration) -> String {
    format!("the run took longer than spec.timeout ({} s); the next run continues", limit.as_secs())
}

fn superseded() -> Failure {
    Failure::transient("reconcile", SUPERSEDED, "the Sync has changed")
}

/// True if a run ended because a newer one is due.
pub fn is_superseded(failure: &Failure) -> bool {
    failure.reason == SUPERSEDED
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn forever() -> Result<(), Failure> {
        std::future::pending().await
    }

    #[tokio::test]
    async fn what_waits_is_dropped_when_the_sync_changes() {
        let changed = CancellationToken::new();
        let limits = Limits::new(changed.clone(), Duration::from_mins(5), None);
        assert!(limits.reached().is_none());
        changed.cancel();
        let ended = limits.wait("source", forever()).await;
        assert!(ended.is_err_and(|failure| is_superseded(&failure)));
        assert!(limits.reached().is_some());
    }

    #[tokio::test]
    async fn a_run_ends_after_its_time_and_names_the_stage() {
        let limits = Limits::new(CancellationToken::new(), Duration::ZERO, None);
        let ended = limits.wait("observe", forever()).await.err();
        assert!(ended.is_some_and(|failure| failure.stage == "observe" && failure.reason == "Timeout"));
        assert!(limits.reached().is_some_and(|why| why.contains("spec.timeout")));
    }
}
