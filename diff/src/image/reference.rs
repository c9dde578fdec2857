//! References of images, such as `ghcr.io/a/b:1.2@sha256:…`, and equality of repositories.
//!
//! The grammar is that of the distribution project. Leaves requests to registries to others. Pure.

use std::fmt;

/// An image reference of a manifest. At least the repository is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// As written: `nginx`, `localhost:5000/x`.
    pub repository: String,
    pub tag: Option<String>,
    /// With its algorithm: `sha256:…`.
    pub digest: Option<String>,
}

impl Reference {
    /// Parses a reference. `None` if the text is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest).filter(|digest| is_digest(digest)).map(Some)?),
            None => (text, None),
        };
        // A colon before the last slash belongs to the port.
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => {
                (repository, Some(tag).filter(|tag| is_tag(tag)).map(Some)?)
            }
            _ => (name, None),
        };
        let [tag, digest] = [tag, digest].map(|part| part.map(ToOwned::to_owned));
        is_repository(repository).then(|| Self { repository: repository.to_owned(), tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { repository, tag, digest } = self;
        write!(f, "{repository}")?;
        tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// Returns the host of a repository, which is `docker.io` for Docker Hub, and its path, which begins with `library/`
/// for official images of Docker Hub.
pub fn host_and_path(repository: &str) -> (&str, String) {
    let (host, path) = split_host(repository).unwrap_or(("docker.io", repository));
    match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
            let library = if path.contains('/') { "" } else { "library/" };
            ("docker.io", format!("{library}{path}"))
        }
        _ => (host, path.to_owned()),
    }
}

/// Returns the host and the path of a repository that has a host.
pub fn split_host(repository: &str) -> Option<(&str, &str)> {
    let (first, path) = repository.split_once('/')?;
    let is_host = first.contains(['.', ':']) || first == "localhost" || first.chars().any(char::is_uppercase);
    is_host.then_some((first, path))
}

/// True if both name the same repository: `nginx` and `docker.io/library/nginx`.
pub fn is_same_repository(one: &str, other: &str) -> bool {
    host_and_path(one) == host_and_path(other)
}

/// True for a valid tag.
pub fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|byte| is_word(byte) || b".-".contains(&byte))
}

/// True for a valid digest.
pub fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(is_name)
        && hex.len() >= 32
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        && (algorithm != "sha256" || hex.len() == 64)
        && (algorithm != "sha512" || hex.len() == 128)
}

/// True for a valid repository, with or without a host.
fn is_repository(text: &str) -> bool {
    let (host, path) = split_host(text).map_or((None, text), |(host, path)| (Some(host), path));
    host.is_none_or(is_host) && text.len() <= 511 && path.split('/').all(is_component)
}

fn is_host(text: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((address, port)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let is_address = address.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte));
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let is_label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inside)
    };
    name.split('.').all(is_label) && port.is_none_or(is_port)
}

/// True for letters and digits, separated by `.`, `_`, `__` or dashes.
fn is_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut words = text.split(|c: char| u8::try_from(c).is_ok_and(is_word)).filter(|mark| !mark.is_empty());
    let is_mark = |mark: &str| matches!(mark, "." | "_" | "__") || mark.bytes().all(|byte| byte == b'-');
    text.bytes().next().is_some_and(is_word) && text.bytes().last().is_some_and(is_word) && words.all(is_mark)
}

#[cfg(test)]
mod tests {
    use super::{Reference, host_and_path, is_same_repository, is_tag};

    const DIGEST: &str = "sha256:6745aaad46d795c9836632e1fb62f24b7e7f4c843144da8e47a5465c411a14be";

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, Option<&str>, bool)>) {
        let text = text.replace("DIGEST", DIGEST);
        let found = Reference::parse(&text);
        if let Some(found) = &found {
            assert_eq!(found.to_string(), text);
        }
        let found = found.as_ref().map(|found| {
            let Reference { repository, tag, digest } = found;
            (repository.as_str(), tag.as_deref(), digest.is_some())
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_reference_has_a_repository_a_tag_and_a_digest() {
        check("nginx", Some(("nginx", None, false)));
        check("nginx:1.25", Some(("nginx", Some("1.25"), false)));
        check("nginx@DIGEST", Some(("nginx", None, true)));
        check("a/b:1@DIGEST", Some(("a/b", Some("1"), true)));
        check("localhost:5000/x", Some(("localhost:5000/x", None, false)));
        check("localhost:5000/x:y", Some(("localhost:5000/x", Some("y"), false)));
        check("localhost:5000", Some(("localhost", Some("5000"), false)));
        check(
            "r.example.com:443/a/b__c/d-e--f:V_1.2-x",
            Some(("r.example.com:443/a/b__c/d-e--f", Some("V_1.2-x"), false)),
        );
        check("[2001:db8::1]:5000/x:1", Some(("[2001:db8::1]:5000/x", Some("1"), false)));
    }

    #[test]
    fn what_is_no_reference_is_not_read() {
        let texts = [
            "",
            ":",
            ":1",
            "a:",
            "a b",
            "a:b c",
            "a//b",
            "/a",
            "a/",
            "A",
            "a/B",
            "a:-1",
            "a:.1",
            "a@",
            "a@x",
            "a@sha256:12",
            "@DIGEST",
            "a:1:2",
            "a_-b",
            "a___b",
            "a..b",
            "http://a.b/c",
            "a.b:x/c",
            "$(image)",
            "-a",
        ];
        texts.iter().for_each(|text| check(text, None));
    }

    #[test]
    fn a_tag_has_at_most_128_characters() {
        assert!(is_tag(&"a".repeat(128)));
        assert!(!is_tag(&"a".repeat(129)));
    }

    #[test]
    fn repositories_of_docker_hub_have_many_names() {
        assert_eq!(host_and_path("nginx"), ("docker.io", "library/nginx".to_owned()));
        assert_eq!(host_and_path("a/b"), ("docker.io", "a/b".to_owned()));
        assert_eq!(host_and_path("ghcr.io/b"), ("ghcr.io", "b".to_owned()));
        assert_eq!(host_and_path("localhost/b"), ("localhost", "b".to_owned()));
        for name in ["nginx", "library/nginx", "docker.io/nginx", "index.docker.io/library/nginx"] {
            assert!(is_same_repository(name, "docker.io/library/nginx"), "{name}");
        }
        for name in ["nginx2", "a/nginx", "ghcr.io/nginx", "quay.io/library/nginx", "docker.io/a/nginx"] {
            assert!(!is_same_repository(name, "nginx"), "{name}");
        }
    }
}
