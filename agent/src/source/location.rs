//! The location of a repository: a parsed URL with the credentials that belong to it. Pure.

use std::fmt;
use std::sync::Arc;

use holdfast_diff::digest::{Digest, Hasher};

use super::scheme::Scheme;
use super::{Credential, SourceError};
use crate::trust::Domain;

/// A repository and its credentials.
#[derive(Clone)]
pub struct Location {
    pub(super) scheme: Scheme,
    /// The URL for gix, without any password.
    pub(super) url: String,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) credential: Arc<Credential>,
    id: MirrorId,
    tenant: Option<Arc<str>>,
    domain: Domain,
}

/// The identity of a mirror: the trust domain, the URL and the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MirrorId(Digest);

impl fmt::Display for MirrorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Location {
    /// Parses a URL: https, http, ssh://, user@host:path, file://.
    pub fn parse(url: &str, credential: Option<Credential>) -> Result<Self, SourceError> {
        let url = url.trim();
        let bad = |why: &str| SourceError::BadUrl { url: redact(url), why: why.to_owned() };
        if has_password(url) {
            return Err(bad(
                "it contains a password, which every reader of the Sync could see; move it to a Secret and set secretRef",
            ));
        }
        let scheme = if url.starts_with("https://") || url.starts_with("http://") {
            Scheme::Http
        } else if url.starts_with("ssh://") {
            Scheme::Ssh
        } else if url.starts_with("file://") {
            Scheme::File
        } else if !url.contains("://")
            && url.split_once(':').is_some_and(|(host, path)| !host.contains('/') && !path.is_empty())
        {
            Scheme::Ssh
        } else {
            return Err(bad(
                "not a supported URL; write https://, http://, ssh://, user@host:path or file://",
            ));
        };
        if url.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            return Err(bad("a URL has no spaces and no control characters"));
        }
        if let Some(right) = misplaced_path(url) {
            return Err(bad(&format!(
                "the text after the colon must be a port; write {right}, with a slash"
            )));
        }
        let Server { host, port } = server(url, scheme).map_err(bad)?;
        let credential = credential.unwrap_or_default();
        if let Some(why) = credential.mismatch(scheme) {
            return Err(SourceError::BadCredential(format!("{}: {why}", redact(url))));
        }
        let id = id(url, &credential, &Domain::Installation);
        Ok(Self {
            scheme,
            url: url.to_owned(),
            host,
            port,
            credential: Arc::new(credential),
            id,
            tenant: None,
            domain: Domain::Installation,
        })
    }

    /// Returns the same repository, read for a tenant: its connections count towards the share of the tenant.
    #[must_use]
    pub fn for_tenant(self, namespace: &str) -> Self {
        Self { tenant: Some(namespace.into()), ..self }
    }

    /// Returns the tenant whose share of connections is used; the host if there is no tenant.
    pub(super) fn tenant(&self) -> &str {
        self.tenant.as_deref().unwrap_or(&self.host)
    }

    /// Returns the key of a pause that a server requested: host, port, login and tenant.
    pub(super) fn server(&self) -> String {
        let login = self.credential.id().map(|id| id.to_string()).unwrap_or_default();
        let start =
            self.url.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split('/').next()?)));
        let (scheme, authority) = start.unwrap_or_default();
        format!("{} {} {scheme}://{authority} {login}", self.domain, self.tenant())
    }

    /// True if it has credentials.
    pub fn has_login(&self) -> bool {
        self.credential.id().is_some()
    }

    /// Returns the same repository in a mirror of this trust domain, so that fetches of one tenant do not delay
    /// another one.
    #[must_use]
    pub fn within(self, domain: Domain) -> Self {
        let Self { scheme, url, host, port, credential, id: _, tenant, domain: _ } = self;
        let id = id(&url, &credential, &domain);
        Self { scheme, url, host, port, credential, id, tenant, domain }
    }

    /// Returns the trust domain of the mirror.
    pub(super) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Returns the path of the mirror, below the folder of all mirrors.
    pub fn place(&self) -> String {
        format!("{}/{}", self.domain, self.id)
    }

    pub fn mirror(&self) -> MirrorId {
        self.id
    }

    /// True if both URLs name the same repository, as far as the URLs show.
    pub fn is_same_repository(&self, other: &Self) -> bool {
        self.repository() == other.repository()
    }

    /// Returns the names that a server may use for the repository in its messages: its path, or the end of it.
    pub(super) fn names(&self) -> Vec<String> {
        let repository = self.repository();
        let path = repository.split_once('/').map_or("", |(_, path)| path).trim_matches('/');
        let end = path.rsplit_once('/').map(|(_, end)| format!("/{end}"));
        [Some(path.to_owned()), end].into_iter().flatten().filter(|name| !name.is_empty()).collect()
    }

    /// Returns host and path, which are equal for all URLs of a repository, whatever the transport. Two repositories
    /// can share them, on two ports of a host: the result is only used to trigger checks, never to share content.
    pub(super) fn repository(&self) -> String {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let separator = if self.url.contains("://") { '/' } else { ':' };
        let path = rest.split_once(separator).map_or("", |(_, path)| path);
        let path = path.trim_matches('/');
        format!("{}/{}", self.host.to_lowercase(), path.strip_suffix(".git").unwrap_or(path))
    }
}

