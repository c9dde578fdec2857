//! The fields of a form. I/O: reads the body of a request.

use std::collections::HashMap;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use jiff::Timestamp;
use url::form_urlencoded;

use crate::api;

/// Bytes of a form. A token has a few kilobytes.
const LARGEST: usize = 64 * 1024;
/// How long a form may take to arrive.
const LIMIT: Duration = Duration::from_secs(10);
/// The longest time of a suspension or a snooze that has an end.
const LONGEST: Duration = Duration::from_hours(366 * 24);
/// Characters of a reason.
const REASON: usize = 500;

/// The fields of a form, each once.
pub struct Form(HashMap<String, String>);

/// What is wrong with a form.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FormError {
    #[error("the form did not arrive, or it is larger than 64 KiB")]
    Unreadable,
    #[error("say why: the reason is empty, or longer than {REASON} characters")]
    Reason,
    #[error("{0} is no duration of at most a year; write one such as 2h or 1h30m")]
    Duration(String),
}

impl Form {
    pub async fn read(body: Body) -> Result<Self, FormError> {
        let read = tokio::time::timeout(LIMIT, to_bytes(body, LARGEST)).await;
        let bytes = read.ok().and_then(Result::ok).ok_or(FormError::Unreadable)?;
        Ok(Self::parse(&bytes))
    }

    pub fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// A field; empty if it is missing.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The reason, which must be there.
    pub fn reason(&self) -> Result<String, FormError> {
        let reason = self.get("reason").trim();
        if reason.is_empty() || reason.chars().count() > REASON {
            return Err(FormError::Reason);
        }
        Ok(reason.to_owned())
    }

    /// The end of what lasts `for` a time; `None` without an end.
    pub fn until(&self, now: Timestamp) -> Result<Option<Timestamp>, FormError> {
        let text = self.get("for").trim();
        if text.is_empty() {
            return Ok(None);
        }
        let wrong = || FormError::Duration(text.chars().take(40).collect());
        let time: api::Duration = text.parse().map_err(|_| wrong())?;
        if time.get() > LONGEST {
            return Err(wrong());
        }
        let end = now.checked_add(time.get()).map_err(|_| wrong())?;
        Ok(Some(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_and_a_time_are_read_or_refused() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let form = |text: &str| Form::parse(text.as_bytes());
        assert_eq!(form("reason=+a+%26+b+").reason(), Ok("a & b".to_owned()));
        assert_eq!(form("reason=++").reason(), Err(FormError::Reason));
        assert_eq!(form(&format!("reason={}", "x".repeat(501))).reason(), Err(FormError::Reason));
        assert_eq!(
            form("for=90m").until(now).map(|end| end.map(|end| end.to_string())),
            Ok(Some("2026-01-01T01:30:00Z".to_owned()))
        );
        assert_eq!(form("").until(now), Ok(None));
        assert!(form("for=soon").until(now).is_err());
        assert!(form("for=99999999999h").until(now).is_err());
    }
}
