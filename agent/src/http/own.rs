//! The agent's own addresses, which no resource may use as a destination: the API server, and the listeners of the agent.
//!
//! The API server is known by the URL that the agent itself uses, by the variables that Kubernetes sets in every pod,
//! and by the names of its Service. A listener is known by its port on every address of this machine or pod, and by the
//! names of its Service. I/O: environment, and a socket that is bound to find out whether an address belongs to this
//! machine.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use url::{Host, Url};

use super::destination::normal;

/// The name of the Service in `manifests/`. The variable `SERVICE_NAME` sets another one.
const SERVICE: &str = "holdfast";

/// The names and addresses of the API server and of the agent.
#[derive(Clone, Debug)]
pub struct Own {
    /// Name and port.
    api_names: Vec<(String, u16)>,
    /// Without a port: all ports.
    api_addresses: Vec<(IpAddr, Option<u16>)>,
    /// Addresses of the agent's Service.
    service: Vec<IpAddr>,
    /// The names of the agent's Services: that of `--listen`, and that of the web UI.
    services: [String; 2],
    /// The namespace of the agent's Services.
    namespace: Option<String>,
    ports: Vec<u16>,
    is_local: fn(IpAddr) -> bool,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            api_names: Vec::new(),
            api_addresses: Vec::new(),
            service: Vec::new(),
            services: services(SERVICE),
            namespace: None,
            ports: Vec::new(),
            is_local,
        }
    }
}

impl Own {
    /// Creates the value from the URL of the API server, the namespace of the agent, and the environment.
    pub fn of(api: Option<&str>, namespace: Option<&str>, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut own = Self { namespace: namespace.map(ToOwned::to_owned), ..Self::default() };
        if let Some(url) = api.and_then(|api| Url::parse(api).ok()) {
            let port = url.port_or_known_default().unwrap_or(443);
            match url.host() {
                Some(Host::Domain(name)) => own.api_names.push((normal(name), port)),
                Some(Host::Ipv4(address)) => own.api_addresses.push((address.into(), Some(port))),
                Some(Host::Ipv6(address)) => own.api_addresses.push((address.into(), Some(port))),
                None => {}
            }
        }
        let address = |name: &str| variable(name)?.parse::<IpAddr>().ok();
        own.api_addresses.extend(address("KUBERNETES_SERVICE_HOST").map(|address| (address, None)));
        if let Some(name) = variable("SERVICE_NAME").filter(|name| !name.is_empty()) {
            own.services = services(&normal(&name));
        }
        own.service.extend(own.services.iter().filter_map(|name| address(&host_variable(name))));
        own
    }

    /// Adds the addresses to which the name of the API server resolves.
    #[must_use]
    pub fn with_api_addresses(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let found = addresses.into_iter().map(|address| (address.ip().to_canonical(), Some(address.port())));
        self.api_addresses.extend(found);
        self
    }

    /// Adds a listener of the agent.
    #[must_use]
    pub fn with_listener(mut self, address: SocketAddr) -> Self {
        self.ports.push(address.port());
        self
    }

    /// Returns the names of the API server that must be resolved.
    pub fn api_names(&self) -> &[(String, u16)] {
        &self.api_names
    }

    /// True for a name of the API server, [normalised](normal).
    pub fn is_api_server(&self, name: &str, port: u16) -> bool {
        self.api_names.iter().any(|(api, at)| api == name && *at == port)
            || is_service(name, "kubernetes", "default")
    }

    /// True for a name of the agent's Services.
    pub fn is_agent(&self, name: &str) -> bool {
        let Some(namespace) = &self.namespace else { return false };
        self.services.iter().any(|service| is_service(name, service, namespace))
    }

    /// True for an address of the API server. If the API server runs on this machine, its port counts on every address
    /// of the machine.
    pub fn holds_api_server(&self, address: SocketAddr) -> bool {
        self.api_addresses.iter().any(|(api, port)| {
            let same_port = port.is_none_or(|port| port == address.port());
            same_port && (*api == address.ip() || ((self.is_local)(*api) && (self.is_local)(address.ip())))
        })
    }

