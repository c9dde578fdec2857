//! URLs of repositories, and where the API is that belongs to them. Pure.

use super::super::{ForgeError, Target};
use super::standin::TOKEN;
use crate::api::Forge::{self, GitHub, GitLab, Gitea};

fn parse(provider: Forge, git: &str, url: Option<&str>) -> Result<(String, String), ForgeError> {
    let target = Target::parse(provider, git, url, TOKEN, None)?;
    Ok((target.api.as_str().trim_end_matches('/').to_owned(), target.repository))
}

#[test]
fn the_api_is_where_the_documentation_says() {
    let check = |provider, git: &str, url: Option<&str>, api: &str, repository: &str| {
        let expected = (api.to_owned(), repository.to_owned());
        assert_eq!(parse(provider, git, url), Ok(expected), "{git} {url:?}");
    };
    let github = "https://api.github.com";
    check(GitHub, "https://github.com/org/config.git", None, github, "org/config");
    check(GitHub, "https://github.com/org/config/", None, github, "org/config");
    check(GitHub, "git@github.com:org/config.git", None, github, "org/config");
    check(GitHub, "ssh://git@github.com/org/config", None, github, "org/config");
    check(GitHub, "ssh://git@ssh.github.com:443/org/config.git", None, github, "org/config");
    check(GitHub, "git@github.com:org/config.git", Some("https://github.com"), github, "org/config");
    check(GitHub, "git@github.com:org/config.git", Some(github), github, "org/config");
    let enterprise = "https://git.example.com/api/v3";
    check(GitHub, "git@git.example.com:org/config.git", None, enterprise, "org/config");
    check(
        GitHub,
        "git@git.example.com:org/config.git",
        Some("https://git.example.com/"),
        enterprise,
        "org/config",
    );
    check(GitHub, "git@git.example.com:org/config.git", Some(enterprise), enterprise, "org/config");
    check(GitHub, "https://org.ghe.com/org/config", None, "https://api.org.ghe.com", "org/config");
    let gitlab = "https://gitlab.com/api/v4";
    check(GitLab, "https://gitlab.com/org/config.git", None, gitlab, "org/config");
    check(GitLab, "git@gitlab.com:org/team/sub/config.git", None, gitlab, "org/team/sub/config");
    check(GitLab, "ssh://git@altssh.gitlab.com:443/org/config.git", None, gitlab, "org/config");
    let own = "https://example.com/gitlab/api/v4";
    for url in ["https://example.com/gitlab", "https://example.com/gitlab/", own] {
        check(GitLab, "https://example.com/gitlab/org/team/config.git", Some(url), own, "org/team/config");
        check(GitLab, "git@example.com:org/team/config.git", Some(url), own, "org/team/config");
    }
    let gitea = "https://git.example.com/api/v1";
    check(Gitea, "https://git.example.com/org/config.git", None, gitea, "org/config");
    check(Gitea, "https://alice@git.example.com/org/config.git", None, gitea, "org/config");
    check(Gitea, "ssh://git@git.example.com:2222/org/config.git", None, gitea, "org/config");
    check(Gitea, "git@git.example.com:/org/config.git", None, gitea, "org/config");
    check(
        Gitea,
        "https://git.example.com:3000/org/config",
        None,
        "https://git.example.com:3000/api/v1",
        "org/config",
    );
    check(
        Gitea,
        "http://gitea.gitea.svc:3000/org/config",
        None,
        "http://gitea.gitea.svc:3000/api/v1",
        "org/config",
    );
    check(Gitea, "https://example.com/git/org/config", None, "https://example.com/git/api/v1", "org/config");
    check(
        Gitea,
        "https://example.com/git/org/config",
        Some("https://example.com/git"),
        "https://example.com/git/api/v1",
        "org/config",
    );
}

#[test]
fn the_page_of_a_repository_is_known() {
    let check = |provider, git: &str, url: Option<&str>, page: &str| {
        let target = Target::parse(provider, git, url, TOKEN, None);
        let found = target.map(|target| target.page());
        assert_eq!(found.as_deref(), Ok(page), "{git}");
    };
    check(GitHub, "git@github.com:org/config.git", None, "https://github.com/org/config");
    check(GitHub, "https://org.ghe.com/org/config", None, "https://org.ghe.com/org/config");
    check(GitHub, "git@git.example.com:org/config", None, "https://git.example.com/org/config");
    check(GitLab, "git@gitlab.com:org/team/config.git", None, "https://gitlab.com/org/team/config");
    let own = Some("https://example.com/gitlab");
    check(GitLab, "git@example.com:org/config.git", own, "https://example.com/gitlab/org/config");
    check(Gitea, "https://example.com/git/org/config", None, "https://example.com/git/org/config");
    check(Gitea, "http://gitea:3000/org/config.git", None, "http://gitea:3000/org/config");
}

#[test]
fn a_url_that_names_no_repository_is_refused_and_shows_no_password() {
    let check = |provider, git: &str, url: Option<&str>, part: &str| {
        let error = parse(provider, git, url).expect_err(git).to_string();
        assert!(error.contains(part), "{git}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    };
    check(GitHub, "https://github.com/config", None, "no owner");
    check(GitHub, "https://github.com", None, "no owner");
    check(GitHub, "https://github.com/a/b/c", None, "no owner");
    check(GitHub, "https://github.com/a/../b", None, "no owner");
    check(GitHub, "https://alice:hunter2@github.com/a", None, "no owner");
    check(Gitea, "git@git.example.com:org//config", None, "no owner");
    check(GitLab, "file:///srv/git/org/config", None, "write https://");
    check(GitLab, "org/config", None, "write https://");
    check(GitLab, "git@gitlab.com:org/config", Some("gitlab.com"), "not a URL");
    check(GitLab, "git@gitlab.com:org/config", Some("ftp://alice:hunter2@gitlab.com"), "write https://host");
}

#[test]
fn a_token_that_http_cannot_send_is_refused() {
    for token in ["", "\n", "a b", "a\r\nx: y", "ü"] {
        let found = Target::parse(GitHub, "https://github.com/a/b", None, token, None).err();
        assert_eq!(found, Some(ForgeError::BadToken), "{token:?}");
    }
    assert!(Target::parse(GitHub, "https://github.com/a/b", None, "abc\n", None).is_ok());
}

#[tokio::test]
async fn certificates_that_are_none_are_refused() {
    let target = Target::parse(
        GitHub,
        "https://github.com/a/b",
        None,
        TOKEN,
        Some(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"),
    );
    let target = target.unwrap_or_else(|error| unreachable!("{error}"));
    let found = super::proposals().close(&target, "a", "main", "").await;
    assert!(matches!(found, Err(ForgeError::BadCertificate)), "{found:?}");
}
