//! When a login may be used: not while its forge asked it to wait, and for writes at intervals, so many an hour.
//!
//! GitHub blocks a client for longer if it sends requests before the end of a wait, and allows one write a second and 500 an hour
//! (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>). Pure: the time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How long a login is not used if its forge limits requests and does not say for how long. Doubled each time.
const UNKNOWN: Duration = Duration::from_mins(1);
/// The longest time that a login is not used without a request that finds out whether it may be.
pub const LONGEST: Duration = Duration::from_hours(1);
/// The period for which writes are counted.
const PERIOD: Duration = Duration::from_hours(1);

/// How fast a login may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// The time from the end of one write to the next.
    pub gap: Duration,
    /// Writes in an hour.
    pub hourly: usize,
}

/// What is known about the use of a login.
#[derive(Debug, Default)]
pub struct Pace {
    /// When it may be used again.
    closed: Option<Instant>,
    /// How often it was asked to wait without a time, one after the other.
    strikes: u32,
    /// When it wrote, within the last period.
    writes: VecDeque<Instant>,
}

impl Pace {
    /// How long the login is not to be used, if it is not.
    pub fn busy(&self, now: Instant) -> Option<Duration> {
        let left = self.closed?.checked_duration_since(now)?;
        (!left.is_zero()).then_some(left)
    }

    /// Notes that the forge limits requests; how long the login is not used.
    pub fn refuse(&mut self, now: Instant, after: Option<Duration>) -> Duration {
        let wait = after.unwrap_or_else(|| {
            let wait = UNKNOWN.saturating_mul(1 << self.strikes.min(6));
            self.strikes += 1;
            wait
        });
        let wait = wait.min(LONGEST);
        self.closed = Some(self.closed.map_or(now + wait, |closed| closed.max(now + wait)));
        wait
    }

    /// Notes that a request was answered.
    pub fn answered(&mut self) {
        self.strikes = 0;
    }

    /// When the next write may be sent: how long to wait for it now, or, as an error, for how long there are too many.
    pub fn turn(&mut self, now: Instant, speed: Speed) -> Result<Duration, Duration> {
        while self.writes.front().is_some_and(|first| now.duration_since(*first) >= PERIOD) {
            self.writes.pop_front();
        }
        if let Some(first) = self.writes.front().filter(|_| self.writes.len() >= speed.hourly) {
            return Err(PERIOD.saturating_sub(now.duration_since(*first)));
        }
        let last = self.writes.back();
        Ok(last.map_or(Duration::ZERO, |last| speed.gap.saturating_sub(now.duration_since(*last))))
    }

    /// Notes a write.
    pub fn wrote(&mut self, now: Instant) {
        self.writes.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEED: Speed = Speed { gap: Duration::from_secs(1), hourly: 3 };

    fn at(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[test]
    fn writes_are_a_second_apart_and_limited_for_an_hour() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        assert_eq!(pace.turn(begin, SPEED), Ok(Duration::ZERO));
        pace.wrote(begin);
        assert_eq!(pace.turn(begin, SPEED), Ok(Duration::from_secs(1)));
        assert_eq!(pace.turn(at(begin, 2), SPEED), Ok(Duration::ZERO));
        pace.wrote(at(begin, 2));
        pace.wrote(at(begin, 4));
        assert_eq!(pace.turn(at(begin, 600), SPEED), Err(Duration::from_mins(50)));
        assert_eq!(pace.turn(at(begin, 3600), SPEED), Ok(Duration::ZERO));
    }

    #[test]
    fn a_login_is_not_used_for_as_long_as_its_forge_asks() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        assert_eq!(pace.busy(begin), None);
        assert_eq!(pace.refuse(begin, Some(Duration::from_secs(30))), Duration::from_secs(30));
        assert_eq!(pace.busy(at(begin, 10)), Some(Duration::from_secs(20)));
        assert_eq!(pace.busy(at(begin, 30)), None);
        assert_eq!(pace.refuse(begin, Some(Duration::from_hours(9))), LONGEST);
    }

    #[test]
    fn the_wait_doubles_while_the_forge_names_no_time() {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let waits: Vec<u64> = (0..8).map(|_| pace.refuse(begin, None).as_secs()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
        pace.answered();
        assert_eq!(pace.refuse(begin, None), UNKNOWN);
    }
}
