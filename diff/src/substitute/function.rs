//! Functions of an expression: substrings, case, replacements.
//!
//! Offsets and lengths count bytes, as in Flux. Leaves patterns to `glob`. Pure.

use super::error::SubstituteProblem;
use super::glob::Glob;
use super::syntax::Which;

/// Changes the case of the first letter, or of all; a letter without a single counterpart is not changed.
pub(super) fn case(value: &str, upper: bool, all: bool) -> String {
    let changed = if all { value.len() } else { value.chars().next().map_or(0, char::len_utf8) };
    let (changed, rest) = value.split_at(changed);
    let mut cased: String = if upper {
        changed.chars().map(|c| only(c.to_uppercase()).unwrap_or(c)).collect()
    } else {
        changed.chars().map(|c| only(c.to_lowercase()).unwrap_or(c)).collect()
    };
    cased.push_str(rest);
    cased
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    chars.next().filter(|_| chars.next().is_none())
}

/// Returns the part of a value from an offset, which counts from the end if it is negative.
///
/// Returns the whole value if the offset or the length is not a number.
pub(super) fn slice<'v>(
    value: &'v str,
    offset: &str,
    length: Option<&str>,
) -> Result<&'v str, SubstituteProblem> {
    let (Ok(offset), Ok(length)) = (offset.parse::<i64>(), length.map(str::parse::<i64>).transpose()) else {
        return Ok(value);
    };
    let distance = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
    let start = if offset < 0 { value.len().saturating_sub(distance) } else { distance };
    let length =
        usize::try_from(length.unwrap_or(i64::MAX)).map_err(|_| SubstituteProblem::NegativeLength)?;
    let end = start.saturating_add(length).min(value.len());
    if start >= value.len() {
        return Ok("");
    }
    value.get(start..end).ok_or(SubstituteProblem::Cut)
}

/// Returns the value without the match of a pattern at its start or end.
pub(super) fn trim<'v>(value: &'v str, pattern: &str, from_end: bool, longest: bool) -> &'v str {
    let Some(glob) = Glob::new(pattern) else { return value };
    let rest = if from_end {
        value.get(..value.len() - glob.suffix(value, longest))
    } else {
        value.get(glob.prefix(value, longest)..)
    };
    rest.unwrap_or(value)
}

/// Returns the value with matches replaced, if the result has at most `limit` bytes.
pub(super) fn replace(value: &str, which: Which, pattern: &str, with: &str, limit: usize) -> Option<String> {
    let found = match which {
        Which::All => value.matches(pattern).count(),
        _ => 1,
    };
    if found.saturating_mul(with.len()).saturating_add(value.len()) > limit {
        return None;
    }
    Some(match which {
        Which::First => value.replacen(pattern, with, 1),
        Which::All => value.replace(pattern, with),
        Which::AtStart => match value.strip_prefix(pattern) {
            Some(rest) => format!("{with}{rest}"),
            None => value.to_owned(),
        },
        Which::AtEnd => match value.strip_suffix(pattern) {
            Some(rest) => format!("{rest}{with}"),
            None => value.to_owned(),
        },
    })
}
