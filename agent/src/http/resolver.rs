//! Resolves names for the clients, and returns only addresses that the guard allows: the checked address is the one
//! that is connected to, so a name cannot change in between.
//!
//! The HTTP library passes only the name to a resolver. The port, which the decision needs, is that of the request that
//! is being polled. I/O: DNS.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::guard::{Guard, Refused};
use super::{Failure, Times};

tokio::task_local! {
    /// The port of the request that is being sent.
    static PORT: u16;
}

/// Maximum time for connecting to one of several addresses.
const ATTEMPT: Duration = Duration::from_secs(3);

/// The resolver of the system, without refused addresses.
pub struct Resolver(pub Arc<Guard>);

/// Sends a request to this port; names that it needs are resolved for it.
pub async fn to_port<T>(port: u16, sending: impl Future<Output = T>) -> T {
    PORT.scope(port, sending).await
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        let port = PORT.try_with(|port| *port);
        Box::pin(async move {
            let host = name.as_str();
            let port = port.map_err(|_| Refused::Unchecked { host: host.to_owned() })?;
            let found = tokio::net::lookup_host((host, port)).await?.map(|address| address.ip()).collect();
            let allowed = guard.allowed(host, port, found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Returns an allowed address of a host, for a program that connects by itself. Of several addresses, the first one
/// that accepts a connection. Blocking.
pub fn reachable(guard: &Guard, host: &str, port: u16) -> Result<IpAddr, Failure> {
    let allowed = allowed(guard, host, port)?;
    let accepts = |address: &&SocketAddr| attempt(address).is_ok();
    let chosen = if allowed.len() > 1 { allowed.iter().find(accepts) } else { None };
    chosen.or_else(|| allowed.first()).map(SocketAddr::ip).ok_or_else(no_address)
}

/// Connects to a host and ends the connection. Blocking.
pub fn accepts(guard: &Guard, host: &str, port: u16) -> Result<(), Failure> {
    let mut last = Err(no_address());
    for address in allowed(guard, host, port)? {
        last = attempt(&address);
        if last.is_ok() {
            break;
        }
    }
    last
}

/// Returns the addresses of a host to which a connection is allowed.
fn allowed(guard: &Guard, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    guard.name(host, port)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let connect = |error: std::io::Error| Failure::Connect { said: error.to_string() };
    let found = (bare, port).to_socket_addrs().map_err(connect)?.map(|address| address.ip()).collect();
    Ok(guard.allowed(host, port, found)?)
}

fn attempt(address: &SocketAddr) -> Result<(), Failure> {
    let connected = TcpStream::connect_timeout(address, ATTEMPT.min(Times::CONNECT));
    connected.map(drop).map_err(|error| Failure::Connect { said: error.to_string() })
}

fn no_address() -> Failure {
    Failure::Connect { said: "the host has no address".to_owned() }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_without_a_port_is_not_resolved() {
        let resolver = Resolver(Arc::new(Guard::default()));
        let resolve = || resolver.resolve("localhost".parse().unwrap());
        assert!(resolve().await.is_err());
        let found = to_port(80, async { resolve().await }).await.ok().unwrap();
        assert!(found.into_iter().all(|address| address.ip().is_loopback() && address.port() == 80));
    }

    #[test]
    fn a_program_is_given_an_address_that_is_allowed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let guard = Guard::default();
        assert_eq!(reachable(&guard, "localhost", port), Ok(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(reachable(&guard, "[::1]", port), Ok("::1".parse().unwrap()));
        assert_eq!(accepts(&guard, "127.0.0.1", port), Ok(()));
        assert!(matches!(accepts(&guard, "169.254.169.254", 22), Err(Failure::Refused(_))));
        assert!(matches!(reachable(&guard, "169.254.169.254", 22), Err(Failure::Refused(_))));
        // As the resolver of the system reads numbers
        assert!(matches!(
            reachable(&guard, "0xa9fea9fe", 22),
            Err(Failure::Refused(_) | Failure::Connect { .. })
        ));
        assert!(matches!(
            reachable(&guard, "fe80::1%lo", 22),
            Err(Failure::Refused(_) | Failure::Connect { .. })
        ));
    }
}
