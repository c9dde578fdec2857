//! Does a ServiceAccount exist? Impersonation works without one, with whatever is bound to its name, so a name that is
//! misspelt, or an account that was deleted, would not be noticed. And is its namespace being deleted, and its rights with it?
//!
//! I/O: API reads, one for each account in a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{Api, Client};
use parking_lot::Mutex;

use crate::identity::Identity;

/// How long an account that exists is not asked for again.
const KNOWN: Duration = Duration::from_mins(10);
/// How long an account that is missing is not asked for again.
const MISSING: Duration = Duration::from_secs(10);

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Remembers which ServiceAccounts exist.
pub struct Accounts {
    client: Client,
    known: Mutex<HashMap<Identity, (Instant, bool)>>,
}

impl Accounts {
    pub fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// True if an identity is a ServiceAccount that surely does not exist.
    pub async fn is_missing(&self, identity: &Identity) -> bool {
        self.is_missing_since(identity, KNOWN).await
    }

    /// The same, of an identity that was just refused a request: what is remembered of an account that exists may be old.
    pub async fn is_missing_now(&self, identity: &Identity) -> bool {
        self.is_missing_since(identity, MISSING).await
    }

    async fn is_missing_since(&self, identity: &Identity, known: Duration) -> bool {
        let Identity::ServiceAccount { namespace, name } = identity else { return false };
        if let Some(exists) = self.remembered(identity, known, Instant::now()) {
            return !exists;
        }
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
        // An agent without the right to read ServiceAccounts does not know.
        let Ok(found) = tokio::time::timeout(LIMIT, api.get_metadata_opt(name)).await else { return false };
        let exists = found.map_or(true, |found| found.is_some());
        self.remember(identity, Instant::now(), exists);
        !exists
    }

    /// True if a namespace is being deleted, surely.
    pub async fn namespace_ends(&self, namespace: &str) -> bool {
        let api = Api::<Namespace>::all(self.client.clone());
        let found = tokio::time::timeout(LIMIT, api.get_metadata_opt(namespace)).await;
        let found = found.ok().and_then(Result::ok).flatten();
        found.is_some_and(|found| found.metadata.deletion_timestamp.is_some())
    }

    /// Whether an account exists, if that was asked for not longer ago than `limit`.
    fn remembered(&self, identity: &Identity, limit: Duration, now: Instant) -> Option<bool> {
        let known = self.known.lock();
        known
            .get(identity)
            .filter(|(since, exists)| is_fresh(*since, *exists, now))
            .filter(|(since, _)| now.saturating_duration_since(*since) < limit)
            .map(|(_, exists)| *exists)
    }

    fn remember(&self, identity: &Identity, now: Instant, exists: bool) {
        let mut known = self.known.lock();
        known.insert(identity.clone(), (now, exists));
    }

    /// Forgets what is not believed any more.
    pub fn sweep(&self, now: Instant) {
        let mut known = self.known.lock();
        known.retain(|_, (since, exists)| is_fresh(*since, *exists, now));
    }
}

fn is_fresh(since: Instant, exists: bool, now: Instant) -> bool {
    now.saturating_duration_since(since) < if exists { KNOWN } else { MISSING }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accounts_that_come_and_go_are_forgotten() {
        let config = kube::Config::new("http://127.0.0.1:1".parse().expect("a URL"));
        let accounts = Accounts::new(Client::try_from(config).expect("a client without TLS"));
        let begin = Instant::now();
        for at in 0..2000 {
            let account =
                Identity::ServiceAccount { namespace: "team".into(), name: format!("a{at}").into() };
            accounts.remember(&account, begin, at % 2 == 0);
        }
        let one = Identity::ServiceAccount { namespace: "team".into(), name: "a1".into() };
        assert_eq!(accounts.remembered(&one, KNOWN, begin), Some(false));
        assert_eq!(accounts.remembered(&one, KNOWN, begin + MISSING), None);
        let kept = || accounts.known.lock().len();
        accounts.sweep(begin + MISSING);
        assert_eq!(kept(), 1000);
        accounts.sweep(begin + KNOWN);
        assert_eq!(kept(), 0);
    }
}
