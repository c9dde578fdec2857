//! Small conversions that several tools share: durations, URLs, globs. Pure.

use std::time::Duration as Time;

use holdfast_diff::yaml;
use serde_json::{Value, json};

use super::note::Notes;
use super::output::Draft;
use crate::api::{Duration, SHORTEST};

/// Returns a duration as it is if Holdfast accepts it as an interval.
pub fn interval(text: &str) -> Option<&str> {
    text.parse::<Duration>().ok().filter(|interval| interval.get() >= SHORTEST).map(|_| text)
}

/// Returns a duration as it is if Holdfast accepts it.
pub fn duration(text: &str) -> Option<&str> {
    text.parse::<Duration>().ok().filter(|duration| duration.get() > Time::ZERO).map(|_| text)
}

/// Takes user name and password out of a URL. Returns true if there was a password.
pub fn without_password(url: &str) -> (String, bool) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), false) };
    let end = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    match host.rsplit_once('@') {
        Some((login, host)) if login.contains(':') || scheme.starts_with("http") => {
            (format!("{scheme}://{host}{path}"), true)
        }
        _ => (url.to_owned(), false),
    }
}

/// Sets labels and annotations of all rendered objects, by a patch.
pub fn common_metadata(draft: &mut Draft, labels: &Value, annotations: &Value) {
    let mut metadata = json!({"name": "any"});
    for (field, values) in [("labels", labels), ("annotations", annotations)] {
        if values.as_object().is_some_and(|values| !values.is_empty()) {
            metadata[field] = values.clone();
        }
    }
    if metadata.as_object().is_some_and(|fields| fields.len() > 1) {
        let patch =
            yaml::write_to_read(&json!({"apiVersion": "any/v1", "kind": "Any", "metadata": metadata}));
        draft.push("render.kustomize.patches", json!({"target": {"kind": ".*"}, "patch": patch}));
    }
}

/// Returns a regular expression as the glob that matches the same, if there is one.
pub fn glob(regex: &str) -> Option<String> {
    let text = regex.strip_prefix('^').unwrap_or(regex);
    let text = text.strip_suffix('$').unwrap_or(text);
    let glob = text.replace(".*", "*");
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "*-_".contains(letter);
    glob.chars().all(is_plain).then_some(glob)
}

/// What is said of a password in a URL.
pub fn password_note(notes: &mut Notes<'_>, field: &str) {
    notes.missing(
        field,
        "the URL has a user name and password, which are left out; make a Secret with the keys username and password, and name it in secretRef",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_do_not_stay_in_urls() {
        let url = |text| without_password(text);
        assert_eq!(url("https://u:p@git.test/a@b"), ("https://git.test/a@b".to_owned(), true));
        assert_eq!(url("https://token@git.test/a"), ("https://git.test/a".to_owned(), true));
        assert_eq!(url("ssh://git@git.test/a"), ("ssh://git@git.test/a".to_owned(), false));
        assert_eq!(url("git@git.test:a"), ("git@git.test:a".to_owned(), false));
    }

    #[test]
    fn plain_regular_expressions_are_globs() {
        assert_eq!(glob("^web-.*$").as_deref(), Some("web-*"));
        assert_eq!(glob("web").as_deref(), Some("web"));
        assert_eq!(glob("(a|b)"), None);
        assert_eq!(glob("a.b"), None);
    }

    #[test]
    fn durations_that_are_too_short_are_none() {
        assert_eq!((interval("1m0s"), interval("1s"), interval("soon")), (Some("1m0s"), None, None));
        assert_eq!((duration("1s"), duration("0s")), (Some("1s"), None));
    }
}
