//! The flags of the agent that limit what tenants may do. Pure.

use std::time::Duration;

use clap::Args;

use crate::api;
use crate::http::Destination;
use crate::identity::is_name;
use crate::policy::Policy;

/// What tenants may do
#[derive(Args, Debug)]
pub struct PolicyArgs {
    /// Watch and write only these namespaces [default: all namespaces]
    #[arg(long, value_delimiter = ',')]
    namespaces: Vec<String>,
    /// ServiceAccount, in the namespace of a Sync, for Syncs without spec.serviceAccountName
    #[arg(long, value_name = "NAME", value_parser = account)]
    default_service_account: Option<String>,
    /// Refuse Syncs that would use the rights of the agent
    #[arg(long)]
    require_service_account: bool,
    /// Allow references to resources of other namespaces
    #[arg(long)]
    allow_cross_namespace_refs: bool,
    /// Maximum of spec.timeout and spec.health.timeout
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = duration)]
    max_timeout: Duration,
    /// Maximum size of the cache folder
    #[arg(long, value_name = "QUANTITY", default_value = "2Gi", value_parser = bytes)]
    cache_limit: u64,
    /// Maximum memory of one render
    #[arg(long, value_name = "QUANTITY", default_value = "256Mi", value_parser = bytes)]
    render_memory: u64,
    /// Connect only to these hosts and networks on behalf of resources, such as git.example.com,*.svc.cluster.local,10.0.0.0/8
    #[arg(long, value_name = "CIDR-OR-HOST", value_delimiter = ',')]
    allow_destinations: Vec<Destination>,
}

impl PolicyArgs {
    pub fn policy(self) -> Policy {
        let Self {
            namespaces,
            default_service_account,
            require_service_account,
            allow_cross_namespace_refs,
            max_timeout,
            cache_limit,
            render_memory,
            allow_destinations,
        } = self;
        Policy {
            namespaces,
            default_service_account,
            require_service_account,
            allow_cross_namespace_refs,
            max_timeout,
            cache_limit,
            render_memory,
            destinations: allow_destinations,
        }
    }
}

fn account(text: &str) -> Result<String, String> {
    let named = is_name(text).then(|| text.to_owned());
    named.ok_or_else(|| format!("{text} is not the name of a ServiceAccount, such as deployer"))
}

fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<api::Duration>().map(api::Duration::get).map_err(|error| error.to_string())
}

/// Parses a Kubernetes quantity in bytes: `2Gi`, `512Mi`, `1000000`.
fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 6] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
    ];
    let unit = UNITS.iter().find_map(|(name, size)| Some((text.strip_suffix(name)?, *size)));
    let (number, size) = unit.unwrap_or((text, 1));
    let number = number.parse::<u64>().ok().filter(|number| *number > 0);
    let total = number.and_then(|number| number.checked_mul(size));
    total.ok_or_else(|| format!("{text} is not a size in bytes; write one such as 512Mi or 2Gi"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::policy;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        policy: PolicyArgs,
    }

    #[test]
    fn without_flags_the_policy_is_the_default() {
        assert_eq!(Flags::parse_from(["agent"]).policy.policy(), Policy::default());
        let written = [policy::CACHE_LIMIT, policy::RENDER_MEMORY];
        assert_eq!(["2Gi", "256Mi"].map(bytes), written.map(Ok));
    }

    #[test]
    fn sizes_are_read_as_kubernetes_writes_them() {
        assert_eq!(["512Mi", "1k", "7"].map(bytes), [Ok(512 << 20), Ok(1000), Ok(7)]);
        for text in ["", "0", "-1", "1.5Gi", "Gi", "many", "99999999999Gi"] {
            assert!(bytes(text).is_err_and(|error| error.contains("512Mi")), "{text}");
        }
    }
}
