//! The result of `extract` for a tag: text with `$name`, `${name}` and `$1`, by the rules of Go.
//!
//! A name is as long as possible, so `$1x` is the group `1x`; `$$` is a dollar, and so is a `$` before
//! anything else. Go treats a group that the pattern does not have as empty; here it is an error. Pure.

use regex::{Captures, Regex};

/// Maximum length of the result, in bytes; a tag has at most 128.
const LONGEST: usize = 512;

/// A compiled template for one pattern.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Group(usize),
}

impl Template {
    /// # Errors
    /// Returns the name of a group that the pattern does not have.
    pub(super) fn compile(text: &str, pattern: &Regex) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            parts.push(Part::Text(rest[..at].to_owned()));
            let after = &rest[at + 1..];
            if let Some((name, left)) = reference(after) {
                parts.push(Part::Group(group(name, pattern).ok_or_else(|| name.to_owned())?));
                rest = left;
            } else {
                parts.push(Part::Text("$".to_owned()));
                rest = after.strip_prefix('$').unwrap_or(after);
            }
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// Returns a template of one group.
    pub(super) fn of_group(name: &str, pattern: &Regex) -> Option<Self> {
        Some(Self(vec![Part::Group(group(name, pattern)?)]))
    }

    /// Returns the result for a match, up to the part that would exceed the limit.
    pub(super) fn fill(&self, found: &Captures) -> String {
        let mut filled = String::new();
        for part in &self.0 {
            let part = match part {
                Part::Text(text) => text.as_str(),
                Part::Group(index) => found.get(*index).map_or("", |group| group.as_str()),
            };
            if filled.len() + part.len() > LONGEST {
                break;
            }
            filled.push_str(part);
        }
        filled
    }
}

/// Splits the name of a reference off the text after a dollar.
fn reference(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let text = braced.unwrap_or(text);
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = if braced.is_some() { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

/// Returns the index of a group by its name or its number without leading zeros.
fn group(name: &str, pattern: &Regex) -> Option<usize> {
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    let number = name.parse().ok().filter(|_| is_number);
    let named = || pattern.capture_names().position(|known| known == Some(name));
    number.map_or_else(named, |number| (number < pattern.captures_len()).then_some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERN: &str = r"^(?P<name>[a-z]+)-(\d+)(?<rest>-x)?$";

    /// What a template makes of `web-12`, or the group that is not there.
    fn made(template: &str) -> String {
        let pattern = Regex::new(PATTERN).expect(PATTERN);
        let found = pattern.captures("web-12").expect("the pattern matches");
        Template::compile(template, &pattern).map_or_else(|group| format!("no {group}"), |it| it.fill(&found))
    }

    #[test]
    fn templates_are_filled_as_go_fills_them() {
        for (template, expected) in [
            ("$name", "web"),
            ("${name}", "web"),
            ("$2", "12"),
            ("${2}.0", "12.0"),
            ("$2.$1", "12.web"),
            ("$0!", "web-12!"),
            ("<$rest>", "<>"),
            ("$$1", "$1"),
            ("1$", "1$"),
            ("$ x", "$ x"),
            ("$-$2", "$-12"),
            ("${name", "${name"),
            ("${}", "${}"),
            ("${na me}", "${na me}"),
            ("$1x", "no 1x"),
            ("$name_", "no name_"),
            ("$4", "no 4"),
            ("$01", "no 01"),
            ("$other", "no other"),
            ("$99999999999999999999999", "no 99999999999999999999999"),
        ] {
            assert_eq!(made(template), expected, "{template}");
        }
    }

    #[test]
    fn texts_do_not_grow_without_bounds() {
        assert_eq!(made(&"$0".repeat(1000)).len(), LONGEST / 6 * 6);
    }
}
