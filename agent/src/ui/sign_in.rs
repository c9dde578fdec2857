//! `/login`, `/logout`, the sign-in with a provider, and the key of `holdfast ui`. I/O: API requests about tokens, the provider.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::access::{Access, COOKIE_NAME, OWN_COOKIE_NAME, Refusal, STATE_COOKIE_NAME, cookie};
use super::answer;
use super::desk::Desk;
use super::form::Form;
use super::oidc::{Begin, Oidc, SignedIn};
use super::pages;
use super::session::{Key, identifier};
use super::who::{admit, visitor};

/// The form.
pub async fn page(State(desk): State<Arc<Desk>>, RawQuery(query): RawQuery) -> Response {
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    match &desk.access {
        Access::Token(_) => shown(&desk, StatusCode::OK, None, query.get("next")),
        Access::Oidc(_, oidc) => offered(&desk, oidc, StatusCode::OK, None, query.get("next")),
        _ => answer::to("/"),
    }
}

fn shown(desk: &Desk, status: StatusCode, wrong: Option<&str>, next: &str) -> Response {
    let frame = desk.frame(None, None);
    answer::html(status, pages::sign_in(&frame, wrong, answer::local(next)))
}

fn offered(desk: &Desk, oidc: &Oidc, status: StatusCode, wrong: Option<&str>, next: &str) -> Response {
    let frame = desk.frame(None, None);
    answer::html(status, pages::sign_in_with(&frame, oidc.host(), wrong, answer::local(next)))
}

/// `/login/begin?next=…`: goes to the provider.
pub async fn begin(State(desk): State<Arc<Desk>>, RawQuery(query): RawQuery) -> Response {
    let Access::Oidc(_, oidc) = &desk.access else { return answer::to("/login") };
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let next = answer::local(query.get("next"));
    match oidc.begin(next).await {
        Ok(Begin { url, state }) => {
            let cookie =
                format!("{STATE_COOKIE_NAME}={state}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600");
            with_cookie(answer::to(&url), &cookie)
        }
        Err(error) => {
            tracing::warn!(%error, "Cannot begin a sign-in with the provider");
            offered(&desk, oidc, StatusCode::BAD_GATEWAY, Some(&error.to_string()), next)
        }
    }
}

/// `/login/callback?state=…&code=…`: the provider sends the browser back.
pub async fn callback(
    State(desk): State<Arc<Desk>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Access::Oidc(people, oidc) = &desk.access else { return answer::to("/login") };
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let bound = cookie(&headers, STATE_COOKIE_NAME).unwrap_or_default();
    let [state, code, error] = ["state", "code", "error"].map(|name| query.get(name));
    let signed = match oidc.end(state, bound, code, error, Timestamp::now()).await {
        Ok(signed) => signed,
        Err(error) => {
            tracing::warn!(%error, "A sign-in with the provider failed");
            return offered(&desk, oidc, StatusCode::UNAUTHORIZED, Some(&error.to_string()), "/");
        }
    };
    let SignedIn { person, id_token, next } = signed;
    // Where the API server trusts the provider too, the token is a credential of the user.
    let (person, token) = match people.owner_of(&id_token).await {
        Ok(Some(owner)) => (owner, id_token),
        _ => (person, Zeroizing::new(String::new())),
    };
    tracing::info!(user = person.name, "Signed in to the web UI");
    let id = identifier();
    desk.sessions.keep(Key::of_cookie(&id), person, token, Instant::now());
    let cookie = format!("{COOKIE_NAME}={id}; Path=/; Secure; HttpOnly; SameSite=Lax");
    let done = format!("{STATE_COOKIE_NAME}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    with_cookie(with_cookie(answer::to(answer::local(&next)), &cookie), &done)
}

/// Begins a session for the owner of a token.
pub async fn sign_in(State(desk): State<Arc<Desk>>, body: Body) -> Response {
    let Access::Token(people) = &desk.access else { return answer::to("/") };
    let form = match Form::read(body).await {
        Ok(form) => form,
        Err(error) => return shown(&desk, StatusCode::BAD_REQUEST, Some(&error.to_string()), "/"),
    };
    let (token, id) = (Zeroizing::new(form.get("token").trim().to_owned()), identifier());
    match admit(&desk, people, Key::of_cookie(&id), token).await {
        Ok(person) => {
            tracing::info!(user = person.name, "Signed in to the web UI");
            let cookie = format!("{COOKIE_NAME}={id}; Path=/; Secure; HttpOnly; SameSite=Lax");
            with_cookie(answer::to(answer::local(form.get("next"))), &cookie)
        }
        Err(error) => {
            let status = match error {
                Refusal::Unknown(_) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::UNAUTHORIZED,
            };
            shown(&desk, status, Some(&error.to_string()), form.get("next"))
        }
    }
}

/// Ends the session.
pub async fn sign_out(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if let (Ok(visitor), Ok(form)) = (visitor(&desk, &headers, peer.ip()).await, Form::read(body).await)
        && desk.seal.holds(&visitor.id, form.get("proof"))
        && let Some(id) = cookie(&headers, COOKIE_NAME)
    {
        desk.sessions.end(Key::of_cookie(id));
    }
    let cookie = format!("{COOKIE_NAME}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    with_cookie(answer::to("/"), &cookie)
}

/// `/open?key=…`: the address that `holdfast ui` prints.
pub async fn open(State(desk): State<Arc<Desk>>, RawQuery(query): RawQuery) -> Response {
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let key = query.get("key");
    let answer = answer::to("/");
    if !desk.access.opens(key) {
        return answer;
    }
    with_cookie(answer, &format!("{OWN_COOKIE_NAME}={key}; Path=/; HttpOnly; SameSite=Strict"))
}

/// Sets a cookie, all of whose characters are of this process.
fn with_cookie(mut answer: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
    answer
}
