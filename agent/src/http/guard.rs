//! Decides where the agent may connect on behalf of a resource. Users who may write resources could otherwise make the agent connect
//! to internal servers.
//!
//! These are refused, in this order:
//! - addresses that cannot be a destination: unspecified, multicast, broadcast;
//! - the API server, and the listeners of the agent, by any name or address;
//! - link-local addresses and the metadata services of clouds, unless the list contains a network inside theirs;
//! - with a list, everything that it does not contain by name or by address.
//!
//! Loopback addresses are allowed without a list, since everything may run on one machine. Names are checked as they
//! are written, and every address of a name when it is connected to (see `resolver`). No message contains the address
//! of a name, which would reveal the DNS of the cluster to a tenant. Pure.

use std::net::{IpAddr, SocketAddr};

use tracing::debug;
use url::{Host, Url};

use super::address::{Class, carried, classify, is_metadata_name};
use super::destination::{Destination, normal};
use super::own::Own;

/// A destination that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "{host} is a link-local or metadata address, which the agent does not connect to; correct the URL, or ask the \
         administrator to list its network in --allow-destinations"
    )]
    Metadata { host: String },
    #[error("{host} is not an address of one host; correct the URL")]
    NoDestination { host: String },
    #[error("{host} is the API server, which no resource may name as a destination; correct the URL")]
    ApiServer { host: String },
    #[error("{host} is the agent itself, which no resource may name as a destination; correct the URL")]
    Agent { host: String },
    #[error(
        "{host} is not in --allow-destinations; correct the URL, or ask the administrator to list the host"
    )]
    NotListed { host: String },
    #[error(
        "{host} resolves to an address that is not allowed; correct the URL, or ask the administrator to list the \
         destination in --allow-destinations"
    )]
    Address { host: String },
    #[error("{host} cannot be checked: its port is not known")]
    Unchecked { host: String },
}

/// Decides which destinations are allowed.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    listed: Vec<Destination>,
    own: Own,
}

impl Guard {
    /// `listed` is `--allow-destinations`; if it is empty, everything is allowed that is not refused otherwise.
    pub fn new(listed: Vec<Destination>, own: Own) -> Self {
        Self { listed, own }
    }

    /// Checks the host of a URL before it is resolved: a name as it is written, or an address.
    pub fn url(&self, url: &Url) -> Result<(), Refused> {
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(0);
        match url.host() {
            Some(Host::Ipv4(address)) => self.literal(host, SocketAddr::new(address.into(), port)),
            Some(Host::Ipv6(address)) => self.literal(host, SocketAddr::new(address.into(), port)),
            Some(Host::Domain(name)) => self.name(name, port),
            None => Err(Refused::NoDestination { host: host.to_owned() }),
        }
    }

    /// Checks a name as it is written.
    pub fn name(&self, host: &str, port: u16) -> Result<(), Refused> {
        let (shown, name) = (host.to_owned(), normal(host));
        if self.own.is_api_server(&name, port) {
            return Err(Refused::ApiServer { host: shown });
        }
        if self.own.is_agent(&name) {
            return Err(Refused::Agent { host: shown });
        }
        if is_metadata_name(&name) && !self.listed.contains(&Destination::Host(name)) {
            return Err(Refused::Metadata { host: shown });
        }
        Ok(())
    }

    /// Checks a name that a proxy resolves, so that its addresses are unknown: with a list, the name must be listed.
    pub fn behind_proxy(&self, url: &Url) -> Result<(), Refused> {
        let Some(Host::Domain(host)) = url.host() else { return Ok(()) };
        if self.listed.is_empty() || self.is_listed(&normal(host)) {
            return Ok(());
        }
        Err(Refused::NotListed { host: host.to_owned() })
    }

    /// Checks an address to which a name was resolved.
    pub fn address(&self, host: &str, address: SocketAddr) -> Result<(), Refused> {
        self.judge(host, address).map_err(|refused| {
            debug!(host, %address, reason = %refused, "Refused an address");
            match refused {
                Refused::NotListed { .. } => refused,
                _ => Refused::Address { host: host.to_owned() },
            }
        })
    }

