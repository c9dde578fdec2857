//! What an installation allows its tenants: the limits and permissions that an administrator sets with flags of the agent.
//! Pure.

use std::time::Duration;

use crate::api::{self, SyncSpec};
use crate::http::Destination;
use crate::trust::Domain;

/// The default of [`Policy::max_timeout`].
pub const MAX_TIMEOUT: Duration = Duration::from_mins(30);
/// The default of [`Policy::cache_limit`], in bytes.
pub const CACHE_LIMIT: u64 = 2 * 1024 * 1024 * 1024;
/// The default of [`Policy::render_memory`], in bytes.
pub const RENDER_MEMORY: u64 = 256 * 1024 * 1024;

/// The limits and permissions of one installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The only namespaces whose resources are watched and written. Empty: all namespaces.
    pub namespaces: Vec<String>,
    /// The ServiceAccount, in the namespace of the Sync, for Syncs without `serviceAccountName`. `None`: the
    /// agent's own identity.
    pub default_service_account: Option<String>,
    /// True if a Sync without `serviceAccountName`, and without a default, is refused.
    pub require_service_account: bool,
    /// True if a resource may refer to one of another namespace.
    pub allow_cross_namespace_refs: bool,
    /// Maximum of `spec.timeout`.
    pub max_timeout: Duration,
    /// Maximum size of the cache folder, in bytes.
    pub cache_limit: u64,
    /// Maximum memory of one render, in bytes.
    pub render_memory: u64,
    /// The only hosts and networks that a resource may name, as `--allow-destinations` lists them. Empty: all but the
    /// refused ones.
    pub destinations: Vec<Destination>,
}

impl Policy {
    /// True if objects may be written to a namespace; to the cluster as a whole if that is empty.
    pub fn writes_to(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|one| one == namespace)
    }

    /// True if a resource of one namespace may refer to one of another namespace.
    pub fn allows_reference(&self, from: &str, to: &str) -> bool {
        self.allow_cross_namespace_refs || from == to
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            default_service_account: None,
            require_service_account: false,
            allow_cross_namespace_refs: false,
            max_timeout: MAX_TIMEOUT,
            cache_limit: CACHE_LIMIT,
            render_memory: RENDER_MEMORY,
            destinations: Vec::new(),
        }
    }
}

impl Policy {
    /// True if the users of a namespace have less rights than the agent.
    fn serves_tenants(&self) -> bool {
        self.default_service_account.is_some() || self.require_service_account
    }

    /// Returns the trust domain of a namespace.
    pub fn domain(&self, namespace: &str) -> Domain {
        if self.serves_tenants() { Domain::Namespace(namespace.into()) } else { Domain::Installation }
    }

    /// Returns a spec with timeouts limited to the maximum, and what was shortened; `None` if nothing was.
    pub fn shortened(&self, spec: &SyncSpec) -> Option<(SyncSpec, String)> {
        let (mut shorter, mut names) = (spec.clone(), Vec::new());
        let fields =
            [("spec.timeout", &mut shorter.timeout), ("spec.health.timeout", &mut shorter.health.timeout)];
        for (name, timeout) in fields {
            if timeout.is_some_and(|timeout| timeout.get() > self.max_timeout) {
                *timeout = Some(api::Duration::from(self.max_timeout));
                names.push(name);
            }
        }
        let limit = humantime::format_duration(self.max_timeout);
        let what = names.join(" and ");
        (!names.is_empty()).then(|| {
            (
                shorter,
                format!("{what} is longer than this installation allows; {limit} is used (--max-timeout)"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn timeouts_are_shortened_to_what_the_installation_allows() -> Result<(), serde_json::Error> {
        let spec = |timeout: &str, health: &str| {
            let git = json!({"url": "https://git.example.com/a"});
            let spec = json!({"source": {"git": git}, "timeout": timeout, "health": {"timeout": health}});
            serde_json::from_value::<SyncSpec>(spec)
        };
        let policy = Policy::default();
        assert!(policy.shortened(&spec("30m", "5m")?).is_none());
        let shortened = policy.shortened(&spec("99999999999999h", "31m")?);
        let said = shortened.map(|(spec, said)| (spec.timeout(), spec.health_timeout(), said));
        let message = "spec.timeout and spec.health.timeout is longer than this installation allows; 30m is used (--max-timeout)";
        assert_eq!(said, Some((MAX_TIMEOUT, MAX_TIMEOUT, message.to_owned())));
        Ok(())
    }
}
