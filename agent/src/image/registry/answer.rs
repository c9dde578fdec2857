//! What a server answered, read to its end, and how it is put into words. Pure.

use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::Deserialize;

use super::Trouble;
use super::error::cleaned;

/// An answer of any status that a caller may know what to do with.
pub struct Answer {
    /// Who answered: `host[:port]`.
    pub host: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// What was sent and may not be shown.
    pub secrets: Vec<String>,
}

/// How the distribution specification writes errors.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<Code>,
}

#[derive(Deserialize)]
struct Code {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// How token servers write theirs.
#[derive(Deserialize)]
struct Details {
    #[serde(alias = "message", alias = "error_description", alias = "error")]
    details: String,
}

impl Answer {
    pub fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.headers.get(name.into())?.to_str().ok()
    }

    /// What the server said of an error, to be put behind a message.
    pub fn said(&self) -> String {
        if self.body.is_empty() || self.is_page() {
            return String::new();
        }
        let text = if let Ok(Errors { errors }) = serde_json::from_slice(&self.body) {
            let words = errors.iter().map(|Code { code, message }| format!("{code} {message}"));
            words.collect::<Vec<_>>().join(", ")
        } else if let Ok(Details { details }) = serde_json::from_slice(&self.body) {
            details
        } else {
            String::from_utf8_lossy(&self.body[..self.body.len().min(4096)]).into_owned()
        };
        let text = cleaned(&text, &self.secrets);
        if text.is_empty() { text } else { format!(": {text}") }
    }

    /// True if it is HTML.
    pub fn is_page(&self) -> bool {
        let html = self.header(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        html || self.body.trim_ascii_start().starts_with(b"<")
    }

    /// The answer as trouble that none of its readers had a better word for.
    pub fn refused(&self) -> Trouble {
        let host = self.host.clone();
        if self.is_page() {
            return Trouble::NotARegistry { host };
        }
        Trouble::Refused { host, status: self.status.as_u16(), said: self.said() }
    }

    /// The answer as trouble, if it is not what it should be.
    pub fn unexpected(&self, said: &str) -> Trouble {
        let host = self.host.clone();
        if self.is_page() {
            return Trouble::NotARegistry { host };
        }
        Trouble::BadAnswer { host, said: said.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_shown_in_every_form() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{}}]}"#,
                ": NAME_UNKNOWN repository name not known to registry",
            ),
            (r#"{"errors":[{"code":"DENIED"},{"message":"no hunter2"}]}"#, ": DENIED , no ***"),
            (r#"{"details":"incorrect username or password"}"#, ": incorrect username or password"),
            (r#"{"error":"invalid_grant"}"#, ": invalid_grant"),
            ("404 page not found\n", ": 404 page not found"),
            ("<html><body>Not found", ""),
            ("", ""),
        ] {
            let (host, headers) = ("a".to_owned(), HeaderMap::new());
            let (status, body, secrets) = (StatusCode::NOT_FOUND, body.into(), vec!["hunter2".to_owned()]);
            let answer = Answer { host, status, headers, body, secrets };
            assert_eq!(answer.said(), expected);
        }
    }
}
