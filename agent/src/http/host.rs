//! The host of a URL, which separates errors of one server from those of another. Pure.

/// Returns `git.example.com:8443` for `https://user@Git.example.com:8443/x.git`, and `git.example.com` for
/// `git@git.example.com:x`.
pub fn host(url: &str) -> String {
    let authority = match url.split_once("://") {
        Some((_, rest)) => rest.split(['/', '?', '#']).next(),
        None => url.split([':', '/']).next(),
    };
    let authority = authority.unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn every_form_of_a_url_has_its_host() {
        for (url, expected) in [
            ("https://user@Git.example.com:8443/x.git", "git.example.com:8443"),
            ("oci://registry.example.com/charts", "registry.example.com"),
            ("ssh://git@git.example.com/a/b", "git.example.com"),
            ("git@git.example.com:a/b.git", "git.example.com"),
            ("https://git.example.com?x=@y", "git.example.com"),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
    }
}
