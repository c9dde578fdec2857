//! Groups failures by cause: the same error of the same host, or about the same repository, in any Sync. Pure.

use holdfast_diff::digest::Hasher;

use crate::error::Class;
use crate::report::Failure;

/// Stages whose failures are about a repository.
const OF_REPOSITORY: [&str; 2] = ["source", "render"];

/// Returns the name of the cause of a failure. `own` are words that only this object has: its path and its name.
pub fn of(origin: &str, own: &[&str], failure: &Failure) -> String {
    let Failure { stage, class, reason, message, common, .. } = failure;
    if let Some(common) = common {
        return digest(["common", *stage, *reason, common]);
    }
    let origin = if OF_REPOSITORY.contains(stage) { origin } else { "" };
    let mut text = text(*class, message);
    for word in own.iter().filter(|word| word.len() > 1) {
        text = text.replace(word, "<own>");
    }
    digest([origin, *stage, *reason, &text])
}

/// Returns the part of a message whose change is news. The numbers in a transient error differ at each retry.
pub fn text(class: Class, message: &str) -> String {
    match class {
        Class::Transient => without_numbers(message),
        Class::User | Class::Internal => message.to_owned(),
    }
}

/// Removes the words that contain a digit: times, ports, and the names of pods.
pub fn without_numbers(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| !word.contains(|letter: char| letter.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

/// Digests texts.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Hasher::default();
    parts.into_iter().for_each(|part| hasher.text(part));
    hasher.finish().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mistake_in_a_base_is_one_cause_for_all_that_read_it() {
        let url = "https://git.example.com/config.git";
        let cause = |path: &str, said: &str| of(url, &[path], &Failure::user("render", "BadYaml", said));
        let (one, other) = (
            cause("overlays/a", "overlays/a/kustomization.yaml: base/web.yaml:3: not a mapping"),
            cause("overlays/b", "overlays/b/kustomization.yaml: base/web.yaml:3: not a mapping"),
        );
        assert_eq!(one, other);
        assert_ne!(one, cause("overlays/b", "overlays/b/own.yaml:3: not a mapping"));
        assert_ne!(
            one,
            of("https://git.example.com/other.git", &[], &Failure::user("render", "BadYaml", "x"))
        );
    }

    #[test]
    fn a_host_that_does_not_answer_is_one_cause_for_all_its_repositories() {
        let cause = |url: &str, reason, said: &str, host: &str| {
            let failure = Failure::transient("source", reason, said);
            of(url, &[], &Failure { common: Some(host.to_owned()), ..failure })
        };
        let one =
            cause("https://git.example.com/a", "Unreachable", "a: connection refused", "git.example.com");
        assert_eq!(one, cause("https://git.example.com/b", "Unreachable", "b: no route", "git.example.com"));
        assert_ne!(one, cause("https://git.example.com/a", "Timeout", "a: no answer", "git.example.com"));
        assert_ne!(
            one,
            cause("https://git.example.org/a", "Unreachable", "a: connection refused", "git.example.org")
        );
    }

    #[test]
    fn what_is_missing_in_the_cluster_is_one_cause_for_syncs_of_all_repositories() {
        let said = "the ServiceAccount deployer is missing";
        let cause = |url: &str, stage| of(url, &[], &Failure::user(stage, "ServiceAccountMissing", said));
        assert_eq!(cause("https://one", "plan"), cause("https://other", "plan"));
        assert_ne!(cause("https://one", "source"), cause("https://other", "source"));
    }

    #[test]
    fn what_may_pass_is_one_cause_in_whatever_numbers_it_is_said() {
        let cause = |said: &str| of("url", &[], &Failure::transient("source", "GitUnreachable", said));
        assert_eq!(cause("no answer from port 40211 in 15.0 s"), cause("no answer from port 5 in 15.2 s"));
        assert_ne!(cause("no answer in 15 s"), cause("connection refused"));
    }
}
