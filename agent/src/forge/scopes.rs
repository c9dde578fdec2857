//! Which scopes a token does not have, as a forge says it when it refuses a request. Pure.

use http::HeaderMap;

/// Characters of scopes that are shown.
const LONG: usize = 200;

/// What a token needs, in words, if the forge says so.
///
/// Gitea: `token does not have at least one of required scope(s), required=[write:issue], token scope=...`. GitHub: the header
/// `X-Accepted-GitHub-Permissions` for fine-grained tokens and Apps, `X-Accepted-OAuth-Scopes` for classic ones. GitLab: the error
/// `insufficient_scope` with the field `scope`.
pub fn missing(said: &str, headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    if let Some((_, rest)) = said.split_once("required scope(s)") {
        let listed =
            rest.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(listed, _)| listed);
        return words(listed?).map(|scopes| format!("the scope {scopes}"));
    }
    if let Some(rest) = said.strip_prefix("insufficient_scope: ") {
        let (_, listed) = rest.rsplit_once(": ")?;
        return words(listed).map(|scopes| format!("the scope {scopes}"));
    }
    if let Some(scopes) = header("x-accepted-github-permissions").and_then(words) {
        return Some(format!("the permission {scopes}"));
    }
    // A classic token names its own scopes, and lacks one only if it has none of those that are accepted.
    let (accepted, own) = (header("x-accepted-oauth-scopes").and_then(words)?, header("x-oauth-scopes")?);
    let has = |scope: &str| own.split(',').any(|one| one.trim() == scope);
    (!accepted.split(", ").any(has)).then(|| format!("the scope {}", accepted.replace(", ", " or ")))
}

/// A list of scopes, without anything that is none.
fn words(listed: &str) -> Option<String> {
    let is_scope = |letter: char| letter.is_ascii_alphanumeric() || "_:=-,; ".contains(letter);
    let text: String = listed.chars().filter(|letter| is_scope(*letter)).take(LONG).collect();
    let text = text.split([',', ';', ' ']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, headers: &[(&'static str, &'static str)], expected: Option<&str>) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        let headers: HeaderMap = headers.collect();
        assert_eq!(missing(said, &headers).as_deref(), expected, "{said} {headers:?}");
    }

    #[test]
    fn the_scope_that_a_token_lacks_is_the_one_that_the_forge_names() {
        let gitea = "token does not have at least one of required scope(s), required=[write:issue], token scope=read:repository";
        check(gitea, &[], Some("the scope write:issue"));
        check(
            "token does not have at least one of required scope(s): [read:user]",
            &[],
            Some("the scope read:user"),
        );
        check("insufficient_scope: The request requires higher privileges: api", &[], Some("the scope api"));
        let named = ("x-accepted-github-permissions", "pull_requests=write; issues=write");
        check("Resource not accessible", &[named], Some("the permission pull_requests=write, issues=write"));
        let classic =
            [("x-accepted-oauth-scopes", "repo, repo:status"), ("x-oauth-scopes", "read:org, gist")];
        check("Not Found", &classic, Some("the scope repo or repo:status"));
        let has = [("x-accepted-oauth-scopes", "repo"), ("x-oauth-scopes", "repo")];
        check("you may not", &has, None);
        check("you may not", &[], None);
        check("required scope(s) [`<img>`]", &[], Some("the scope img"));
    }
}
