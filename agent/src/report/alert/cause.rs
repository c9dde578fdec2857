//! Which failures have one cause: the same error about the same repository, whatever the Sync. Pure.

use holdfast_diff::digest::Hasher;

use crate::error::Class;
use crate::report::Failure;

/// Names the cause of a failure. `own` are the words that only this object says: its path, and its name.
pub fn of(origin: &str, own: &[&str], failure: &Failure) -> String {
    let Failure { stage, class, reason, message, .. } = failure;
    let mut text = text(*class, message);
    for word in own.iter().filter(|word| word.len() > 1) {
        text = text.replace(word, "<own>");
    }
    digest([origin, *stage, *reason, &text])
}

/// The text of a failure, as far as it is news if it changes. What may pass by itself is said in other numbers each time.
pub fn text(class: Class, message: &str) -> String {
    match class {
        Class::Transient => without_numbers(message),
        Class::User | Class::Internal => message.to_owned(),
    }
}

/// A text without the words that have a digit in them: times, ports, and the names of pods.
pub fn without_numbers(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| !word.contains(|letter: char| letter.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

/// A digest of texts.
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
    fn what_may_pass_is_one_cause_in_whatever_numbers_it_is_said() {
        let cause = |said: &str| of("url", &[], &Failure::transient("source", "GitUnreachable", said));
        assert_eq!(cause("no answer from port 40211 in 15.0 s"), cause("no answer from port 5 in 15.2 s"));
        assert_ne!(cause("no answer in 15 s"), cause("connection refused"));
    }
}