    /// Returns the allowed addresses; an error if there are none.
    pub fn allowed(&self, host: &str, port: u16, found: Vec<IpAddr>) -> Result<Vec<SocketAddr>, Refused> {
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in found.into_iter().map(|address| SocketAddr::new(address, port)) {
            match self.address(host, address) {
                Ok(()) => allowed.push(address),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(refused) if allowed.is_empty() => Err(refused),
            _ => Ok(allowed),
        }
    }

    /// Checks an address in a URL.
    fn literal(&self, host: &str, address: SocketAddr) -> Result<(), Refused> {
        self.judge(host, address)
    }

    fn judge(&self, host: &str, address: SocketAddr) -> Result<(), Refused> {
        let shown = || host.to_owned();
        let ip = address.ip().to_canonical();
        let class = classify(ip);
        if class == Class::NoDestination {
            return Err(Refused::NoDestination { host: shown() });
        }
        for ip in std::iter::once(ip).chain(carried(ip)) {
            let address = SocketAddr::new(ip, address.port());
            if self.own.holds_api_server(address) {
                return Err(Refused::ApiServer { host: shown() });
            }
            if self.own.holds_agent(address) {
                return Err(Refused::Agent { host: shown() });
            }
        }
        if let Class::Metadata(network) = class
            && !self.listed.iter().any(|listed| listed.is_within(&network) && listed.holds(ip))
        {
            return Err(Refused::Metadata { host: shown() });
        }
        let by_address = self.listed.iter().any(|listed| listed.holds(ip));
        if self.listed.is_empty() || by_address || self.is_listed(&normal(host)) {
            return Ok(());
        }
        Err(Refused::NotListed { host: shown() })
    }

    fn is_listed(&self, name: &str) -> bool {
        self.listed.iter().any(|listed| listed.names(name))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn guard(listed: &[&str]) -> Guard {
        let own = Own::of(Some("https://10.96.0.1:443"), Some("holdfast-system"), &|_| None)
            .with_listener("0.0.0.0:8080".parse().unwrap())
            .judged_by(|ip| ip.is_loopback() || ip == IpAddr::from([10, 1, 2, 3]));
        Guard::new(listed.iter().map(|text| text.parse().unwrap()).collect(), own)
    }

    /// What becomes of a URL: empty if it is allowed, otherwise a part of the reason.
    fn verdict(guard: &Guard, url: &str) -> String {
        guard.url(&Url::parse(url).unwrap()).err().map(|refused| refused.to_string()).unwrap_or_default()
    }

    #[test]
    fn without_a_list_all_but_the_refused_is_allowed() {
        for (url, expected) in [
            ("http://alertmanager.monitoring:9093", ""),
            ("http://127.0.0.1:9093", ""),
            ("http://[::1]:9093", ""),
            ("http://10.0.0.1", ""),
            ("http://10.1.2.3:9090", ""),
            // The API server
            ("https://10.96.0.1", "the API server"),
            ("http://10.96.0.1:443/", "the API server"),
            ("http://[::ffff:10.96.0.1]:443/", "the API server"),
            ("https://kubernetes", "the API server"),
            ("https://kubernetes.default", "the API server"),
            ("http://KUBERNETES.default.svc.:80", "the API server"),
            ("https://kubernetes.default.svc.cluster.local:6443", "the API server"),
            ("https://kubernetes.default.svc.corp.example.com", "the API server"),
            ("https://kubernetes.example.com", ""),
            // The agent
            ("http://127.0.0.1:8080/metrics", "the agent itself"),
            ("http://127.9.9.9:8080", "the agent itself"),
            ("http://0x7f.1:8080", "the agent itself"),
            ("http://[::1]:8080", "the agent itself"),
            ("http://[::ffff:127.0.0.1]:8080", "the agent itself"),
            ("http://10.1.2.3:8080", "the agent itself"),
            ("http://10.1.2.4:8080", ""),
            ("http://holdfast:8080", "the agent itself"),
            ("http://holdfast.holdfast-system", "the agent itself"),
            ("http://holdfast.holdfast-system.svc.cluster.local:8080", "the agent itself"),
            ("http://holdfast.example.com", ""),
            // Metadata, in the forms that a URL parser knows
            ("http://169.254.169.254", "link-local or metadata"),
            ("http://169.254.169.254.", "link-local or metadata"),
            ("http://2852039166/", "link-local or metadata"),
            ("http://0xa9fea9fe/", "link-local or metadata"),
            ("http://0251.0376.0251.0376/", "link-local or metadata"),
            ("http://169.16689662/", "link-local or metadata"),
            ("http://１６９.254.169.254/", "link-local or metadata"),
            ("http://[::ffff:a9fe:a9fe]/", "link-local or metadata"),
            ("http://[fd00:ec2::254]/", "link-local or metadata"),
            ("http://metadata.google.internal", "link-local or metadata"),
            ("http://Metadata.Google.Internal.", "link-local or metadata"),
            ("http://0.0.0.0:9093", "not an address of one host"),
            ("http://0:9093", "not an address of one host"),
            ("http://[::]:9093", "not an address of one host"),
            ("http://255.255.255.255", "not an address of one host"),
            ("http://224.0.0.1", "not an address of one host"),
        ] {
            let said = verdict(&guard(&[]), url);
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{url}: {said}");
        }
    }

    #[test]
    fn a_list_allows_what_it_holds_and_nothing_else() {
        let listed =
            guard(&["git.example.com", "*.svc.cluster.local", "10.0.0.0/8", "169.254.7.0/24", "0.0.0.0/0"]);
        for (url, expected) in [
            ("http://10.1.2.3", ""),
            ("http://10.1.2.3:8080", "the agent itself"),
            ("https://10.96.0.1", "the API server"),
            ("http://169.254.7.1", ""),
            // A network that is wider than that of the metadata services does not mean them.
            ("http://169.254.169.254", "link-local or metadata"),
            ("http://[fd00::1]", "not in --allow-destinations"),
            ("http://metadata.google.internal", "link-local or metadata"),
        ] {
            let said = verdict(&listed, url);
            assert!(said.contains(expected) && said.is_empty() == expected.is_empty(), "{url}: {said}");
        }
        let whole = guard(&["169.254.0.0/16", "metadata.google.internal"]);
        assert_eq!(verdict(&whole, "http://169.254.169.254"), "");
        assert_eq!(verdict(&whole, "http://metadata.google.internal"), "");
        assert!(verdict(&whole, "http://127.0.0.1").contains("not in --allow-destinations"));
    }

    #[test]
    fn a_name_is_judged_by_its_addresses() {
        let addresses =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let of = |guard: &Guard, host: &str, port: u16, found: &[&str]| {
            guard
                .allowed(host, port, addresses(found))
                .map(|allowed| allowed.len())
                .map_err(|error| error.to_string())
        };
        let (open, listed) = (guard(&[]), guard(&["git.example.com", "10.0.0.0/8"]));
        assert_eq!(of(&open, "a.example.com", 80, &["169.254.169.254", "10.0.0.1", "fe80::1"]), Ok(1));
        for (guard, host, port, found) in [
            (&open, "a.example.com", 80, &["169.254.169.254"][..]),
            (&open, "a.example.com", 443, &["10.96.0.1"]),
            (&open, "a.example.com", 8080, &["127.0.0.1", "10.1.2.3"]),
            (&open, "a.example.com", 80, &["0.0.0.0"]),
            (&listed, "git.example.com", 80, &["169.254.169.254"]),
        ] {
            let error = of(guard, host, port, found).unwrap_err();
            assert!(error.contains(host) && error.contains("an address that is not allowed"), "{error}");
            assert!(found.iter().all(|address| !error.contains(address)), "{error}");
        }
        // By its name, or by its address
        assert_eq!(of(&listed, "GIT.example.com.", 443, &["192.0.2.1"]), Ok(1));
        assert_eq!(of(&listed, "a.example.com", 443, &["10.0.0.1", "192.0.2.1"]), Ok(1));
        assert!(
            of(&listed, "a.example.com", 443, &["192.0.2.1"])
                .unwrap_err()
                .contains("not in --allow-destinations")
        );
        assert_eq!(of(&listed, "a.example.com", 443, &[]), Ok(0));
    }

    #[test]
    fn behind_a_proxy_a_list_is_a_list_of_names() {
        let of = |listed: &[&str], url: &str| guard(listed).behind_proxy(&Url::parse(url).unwrap()).is_ok();
        assert!(of(&[], "https://a.example.com"));
        assert!(of(&["*.example.com"], "https://a.example.com"));
        assert!(!of(&["10.0.0.0/8"], "https://a.example.com"));
        assert!(of(&["10.0.0.0/8"], "https://10.0.0.1"));
    }
}
