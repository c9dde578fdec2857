//! How fast a host is asked: so many requests at the same time, so many a second, none while it wants to be left alone;
//! and what it says of its limits. I/O: time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Trouble;

/// How long a host may ask to be left alone.
const LONGEST: Duration = Duration::from_hours(1);

/// Hosts that are remembered. Of those beyond, only what still holds is kept.
const HOSTS: usize = 500;

/// What a host says of how much may still be asked, as Docker Hub does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub remaining: u64,
    pub limit: Option<u64>,
    /// For which time the limit is.
    pub window: Option<Duration>,
}

/// All hosts that were asked.
pub struct Hosts {
    concurrency: usize,
    /// How many requests a second.
    rate: u32,
    known: Mutex<HashMap<String, Arc<Host>>>,
}

pub struct Host {
    slots: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    /// When the host would be asked next if it were asked evenly.
    next: Instant,
    /// Until when it is left alone, and why.
    blocked: Option<(Instant, Trouble)>,
    rate: Option<Rate>,
}

impl Hosts {
    pub fn new(concurrency: usize, rate: u32) -> Self {
        Self { concurrency: concurrency.max(1), rate: rate.max(1), known: Mutex::default() }
    }

    /// Waits for a turn. A host that wants to be left alone for longer than `patience` is not asked.
    pub async fn turn(&self, name: &str, patience: Duration) -> Result<OwnedSemaphorePermit, Trouble> {
        let host = self.host(name);
        host.free(Instant::now(), patience)?;
        let Ok(permit) = host.slots.clone().acquire_owned().await else {
            return Err(Trouble::Client("a semaphore is closed".to_owned()));
        };
        // What happened while it waited counts too.
        let now = Instant::now();
        let wait = host.free(now, patience)?.max(host.evenly(now, self.rate));
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(permit)
    }

    /// Keeps what an answer says of limits.
    pub fn heard(&self, name: &str, headers: &HeaderMap) {
        if let Some(rate) = rate(headers) {
            self.host(name).state().rate = Some(rate);
        }
    }

    /// Leaves a host alone for a time. Whoever asks meanwhile hears why.
    pub fn block(&self, name: &str, wait: Duration, why: Trouble) {
        self.host(name).state().blocked = Some((Instant::now() + wait, why));
    }

    pub fn rate(&self, name: &str) -> Option<Rate> {
        let hosts = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(name).and_then(|host| host.state().rate)
    }

    pub fn rates(&self) -> Vec<(String, Rate)> {
        let hosts = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.iter().filter_map(|(name, host)| Some((name.clone(), host.state().rate?))).collect()
    }

    fn host(&self, name: &str) -> Arc<Host> {
        let mut hosts = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return host.clone();
        }
        if hosts.len() >= HOSTS {
            let now = Instant::now();
            hosts.retain(|_, host| Arc::strong_count(host) > 1 || host.state().is_blocked(now));
        }
        let state = State { next: Instant::now(), blocked: None, rate: None };
        let slots = Arc::new(Semaphore::new(self.concurrency));
        let host = Arc::new(Host { slots, state: Mutex::new(state) });
        hosts.insert(name.to_owned(), host.clone());
        host
    }
}

impl State {
    fn is_blocked(&self, now: Instant) -> bool {
        self.blocked.as_ref().is_some_and(|(until, _)| *until > now)
    }
}

impl Host {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait until the host wants to be asked.
    fn free(&self, now: Instant, patience: Duration) -> Result<Duration, Trouble> {
        let mut state = self.state();
        let Some((until, why)) = &state.blocked else { return Ok(Duration::ZERO) };
        let wait = until.saturating_duration_since(now);
        if wait.is_zero() {
            state.blocked = None;
            return Ok(wait);
        }
        if wait <= patience && matches!(why, Trouble::RateLimited { .. }) {
            return Ok(wait);
        }
        Err(match why.clone() {
            Trouble::RateLimited { host, .. } => Trouble::RateLimited { host, after: Some(wait) },
            other => other,
        })
    }

    /// How long to wait for one's turn: those of one second may come at once.
    fn evenly(&self, now: Instant, rate: u32) -> Duration {
        let mut state = self.state();
        let burst = Duration::from_secs(1);
        let next = state.next.max(now.checked_sub(burst).unwrap_or(now));
        state.next = next + burst / rate;
        next.saturating_duration_since(now)
    }
}

