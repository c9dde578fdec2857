//! The order of fields: natural order, `item2` before `item10`.
//!
//! The order of go-yaml is not transitive (`a10` < `a1b` < `a01` < `a10`), so a sort of the standard library could
//! panic. The sort here is stable and always ends; where the result of go-yaml varies from run to run,
//! this one does not. Pure.

use serde_json::{Map, Value};

pub(super) type Field<'v> = (&'v str, &'v Value);

/// Returns the fields of a mapping in the order in which they are written.
pub(super) fn sorted(fields: &Map<String, Value>) -> Vec<Field<'_>> {
    let mut fields: Vec<Field> = fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let mut width = 1;
    if fields.is_sorted_by(|a, b| !less(b.0, a.0)) {
        return fields;
    }
    while width < fields.len() {
        let mut merged = Vec::with_capacity(fields.len());
        for pair in fields.chunks(2 * width) {
            merge(pair.split_at(width.min(pair.len())), &mut merged);
        }
        fields = merged;
        width *= 2;
    }
    fields
}

fn merge<'v>((mut left, mut right): (&[Field<'v>], &[Field<'v>]), merged: &mut Vec<Field<'v>>) {
    while let ([a, left_rest @ ..], [b, right_rest @ ..]) = (left, right) {
        if less(b.0, a.0) {
            merged.push(*b);
            right = right_rest;
        } else {
            merged.push(*a);
            left = left_rest;
        }
    }
    merged.extend_from_slice(left);
    merged.extend_from_slice(right);
}

/// Compares at the first difference: symbols and digits come before letters, digits count as one number.
fn less(a: &str, b: &str) -> bool {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let at = a.floor_char_boundary(same);
    let (before, a) = a.split_at(at);
    let b = b.get(at..).unwrap_or_default();
    let (Some(first_a), Some(first_b)) = (a.chars().next(), b.chars().next()) else {
        return a.len() < b.len();
    };
    match (is_letter(first_a), is_letter(first_b)) {
        (true, true) => return first_a < first_b,
        (false, false) => {}
        (_, b_is_letter) => return b_is_letter,
    }
    let started = (first_a == '0' || first_b == '0') && ends_in_number(before);
    let (a, b) = (number(a, started), number(b, started));
    if a == b { first_a < first_b } else { a < b }
}

/// True if the text ends in digits that are not all zero.
fn ends_in_number(text: &str) -> bool {
    text.bytes().rev().take_while(u8::is_ascii_digit).any(|digit| digit != b'0')
}

/// Returns the value of the leading digits and their count. After digits that were already read, zeros count as well.
///
/// More than 18 digits overflow, as they do in go-yaml.
fn number(text: &str, started: bool) -> (i64, usize) {
    let digits = text.bytes().take_while(u8::is_ascii_digit);
    digits.fold((i64::from(started), 0), |(value, count), digit| {
        (value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')), count + 1)
    })
}

/// True for letters, but not for the numbers that count as letters.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() && !c.is_numeric()
}
