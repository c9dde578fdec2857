//! Pages of a forge: a commit, a line of a file, a pull request. Links lead to http and https only, and never have a login. Pure.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use crate::api::Forge;

/// Characters of a path that are encoded.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}');
/// Forges that are known by their host.
const HOSTS: [(&str, Forge); 3] =
    [("github.com", Forge::GitHub), ("gitlab.com", Forge::GitLab), ("codeberg.org", Forge::Gitea)];

/// The page of a repository, if its URL is one of the web.
fn page(repository: &str) -> Option<(Url, String)> {
    let url = Url::parse(repository).ok()?;
    let is_web = matches!(url.scheme(), "https" | "http") && url.host().is_some();
    if !is_web || url.password().is_some() || !url.username().is_empty() {
        return None;
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let page = format!("{}{path}", url.origin().ascii_serialization());
    Some((url, page))
}

/// The forge, as a Repository says it or its host.
fn forge(url: &Url, said: Option<Forge>) -> Option<Forge> {
    let known = HOSTS.iter().find(|(host, _)| url.host_str() == Some(host));
    said.or_else(|| known.map(|(_, forge)| *forge))
}

/// The commit of a revision such as `main@sha1:…`.
fn commit(revision: &str) -> Option<&str> {
    let (_, commit) = revision.rsplit_once(':')?;
    (commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(commit)
}

/// The page of a commit. GitHub, GitLab, Gitea and Forgejo have it at the same place.
pub fn commit_url(repository: &str, revision: &str) -> Option<String> {
    let (commit, (_, page)) = (commit(revision)?, page(repository)?);
    Some(format!("{page}/commit/{commit}"))
}

/// The line of a file, `shop/web.yaml:12`, at a revision.
pub fn file_url(repository: &str, said: Option<Forge>, revision: &str, origin: &str) -> Option<String> {
    let (commit, (url, page)) = (commit(revision)?, page(repository)?);
    let (file, line) = origin.rsplit_once(':')?;
    let line: u32 = line.parse().ok()?;
    let place = match forge(&url, said)? {
        Forge::GitHub => "blob",
        Forge::GitLab => "-/blob",
        Forge::Gitea => "src/commit",
    };
    Some(format!("{page}/{place}/{commit}/{}#L{line}", utf8_percent_encode(file, PATH)))
}

/// The page of a pull request.
pub fn pull_url(repository: &str, said: Option<Forge>, number: i64) -> Option<String> {
    let (url, page) = page(repository)?;
    let place = match forge(&url, said)? {
        Forge::GitHub => "pull",
        Forge::GitLab => "-/merge_requests",
        Forge::Gitea => "pulls",
    };
    Some(format!("{page}/{place}/{number}"))
}

/// True if two URLs are of one repository.
pub fn is_same(one: &str, other: &str) -> bool {
    let bare = |url: &str| url.trim_end_matches('/').trim_end_matches(".git").to_owned();
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_linked_at_forges_of_the_web_only() {
        let sha = "1234567890123456789012345678901234567890";
        let revision = format!("main@sha1:{sha}");
        let check = |url: &str, expected: Option<&str>| {
            let expected = expected.map(|start| format!("{start}/commit/{sha}"));
            assert_eq!(commit_url(url, &revision), expected, "{url}");
        };
        check("https://git.example.com/org/config.git", Some("https://git.example.com/org/config"));
        check("http://git.example.com:3000/org/config/", Some("http://git.example.com:3000/org/config"));
        for url in [
            "ssh://git@git.example.com/org/config",
            "git@git.example.com:org/config",
            "file:///srv/config",
            "javascript:alert(1)",
            "javascript://example.com/%0aalert(1)",
            "data:text/html,x",
            "https://user:secret@git.example.com/org/config",
            "",
        ] {
            check(url, None);
        }
        assert_eq!(commit_url("https://git.example.com/a", "main@sha1:\"><script>"), None);
        assert_eq!(commit_url("https://git.example.com/a", ""), None);
    }

    #[test]
    fn files_and_pull_requests_are_where_each_forge_has_them() {
        let (url, origin) = ("https://git.example.com/org/config.git", "shop/web app.yaml:12");
        let revision = "main@sha1:1234567890123456789012345678901234567890";
        let file = |forge| file_url(url, forge, revision, origin).unwrap_or_default();
        let (base, sha) = ("https://git.example.com/org/config", "1234567890123456789012345678901234567890");
        assert_eq!(file(Some(Forge::GitHub)), format!("{base}/blob/{sha}/shop/web%20app.yaml#L12"));
        assert_eq!(file(Some(Forge::GitLab)), format!("{base}/-/blob/{sha}/shop/web%20app.yaml#L12"));
        assert_eq!(file(Some(Forge::Gitea)), format!("{base}/src/commit/{sha}/shop/web%20app.yaml#L12"));
        assert_eq!(file(None), "");
        let pull = |url: &str, forge| pull_url(url, forge, 7).unwrap_or_default();
        assert_eq!(pull(url, Some(Forge::Gitea)), format!("{base}/pulls/7"));
        assert_eq!(pull("https://github.com/a/b", None), "https://github.com/a/b/pull/7");
        assert_eq!(pull("https://gitlab.com/a/b.git", None), "https://gitlab.com/a/b/-/merge_requests/7");
        for url in ["ssh://git@github.com/a/b", "javascript:alert(1)", "https://evil.example.com/github.com"]
        {
            assert_eq!(pull(url, None), "", "{url}");
        }
    }
}
