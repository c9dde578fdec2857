//! The entries of `--allow-destinations`: hosts, all hosts below a domain, and networks. Pure.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::address::Network;

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A host by its full name.
    Host(String),
    /// Every host below a domain, at any depth, and not the domain itself.
    Below(String),
    Network(Network),
}

/// A text that is not a destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is neither a host nor a network; write git.example.com, *.example.com, 10.0.0.0/8 or 192.0.2.7")]
pub struct BadDestination(String);

impl FromStr for Destination {
    type Err = BadDestination;

    fn from_str(text: &str) -> Result<Self, BadDestination> {
        let text = text.trim();
        if let Some(network) = Network::parse(text) {
            return Ok(Self::Network(network));
        }
        let (domain, below) = text.strip_prefix("*.").map_or((text, false), |domain| (domain, true));
        let name = normal(domain);
        // A name that ends with a number would be parsed as an address.
        let number =
            name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        if number || !is_name(&name) {
            return Err(BadDestination(text.escape_debug().take(100).collect()));
        }
        Ok(if below { Self::Below(name) } else { Self::Host(name) })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Network(network) => fmt::Display::fmt(network, f),
        }
    }
}

impl Destination {
    /// True if the entry matches this name, which is [normalised](normal).
    pub fn names(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => name == host,
            Self::Below(domain) => host
                .strip_suffix(domain.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|rest| !rest.is_empty()),
            Self::Network(_) => false,
        }
    }

    /// True if the entry contains this address.
    pub fn holds(&self, address: IpAddr) -> bool {
        matches!(self, Self::Network(network) if network.contains(address))
    }

    /// True if the entry is a network inside this one.
    pub fn is_within(&self, other: &Network) -> bool {
        matches!(self, Self::Network(network) if network.is_within(other))
    }
}

/// Returns a host in the form in which it is compared: in lower case, without brackets and trailing dot.
pub fn normal(host: &str) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    bare.to_ascii_lowercase()
}

fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() < 64 && !label.starts_with('-') && label.bytes().all(good)
    };
    name.len() < 254 && name.split('.').all(label)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_hosts_domains_and_networks() {
        for (listed, host, expected) in [
            ("git.example.com", "git.example.com", true),
            ("GIT.example.com.", "git.example.com", true),
            ("git.example.com", "a.git.example.com", false),
            ("git.example.com", "xgit.example.com", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "aexample.com", false),
            ("*.example.com", "example.com.evil.org", false),
            ("10.0.0.0/8", "10.0.0.1", false),
        ] {
            assert_eq!(listed.parse::<Destination>().unwrap().names(host), expected, "{listed} {host}");
        }
        let network: Destination = "10.0.0.0/8".parse().unwrap();
        assert!(network.holds("10.1.2.3".parse().unwrap()) && !network.holds("11.1.2.3".parse().unwrap()));
    }

    #[test]
    fn what_is_no_destination_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "a b",
            "https://a.example.com",
            "a.example.com:443",
            "10.0.0.0/33",
            "10.0.0",
            "a..b",
            "-a",
            "a/b",
            "*.*.a",
        ] {
            let error = text.parse::<Destination>().unwrap_err().to_string();
            assert!(error.contains("10.0.0.0/8"), "{text}: {error}");
        }
    }
}
