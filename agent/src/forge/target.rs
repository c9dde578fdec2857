//! Which repository of which forge: read from the URL that git uses, with the URL of the API that belongs to it. Pure.

use holdfast_diff::digest::Digest;
use reqwest::Url;

use super::ForgeError;
use crate::api::Forge;
use crate::http::Trust;
use crate::secret_data::Data;

/// A repository of a forge, and how to log in there. Has no `Debug`: it has the token.
#[derive(Clone)]
pub struct Target {
    pub(super) provider: Forge,
    /// Where the API begins: `https://api.github.com`.
    pub(super) api: Url,
    /// `owner/repository`, or a path through the groups of GitLab.
    pub(super) repository: String,
    pub(super) token: String,
    /// Names the login without showing it. The same for all tokens of a GitHub App.
    pub(super) login: Digest,
    /// The name of the GitHub App, if it is one that is logged in.
    pub(super) bot: Option<String>,
    pub(super) ca: Option<Vec<u8>>,
}

impl Target {
    /// Reads the URL of a repository (https, ssh, or `user@host:path`). `url` is that of the forge or of its API, if it is
    /// not at the host of the repository.
    pub fn parse(
        provider: Forge,
        git: &str,
        url: Option<&str>,
        token: &str,
        ca: Option<&[u8]>,
    ) -> Result<Self, ForgeError> {
        let Place { origin, path } = Place::parse(git.trim())?;
        let forge = match url {
            Some(url) => web(url.trim())?,
            None => origin,
        };
        let (before, repository) = split(provider, &path, forge.path(), git)?;
        let api = api(provider, forge, url.is_some(), &before);
        let token = token.trim_end_matches(['\r', '\n']).to_owned();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ForgeError::BadToken);
        }
        let (login, ca) = (Digest::of_bytes(token.as_bytes()), ca.map(<[u8]>::to_vec));
        Ok(Self { provider, api, repository, token, login, bot: None, ca })
    }

    /// Which kind of forge it is.
    pub fn provider(&self) -> Forge {
        self.provider
    }

    /// True if the login is that of a GitHub App, which alone may write check runs.
    pub fn is_app(&self) -> bool {
        self.bot.is_some()
    }

    /// What tells this repository and login from all others.
    pub(super) fn key(&self) -> String {
        format!("{} {} {}", self.login, self.api, self.repository)
    }

    /// `owner` and `repository`, or the groups and the project.
    pub(super) fn names(&self) -> (&str, &str) {
        self.repository.rsplit_once('/').unwrap_or(("", &self.repository))
    }

    /// The page of the repository, which pages of files are below.
    pub fn page(&self) -> String {
        let mut url = self.api.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        let suffix = ["/api/v1", "/api/v3", "/api/v4"].iter().find_map(|suffix| path.strip_suffix(suffix));
        let host = url.host_str().and_then(|host| host.strip_prefix("api.")).map(ToOwned::to_owned);
        if let (Forge::GitHub, None, Some(host)) = (self.provider, suffix, host) {
            // Cannot fail: what stands behind "api." is a host.
            let _ = url.set_host(Some(&host));
        }
        url.set_path(&format!("{}/{}", suffix.unwrap_or(&path), self.repository));
        url.to_string()
    }

    /// The URL of the repository for Git, and the login for it with the keys of a Secret.
    pub fn git(&self) -> (String, Data) {
        let user = match self.provider {
            Forge::GitHub => "x-access-token",
            Forge::GitLab => "oauth2",
            Forge::Gitea => "holdfast",
        };
        let keys = [("username", user.as_bytes()), ("password", self.token.as_bytes())];
        let ca = self.ca.iter().map(|ca| ("ca.crt", ca.as_slice()));
        let data = keys.into_iter().chain(ca).map(|(key, value)| (key.to_owned(), value.to_vec())).collect();
        (format!("{}.git", self.page()), data)
    }

    /// Where it is, to be shown.
    pub(super) fn host(&self) -> String {
        origin(&self.api)
    }

    /// The certificates for a connection.
    pub(super) fn trust(&self) -> Result<Trust, ForgeError> {
        Trust::read(self.ca.as_deref(), None).map_err(|_| ForgeError::BadCertificate)
    }
}

