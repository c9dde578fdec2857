//! The authentication that a registry requires: its header `WWW-Authenticate` (RFC 9110, and the token authentication of the
//! distribution specification). Pure.

use std::collections::BTreeMap;

use http::{HeaderMap, header};

/// One authentication scheme. The names of its parameters are in lower case.
#[derive(Debug, PartialEq)]
pub struct Challenge {
    /// The scheme, in lower case.
    pub scheme: String,
    pub parameters: BTreeMap<String, String>,
}

/// Returns all schemes of a response.
pub fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(read).collect()
}

fn read(text: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    for item in split(text) {
        let (word, rest) = item.split_once([' ', '\t']).unwrap_or((item, ""));
        // `realm = "x"` is a parameter too.
        let parameter = if word.contains('=') || rest.trim_start().starts_with('=') {
            item
        } else {
            found.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: BTreeMap::new() });
            rest.trim_start()
        };
        let Some(challenge) = found.last_mut() else { continue };
        if let Some((name, value)) = parameter.split_once('=') {
            challenge.parameters.insert(name.trim().to_ascii_lowercase(), unquoted(value.trim()));
        }
    }
    found
}

/// Splits at commas that are not in quotes.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let items = text.split(move |letter| {
        let ends = letter == ',' && !quoted;
        if letter == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && letter == '\\' && !escaped;
        ends
    });
    items.map(str::trim).filter(|item| !item.is_empty())
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut letters = inner.chars();
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        text.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let one = |challenge: &Challenge| {
            let pairs = challenge.parameters.iter().map(|(name, value)| format!(" {name}={value}"));
            format!("{}{}", challenge.scheme, pairs.collect::<String>())
        };
        read(text).iter().map(one).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn a_challenge_is_read_in_every_form() {
        for (text, expected) in [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull""#,
                "bearer realm=https://auth.docker.io/token scope=repository:a/b:pull service=registry.docker.io",
            ),
            (
                r#"Bearer realm="https://x/t", service=y , scope="repository:a:pull,push", error="invalid_token""#,
                "bearer error=invalid_token realm=https://x/t scope=repository:a:pull,push service=y",
            ),
            (
                r#"BASIC realm="Sonatype Nexus Repository Manager""#,
                "basic realm=Sonatype Nexus Repository Manager",
            ),
            (
                r#"Basic realm="a, \"b\"", Bearer realm = "https://x/t",scope=*"#,
                r#"basic realm=a, "b" | bearer realm=https://x/t scope=*"#,
            ),
            ("Negotiate, Basic", "negotiate | basic"),
            ("Bearer", "bearer"),
            (r#"Bearer realm="unclosed"#, "bearer realm=unclosed"),
            (r#"realm="without a URL""#, ""),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