/// `ratelimit-remaining: 76;w=21600`, and the same of the limit.
fn rate(headers: &HeaderMap) -> Option<Rate> {
    let read = |name: &str| {
        let (count, rest) = {
            let text = headers.get(name)?.to_str().ok()?;
            text.split_once(';').unwrap_or((text, ""))
        };
        let window = rest.split(';').find_map(|part| part.trim().strip_prefix("w=")?.parse().ok());
        Some((count.trim().parse().ok()?, window.map(Duration::from_secs)))
    };
    let (remaining, window) = read("ratelimit-remaining")?;
    let limit = read("ratelimit-limit");
    Some(Rate {
        remaining,
        limit: limit.map(|(limit, _)| limit),
        window: window.or(limit.and_then(|(_, window)| window)),
    })
}

/// How long a host asks to be left alone: seconds or a date (RFC 9110).
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => rfc2822::parse(text).ok()?.timestamp().duration_since(now).try_into().ok()?,
    };
    Some(wait.min(LONGEST))
}

/// How long to wait before the next try: twice as long each time, somewhere in the upper half of it. `chance` is from 0
/// to 1.
pub fn backoff(first: Duration, tries: u32, chance: f64) -> Duration {
    let longest = first.saturating_mul(2_u32.saturating_pow(tries.min(10)));
    longest.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_docker_hub_says_of_its_limits_is_read() {
        let window = Some(Duration::from_hours(6));
        for (pairs, expected) in [
            (
                &[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "76;w=21600")][..],
                Some(Rate { remaining: 76, limit: Some(100), window }),
            ),
            (&[("ratelimit-remaining", "0")], Some(Rate { remaining: 0, limit: None, window: None })),
            (&[("ratelimit-limit", "100;w=21600")], None),
            (&[("ratelimit-remaining", "many")], None),
        ] {
            assert_eq!(rate(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("0", Some(0)),
            (" 5 ", Some(5)),
            ("86400", Some(3600)),
            ("-1", None),
            ("soon", None),
            ("Thu, 01 Jan 2026 00:01:00 GMT", Some(60)),
            ("Wed, 31 Dec 2025 23:59:00 GMT", None),
        ] {
            let found = retry_after(&headers(&[("retry-after", text)]), now);
            assert_eq!(found, expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn each_wait_is_longer_and_left_to_chance() {
        let second = Duration::from_secs(1);
        assert_eq!(backoff(second, 0, 0.0), second / 2);
        assert_eq!(backoff(second, 0, 1.0), second);
        assert_eq!(backoff(second, 2, 0.5), second * 3);
        assert!(backoff(second, 1000, 2.0) <= second * 1024);
    }

    #[test]
    fn a_second_of_requests_goes_at_once_and_the_rest_evenly() {
        let hosts = Hosts::new(1, 10);
        let host = hosts.host("a");
        let start = Instant::now() + Duration::from_secs(10);
        let waits: Vec<Duration> = (0..13).map(|_| host.evenly(start, 10)).collect();
        assert!(waits[..11].iter().all(Duration::is_zero), "{waits:?}");
        assert_eq!(waits[11..], [Duration::from_millis(100), Duration::from_millis(200)]);
    }

    #[test]
    fn hosts_that_come_and_go_leave_no_more_than_what_still_holds() {
        let hosts = Hosts::new(1, 10);
        hosts.block(
            "blocked",
            Duration::from_mins(1),
            Trouble::RateLimited { host: "blocked".to_owned(), after: None },
        );
        for at in 0..2000 {
            hosts.host(&format!("host-{at}"));
        }
        let known = hosts.known.lock().unwrap();
        assert!(known.len() <= HOSTS && known.contains_key("blocked"), "{}", known.len());
    }

    #[test]
    fn a_host_that_wants_to_be_left_alone_is() {
        let hosts = Hosts::new(1, 10);
        let limited = || Trouble::RateLimited { host: "a".to_owned(), after: None };
        hosts.block("a", Duration::from_mins(1), limited());
        let host = hosts.host("a");
        let now = Instant::now();
        let error = host.free(now, Duration::from_secs(10)).unwrap_err();
        assert!(error.retry_after().is_some_and(|wait| wait > Duration::from_secs(50)), "{error}");
        assert!(host.free(now, Duration::from_secs(100)).is_ok_and(|wait| wait > Duration::from_secs(50)));
        assert!(host.free(now + Duration::from_secs(61), Duration::ZERO).is_ok_and(|wait| wait.is_zero()));
        let down = Trouble::Unreachable { host: "a".to_owned(), said: String::new() };
        hosts.block("a", Duration::from_secs(5), down);
        assert!(host.free(now, Duration::from_secs(100)).is_err(), "there is no use in waiting for it");
    }
}
