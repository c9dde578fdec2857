//! What an installation allows its tenants: the limits and permissions that an administrator sets with flags of the agent.
//! Pure.

use std::time::Duration;

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
    /// The ServiceAccount, in the namespace of the Sync, that a Sync without `serviceAccountName` acts as. `None`: the
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
    pub destinations: Vec<String>,
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
