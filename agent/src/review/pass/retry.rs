//! The pauses after failures: the first one is 5 seconds, and each further one doubles it, up to 5 minutes. No I/O.

use std::time::{Duration, Instant};

use crate::report::Failure;

/// The pause after a first failure.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest pause, unless a server asks for a longer one.
const LONGEST: Duration = Duration::from_mins(5);

/// Why something failed last, and when it is tried again.
#[derive(Default)]
pub struct Retry {
    trouble: Option<Failure>,
    failures: u32,
    at: Option<Instant>,
}

impl Retry {
    /// True if nothing failed, or the pause is over.
    pub fn is_due(&self) -> bool {
        self.pause().is_none()
    }

    /// How much of the pause is left.
    pub fn pause(&self) -> Option<Duration> {
        self.at?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// The last failure, until a later try succeeds.
    pub fn trouble(&self) -> Option<&Failure> {
        self.trouble.as_ref()
    }

    /// Notes a failure, and how long the server asked to wait.
    pub fn failed(&mut self, failure: Failure, asked: Option<Duration>) {
        let pause = asked.unwrap_or_else(|| PAUSE.saturating_mul(1 << self.failures.min(10)).min(LONGEST));
        self.failures = self.failures.saturating_add(1);
        self.at = Instant::now().checked_add(pause);
        self.trouble = Some(failure);
    }

    pub fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(retry: &mut Retry, asked: Option<Duration>) -> u64 {
        retry.failed(Failure::transient("review", "Unreachable", "no answer"), asked);
        retry.pause().map_or(0, |pause| (pause + Duration::from_millis(999)).as_secs())
    }

    #[test]
    fn pauses_double_and_a_success_ends_them() {
        let mut retry = Retry::default();
        assert!(retry.is_due());
        assert_eq!([fail(&mut retry, None), fail(&mut retry, None)], [5, 10]);
        assert!(!retry.is_due() && retry.trouble().is_some());
        assert_eq!(fail(&mut retry, Some(Duration::from_hours(1))), 3600);
        assert_eq!((0..20).map(|_| fail(&mut retry, None)).max(), Some(LONGEST.as_secs()));
        retry.succeeded();
        assert!(retry.is_due() && retry.trouble().is_none());
    }

    #[test]
    fn an_hour_of_failures_is_a_few_tries_and_its_end_is_noticed_within_minutes() {
        let mut retry = Retry::default();
        let (mut tries, mut waited) = (0, 0);
        while waited < 3600 {
            waited += fail(&mut retry, None);
            tries += 1;
        }
        assert!(tries < 20, "{tries}");
        assert!(retry.pause().is_some_and(|pause| pause <= LONGEST));
    }

    #[test]
    fn a_pause_of_nothing_is_over_at_once_and_the_failure_stays() {
        let mut retry = Retry::default();
        fail(&mut retry, Some(Duration::ZERO));
        assert!(retry.is_due() && retry.trouble().is_some());
    }
}
