//! Limits the requests to a host: concurrent ones, those in a second, and none during a pause that the host requests.
//!
//! The limits are kept for each lane: a tenant, its credentials, and the connection settings. No lane waits for another
//! one, so a permit of a lane may be held during a request. I/O: time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::digest::Digest;
use http::HeaderMap;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Rate, RequestError};
use crate::http::retry_after as asked;

/// The longest pause that is honoured.
const LONGEST: Duration = Duration::from_hours(1);
/// Maximum number of hosts that are kept for one tenant. A host that redirects can name any number of others.
const HOSTS: usize = 200;
/// Time for which an unused host is kept.
const KEPT: Duration = Duration::from_hours(1);
/// Interval at which unused hosts are removed.
const SWEEP: Duration = Duration::from_mins(1);

/// Identifies the requests that share limits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The namespace on whose behalf requests are sent.
    pub tenant: Arc<str>,
    /// The credentials, the certificates, and whether TLS is used.
    pub way: Digest,
}

/// The limits of all hosts.
pub struct Hosts {
    concurrency: usize,
    /// Maximum number of requests in a second.
    rate: u32,
    known: Mutex<Table>,
}

/// The hosts of a tenant, by their names and connection settings.
type Ways = HashMap<(String, Digest), Arc<Host>>;

struct Table {
    tenants: HashMap<Arc<str>, Ways>,
    swept: Instant,
}

struct Host {
    slots: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    /// The time of the next request at an even rate.
    next: Instant,
    /// The end of a pause, and its reason.
    blocked: Option<(Instant, RequestError)>,
    rate: Option<Rate>,
    used: Instant,
}

impl Hosts {
    pub fn new(concurrency: usize, rate: u32) -> Self {
        let known = Table { tenants: HashMap::new(), swept: Instant::now() };
        Self { concurrency: concurrency.max(1), rate: rate.max(1), known: Mutex::new(known) }
    }

    /// Waits until a request may be sent. Fails if the pause of the host is longer than `patience`.
    pub async fn turn(
        &self,
        lane: &Lane,
        name: &str,
        patience: Duration,
    ) -> Result<OwnedSemaphorePermit, RequestError> {
        let host = self.host(lane, name);
        host.free(Instant::now(), patience)?;
        let Ok(permit) = host.slots.clone().acquire_owned().await else {
            return Err(RequestError::Client("a semaphore is closed".to_owned()));
        };
        // A pause may have started meanwhile.
        let now = Instant::now();
        let wait = host.free(now, patience)?.max(host.evenly(now, self.rate));
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(permit)
    }

    /// Records the rate limit of a response.
    pub fn record_limit(&self, lane: &Lane, name: &str, headers: &HeaderMap) {
        if let Some(rate) = Rate::read(headers) {
            self.host(lane, name).state().rate = Some(rate);
        }
    }

    /// Starts a pause of a host. Requests of the same lane fail with this reason meanwhile.
    pub fn block(&self, lane: &Lane, name: &str, wait: Duration, why: RequestError) {
        self.host(lane, name).state().blocked = Some((Instant::now() + wait, why));
    }

    /// Returns the rate limit that each host reported last; of several lanes, the one with the fewest remaining
    /// requests.
    pub fn rates(&self) -> HashMap<String, Rate> {
        let mut least: HashMap<String, Rate> = HashMap::new();
        for ((name, _), host) in self.lock().tenants.values().flatten() {
            let Some(rate) = host.state().rate else { continue };
            let kept = least.entry(name.clone()).or_insert(rate);
            if rate.remaining < kept.remaining {
                *kept = rate;
            }
        }
        least
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.known.lock()
    }

    fn host(&self, lane: &Lane, name: &str) -> Arc<Host> {
        let now = Instant::now();
        let mut known = self.lock();
        known.sweep(now);
        let hosts = known.tenants.entry(lane.tenant.clone()).or_default();
        let key = (name.to_owned(), lane.way);
        if let Some(host) = hosts.get(&key) {
            host.state().used = now;
            return host.clone();
        }
        if hosts.len() >= HOSTS {
            drop_one(hosts, now);
        }
        let state = State { next: now, blocked: None, rate: None, used: now };
        let slots = Arc::new(Semaphore::new(self.concurrency));
        let host = Arc::new(Host { slots, state: Mutex::new(state) });
        hosts.insert(key, host.clone());
        host
    }
}

impl Table {
    /// Removes hosts that were not used for a while, and tenants without hosts.
    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        self.tenants.retain(|_, hosts| {
            hosts.retain(|_, host| {
                Arc::strong_count(host) > 1 || {
                    let state = host.state();
                    state.is_blocked(now) || now.saturating_duration_since(state.used) < KEPT
                }
            });
            !hosts.is_empty()
        });
    }
}

/// Removes one host of a tenant: the least recently used one without a pause, or else the one whose pause ends first.
fn drop_one(hosts: &mut Ways, now: Instant) {
    let loss = |host: &Arc<Host>| {
        let state = host.state();
        let pause = state.blocked.as_ref().map(|(until, _)| *until).filter(|until| *until > now);
        (pause, state.used)
    };
    let least = hosts.iter().min_by_key(|(_, host)| loss(host)).map(|(key, _)| key.clone());
    least.map(|key| hosts.remove(&key));
}

