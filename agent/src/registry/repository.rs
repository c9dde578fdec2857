//! The name of a repository. Pure.

use std::fmt;

use super::{RegistryError, RequestError};

/// The host of Docker Hub in names of images.
const HUB: &str = "docker.io";
/// All names of Docker Hub.
const HUB_NAMES: [&str; 4] = [HUB, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// An image repository: `host[:port]/path`. Without a host it is in Docker Hub.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Repository {
    host: String,
    path: String,
}

impl Repository {
    /// Parses `registry.example.com:5000/team/app`, `team/app` or `nginx`.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let bad = |shown: &str, why: &str| {
            let trouble = RequestError::BadRepository(why.to_owned());
            Err(RegistryError { repository: shown.to_owned(), trouble })
        };
        if let Some((_, rest)) = text.split_once("://") {
            let shown = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
            return bad(shown, "write it without a scheme: host/path");
        }
        let (host, path) = match text.split_once('/') {
            Some((host, path)) if host.contains(['.', ':', '@', '[']) || host == "localhost" => (host, path),
            _ => (HUB, text),
        };
        if let Some((_, host)) = host.rsplit_once('@') {
            return bad(&format!("{host}/{path}"), "it contains a login; move the login to a Secret");
        }
        Self::at(host, path)
    }

    /// Returns a repository whose host is given separately, in any form.
    pub fn at(host: &str, path: &str) -> Result<Self, RegistryError> {
        let bad = |why: &str| {
            let trouble = RequestError::BadRepository(why.to_owned());
            Err(RegistryError { repository: format!("{host}/{path}"), trouble })
        };
        if path.contains([':', '@']) {
            return bad("it contains a tag or a digest: set only the repository");
        }
        let good = |part: &str| {
            let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            part.bytes().all(|byte| letter(byte) || b"._-".contains(&byte))
                && part.bytes().next().is_some_and(letter)
                && part.bytes().last().is_some_and(letter)
        };
        if !path.split('/').all(good) || path.len() > 255 {
            return bad(
                "each part of its path has lowercase letters and digits, separated by . _ or -; write host/path",
            );
        }
        let host_letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if !host.bytes().all(host_letter) || !has_port_or_none(host) {
            return bad("it has no valid host: write host/path or host:port/path");
        }
        let host = host.to_ascii_lowercase();
        if !HUB_NAMES.contains(&host.as_str()) {
            return Ok(Self { host, path: path.to_owned() });
        }
        let path = if path.contains('/') { path.to_owned() } else { format!("library/{path}") };
        Ok(Self { host: HUB.to_owned(), path })
    }

    /// Returns the host as in names of images; Docker Hub is `docker.io`.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the host of the API.
    pub(super) fn server(&self) -> &str {
        if self.host == HUB { "registry-1.docker.io" } else { &self.host }
    }
}

/// Returns the other names of a host, under which a Secret may list its credentials.
pub(super) fn other_names(host: &str) -> &'static [&'static str] {
    if HUB_NAMES.contains(&host) { &HUB_NAMES } else { &[] }
}

fn has_port_or_none(host: &str) -> bool {
    let after = if host.starts_with('[') { host.split_once(']').map(|(_, rest)| rest) } else { Some(host) };
    let Some(after) = after else { return false };
    match after.split_once(':') {
        Some((_, port)) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => true,
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_read_as_docker_does() {
        for (text, shown, server) in [
            ("nginx", "docker.io/library/nginx", "registry-1.docker.io"),
            ("bitnami/nginx", "docker.io/bitnami/nginx", "registry-1.docker.io"),
            ("docker.io/nginx", "docker.io/library/nginx", "registry-1.docker.io"),
            ("index.docker.io/library/nginx", "docker.io/library/nginx", "registry-1.docker.io"),
            ("registry-1.docker.io/a/b/c", "docker.io/a/b/c", "registry-1.docker.io"),
            ("ghcr.io/fluent/fluent-bit", "ghcr.io/fluent/fluent-bit", "ghcr.io"),
            ("GHCR.io/a__b/c--d", "ghcr.io/a__b/c--d", "ghcr.io"),
            ("localhost/a", "localhost/a", "localhost"),
            ("localhost:5000/a", "localhost:5000/a", "localhost:5000"),
            ("[::1]:5000/a", "[::1]:5000/a", "[::1]:5000"),
            ("quay.io/a", "quay.io/a", "quay.io"),
        ] {
            let repository = Repository::parse(text).unwrap();
            assert_eq!((repository.to_string().as_str(), repository.server()), (shown, server), "{text}");
        }
    }

    #[test]
    fn what_is_no_repository_is_refused_and_shows_no_login() {
        for (text, part) in [
            ("", "write host/path"),
            ("ghcr.io", "library"),
            ("ghcr.io/", "write host/path"),
            ("https://ghcr.io/a", "without a scheme"),
            ("https://u:hunter2@ghcr.io/a", "without a scheme"),
            ("u:hunter2@ghcr.io/a", "contains a login"),
            ("ghcr.io/a:1.0", "a tag or a digest"),
            ("ghcr.io/a@sha256:00", "a tag or a digest"),
            ("ghcr.io/../a", "lowercase letters"),
            ("ghcr.io/A", "lowercase letters"),
            ("ghcr.io/a//b", "lowercase letters"),
            ("ghcr.io/-a", "lowercase letters"),
            ("ghcr.io/a b", "lowercase letters"),
            ("ghcr.io:port/a", "no valid host"),
            ("ghcr.io:0/a", "no valid host"),
            ("ghcr .io/a", "no valid host"),
        ] {
            let said = match Repository::parse(text) {
                Ok(repository) => repository.to_string(),
                Err(error) => error.to_string(),
            };
            assert!(said.contains(part) && !said.contains("hunter2"), "{text}: {said}");
        }
    }
}
