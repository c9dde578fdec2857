//! The tenant and the logins for fetching bases of other repositories and files of web servers. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::RemoteStatus;
use crate::trust::Domain;

/// The tenant and the logins for fetching files and bases from other servers.
#[derive(Default)]
pub struct RemoteInputs {
    /// The commit that is rendered; empty for a working tree.
    pub commit: String,
    pub tenant: String,
    pub domain: Option<Domain>,
    /// Logins, each for the URLs that start with its own.
    pub logins: Vec<RemoteLogin>,
    /// The remotes in the status of the Sync.
    pub recorded: Vec<RemoteStatus>,
}

/// A login for URLs that start with one. It is secret: there is no `Debug`.
pub struct RemoteLogin {
    pub url: LoginUrl,
    /// The name of the Secret.
    pub secret: String,
    pub data: Arc<BTreeMap<String, Vec<u8>>>,
}

/// A prefix of URLs: a scheme, a host with its port, and folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginUrl {
    scheme: String,
    host: String,
    path: String,
}

impl RemoteInputs {
    /// Returns the login with the longest URL that is a prefix of this one.
    pub fn login(&self, place: &str) -> Option<&RemoteLogin> {
        let place = LoginUrl::parse(place)?;
        let fitting = self.logins.iter().filter(|login| login.url.begins(&place));
        fitting.max_by_key(|login| login.url.path.len())
    }
}

impl LoginUrl {
    /// `None` if there is no scheme or no host. `git@host:path` is the same as `ssh://git@host/path`. A user is not compared.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = if let Some((scheme, rest)) = text.split_once("://") {
            (scheme.to_ascii_lowercase(), rest.to_owned())
        } else {
            let (host, path) = text.split_once(':').filter(|(host, _)| host.contains('@'))?;
            ("ssh".to_owned(), format!("{host}/{}", path.trim_start_matches('/')))
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
        let usual = match scheme.as_str() {
            "https" => ":443",
            "http" => ":80",
            "ssh" => ":22",
            _ => return None,
        };
        let host = host.strip_suffix(usual).unwrap_or(&host).to_owned();
        let path = path.trim_end_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).to_owned();
        (!host.is_empty() && !host.starts_with(':')).then_some(Self { scheme, host, path })
    }

    /// True if another URL is this one or below it.
    fn begins(&self, other: &Self) -> bool {
        let Self { scheme, host, path } = self;
        let below = other.path.strip_prefix(path.as_str());
        let is_part =
            |rest: &str| rest.is_empty() || rest.starts_with(['/', '?', '#']) || rest.starts_with(".git/");
        *scheme == other.scheme && *host == other.host && below.is_some_and(is_part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_for_what_is_below_its_url_on_the_same_host_and_scheme() {
        let all = [
            ("https://git.example.com/team", "https://git.example.com/team/app.git", true),
            ("https://git.example.com/team/", "https://git.example.com/team", true),
            ("https://git.example.com/team/app.git", "https://git.example.com/team/app", true),
            ("https://git.example.com/team/app", "https://git.example.com/team/app.git/raw/a.yaml", true),
            ("https://Git.Example.com:443", "https://git.example.com/a.yaml?x=1", true),
            ("ssh://git.example.com/team", "git@git.example.com:team/app.git", true),
            ("git@git.example.com:team", "ssh://git@git.example.com/team/app", true),
            ("https://git.example.com/team", "https://git.example.com/team-b/app", false),
            ("https://git.example.com", "https://git.example.com.evil.example.com/app", false),
            ("https://git.example.com", "https://git.example.com:8443/app", false),
            ("https://git.example.com", "https://git.example.com@evil.example.com/app", false),
            ("https://git.example.com", "http://git.example.com/app", false),
            ("ssh://git.example.com:2222/team", "ssh://git@git.example.com/team/app", false),
        ];
        for (url, place, expected) in all {
            let both = LoginUrl::parse(url).zip(LoginUrl::parse(place));
            assert_eq!(both.is_some_and(|(url, place)| url.begins(&place)), expected, "{url} {place}");
        }
        for bad in ["git.example.com/team", "https://", "https:///team", "", "ftp://host/a", "https://:443/a"]
        {
            assert_eq!(LoginUrl::parse(bad), None, "{bad}");
        }
    }
}
