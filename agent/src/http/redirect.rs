//! Decides which redirects are followed. Pure.

use http::StatusCode;
use reqwest::Url;

/// Maximum number of redirects of one request.
pub const LIMIT: usize = 5;
/// Maximum number of characters of a path in an error.
const PATH: usize = 200;

/// The redirects that are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// To the same scheme, host and port, for requests with secrets.
    SameOrigin,
    /// To any host that the guard allows, without credentials.
    Anywhere,
    /// The same, also from https to http.
    AnywherePlain,
}

/// True for the status of a redirect.
pub fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Returns the target of a redirect; the error says why it is not followed.
pub fn target(from: &Url, location: Option<&str>, redirects: Redirects) -> Result<Url, &'static str> {
    let mut url =
        location.and_then(|location| from.join(location).ok()).ok_or("to something that is not a URL")?;
    // Credentials in the URL would be sent.
    let bare = url.set_username("").and_then(|()| url.set_password(None));
    if bare.is_err() || !url.has_host() {
        return Err("to a URL without a host");
    }
    url.set_fragment(None);
    match (redirects, url.scheme()) {
        (Redirects::SameOrigin, _) if url.origin() != from.origin() => {
            Err("to another host, scheme or port, to which the login is not sent")
        }
        (_, "https") | (Redirects::AnywherePlain, "http") => Ok(url),
        (_, "http") if from.scheme() == "http" => Ok(url),
        _ => Err("from https to http"),
    }
}

/// Returns the target of a redirect for an error: without credentials, query and fragment, which may be secret, and
/// with a truncated path.
pub fn destination(from: &Url, location: Option<&str>) -> Option<String> {
    let url = from.join(location?).ok().filter(Url::has_host)?;
    let path: String = url.path().chars().take(PATH).collect();
    Some(format!("{}{path}", url.origin().ascii_serialization()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_does_not_lead_away_from_tls_nor_what_is_secret_to_another_host() {
        let (tls, plain) = ("https://a.example.com/v2/b", "http://a.example.com/v2/b");
        let (same, any, loose) = (Redirects::SameOrigin, Redirects::Anywhere, Redirects::AnywherePlain);
        for (redirects, from, location, expected) in [
            (any, tls, "/c", "https://a.example.com/c"),
            (any, tls, "//s3.example.com/c", "https://s3.example.com/c"),
            (any, tls, "https://s3.example.com/c?d=e#f", "https://s3.example.com/c?d=e"),
            (any, tls, "https://u:p@s3.example.com/c", "https://s3.example.com/c"),
            (any, tls, "http://s3.example.com/c", "from https to http"),
            (any, tls, "http://a.example.com/c", "from https to http"),
            (any, plain, "http://s3.example.com/c", "http://s3.example.com/c"),
            (loose, tls, "http://s3.example.com/c", "http://s3.example.com/c"),
            (loose, plain, "ftp://s3.example.com/c", "from https to http"),
            (any, plain, "file:///etc/passwd", "to a URL without a host"),
            (any, plain, "data:text/plain,a", "to a URL without a host"),
            (any, plain, "http://[", "to something that is not a URL"),
            (same, tls, "/c", "https://a.example.com/c"),
            (same, tls, "https://a.example.com:443/c", "https://a.example.com/c"),
            (same, tls, "https://a.example.com:8443/c", "to another host"),
            (same, tls, "https://b.example.com/c", "to another host"),
            (same, tls, "http://a.example.com/c", "to another host"),
            (same, plain, "https://a.example.com/c", "to another host"),
        ] {
            let found = target(&Url::parse(from).unwrap(), Some(location), redirects);
            let found = found.map_or_else(ToOwned::to_owned, |url| url.to_string());
            assert!(found.starts_with(expected), "{from} {location}: {found}");
        }
        assert_eq!(target(&Url::parse(tls).unwrap(), None, any), Err("to something that is not a URL"));
    }

    #[test]
    fn an_error_shows_where_a_redirect_leads_without_what_may_be_secret() {
        let from = Url::parse("https://a.example.com/x/info/refs").unwrap();
        let to = |location: &str| destination(&from, Some(location));
        let shown = to("https://u:p@b.example.com:8443/y/info/refs?service=git&token=t#f");
        assert_eq!(shown.as_deref(), Some("https://b.example.com:8443/y/info/refs"));
        assert_eq!(to("/y").as_deref(), Some("https://a.example.com/y"));
        assert_eq!((to("http://["), to("data:,a"), destination(&from, None)), (None, None, None));
    }
}