fn id(url: &str, credential: &Credential, domain: &Domain) -> MirrorId {
    let mut hasher = Hasher::default();
    hasher.text(&domain.to_string());
    hasher.text(url);
    if let Some(id) = credential.id() {
        hasher.text(&id.to_string());
    }
    MirrorId(hasher.finish())
}

/// The server that a URL names; a file URL has none.
struct Server {
    host: String,
    port: Option<u16>,
}

/// Reads the server of a URL as gix does, and refuses values that a program could interpret as one of its options,
/// in any encoding.
fn server(url: &str, scheme: Scheme) -> Result<Server, &'static str> {
    if scheme == Scheme::File {
        return Ok(Server { host: String::new(), port: None });
    }
    let url = gix::Url::try_from(url).map_err(|_| "it is not a URL that Git accepts")?;
    let host = url.host().filter(|host| !host.is_empty()).ok_or("it has no host")?;
    let path: &[u8] = url.path.as_ref();
    let option = host.starts_with('-')
        || url.user().is_some_and(|user| user.starts_with('-'))
        || path.trim_ascii_start().starts_with(b"-");
    if option {
        return Err("its user, host or path begins with a dash");
    }
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if scheme == Scheme::Ssh && !host.bytes().all(good) {
        return Err("its host has invalid characters");
    }
    let bad_user = |user: &str| user.chars().any(|letter| letter.is_control() || letter.is_whitespace());
    if url.user().is_some_and(bad_user) {
        return Err("its user has spaces or control characters");
    }
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Server { host, port: url.port })
}

/// True if the URL contains a password after the user: `user:password@host`.
fn has_password(url: &str) -> bool {
    let authority = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
    match url.split_once("://") {
        Some((_, rest)) => authority(rest).rsplit_once('@').is_some_and(|(user, _)| user.contains(':')),
        // In `user@host:path` the path may contain any character.
        None => authority(url)
            .split_once('@')
            .is_some_and(|(user, rest)| user.contains(':') && rest.contains(':')),
    }
}

/// Returns the URL that was probably meant by `ssh://host:org/repository`, which mixes both forms of ssh URLs.
fn misplaced_path(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_once('/')?;
    let (host, port) = authority.rsplit_once(':').filter(|(_, port)| !port.contains([']', '@']))?;
    let is_port = port.is_empty() || port.bytes().all(|byte| byte.is_ascii_digit());
    (!is_port).then(|| format!("{scheme}://{host}/{port}/{path}"))
}

