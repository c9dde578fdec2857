//! Recognises the strings that kustomize treats as URLs: of a Git repository with a kustomization, or of a file.
//!
//! Fetches nothing. Pure.

/// The parts of a Git URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Host and repository, in the form for Git.
    pub repository: String,
    /// The folder in the repository.
    pub folder: String,
    /// The branch, tag or commit; empty for the default branch.
    pub reference: String,
}

/// True for an HTTP or HTTPS URL.
pub fn is_http(path: &str) -> bool {
    let scheme = path.split_once(':').map_or("", |(scheme, _)| scheme);
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
        && !path.chars().any(char::is_control)
}

/// Parses a Git URL in one of the forms that kustomize accepts; `None` for a path.
pub fn parse(url: &str) -> Option<Spec> {
    if url.starts_with('/') {
        return None;
    }
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    let (host, rest) = host(url)?;
    let (path, folder) = split(rest, host.to_ascii_lowercase().starts_with("file://"))?;
    if path.is_empty() || leaves(folder) {
        return None;
    }
    let repository = format!("{host}{path}");
    Some(Spec { repository, folder: folder.trim_start_matches('/').to_owned(), reference: reference(query) })
}

/// Splits off the host with its prefix.
fn host(url: &str) -> Option<(String, &str)> {
    let url = strip(url, "git::").unwrap_or(url);
    let schemes = ["ssh://", "https://", "http://", "file://"];
    let scheme = schemes.into_iter().find(|scheme| strip(url, scheme).is_some()).unwrap_or_default();
    let url = &url[scheme.len()..];
    let (user, rest) = user(url);
    if scheme == "file://" {
        return Some((scheme.to_owned(), url));
    }
    let github = strip(rest, "github.com/").or_else(|| strip(rest, "github.com:")).is_some();
    let like_scp = scheme.is_empty() && (!user.is_empty() || github);
    if scheme.is_empty() && !like_scp {
        return None;
    }
    let slash = rest.find('/');
    let colon = if like_scp { rest.find(':') } else { None };
    let at = match (slash, colon) {
        (Some(slash), Some(colon)) if colon > 0 && colon < slash => Some(colon),
        (None, colon) => colon,
        (slash, _) => slash,
    };
    let (host, path) = at.map_or((rest, ""), |at| rest.split_at(at + 1));
    if github {
        let by_ssh = scheme == "ssh://" || !user.is_empty();
        let host = if by_ssh { format!("{user}github.com:") } else { "https://github.com/".to_owned() };
        return Some((host, path));
    }
    (!host.is_empty()).then(|| (format!("{scheme}{user}{host}"), path))
}

/// Splits off `name@`.
fn user(url: &str) -> (&str, &str) {
    let Some(at) = url.find('@') else { return ("", url) };
    let name = &url[..at];
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_name { url.split_at(at + 1) } else { ("", url) }
}

/// Splits the path of the repository and that of the folder in it.
fn split(path: &str, whole: bool) -> Option<(&str, &str)> {
    if let Some(at) = path.find("_git/") {
        let after = at + "_git/".len();
        let end = path[after..].find('/').map_or(path.len(), |slash| after + slash);
        return Some((&path[..end], path[end..].strip_prefix('/').unwrap_or_default()));
    }
    if let Some((repository, folder)) = path.split_once("//") {
        return Some((repository, folder));
    }
    if let Some(at) = path.find(".git") {
        return Some(path.split_at(at + ".git".len()));
    }
    if whole {
        return Some((path, ""));
    }
    let slash = path.find('/')?;
    let end = path[slash + 1..].find('/').map_or(path.len(), |second| slash + 1 + second);
    Some((&path[..end], path[end..].strip_prefix('/').unwrap_or_default()))
}

/// True if a folder leads out of its repository.
fn leaves(folder: &str) -> bool {
    holdfast_documents::files::join("", folder).is_none()
}

/// Returns `ref` of a query, or else its `version`.
fn reference(query: &str) -> String {
    let value = |wanted: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, value)| *key == wanted && !value.is_empty()).map(|(_, value)| value)
    };
    value("ref").or_else(|| value("version")).unwrap_or_default().to_owned()
}

fn strip<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn check(url: &str, repository: &str, folder: &str, reference: &str) {
        let spec = parse(url).map(|spec| (spec.repository, spec.folder, spec.reference));
        assert_eq!(spec, Some((repository.to_owned(), folder.to_owned(), reference.to_owned())), "{url}");
    }

    #[test]
    fn the_forms_of_git_urls() {
        check("github.com/someorg/somerepo/a/b?ref=v1", "https://github.com/someorg/somerepo", "a/b", "v1");
        check("https://github.com/o/r//a?version=x", "https://github.com/o/r", "a", "x");
        check("git@github.com:o/r.git/a", "git@github.com:o/r.git", "a", "");
        check("ssh://git@example.com/o/r", "ssh://git@example.com/o/r", "", "");
        check("https://dev.azure.com/o/p/_git/r/a/b", "https://dev.azure.com/o/p/_git/r", "a/b", "");
        check("git::https://gitlab.com/o/r/x", "https://gitlab.com/o/r", "x", "");
    }

    #[test]
    fn paths_are_no_urls() {
        let paths = ["a/b", "../github.com/a/b", "/github.com/a/b", "a.git/b", "https://host", "", "b@c"];
        for path in paths {
            assert_eq!(parse(path), None, "{path}");
        }
        assert_eq!(parse("https://github.com/o/r//../x"), None);
    }
}
