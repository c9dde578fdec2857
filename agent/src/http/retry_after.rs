//! The pause that a server requests: the header `Retry-After`, in seconds or as a date (RFC 9110). Pure.

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// Returns the time until the next request; `None` if the header is missing, is invalid, or has a time in the past.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => rfc2822::parse(text).ok()?.timestamp().duration_since(now).try_into().ok(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn it_is_seconds_or_a_date() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("0", Some(0)),
            (" 5 ", Some(5)),
            ("901", Some(901)),
            ("99999999999999999999999", None),
            ("-1", None),
            ("soon", None),
            ("Thu, 01 Jan 2026 00:01:00 GMT", Some(60)),
            ("Fri, 02 Jan 2026 00:00:00 GMT", Some(86400)),
            ("Wed, 31 Dec 2025 23:59:00 GMT", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", text.parse().unwrap());
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
    }
}