/// Removes the password between user and host from a URL.
fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // In `user@host:path` the user ends at the last `@`, unless that belongs to the path.
        return match url.rsplit_once('@') {
            Some((_, rest)) if has_password(url) => rest.to_owned(),
            _ => url.to_owned(),
        };
    };
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}/{path}"),
        None => url.to_owned(),
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(&self.url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Result<(Scheme, &str), &str>) {
        let found = Location::parse(url, None);
        match (&found, expected) {
            (Ok(location), Ok((scheme, host))) => {
                assert_eq!((location.scheme, location.host.as_str()), (scheme, host), "{url}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{url}: {error}"),
            (Ok(_), Err(part)) => unreachable!("{url} was taken, and not refused for {part}"),
            (Err(error), Ok(_)) => unreachable!("{url} was refused: {error}"),
        }
    }

    #[test]
    fn urls_are_understood_as_git_understands_them() {
        check("https://git.example.com/org/config.git", Ok((Scheme::Http, "git.example.com")));
        check("http://127.0.0.1:3000/a", Ok((Scheme::Http, "127.0.0.1")));
        check("ssh://git@example.com:2222/a.git", Ok((Scheme::Ssh, "example.com")));
        check("git@example.com:org/config.git", Ok((Scheme::Ssh, "example.com")));
        check("file:///srv/git/a", Ok((Scheme::File, "")));
        check("ext::sh -c id", Err("no spaces"));
        check("ssh://git@[::1]:2222/a.git", Ok((Scheme::Ssh, "::1")));
        for url in [
            "--upload-pack=x:y",
            "-oProxyCommand=x:y",
            "ssh://-oProxyCommand=x/a",
            "ssh://%2doProxyCommand=x/a",
            "ssh://-oProxyCommand=x@example.com/a",
            "ssh://%2doProxyCommand=x@example.com/a",
            "ssh://-F/a@example.com/a",
            "git@-oProxyCommand=x:a",
            "git@example.com:-a",
            "https://-oProxyCommand=x/a",
        ] {
            check(url, Err(""));
        }
        check("git@example.com:--upload-pack=x", Err("begins with a dash"));
        check("git@example.com:a@b:c/d", Ok((Scheme::Ssh, "example.com")));
        check("ssh://exa$(id)mple.com/a", Err(""));
        check("ssh://fe80::1%25eth0/a", Err(""));
        check("https:///a", Err(""));
        check("config", Err("not a supported URL"));
        check("git://example.com/a", Err("not a supported URL"));
        check("ssh://git@example.com:org/config.git", Err("write ssh://git@"));
        check("ssh://git@example.com:org/config.git", Err("example.com/org/config.git"));
        check("https://example.com:org/config", Err("write https://example.com/org/config"));
    }

    #[test]
    fn one_repository_is_known_by_all_its_urls() -> Result<(), SourceError> {
        let name = |url: &str| Location::parse(url, None).map(|location| location.repository());
        for url in [
            "https://git@GIT.example.com/org/config.git",
            "https://git.example.com:8443/org/config/",
            "ssh://git@git.example.com:2222/org/config.git",
            "git@git.example.com:org/config.git",
        ] {
            assert_eq!(name(url)?, "git.example.com/org/config", "{url}");
        }
        assert_eq!(name("file:///srv/git/a.git")?, "/srv/git/a");
        assert_ne!(name("https://git.example.com/org/other")?, "git.example.com/org/config");
        Ok(())
    }

    #[test]
    fn each_trust_domain_has_a_mirror_of_its_own() -> Result<(), SourceError> {
        let of = |domain: Domain| {
            let location = Location::parse("https://git.example.com/a", None)?.within(domain);
            Ok((location.mirror(), location.place()))
        };
        let a = of(Domain::Namespace("a".into()))?;
        assert!(a.1.starts_with("namespace-a/"));
        assert_ne!(a.0, of(Domain::Namespace("b".into()))?.0);
        assert_eq!(of(Domain::Installation)?.0, Location::parse("https://git.example.com/a", None)?.mirror());
        Ok(())
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        for url in [
            "https://alice:hunter2@example.com/a",
            "https://alice:hunter2@example.com:8443/a",
            "ssh://git:hunter2@example.com/a",
            "ssh://git:hunter2@example.com:22/a",
            "git:hunter2@example.com:a/b",
        ] {
            let error = Location::parse(url, None).err().map(|error| error.to_string());
            assert!(
                error.as_ref().is_some_and(|error| !error.contains("hunter2") && error.contains("secretRef")),
                "{url}: {error:?}"
            );
        }
    }

    #[test]
    fn a_login_is_for_its_own_way() {
        let login = |url: &str, keys: &[(&str, &str)]| {
            let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), value.as_bytes().to_vec());
            let credential = Credential::from_secret(&keys.iter().map(entry).collect()).ok();
            Location::parse(url, credential).err().map(|error| error.to_string()).unwrap_or_default()
        };
        let (http, ssh) = ("https://git.example.com/a", "git@git.example.com:a");
        assert!(login(http, &[("known_hosts", "a")]).contains("is for ssh"));
        assert!(login(ssh, &[("bearerToken", "a")]).contains("is for https"));
        for (url, keys) in [
            (http, vec![("password", "a"), ("known_hosts", "a")]),
            (http, vec![("ca.crt", "a")]),
            (ssh, vec![("known_hosts", "a"), ("ca.crt", "a")]),
        ] {
            assert_eq!(login(url, &keys), "", "{url}");
        }
    }
}
