//! Who may visit, how a visitor is known, and by which means that visitor writes. Pure.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderName};
use subtle::ConstantTimeEq as _;

use super::oidc::Oidc;
use crate::cluster::people::{Hand, People, Person, PersonError};
use crate::http::Destination;

/// The cookie of a session. A browser accepts this prefix only for the host itself, with `Secure` and for all paths.
pub const COOKIE_NAME: &str = "__Host-holdfast";
/// The cookie of `holdfast ui`, whose pages are served without TLS on loopback.
pub const OWN_COOKIE_NAME: &str = "holdfast-ui";
/// The cookie of a browser that signs in with a provider.
pub const STATE_COOKIE_NAME: &str = "__Host-holdfast-login";
/// Groups that are read of a header.
const GROUPS: usize = 500;

/// Who may visit, and how a visitor is known.
pub enum Access {
    /// Every client that can connect may read, with the rights of the agent. No client may write.
    Loopback(Hand),
    /// Users of the cluster, by their tokens.
    Token(People),
    /// Users that a proxy names.
    Proxy(People, Proxy),
    /// Users that sign in with a provider.
    Oidc(People, Box<Oidc>),
    /// The user of a kubeconfig, who knows this key.
    Own { hand: Hand, name: String, key: String },
}

/// A proxy that authenticates users.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Where its requests come from.
    pub from: Vec<Destination>,
    /// The headers that name the user and the groups.
    pub user: HeaderName,
    pub groups: HeaderName,
}

/// An entry of `--ui-proxy-from` is no address.
#[derive(Debug, thiserror::Error)]
#[error("--ui-proxy-from takes addresses and networks, such as 127.0.0.1 or 10.0.0.0/8, and {0} is neither")]
pub struct BadProxy(Destination);

/// By whose hand a visitor writes.
#[derive(Clone)]
pub enum Means {
    Nothing,
    /// The visitor's own credentials.
    Theirs(Hand),
    /// The agent's, after the API server has said that the visitor may.
    Agents(Hand),
}

/// Who visits.
#[derive(Clone)]
pub struct Visitor {
    /// As the pages show it; empty if nobody is known.
    pub name: String,
    /// Names the visitor in proofs and remembered answers.
    pub id: String,
    /// Whose rights are asked for, and where.
    pub person: Option<(People, Arc<Person>)>,
    pub means: Means,
    /// By whose hand objects are read: the visitor's own, or the agent's after the API server has said that the visitor may.
    pub eyes: Hand,
    /// True if the credentials came in a header that no browser sends by itself.
    pub is_program: bool,
    /// True if the visitor can sign out.
    pub has_session: bool,
}

/// Why a visitor is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("sign in first")]
    SignIn,
    #[error("the token is not valid; sign in with another one")]
    BadToken,
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("cannot check who you are: {0}; the agent needs the rights of manifests/ui")]
    Unknown(#[from] PersonError),
}

impl Proxy {
    pub fn new(from: Vec<Destination>, user: HeaderName, groups: HeaderName) -> Result<Self, BadProxy> {
        match from.iter().find(|one| !matches!(one, Destination::Network(_))) {
            Some(bad) => Err(BadProxy(bad.clone())),
            None => Ok(Self { from, user, groups }),
        }
    }

    /// The user that the headers name. What belongs to Kubernetes itself is named by no proxy: neither a user nor a group
    /// whose name begins with `system:`.
    pub fn person(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Person, Refusal> {
        let peer = peer.to_canonical();
        if !self.from.iter().any(|network| network.holds(peer)) {
            return Err(Refusal::Forbidden("this address is not one of the proxies in --ui-proxy-from"));
        }
        let mut users = headers.get_all(&self.user).iter();
        let (Some(user), None) = (users.next().and_then(|user| user.to_str().ok()), users.next()) else {
            return Err(Refusal::Forbidden(
                "the proxy must name one user in the header of --ui-proxy-user-header",
            ));
        };
        let user = user.trim();
        if user.is_empty() || user.starts_with("system:") {
            return Err(Refusal::Forbidden("the proxy names no user, or one whose name begins with system:"));
        }
        let groups = headers.get_all(&self.groups).iter().filter_map(|groups| groups.to_str().ok());
        let groups = groups.flat_map(|groups| groups.split(',')).map(str::trim);
        let groups = groups.filter(|group| !group.is_empty() && !group.starts_with("system:"));
        let mut groups: Vec<String> = groups.take(GROUPS).map(ToOwned::to_owned).collect();
        groups.push("system:authenticated".to_owned());
        Ok(Person { name: user.to_owned(), groups, ..Person::default() })
    }
}

impl Access {
    /// True if only requests to a name of this machine are answered, so that no site can have its own name resolved to it.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Loopback(_) | Self::Own { .. })
    }

    /// True for the key of `holdfast ui`.
    pub fn opens(&self, given: &str) -> bool {
        matches!(self, Self::Own { key, .. } if bool::from(given.as_bytes().ct_eq(key.as_bytes())))
    }
}

/// The value of a cookie.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs =
        pairs.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy() -> Proxy {
        let from = vec!["10.0.0.0/8".parse().expect("a network")];
        let name = HeaderName::from_static;
        Proxy::new(from, name("x-forwarded-user"), name("x-forwarded-groups")).expect("networks")
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), axum::http::HeaderValue::from_static(value))
        };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_proxy_names_users_of_its_own_from_its_own_address() {
        let inside: IpAddr = [10, 1, 2, 3].into();
        let found = |pairs: &[(&'static str, &'static str)], peer: IpAddr| {
            proxy().person(&headers(pairs), peer).map_err(|error| error.to_string())
        };
        let alice = ("x-forwarded-user", "alice@example.com");
        let groups = ("x-forwarded-groups", "dev, system:masters,ops");
        let person = found(&[alice, groups], inside).expect("a user");
        assert_eq!(
            (person.name.as_str(), person.groups.join(" ").as_str()),
            ("alice@example.com", "dev ops system:authenticated")
        );
        assert!(found(&[alice], "::ffff:10.1.2.3".parse().expect("an address")).is_ok());
        for (pairs, peer) in [
            (&[alice][..], [192, 0, 2, 1].into()),
            (&[], inside),
            (&[("x-forwarded-user", "")], inside),
            (&[("x-forwarded-user", "system:admin")], inside),
            (&[alice, ("x-forwarded-user", "bob")], inside),
        ] {
            assert!(found(pairs, peer).is_err(), "{pairs:?} {peer}");
        }
    }

    #[test]
    fn a_proxy_is_named_by_its_address_only() {
        let name = HeaderName::from_static;
        let from = vec!["proxy.example.com".parse().expect("a host")];
        assert!(Proxy::new(from, name("x-user"), name("x-groups")).is_err());
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let headers = headers(&[("cookie", "a=1; __Host-holdfast=abc"), ("cookie", "x__Host-holdfast=no")]);
        assert_eq!(cookie(&headers, COOKIE_NAME), Some("abc"));
        assert_eq!(cookie(&headers, "b"), None);
        assert_eq!(cookie(&headers, "Host-holdfast"), None);
    }
}
