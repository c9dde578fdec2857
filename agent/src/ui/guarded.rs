//! What every request and every answer of the UI goes through: names of this machine only where the UI is local, no form of
//! another site, and headers that forbid what no page needs. No I/O.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use url::{Host, Url};

use super::desk::Desk;

/// Nothing is loaded but what this listener serves, and no page is shown within another one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The headers of every answer. The referrer stays on this site; browsers would send `Origin: null` without it.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

pub async fn guard(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let answer = match refuse(desk.access.is_local(), request.method(), request.headers()) {
        Some(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
        None => next.run(request).await,
    };
    dressed(answer)
}

/// Why a request is not answered.
fn refuse(is_local: bool, method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).unwrap_or_default();
    if is_local && !is_of_this_machine(host) {
        return Some("open this page as localhost or 127.0.0.1; another name is refused");
    }
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let foreign = match text(HeaderName::from_static("sec-fetch-site")) {
        Some(site) => !matches!(site, "same-origin" | "none"),
        None => text(header::ORIGIN).is_some_and(|origin| !is_at(origin, host)),
    };
    foreign.then_some("a form of another site is not accepted")
}

/// True if the value of the header `Host` names this machine, at any port.
fn is_of_this_machine(host: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_at(origin: &str, host: &str) -> bool {
    origin.split_once("://").is_some_and(|(_, at)| !at.is_empty() && at.eq_ignore_ascii_case(host))
}

/// The answer with its headers. What may not be kept is kept nowhere.
fn dressed(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::VARY).or_insert(HeaderValue::from_static("Accept, Cookie, Authorization"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(is_local: bool, method: &Method, pairs: &[(&'static str, &'static str)]) -> bool {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        refuse(is_local, method, &pairs.collect()).is_some()
    }

    #[test]
    fn a_local_ui_answers_names_of_this_machine_alone() {
        for host in ["localhost", "localhost:8082", "127.0.0.1:1", "[::1]:8082"] {
            assert!(!refused(true, &Method::GET, &[("host", host)]), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com:8082",
            "127.0.0.1.example.com",
            "192.0.2.1",
            "a@localhost/",
        ] {
            let expected = host != "a@localhost/";
            assert_eq!(refused(true, &Method::GET, &[("host", host)]), expected, "{host}");
            assert!(!refused(false, &Method::GET, &[("host", host)]), "{host}");
        }
    }

    #[test]
    fn a_form_comes_from_this_site() {
        let post = |pairs: &[(&'static str, &'static str)]| refused(false, &Method::POST, pairs);
        let host = ("host", "ui.example.com");
        assert!(!post(&[host, ("sec-fetch-site", "same-origin"), ("origin", "https://ui.example.com")]));
        assert!(!post(&[host]));
        assert!(!post(&[host, ("origin", "https://ui.example.com")]));
        for pair in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://example.com"),
            ("origin", "null"),
            ("origin", "https://ui.example.com.evil.example"),
        ] {
            assert!(post(&[host, pair]), "{pair:?}");
        }
    }
}
