//! Answers: a page or the JSON of the same value, redirects, refusals. No I/O.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use holdfast_diff::visible;
use maud::Markup;
use serde::Serialize;
use url::form_urlencoded;

use super::access::{Refusal, Visitor};
use super::desk::Desk;
use super::pages::{self, Frame};

/// True if the client wants the value and not the page.
pub fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.contains("application/json") && !accept.contains("text/html")
}

/// A page.
pub fn html(status: StatusCode, page: Markup) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (status, headers, page.into_string()).into_response()
}

/// A value, as the page of it or as JSON.
pub fn value<T: Serialize>(headers: &HeaderMap, value: &T, page: impl FnOnce(&T) -> Markup) -> Response {
    if wants_json(headers) { json(StatusCode::OK, value) } else { html(StatusCode::OK, page(value)) }
}

/// A value as JSON, in which hidden characters are escapes.
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_string_pretty(value) {
        Ok(text) => {
            let headers = [(header::CONTENT_TYPE, "application/json")];
            (status, headers, format!("{}\n", visible::json(&text))).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "Cannot write a view value as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    error: &'a str,
}

/// Something went wrong, or is not there.
pub fn problem(headers: &HeaderMap, frame: &Frame, status: StatusCode, title: &str, text: &str) -> Response {
    if wants_json(headers) {
        json(status, &Problem { error: text })
    } else {
        html(status, pages::message(frame, title, text))
    }
}

/// What does not exist, or may not be read: the answer is the same.
pub fn not_found(desk: &Desk, headers: &HeaderMap, visitor: Option<&Visitor>) -> Response {
    let text = "There is no such page, or you may not read it.";
    problem(headers, &desk.frame(visitor, None), StatusCode::NOT_FOUND, "Not found", text)
}

/// The agent has nothing to show yet.
pub fn not_yet(desk: &Desk, headers: &HeaderMap, visitor: Option<&Visitor>) -> Response {
    let text =
        "This agent is starting, or another one holds the Lease. The page is loaded again in a moment.";
    let frame = desk.frame(visitor, None);
    let mut answer = problem(headers, &frame, StatusCode::SERVICE_UNAVAILABLE, "Starting", text);
    let again = [("retry-after", "3"), ("refresh", "3")];
    for (name, value) in again {
        answer.headers_mut().insert(name, header::HeaderValue::from_static(value));
    }
    answer
}

/// The rights of a visitor are not known.
pub fn unknown_rights(desk: &Desk, headers: &HeaderMap, visitor: &Visitor, why: &str) -> Response {
    let text = format!("Cannot check your rights: {why}. The agent needs the rights of manifests/ui.");
    let frame = desk.frame(Some(visitor), None);
    problem(headers, &frame, StatusCode::SERVICE_UNAVAILABLE, "Not available", &text)
}

/// Goes to another page of the UI.
pub fn to(path: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, path.to_owned())]).into_response()
}

/// Who visits is not let in. A person without a session comes to the page to sign in.
pub fn refused(desk: &Desk, headers: &HeaderMap, path: &str, refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::SignIn | Refusal::BadToken => StatusCode::UNAUTHORIZED,
        Refusal::Forbidden(_) => StatusCode::FORBIDDEN,
        Refusal::Unknown(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let is_program = wants_json(headers) || headers.contains_key(header::AUTHORIZATION);
    if status == StatusCode::UNAUTHORIZED && !is_program {
        let next: String = form_urlencoded::byte_serialize(local(path).as_bytes()).collect();
        return to(&format!("/login?next={next}"));
    }
    let mut answer = problem(headers, &desk.frame(None, None), status, "Not let in", &refusal.to_string());
    if status == StatusCode::UNAUTHORIZED {
        let value = header::HeaderValue::from_static("Bearer");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    answer
}

/// The path, if it is one of this site; else the home page.
pub fn local(path: &str) -> &str {
    let is_local = path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_local { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_on_this_site() {
        for path in ["/", "/syncs/a/b?x=1"] {
            assert_eq!(local(path), path);
        }
        for path in [
            "",
            "//example.com",
            "https://example.com",
            "/\\example.com",
            "/a\r\nset-cookie: x",
            "javascript:alert(1)",
        ] {
            assert_eq!(local(path), "/", "{path}");
        }
    }

    #[test]
    fn json_is_for_those_who_ask_for_it_alone() {
        let wants = |accept: &'static str| {
            wants_json(&HeaderMap::from_iter([(header::ACCEPT, header::HeaderValue::from_static(accept))]))
        };
        assert!(wants("application/json"));
        assert!(!wants("text/html,application/xhtml+xml,application/json;q=0.9"));
        assert!(!wants("*/*"));
    }
}
