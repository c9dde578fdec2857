//! The claims of an ID token, and the user of the cluster that they name. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::cluster::people::Person;

/// Groups that are read of a claim.
const GROUPS: usize = 500;
/// Characters of a name.
const LONGEST: usize = 500;
/// How far the clocks may differ, in seconds.
const LEEWAY: i64 = 60;

/// Which claims name the user, as the API server is configured for the same provider.
#[derive(Clone, Debug)]
pub struct Names {
    /// Claim with the name of the user.
    pub user: String,
    /// Claim with the groups.
    pub groups: String,
    /// What the names of users and groups begin with.
    pub prefix: String,
}

/// What a token must say.
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub now: Timestamp,
}

/// Why a token names no user.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClaimError {
    #[error("it is no JSON Web Token")]
    Unreadable,
    #[error("its claim {0} is not that of this sign-in")]
    Other(&'static str),
    #[error("it has expired, or the clocks differ")]
    Expired,
    #[error("it has no claim {0} with the name of a user; see --ui-oidc-user-claim and the scopes")]
    Nameless(String),
    #[error("the provider has not verified the address in the claim email")]
    Unverified,
    #[error("its user has a name that begins with system:")]
    System,
}

/// The claims of a token.
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Reads a token without a check of its signature.
    pub fn read(token: &str) -> Result<Self, ClaimError> {
        let mut parts = token.split('.');
        let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ClaimError::Unreadable);
        };
        let bytes =
            URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).map_err(|_| ClaimError::Unreadable)?;
        serde_json::from_slice(&bytes).map(Self).map_err(|_| ClaimError::Unreadable)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }

    fn has(&self, name: &str, wanted: &str) -> bool {
        match self.0.get(name) {
            Some(Value::String(one)) => one == wanted,
            Some(Value::Array(all)) => all.iter().any(|one| one.as_str() == Some(wanted)),
            _ => false,
        }
    }

    /// The user that the token names, if it is the one of this sign-in.
    pub fn person(&self, expected: &Expected<'_>, names: &Names) -> Result<Person, ClaimError> {
        let Expected { issuer, client_id, nonce, now } = expected;
        if self.text("iss") != Some(issuer) {
            return Err(ClaimError::Other("iss"));
        }
        let is_sole = self.0.get("aud").is_none_or(|aud| aud.as_array().is_none_or(|all| all.len() == 1));
        if !self.has("aud", client_id) || (!is_sole && self.text("azp") != Some(client_id)) {
            return Err(ClaimError::Other("aud"));
        }
        if self.text("nonce") != Some(nonce) {
            return Err(ClaimError::Other("nonce"));
        }
        let ends = self.0.get("exp").and_then(Value::as_i64).unwrap_or(0);
        if ends.saturating_add(LEEWAY) <= now.as_second() {
            return Err(ClaimError::Expired);
        }
        let Names { user, groups, prefix } = names;
        if user == "email" && self.0.get("email_verified").is_some_and(|verified| *verified == false) {
            return Err(ClaimError::Unverified);
        }
        let name = self.text(user).filter(|name| name.chars().count() <= LONGEST);
        let name = format!("{prefix}{}", name.ok_or_else(|| ClaimError::Nameless(user.clone()))?);
        if name.starts_with("system:") {
            return Err(ClaimError::System);
        }
        let found =
            self.0.get(groups).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let found = found.map(|group| format!("{prefix}{group}"));
        let found = found.filter(|group| !group.starts_with("system:") && group.chars().count() <= LONGEST);
        let mut groups: Vec<String> = found.take(GROUPS).collect();
        groups.push("system:authenticated".to_owned());
        Ok(Person { name, groups, ..Person::default() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(change: &Value, prefix: &str) -> Result<(String, String), ClaimError> {
        let mut claims = json!({"iss": "https://id.example.com", "aud": "holdfast", "nonce": "n", "exp": 2_000_000_000,
            "email": "alice@example.com", "groups": ["dev", "system:masters"], "preferred_username": "alice"});
        for (name, value) in change.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        let token = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let names =
            Names { user: "email".to_owned(), groups: "groups".to_owned(), prefix: prefix.to_owned() };
        let now = "2026-01-01T12:00:00Z".parse().expect("a time");
        let expected = Expected { issuer: "https://id.example.com", client_id: "holdfast", nonce: "n", now };
        Claims::read(&token)?.person(&expected, &names).map(|person| (person.name, person.groups.join(" ")))
    }

    #[test]
    fn a_token_names_a_user_with_the_prefix_of_the_provider() {
        assert_eq!(
            found(&json!({}), "oidc:"),
            Ok((
                "oidc:alice@example.com".to_owned(),
                "oidc:dev oidc:system:masters system:authenticated".to_owned()
            ))
        );
        assert_eq!(
            found(&json!({"aud": ["holdfast"]}), ""),
            Ok(("alice@example.com".to_owned(), "dev system:authenticated".to_owned()))
        );
        let both = json!({"aud": ["other", "holdfast"], "azp": "holdfast"});
        assert!(found(&both, "").is_ok());
    }

    #[test]
    fn a_token_of_another_sign_in_client_issuer_or_time_is_refused() {
        for (change, expected) in [
            (json!({"iss": "https://evil.example.com"}), ClaimError::Other("iss")),
            (json!({"aud": "other"}), ClaimError::Other("aud")),
            (json!({"aud": ["other", "holdfast"]}), ClaimError::Other("aud")),
            (json!({"aud": ["other", "holdfast"], "azp": "other"}), ClaimError::Other("aud")),
            (json!({"nonce": "m"}), ClaimError::Other("nonce")),
            (json!({"nonce": null}), ClaimError::Other("nonce")),
            (json!({"exp": 1_000_000_000}), ClaimError::Expired),
            (json!({"exp": "soon"}), ClaimError::Expired),
            (json!({"email": null}), ClaimError::Nameless("email".to_owned())),
            (json!({"email": " "}), ClaimError::Nameless("email".to_owned())),
            (json!({"email_verified": false}), ClaimError::Unverified),
            (json!({"email": "system:admin"}), ClaimError::System),
        ] {
            assert_eq!(found(&change, ""), Err(expected), "{change}");
        }
        for token in ["", "a.b", "a.b.c.d", "a.!.c", "a.W10.c"] {
            assert!(matches!(Claims::read(token), Err(ClaimError::Unreadable)), "{token}");
        }
    }
}
