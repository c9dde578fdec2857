//! Whether this machine can connect to the sources and registries that resources name. The agent's network may differ; run the check
//! in its pod to see that. I/O: API, connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use http::Method;
use kube::api::ListParams;
use kube::{Api, Client, Config};
use url::Url;

use super::finding::{Finding, Findings};
use super::loaded;
use crate::api::{ImageUpdate, Repository, Sync};
use crate::cli::cluster;
use crate::http::{Clients, Failure, Guard, Request, Times, Trust, accepts};

/// Maximum number of servers that are checked.
const SERVERS: usize = 50;
/// Connections at the same time.
const PARALLEL: usize = 8;
/// Time limits of a connection.
const TIMES: Times = Times {
    connect: std::time::Duration::from_secs(5),
    silence: Some(std::time::Duration::from_secs(5)),
    total: Some(std::time::Duration::from_secs(10)),
};

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Server {
    Web(Url),
    Ssh { host: String, port: u16 },
}

impl Server {
    fn name(&self) -> String {
        match self {
            Self::Web(url) => url.origin().ascii_serialization(),
            Self::Ssh { host, port } => format!("ssh://{host}:{port}"),
        }
    }
}

pub async fn check(client: &Client, config: &Config) -> Vec<Finding> {
    let mut findings = Findings::of("network");
    let servers = match servers(client).await {
        Ok(servers) => servers,
        Err(error) => {
            findings.failed("the servers of sources and images", &error);
            return findings.found;
        }
    };
    let guard = cluster::guard(config, Vec::new(), []).await;
    let clients = Arc::new(Clients::new(guard.clone(), TIMES));
    let left = servers.len().saturating_sub(SERVERS);
    let checks = servers.into_iter().take(SERVERS).map(|(server, user)| {
        let (clients, guard) = (clients.clone(), guard.clone());
        async move { (server.clone(), user, connect(&clients, guard, &server).await) }
    });
    let checked: Vec<_> = futures::stream::iter(checks).buffered(PARALLEL).collect().await;
    for (server, user, result) in checked {
        let name = server.name();
        match result {
            // The agent uses the authority in the Secret of the resource.
            Ok(()) | Err(Failure::Tls { .. }) => findings.ok(format!("{name} answers")),
            Err(failure) => findings.error(
                format!("{name}, which {user} uses, does not answer: {failure}"),
                "check the URL, the DNS, the proxy (HTTPS_PROXY, NO_PROXY) and the network policies; to check from the pod of the \
                 agent: kubectl -n holdfast-system exec deployment/holdfast -- /holdfast doctor",
            ),
        }
    }
    if left > 0 {
        findings.skipped(
            format!("{left} more servers are not checked"),
            "see the status of the Syncs: holdfast status",
        );
    }
    findings.found
}

async fn connect(clients: &Clients, guard: Arc<Guard>, server: &Server) -> Result<(), Failure> {
    match server {
        Server::Web(url) => {
            clients.send(&Trust::default(), &Request::new(Method::HEAD, url.clone()), url).await.map(drop)
        }
        Server::Ssh { host, port } => {
            let (host, port) = (host.clone(), *port);
            let connecting = tokio::task::spawn_blocking(move || accepts(&guard, &host, port));
            connecting.await.unwrap_or_else(|error| Err(Failure::Client { said: error.to_string() }))
        }
    }
}

/// The servers that resources name, each with one of them.
async fn servers(client: &Client) -> Result<BTreeMap<Server, String>, kube::Error> {
    let all = ListParams::default();
    let mut found = BTreeMap::new();
    let mut add = |server: Option<Server>, user: String| {
        if let Some(server) = server {
            found.entry(server).or_insert(user);
        }
    };
    for sync in loaded(async || Api::<Sync>::all(client.clone()).list(&all).await).await?.items {
        add(of_url(&sync.spec.source.git.url), user("Sync", &sync));
    }
    for update in loaded(async || Api::<ImageUpdate>::all(client.clone()).list(&all).await).await?.items {
        add(of_url(&update.spec.git.url), user("ImageUpdate", &update));
        for image in &update.spec.images {
            add(of_image(&image.repository, image.insecure), user("ImageUpdate", &update));
        }
    }
    for repository in loaded(async || Api::<Repository>::all(client.clone()).list(&all).await).await?.items {
        add(of_url(&repository.spec.url), user("Repository", &repository));
    }
    Ok(found)
}

fn user(kind: &str, resource: &impl kube::ResourceExt) -> String {
    format!("{kind} {}/{}", resource.namespace().unwrap_or_default(), resource.name_any())
}

/// The server of the URL of a Git repository; `None` for a file, and for what is no URL.
fn of_url(text: &str) -> Option<Server> {
    if let Some((user_and_host, _)) = text.split_once(':').filter(|_| !text.contains("://")) {
        let (_, host) = user_and_host.split_once('@')?;
        return Some(Server::Ssh { host: host.to_owned(), port: 22 });
    }
    let mut url = Url::parse(text).ok()?;
    match url.scheme() {
        "http" | "https" => {
            url.set_path("/");
            url.set_query(None);
            // A login in a URL is not sent.
            let _ = (url.set_username(""), url.set_password(None));
            Some(Server::Web(url))
        }
        "ssh" => Some(Server::Ssh { host: url.host_str()?.to_owned(), port: url.port().unwrap_or(22) }),
        _ => None,
    }
}

/// The registry of an image.
fn of_image(repository: &str, is_insecure: bool) -> Option<Server> {
    let first = repository.split('/').next().unwrap_or_default();
    let is_host = repository.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let host = if is_host && first != "docker.io" { first } else { "registry-1.docker.io" };
    let scheme = if is_insecure { "http" } else { "https" };
    Url::parse(&format!("{scheme}://{host}/v2/")).ok().map(Server::Web)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_found_in_the_urls_of_resources() {
        for (url, expected) in [
            ("https://user:secret@git.example.com/org/config.git?a=b", Some("https://git.example.com")),
            ("http://git.example.com:3000/x", Some("http://git.example.com:3000")),
            ("ssh://git@git.example.com:2222/x", Some("ssh://git.example.com:2222")),
            ("git@git.example.com:org/config.git", Some("ssh://git.example.com:22")),
            ("file:///srv/config", None),
            ("config", None),
        ] {
            assert_eq!(of_url(url).map(|server| server.name()).as_deref(), expected, "{url}");
        }
        let web = of_url("https://user:secret@git.example.com/a");
        assert_eq!(web, Url::parse("https://git.example.com/").ok().map(Server::Web));
        for (image, insecure, expected) in [
            ("registry.example.com/shop/web", false, "https://registry.example.com"),
            ("localhost:5000/web", true, "http://localhost:5000"),
            ("library/nginx", false, "https://registry-1.docker.io"),
            ("nginx", false, "https://registry-1.docker.io"),
            ("docker.io/library/nginx", false, "https://registry-1.docker.io"),
        ] {
            assert_eq!(
                of_image(image, insecure).map(|server| server.name()).as_deref(),
                Some(expected),
                "{image}"
            );
        }
    }
}
