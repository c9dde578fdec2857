//! Parses the text of a range: alternatives, conditions, operators and versions with missing
//! parts. Leaves the meaning to the parent module. Pure.

use semver::{BuildMetadata, Prerelease, Version};

use super::{Condition, Operator, Range};

/// Why a text is not a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRange {
    #[error("{part} is not a version constraint")]
    Condition { part: String },
    #[error("a condition is missing in \"{part}\"")]
    Missing { part: String },
    #[error("it has {length} bytes, and at most {} are read", Range::LONGEST)]
    TooLong { length: usize },
}

/// The operators.
const OPERATORS: [(&str, Operator); 12] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
    ("", Operator::Equal),
];

/// The characters of operators.
const SIGNS: &str = "=!<>~^";

/// The parts of a version that are written.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    count: usize,
    /// The first part that is `x`, `X` or `*`.
    pub(super) wildcard: Option<usize>,
}

impl Parts {
    fn written(self) -> usize {
        self.wildcard.unwrap_or(self.count)
    }
}

/// Parses the alternatives of a range. An empty text is `*`.
pub(super) fn range(text: &str) -> Result<Vec<Vec<Condition>>, BadRange> {
    if text.len() > Range::LONGEST {
        return Err(BadRange::TooLong { length: text.len() });
    }
    if text.trim().is_empty() {
        return range("*");
    }
    text.split("||").map(conditions).collect()
}

/// Parses one alternative: conditions, separated by commas or spaces.
fn conditions(text: &str) -> Result<Vec<Condition>, BadRange> {
    let missing = || BadRange::Missing { part: text.trim().to_owned() };
    let mut found = Vec::new();
    let mut rest = text.trim_ascii();
    loop {
        let (operator, after) = operator(rest);
        let (from, after) = word(after).ok_or_else(missing)?;
        rest = if let Some((to, after)) = until(after).filter(|_| operator.is_empty()) {
            found.extend([condition(">=", from)?, condition("<=", to)?]);
            after.trim_ascii_start()
        } else {
            found.push(condition(operator, from)?);
            after.trim_ascii_start()
        };
        if rest.is_empty() {
            return Ok(found);
        }
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_ascii_start();
    }
}

/// Splits off the operator.
fn operator(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter| !SIGNS.contains(letter)).unwrap_or(text.len()))
}

/// Splits off the text up to the next space or comma. Leading spaces are skipped.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_ascii_start();
    let end = text.find(|letter: char| letter == ',' || letter.is_ascii_whitespace()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Splits off ` - ` and the word after it.
fn until(text: &str) -> Option<(&str, &str)> {
    let (dash, rest) = word(text).filter(|_| !text.starts_with(','))?;
    (dash == "-" && rest.starts_with(|letter: char| letter.is_ascii_whitespace())).then(|| word(rest))?
}

fn condition(written: &str, text: &str) -> Result<Condition, BadRange> {
    let apart = if text.starts_with(|letter| SIGNS.contains(letter)) { " " } else { "" };
    let bad = || BadRange::Condition { part: format!("{written}{apart}{text}") };
    let (_, operator) = OPERATORS.iter().find(|(known, _)| *known == written).ok_or_else(bad)?;
    let (version, parts) = partial(text).ok_or_else(bad)?;
    Ok(Condition { operator: *operator, version, parts: parts.written() })
}

/// Parses a version of which parts may be missing or be `x`. Numbers after an `x` are ignored.
pub(super) fn partial(text: &str) -> Option<(Version, Parts)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (rest, build) = split_suffix(text, '+')?;
    let (core, pre) = split_suffix(rest, '-')?;
    let mut numbers = [0_u64; 3];
    let mut parts = Parts { count: 0, wildcard: None };
    for (at, part) in core.split('.').enumerate() {
        let number = numbers.get_mut(at)?;
        parts.count += 1;
        if matches!(part, "x" | "X" | "*") {
            parts.wildcard = parts.wildcard.or(Some(at));
        } else if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        } else if parts.wildcard.is_none() {
            *number = part.parse().ok()?;
        }
    }
    let [major, minor, patch] = numbers;
    let mut version = Version::new(major, minor, patch);
    version.pre = Prerelease::new(pre).ok()?;
    version.build = BuildMetadata::new(build).ok()?;
    Some((version, parts))
}

/// Splits off the text after a sign; it must not be empty.
fn split_suffix(text: &str, sign: char) -> Option<(&str, &str)> {
    match text.split_once(sign) {
        Some((_, "")) => None,
        Some(parts) => Some(parts),
        None => Some((text, "")),
    }
}