/// `https://host:port`
pub fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// What the URL of a repository says.
struct Place {
    /// Where its pages are, if nothing else is said.
    origin: Url,
    /// Without `.git`, and without a slash at either end.
    path: String,
}

impl Place {
    fn parse(git: &str) -> Result<Self, ForgeError> {
        let (origin, path) = if git.starts_with("https://") || git.starts_with("http://") {
            let mut url = web(git)?;
            let path = url.path().to_owned();
            url.set_path("");
            (url, path)
        } else if git.starts_with("ssh://") {
            let url = Url::parse(git).map_err(|_| bad(git, "it is not a URL"))?;
            let host = url.host_str().ok_or_else(|| bad(git, "it names no host"))?;
            // The port is that of ssh.
            (web(&format!("https://{host}"))?, url.path().to_owned())
        } else {
            let (host, path) = git.split_once(':').filter(|_| !git.contains("://")).ok_or_else(|| {
                bad(git, "write https://host/owner/repository, ssh://… or user@host:owner/repository")
            })?;
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            (web(&format!("https://{host}"))?, path.to_owned())
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/').to_owned();
        if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(bad(git, "it names no owner and repository"));
        }
        Ok(Self { origin, path })
    }
}

/// Reads an http URL, and takes off what does not belong to the place.
fn web(text: &str) -> Result<Url, ForgeError> {
    let mut url = Url::parse(text).map_err(|_| bad(text, "it is not a URL"))?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
        return Err(bad(text, "write https://host"));
    }
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// What stands before the repository (a forge need not be at the root of its host), and the repository.
fn split(provider: Forge, path: &str, forge: &str, git: &str) -> Result<(String, String), ForgeError> {
    let parts: Vec<&str> = path.split('/').collect();
    let count = match provider {
        Forge::GitHub | Forge::Gitea => 2,
        Forge::GitLab => {
            let before = forge.trim_matches('/').trim_end_matches("api/v4").trim_end_matches('/');
            let inside = path.strip_prefix(before).and_then(|rest| rest.strip_prefix('/'));
            inside.filter(|_| !before.is_empty()).map_or(parts.len(), |rest| rest.split('/').count())
        }
    };
    let wrong = provider == Forge::GitHub && parts.len() > 2;
    if parts.len() < 2 || count < 2 || wrong {
        return Err(bad(git, "it names no owner and repository"));
    }
    let (before, repository) = parts.split_at(parts.len() - count);
    Ok((before.join("/"), repository.join("/")))
}

/// The URL of the API of a forge.
fn api(provider: Forge, mut forge: Url, given: bool, before: &str) -> Url {
    let path = forge.path().trim_end_matches('/').to_owned();
    let host = forge.host_str().unwrap_or_default().to_owned();
    let suffix = match provider {
        Forge::GitHub => {
            let tenant = host.ends_with(".ghe.com") && !host.starts_with("api.");
            if host == "github.com" || host == "ssh.github.com" || host == "www.github.com" || tenant {
                let bare = if tenant { host.as_str() } else { "github.com" };
                // Cannot fail: a host after "api." is one.
                let _ = forge.set_host(Some(&format!("api.{bare}")));
            }
            if forge.host_str().is_some_and(|host| host.starts_with("api.")) { "" } else { "/api/v3" }
        }
        Forge::GitLab => {
            if host == "altssh.gitlab.com" {
                let _ = forge.set_host(Some("gitlab.com"));
            }
            "/api/v4"
        }
        Forge::Gitea => "/api/v1",
    };
    let path = if path.is_empty() && !given && provider == Forge::Gitea && !before.is_empty() {
        format!("/{before}")
    } else {
        path
    };
    let whole = if path.ends_with(suffix) { path } else { format!("{path}{suffix}") };
    forge.set_path(&whole);
    forge
}

fn bad(url: &str, why: &'static str) -> ForgeError {
    ForgeError::BadUrl { url: shown(url), why }
}

/// A URL without what stands between scheme and host, which may be a password.
fn shown(url: &str) -> String {
    let text = match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        (None, Some((_, rest))) => rest.to_owned(),
        (_, None) => url.to_owned(),
    };
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}
