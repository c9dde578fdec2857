//! Globs over names: `*` is any text, `?` is one character, and a backslash escapes the next one. Pure.

/// One part of a glob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Literal(char),
    One,
    Any,
}

/// A glob that a whole name must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(Vec<Part>);

impl Glob {
    pub(crate) fn new(text: &str) -> Self {
        let mut characters = text.chars();
        let mut parts = Vec::with_capacity(text.len());
        while let Some(character) = characters.next() {
            parts.push(match character {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::Literal(characters.next().unwrap_or('\\')),
                other => Part::Literal(other),
            });
        }
        Self(parts)
    }

    /// Backtracks only to the last `*`, which is sufficient.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut at) = (0, 0);
        let mut last: Option<(usize, usize)> = None;
        while at < name.len() {
            match (self.0.get(part), last) {
                (Some(Part::Any), _) => {
                    part += 1;
                    last = Some((part, at));
                    continue;
                }
                (Some(Part::Literal(literal)), _) if *literal == name[at] => part += 1,
                (Some(Part::One), _) => part += 1,
                (_, Some((after, from))) => {
                    last = Some((after, from + 1));
                    (part, at) = (after, from);
                }
                (_, None) => return false,
            }
            at += 1;
        }
        self.0[part..].iter().all(|part| *part == Part::Any)
    }
}

/// Returns the glob that only matches this name.
pub(super) fn literal(name: &str) -> String {
    let mut glob = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '*' | '?' | '\\') {
            glob.push('\\');
        }
        glob.push(character);
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::{Glob, literal};

    #[test]
    fn stars_and_question_marks_stand_for_text() {
        for (glob, name, expected) in [
            ("web", "web", true),
            ("web", "webs", false),
            ("web*", "web", true),
            ("*-controller", "helm-controller", true),
            ("*-controller", "helm-controller-2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("**", "", true),
            ("w?b", "wéb", true),
            ("w?b", "wb", false),
            ("?", "", false),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            (r"a\", r"a\", true),
        ] {
            assert_eq!(Glob::new(glob).matches(name), expected, "{glob} on {name}");
        }
    }

    #[test]
    fn a_literal_matches_its_name_and_no_other() {
        let glob = Glob::new(&literal(r"a*b?\c"));
        assert!(glob.matches(r"a*b?\c") && !glob.matches(r"aXb?\c") && !glob.matches(r"a*bX\c"));
    }

    #[test]
    fn many_stars_take_no_long_search() {
        assert!(!Glob::new(&"a*".repeat(100)).matches(&"a".repeat(99)));
    }
}
