//! The complete response of a server, and its description in errors. Pure.

use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::Deserialize;

use super::RequestError;

/// A response of any status, for a caller to interpret.
pub struct Answer {
    /// The host: `host[:port]`.
    pub host: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Errors in the format of the distribution specification. Messages are not read, since any server may have written
/// them.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<Code>,
}

#[derive(Deserialize)]
struct Code {
    #[serde(default)]
    code: String,
}

/// Error codes of the distribution specification, and further ones that registries use.
const CODES: [&str; 20] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DENIED",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "MANIFEST_UNVERIFIED",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "NOT_FOUND",
    "PAGINATION_NUMBER_INVALID",
    "RANGE_INVALID",
    "SIZE_INVALID",
    "TAG_INVALID",
    "TOOMANYREQUESTS",
    "UNAUTHORIZED",
    "UNKNOWN",
    "UNSUPPORTED",
];

impl Answer {
    pub fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.headers.get(name.into())?.to_str().ok()
    }

    /// Returns the error codes, as the end of a message. No other part of the body is shown, since any server may have
    /// sent it.
    pub fn said(&self) -> String {
        let Ok(Errors { errors }) = serde_json::from_slice(&self.body) else { return String::new() };
        let known = |Code { code }: &Code| CODES.iter().find(|known| *known == code).copied();
        let mut codes: Vec<&str> = errors.iter().filter_map(known).collect();
        codes.dedup();
        if codes.is_empty() { String::new() } else { format!(": {}", codes.join(", ")) }
    }

    /// True if the response is HTML.
    pub fn is_page(&self) -> bool {
        let html = self.header(header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        html || self.body.trim_ascii_start().starts_with(b"<")
    }

    /// Returns the error for a response that no caller interprets more precisely.
    pub fn refused(&self) -> RequestError {
        let host = self.host.clone();
        if self.is_page() {
            return RequestError::NotARegistry { host };
        }
        RequestError::Refused { host, status: self.status.as_u16(), said: self.said() }
    }

    /// Returns the error for a response with unexpected content.
    pub fn unexpected(&self, said: &str) -> RequestError {
        let host = self.host.clone();
        if self.is_page() {
            return RequestError::NotARegistry { host };
        }
        RequestError::BadAnswer { host, said: said.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_shown_and_nothing_else() {
        for (body, expected) in [
            (
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{}}]}"#,
                ": NAME_UNKNOWN",
            ),
            (r#"{"errors":[{"code":"DENIED"},{"message":"no hunter2"}]}"#, ": DENIED"),
            (r#"{"details":"incorrect username or password"}"#, ""),
            (r#"{"error":"invalid_grant"}"#, ""),
            ("404 page not found\n", ""),
            ("<html><body>Not found", ""),
            ("", ""),
        ] {
            let (host, headers) = ("a".to_owned(), HeaderMap::new());
            let (status, body) = (StatusCode::NOT_FOUND, body.into());
            let answer = Answer { host, status, headers, body };
            assert_eq!(answer.said(), expected);
        }
    }
}