    /// True for an address at which the agent listens.
    pub fn holds_agent(&self, address: SocketAddr) -> bool {
        self.service.contains(&address.ip())
            || (self.ports.contains(&address.port()) && (self.is_local)(address.ip()))
    }

    #[cfg(test)]
    #[must_use]
    pub fn judged_by(self, is_local: fn(IpAddr) -> bool) -> Self {
        Self { is_local, ..self }
    }
}

/// The names of the Services in `manifests/` and in the chart.
fn services(name: &str) -> [String; 2] {
    [name.to_owned(), format!("{name}-ui")]
}

/// The variable in which Kubernetes passes the address of a Service.
fn host_variable(service: &str) -> String {
    format!("{}_SERVICE_HOST", service.to_uppercase().replace('-', "_"))
}

/// True for the names by which a Service is resolved in a cluster, whatever the domain of the cluster is.
fn is_service(name: &str, service: &str, namespace: &str) -> bool {
    let Some(rest) = name.strip_prefix(service) else { return false };
    let Some(rest) = rest.strip_prefix('.') else { return rest.is_empty() };
    let Some(rest) = rest.strip_prefix(namespace) else { return false };
    rest.is_empty() || rest == ".svc" || rest.starts_with(".svc.")
}

/// True for an address of this machine or pod: a socket can be bound to it.
fn is_local(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_is_known_by_url_and_by_environment() {
        let variable = |name: &str| match name {
            "KUBERNETES_SERVICE_HOST" => Some("10.96.0.1".to_owned()),
            "HOLDFAST_SERVICE_HOST" => Some("10.96.7.7".to_owned()),
            _ => None,
        };
        let own = Own::of(Some("https://API.example.com:6443"), None, &variable)
            .with_api_addresses(["192.0.2.7:6443".parse().unwrap()]);
        assert!(own.is_api_server("api.example.com", 6443) && !own.is_api_server("api.example.com", 443));
        for (address, expected) in [
            ("10.96.0.1:443", true),
            ("10.96.0.1:80", true),
            ("192.0.2.7:6443", true),
            ("192.0.2.7:443", false),
        ] {
            assert_eq!(own.holds_api_server(address.parse().unwrap()), expected, "{address}");
        }
        assert!(own.holds_agent("10.96.7.7:80".parse().unwrap()));
    }

    #[test]
    fn the_services_of_the_agent_are_known_by_their_names_and_addresses() {
        for (service, name, host) in [("", "holdfast", "HOLDFAST"), ("my-fast", "my-fast", "MY_FAST")] {
            let variable = |asked: &str| match asked {
                "SERVICE_NAME" => Some(service.to_owned()),
                _ if asked == format!("{host}_SERVICE_HOST") => Some("10.96.7.7".to_owned()),
                _ if asked == format!("{host}_UI_SERVICE_HOST") => Some("10.96.7.8".to_owned()),
                _ => None,
            };
            let own = Own::of(None, Some("system"), &variable);
            for known in
                [name.to_owned(), format!("{name}-ui"), format!("{name}-ui.system.svc.cluster.local")]
            {
                assert!(own.is_agent(&known), "{known}");
            }
            assert!(!own.is_agent(&format!("{name}.other")) && !own.is_agent(&format!("{name}-ux")));
            for address in ["10.96.7.7:80", "10.96.7.8:443"] {
                assert!(own.holds_agent(address.parse().unwrap()), "{service} {address}");
            }
        }
    }

    #[test]
    fn addresses_of_this_machine_are_known() {
        let local = |address: &str| is_local(address.parse().unwrap());
        assert!(local("127.0.0.1") && local("127.3.2.1"));
        assert!(!local("192.0.2.1") && !local("10.255.255.254"));
    }
}
