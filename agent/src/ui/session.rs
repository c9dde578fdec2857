//! Who has signed in with a token. The token stays on the server: the browser has an identifier that nobody can guess.
//!
//! Bounded in number and time. No I/O; the time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::seal::random;
use crate::cluster::people::Person;

/// Sessions at the same time. A further one takes the place of the one that was not used for the longest time.
const MOST: usize = 1024;
/// How long a session lasts, and how long without use.
const LIFE: Duration = Duration::from_hours(8);
const IDLE: Duration = Duration::from_hours(1);
/// How long an answer of the API server about a token counts. It may have been revoked since.
const FRESH: Duration = Duration::from_secs(30);

/// Under which a session is kept: a digest, so that what is kept opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// All sessions.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<Key, Session>>);

struct Session {
    person: Person,
    token: Zeroizing<String>,
    made: Instant,
    used: Instant,
    checked: Instant,
}

/// A session that has not ended.
pub struct Found {
    pub person: Person,
    pub token: Zeroizing<String>,
    /// False if the API server must be asked about the token again.
    pub is_fresh: bool,
}

impl Key {
    /// The session of an identifier in a cookie.
    pub fn of_cookie(id: &str) -> Self {
        Self::of("cookie", id)
    }

    /// The session of a token in a header.
    pub fn of_bearer(token: &str) -> Self {
        Self::of("bearer", token)
    }

    fn of(kind: &str, text: &str) -> Self {
        Self(Sha256::new().chain_update(kind).chain_update([0]).chain_update(text).finalize().into())
    }

    /// The name of the session in proofs.
    pub fn name(&self) -> String {
        hex::encode(self.0)
    }
}

/// A new identifier for a cookie.
pub fn identifier() -> String {
    hex::encode(random())
}

impl Sessions {
    /// Begins a session, or notes that its token is still valid.
    pub fn keep(&self, key: Key, person: Person, token: Zeroizing<String>, now: Instant) {
        let mut all = self.0.lock();
        all.retain(|_, session| session.lasts(now));
        if all.len() >= MOST
            && !all.contains_key(&key)
            && let Some(oldest) = all.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key)
        {
            all.remove(&oldest);
        }
        let made = all.get(&key).map_or(now, |session| session.made);
        all.insert(key, Session { person, token, made, used: now, checked: now });
    }

    /// The session of a key, if it lasts.
    pub fn find(&self, key: Key, now: Instant) -> Option<Found> {
        let mut all = self.0.lock();
        let Some(session) = all.get_mut(&key).filter(|session| session.lasts(now)) else {
            all.remove(&key);
            return None;
        };
        session.used = now;
        Some(Found {
            person: session.person.clone(),
            token: session.token.clone(),
            is_fresh: now.saturating_duration_since(session.checked) < FRESH,
        })
    }

    /// Ends a session.
    pub fn end(&self, key: Key) {
        self.0.lock().remove(&key);
    }
}

impl Session {
    fn lasts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.made) < LIFE && now.saturating_duration_since(self.used) < IDLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str) -> Person {
        Person { name: name.to_owned(), ..Person::default() }
    }

    fn token() -> Zeroizing<String> {
        Zeroizing::new("token".to_owned())
    }

    #[test]
    fn a_session_ends_when_it_is_old_or_idle_and_is_checked_again_meanwhile() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let key = Key::of_cookie("a");
        sessions.keep(key, person("alice"), token(), start);
        let at = |after: Duration| sessions.find(key, start + after).map(|found| found.is_fresh);
        assert_eq!(at(Duration::ZERO), Some(true));
        assert_eq!(at(FRESH), Some(false));
        for hour in 1..8 {
            let before = Duration::from_hours(hour).saturating_sub(Duration::from_mins(30));
            assert!(at(before).is_some() && at(Duration::from_hours(hour)).is_some(), "{hour}");
        }
        assert_eq!(at(LIFE), None);
        sessions.keep(key, person("alice"), token(), start);
        assert_eq!(at(IDLE), None);
        assert!(sessions.find(Key::of_bearer("a"), start).is_none());
    }

    #[test]
    fn ten_thousand_sessions_leave_the_newest_ones() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        for at in 0..10_000_u32 {
            let now = start + Duration::from_millis(u64::from(at));
            sessions.keep(Key::of_cookie(&at.to_string()), person("bob"), token(), now);
        }
        assert_eq!(sessions.0.lock().len(), MOST);
        let now = start + Duration::from_secs(10);
        assert!(sessions.find(Key::of_cookie("9999"), now).is_some());
        assert!(sessions.find(Key::of_cookie("0"), now).is_none());
    }
}