impl State {
    fn is_blocked(&self, now: Instant) -> bool {
        self.blocked.as_ref().is_some_and(|(until, _)| *until > now)
    }
}

impl Host {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Returns the time until the host may be requested.
    fn free(&self, now: Instant, patience: Duration) -> Result<Duration, RequestError> {
        let mut state = self.state();
        let Some((until, why)) = &state.blocked else { return Ok(Duration::ZERO) };
        let wait = until.saturating_duration_since(now);
        if wait.is_zero() {
            state.blocked = None;
            return Ok(wait);
        }
        if wait <= patience && !matches!(why, RequestError::Unreachable { .. }) {
            return Ok(wait);
        }
        Err(why.clone().within(wait))
    }

    /// Returns the time until the next request at the rate limit; the requests of one second may be sent at once.
    fn evenly(&self, now: Instant, rate: u32) -> Duration {
        let mut state = self.state();
        let burst = Duration::from_secs(1);
        let next = state.next.max(now.checked_sub(burst).unwrap_or(now));
        state.next = next + burst / rate;
        next.saturating_duration_since(now)
    }
}

/// Returns the pause that a host requests, up to a maximum.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    asked(headers, now).map(|wait| wait.min(LONGEST))
}

/// Returns the pause before the next attempt: twice as long each time, a random part of its upper half. `chance` is
/// from 0 to 1.
pub fn backoff(first: Duration, tries: u32, chance: f64) -> Duration {
    let longest = first.saturating_mul(2_u32.saturating_pow(tries.min(10)));
    longest.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(tenant: &str, way: &str) -> Lane {
        Lane { tenant: tenant.into(), way: Digest::of_bytes(way.as_bytes()) }
    }

    fn limited() -> RequestError {
        RequestError::RateLimited { host: "a".to_owned(), after: None }
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
        let host = hosts.host(&lane("t", ""), "a");
        let start = Instant::now() + Duration::from_secs(10);
        let waits: Vec<Duration> = (0..13).map(|_| host.evenly(start, 10)).collect();
        assert!(waits[..11].iter().all(Duration::is_zero), "{waits:?}");
        assert_eq!(waits[11..], [Duration::from_millis(100), Duration::from_millis(200)]);
        let other = hosts.host(&lane("u", ""), "a");
        assert!(other.evenly(start, 10).is_zero(), "the turns of a tenant are its own");
    }

    #[test]
    fn a_tenant_has_no_more_hosts_than_its_own_and_displaces_none_of_another() {
        let hosts = Hosts::new(1, 10);
        hosts.block(&lane("other", ""), "a", Duration::from_mins(1), limited());
        hosts.block(&lane("t", ""), "long", Duration::from_hours(1), limited());
        for at in 0..2000 {
            hosts.block(&lane("t", ""), &format!("host-{at}"), Duration::from_mins(1), limited());
        }
        let kept = |tenant: &str| hosts.lock().tenants.get(tenant).map_or(0, HashMap::len);
        assert_eq!((kept("t"), kept("other")), (HOSTS, 1));
        assert!(hosts.host(&lane("t", ""), "long").free(Instant::now(), Duration::ZERO).is_err());
    }

    #[test]
    fn tenants_and_hosts_that_are_not_asked_any_more_are_forgotten() {
        let hosts = Hosts::new(1, 10);
        let now = Instant::now();
        hosts.block(&lane("blocked", ""), "a", KEPT * 3, limited());
        hosts.host(&lane("idle", ""), "a");
        let held = hosts.host(&lane("held", ""), "a");
        let tenants = |later: Duration| {
            let mut known = hosts.lock();
            known.sweep(now + later);
            known.tenants.len()
        };
        assert_eq!(tenants(KEPT / 2), 3);
        assert_eq!(tenants(KEPT * 2), 2);
        drop(held);
        assert_eq!(tenants(KEPT * 4), 0);
    }

    #[test]
    fn a_pause_holds_for_its_lane_alone() {
        let hosts = Hosts::new(1, 10);
        let own = lane("t", "login");
        hosts.block(&own, "a", Duration::from_mins(1), limited());
        let now = Instant::now();
        let free = |lane: &Lane, name: &str| hosts.host(lane, name).free(now, Duration::from_secs(10));
        let error = free(&own, "a").err();
        let wait = error.and_then(|error| error.retry_after());
        assert!(wait.is_some_and(|wait| wait > Duration::from_secs(50)), "{wait:?}");
        for (other, name) in [(lane("u", "login"), "a"), (lane("t", "another"), "a"), (own.clone(), "b")] {
            assert!(free(&other, name).is_ok_and(|wait| wait.is_zero()), "{other:?} {name}");
        }
        let host = hosts.host(&own, "a");
        assert!(host.free(now, Duration::from_secs(100)).is_ok_and(|wait| wait > Duration::from_secs(50)));
        assert!(host.free(now + Duration::from_secs(61), Duration::ZERO).is_ok_and(|wait| wait.is_zero()));
        let down = RequestError::Unreachable { host: "a".to_owned(), said: String::new() };
        hosts.block(&own, "a", Duration::from_secs(5), down);
        assert!(host.free(now, Duration::from_secs(100)).is_err(), "waiting for it is of no use");
    }
}
