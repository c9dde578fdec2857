//! The number formats of go-yaml v3.
//!
//! Leaves `.inf` and `.nan` to its parent. Pure.

use std::borrow::Cow;

use super::Resolved;
use holdfast_documents::go_number::{Integer, decimal};

/// Parses text that starts with a digit or a sign.
pub(super) fn read(text: &str) -> Resolved {
    let digits: Cow<'_, str> = if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    integer(&digits)
        .or_else(|| decimal(&digits).map(Resolved::Float))
        .or_else(|| signed_digits(&digits))
        .unwrap_or(Resolved::Text)
}

/// Parses an integer. `None` if it does not fit into 64 bits with a sign.
fn integer(text: &str) -> Option<Resolved> {
    let integer = Integer::read(text)?;
    match integer.signed() {
        Some(value) => Some(Resolved::Int(value)),
        None if integer.has_sign => None,
        None => Some(Resolved::Uint(integer.magnitude)),
    }
}

/// Parses a sign after the prefix, as in `0b-1`, which go-yaml accepts.
fn signed_digits(text: &str) -> Option<Resolved> {
    let prefixes = [("0b", 2), ("0o", 8)];
    let (digits, radix) =
        prefixes.into_iter().find_map(|(prefix, radix)| Some((text.strip_prefix(prefix)?, radix)))?;
    i64::from_str_radix(digits, radix).ok().map(Resolved::Int)
}
