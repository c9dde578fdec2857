//! Finds out who visits. I/O: API requests about tokens.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::access::{Access, COOKIE_NAME, Means, OWN_COOKIE_NAME, Refusal, Visitor, cookie};
use super::desk::Desk;
use super::session::Key;
use crate::cluster::people::{People, Person};

/// Bytes of a token that are accepted.
const LONGEST: usize = 16 * 1024;

/// Finds out who visits.
pub async fn visitor(desk: &Desk, headers: &HeaderMap, peer: IpAddr) -> Result<Visitor, Refusal> {
    match &desk.access {
        Access::Loopback(hand) => Ok(Visitor {
            name: String::new(),
            id: "everybody".to_owned(),
            person: None,
            means: Means::Nothing,
            eyes: hand.clone(),
            is_program: false,
            has_session: false,
        }),
        Access::Own { hand, name, .. } => {
            let given = cookie(headers, OWN_COOKIE_NAME).unwrap_or_default();
            if !desk.access.opens(given) {
                return Err(Refusal::Forbidden(
                    "open the address that holdfast ui has printed, with its key",
                ));
            }
            Ok(Visitor {
                name: name.clone(),
                id: "own".to_owned(),
                person: None,
                means: Means::Theirs(hand.clone()),
                eyes: hand.clone(),
                is_program: false,
                has_session: false,
            })
        }
        Access::Proxy(people, proxy) => {
            let person = proxy.person(headers, peer)?;
            Ok(Visitor {
                name: person.name.clone(),
                id: of_person("proxy", &person),
                means: Means::Agents(people.own_hand()),
                eyes: people.own_hand(),
                person: Some((people.clone(), Arc::new(person))),
                is_program: false,
                has_session: false,
            })
        }
        Access::Token(people) => by_token(desk, people, headers).await,
        Access::Oidc(people, _) => by_session(desk, people, headers).await,
    }
}

async fn by_token(desk: &Desk, people: &People, headers: &HeaderMap) -> Result<Visitor, Refusal> {
    let (key, token) = match bearer(headers) {
        Some(token) => (Key::of_bearer(token), Some(Zeroizing::new(token.to_owned()))),
        None => (Key::of_cookie(cookie(headers, COOKIE_NAME).ok_or(Refusal::SignIn)?), None),
    };
    let found = desk.sessions.find(key, Instant::now());
    let is_program = token.is_some();
    let (token, person) = match (found, token) {
        (Some(found), _) if found.is_fresh => (found.token, found.person),
        (Some(found), _) => (found.token.clone(), admit(desk, people, key, found.token).await?),
        (None, Some(token)) => (token.clone(), admit(desk, people, key, token).await?),
        (None, None) => return Err(Refusal::SignIn),
    };
    let hand = people.hand_of(&token).map_err(|_| Refusal::BadToken)?;
    Ok(Visitor {
        name: person.name.clone(),
        id: format!("{}/{}", key.name(), of_person("token", &person)),
        means: Means::Theirs(hand.clone()),
        eyes: hand,
        person: Some((people.clone(), Arc::new(person))),
        is_program,
        has_session: !is_program,
    })
}

/// The user of a session that a provider began. If the API server accepts the token of the provider, the user has credentials of the
/// own; else the agent acts once the API server has said that the user may.
async fn by_session(desk: &Desk, people: &People, headers: &HeaderMap) -> Result<Visitor, Refusal> {
    let key = Key::of_cookie(cookie(headers, COOKIE_NAME).ok_or(Refusal::SignIn)?);
    let found = desk.sessions.find(key, Instant::now()).ok_or(Refusal::SignIn)?;
    let (means, eyes, person) = if found.token.is_empty() {
        (Means::Agents(people.own_hand()), people.own_hand(), found.person)
    } else {
        let person = if found.is_fresh {
            found.person
        } else {
            // An ID token lasts for an hour or less; then the user signs in again.
            admit(desk, people, key, found.token.clone()).await.map_err(|error| match error {
                Refusal::BadToken => Refusal::SignIn,
                error => error,
            })?
        };
        let hand = people.hand_of(&found.token).map_err(|_| Refusal::BadToken)?;
        (Means::Theirs(hand.clone()), hand, person)
    };
    Ok(Visitor {
        name: person.name.clone(),
        id: format!("{}/{}", key.name(), of_person("oidc", &person)),
        means,
        eyes,
        person: Some((people.clone(), Arc::new(person))),
        is_program: false,
        has_session: true,
    })
}

/// Asks whose a token is, and begins or ends its session.
pub async fn admit(
    desk: &Desk,
    people: &People,
    key: Key,
    token: Zeroizing<String>,
) -> Result<Person, Refusal> {
    let is_token = token.len() <= LONGEST && token.bytes().all(|byte| byte.is_ascii_graphic());
    let person = if is_token && !token.is_empty() { people.owner_of(&token).await? } else { None };
    let Some(person) = person else {
        desk.sessions.end(key);
        return Err(Refusal::BadToken);
    };
    desk.sessions.keep(key, person.clone(), token, Instant::now());
    Ok(person)
}

/// A digest of a user and what gives that user rights.
fn of_person(kind: &str, person: &Person) -> String {
    let Person { name, uid, groups, extra } = person;
    hex::encode(Sha256::digest(format!("{kind} {name:?} {uid:?} {groups:?} {extra:?}")))
}

/// The token in the header `Authorization`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
