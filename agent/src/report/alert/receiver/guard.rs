//! Where no receiver may be: link-local addresses and the metadata services of clouds, which hand out
//! credentials to whoever asks from inside. Whoever may write an Alert could otherwise make the agent talk to
//! them.
//!
//! Hosts are checked when a URL is parsed, and every address that DNS gives when it is connected to. Behind a
//! proxy of the environment it is the proxy that resolves names, and that must refuse. I/O: DNS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What a person can do.
const HINT: &str = "link-local and metadata addresses are not sent to; \
                    correct the URL, or start the agent with --allow-link-local-receivers";

/// A place that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{host} is refused: {HINT}")]
    Host { host: String },
    #[error("{host} is refused, since it has the address {address}: {HINT}")]
    Address { host: String, address: IpAddr },
}

/// Checks the host of a URL, as a URL parser gives it.
pub fn check(host: &str) -> Result<(), Refused> {
    let refused = Err(Refused::Host { host: host.to_owned() });
    let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    if bare.eq_ignore_ascii_case("metadata.google.internal") {
        return refused;
    }
    match bare.parse::<IpAddr>() {
        Ok(address) if is_refused(address) => refused,
        Ok(_) | Err(_) => Ok(()),
    }
}

/// True for link-local addresses and for those of metadata services, however they are written.
fn is_refused(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_refused_v4(address),
        IpAddr::V6(address) => is_refused_v6(address),
    }
}

fn is_refused_v4(address: Ipv4Addr) -> bool {
    // Alibaba, Azure, Oracle. The others are link-local.
    const METADATA: [Ipv4Addr; 3] =
        [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
    address.is_link_local() || METADATA.contains(&address)
}

fn is_refused_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let amazon = parts[..2] == [0xfd00, 0x0ec2];
    let google = address == Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254);
    address.is_unicast_link_local() || amazon || google || inner(address).is_some_and(is_refused_v4)
}

/// The IPv4 address inside: mapped (`::ffff:0:0/96`), compatible (`::/96`), or translated (`64:ff9b::/96`).
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [rest @ .., high, low] = address.segments();
    let carries = matches!(rest, [0, 0, 0, 0, 0, 0 | 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0]);
    carries.then(|| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

/// The resolver of the system, without the addresses that are refused.
pub struct Resolver {
    pub(super) refuses: fn(IpAddr) -> bool,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { refuses: is_refused }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let refuses = self.refuses;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed = allowed(name.as_str(), found, refuses)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a host that may be connected to. An error if there are only others.
fn allowed(
    host: &str,
    found: Vec<SocketAddr>,
    refuses: fn(IpAddr) -> bool,
) -> Result<Vec<SocketAddr>, Refused> {
    let (refused, allowed): (Vec<_>, Vec<_>) = found.into_iter().partition(|address| refuses(address.ip()));
    match refused.first() {
        Some(address) if allowed.is_empty() => {
            Err(Refused::Address { host: host.to_owned(), address: address.ip() })
        }
        Some(_) | None => Ok(allowed),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_hand_out_credentials_are_refused_however_they_are_written() {
        for (host, taken) in [
            ("alertmanager.monitoring", true),
            ("127.0.0.1", true),
            ("10.0.0.1", true),
            ("[::1]", true),
            ("169.253.255.255", true),
            ("100.100.100.201", true),
            ("[fd00:ec3::254]", true),
            ("[::ffff:10.0.0.1]", true),
            ("169.254.0.1", false),
            ("169.254.169.254", false),
            ("100.100.100.200", false),
            ("168.63.129.16", false),
            ("192.0.0.192", false),
            ("[fe80::1]", false),
            ("[febf::1]", false),
            ("[fd00:ec2::254]", false),
            ("[fd20:ce::254]", false),
            ("[::ffff:169.254.169.254]", false),
            ("[::ffff:a9fe:a9fe]", false),
            ("[::169.254.169.254]", false),
            ("[64:ff9b::a9fe:a9fe]", false),
            ("metadata.google.internal", false),
            ("Metadata.Google.Internal.", false),
        ] {
            assert_eq!(check(host).is_ok(), taken, "{host}");
        }
    }

    #[test]
    fn addresses_that_are_refused_are_left_out_and_named_if_nothing_is_left() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect()
        };
        let mixed = addresses(&["169.254.169.254", "10.0.0.1", "fe80::1"]);
        assert_eq!(allowed("a.example.com", mixed, is_refused).unwrap(), addresses(&["10.0.0.1"]));
        let error =
            allowed("a.example.com", addresses(&["169.254.169.254"]), is_refused).unwrap_err().to_string();
        for part in ["a.example.com", "169.254.169.254", "--allow-link-local-receivers"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[tokio::test]
    async fn the_resolver_answers_with_addresses() {
        let found = Resolver::default().resolve("localhost".parse().unwrap()).await.ok().unwrap();
        assert!(found.into_iter().all(|address| address.ip().is_loopback()));
    }
}
