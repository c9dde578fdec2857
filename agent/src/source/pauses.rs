//! Servers that requested a pause (`Retry-After`), and until when. No request is sent to them meanwhile. Kept for each
//! server and login, so that a pause for one login does not delay others. No I/O.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

/// The longest pause that is honoured.
const LONGEST: Duration = Duration::from_hours(1);

/// A pause of one server and login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub status: u16,
    pub until: Timestamp,
}

/// All current pauses.
#[derive(Default)]
pub struct Pauses(Mutex<HashMap<String, Pause>>);

impl Pauses {
    /// Returns the pause of a server and login, unless it has ended.
    pub fn of(&self, key: &str, now: Timestamp) -> Option<Pause> {
        self.lock().get(key).copied().filter(|pause| pause.until > now)
    }

    /// Starts a pause.
    pub fn begin(&self, key: &str, status: u16, wait: Duration, now: Timestamp) {
        let until = now.checked_add(wait.min(LONGEST)).unwrap_or(now);
        let mut all = self.lock();
        all.retain(|_, pause| pause.until > now);
        all.insert(key.to_owned(), Pause { status, until });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pause>> {
        self.0.lock()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_of_one_server_and_login_and_ends() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |seconds: i64| now.checked_add(Duration::from_secs(seconds.unsigned_abs())).unwrap();
        let pauses = Pauses::default();
        pauses.begin("a", 429, Duration::from_secs(30), now);
        assert_eq!(pauses.of("a", at(29)), Some(Pause { status: 429, until: at(30) }));
        assert_eq!((pauses.of("a", at(30)), pauses.of("b", now)), (None, None));
        pauses.begin("b", 503, Duration::from_secs(1_000_000), at(60));
        assert_eq!(pauses.of("b", at(61)).map(|pause| pause.until), Some(at(3660)));
        assert_eq!(pauses.lock().len(), 1, "what is over is swept");
    }
}
