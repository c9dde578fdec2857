//! The URL of the next page of tags: the header `Link` (RFC 8288), followed verbatim. Pure.
//!
//! It may be relative or absolute, but not at another host, since the credentials are sent to it.

use http::{HeaderMap, header};
use reqwest::Url;

/// Returns the URL of the page after `url`; the error says why it cannot be used.
pub fn next_page(url: &Url, headers: &HeaderMap) -> Result<Option<Url>, &'static str> {
    let values = headers.get_all(header::LINK).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let values: Vec<_> = values.collect();
    let Some(target) = values.iter().find_map(|value| next_target(value)) else { return Ok(None) };
    let next = url.join(target).map_err(|_| "that is not a URL")?;
    if next.host_str() != url.host_str() {
        return Err("at another host, to which the login is not sent");
    }
    // A registry behind a proxy may not know that TLS is used, or its port.
    let same_port = next.port_or_known_default() == url.port_or_known_default();
    if !same_port && next.port().is_some() {
        return Err("at another port, to which the login is not sent");
    }
    let mut page = url.clone();
    page.set_path(next.path());
    page.set_query(next.query());
    Ok(Some(page))
}

/// Returns the target of the first link with the relation `next`.
fn next_target(value: &str) -> Option<&str> {
    let mut rest = value;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let parameters = after.split_once(',').map_or(after, |(own, _)| own);
        if parameters.split(';').any(is_next) {
            return Some(target.trim());
        }
        rest = after;
    }
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let mut relations = value.trim().trim_matches('"').split_whitespace();
    name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn next(link: &str) -> String {
        let url = Url::parse("https://r.example.com/v2/team/app/tags/list?n=1000").unwrap();
        let headers =
            HeaderMap::from_iter([(header::LINK, HeaderValue::from_bytes(link.as_bytes()).unwrap())]);
        match next_page(&url, &headers) {
            Ok(Some(url)) => url.to_string(),
            Ok(None) => "none".to_owned(),
            Err(why) => why.to_owned(),
        }
    }

    #[test]
    fn the_next_page_is_where_the_registry_says() {
        let page = |query: &str| format!("https://r.example.com/v2/team/app/tags/list{query}");
        for (link, expected) in [
            ("</v2/team/app/tags/list?last=1.0&n=1000>; rel=\"next\"", page("?last=1.0&n=1000")),
            (
                "<tags/list?next_page=gAAAA%3D%3D>;rel=next",
                "https://r.example.com/v2/team/app/tags/tags/list?next_page=gAAAA%3D%3D".to_owned(),
            ),
            ("<?last=b>; rel=\"next\"", page("?last=b")),
            (
                "<https://r.example.com/v2/team/app/tags/list?last=eyJhIjoiYiJ9Cg==&n=1000>; rel=\"next\"",
                page("?last=eyJhIjoiYiJ9Cg==&n=1000"),
            ),
            (
                "<https://r.example.com:443/v2/team/app/tags/list?last=a,b>; title=x; REL=\"prefetch NEXT\"",
                page("?last=a,b"),
            ),
            ("<http://r.example.com/v2/team/app/tags/list?last=c>; rel=\"next\"", page("?last=c")),
            ("</a>; rel=\"prev\", </v2/team/app/tags/list?last=d>; rel=\"next\"", page("?last=d")),
            ("</a>; rel=\"prev\"", "none".to_owned()),
            ("rel=\"next\"", "none".to_owned()),
            ("</a", "none".to_owned()),
            ("</v2/team/app/tags/list?last=ü>; rel=next", page("?last=%C3%BC")),
            (
                "<https://evil.example.com/v2/>; rel=\"next\"",
                "at another host, to which the login is not sent".to_owned(),
            ),
            (
                "<//evil.example.com/v2/>; rel=\"next\"",
                "at another host, to which the login is not sent".to_owned(),
            ),
            (
                "<https://r.example.com:8443/v2/>; rel=\"next\"",
                "at another port, to which the login is not sent".to_owned(),
            ),
            ("<https://[>; rel=\"next\"", "that is not a URL".to_owned()),
        ] {
            assert_eq!(next(link), expected, "{link}");
        }
    }
}
