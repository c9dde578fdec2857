//! The forms of numbers in go-yaml v3.
//!
//! Leaves `.inf` and `.nan` to its parent. Pure.

use std::borrow::Cow;

use super::Resolved;

/// Reads what starts with a digit or a sign.
pub(super) fn read(text: &str) -> Resolved {
    let digits: Cow<'_, str> = if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    integer(&digits)
        .or_else(|| float(&digits).map(Resolved::Float))
        .or_else(|| signed_digits(&digits))
        .unwrap_or(Resolved::Text)
}

/// Integers as Go's base 0 reads them: `0x`, `0o`, `0b`, and octal after a leading zero.
fn integer(text: &str) -> Option<Resolved> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    let signed = if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() };
    match signed {
        Some(value) => Some(Resolved::Int(value)),
        None if text.starts_with(['-', '+']) => None,
        None => Some(Resolved::Uint(magnitude)),
    }
}

/// A sign after the prefix, as in `0b-1`, which go-yaml reads as well.
fn signed_digits(text: &str) -> Option<Resolved> {
    let prefixes = [("0b", 2), ("0o", 8)];
    let (digits, radix) =
        prefixes.into_iter().find_map(|(prefix, radix)| Some((text.strip_prefix(prefix)?, radix)))?;
    i64::from_str_radix(digits, radix).ok().map(Resolved::Int)
}

/// A decimal number within the range of floats: Go leaves others as text.
pub(super) fn float(text: &str) -> Option<f64> {
    let value = || text.parse().ok().filter(|value: &f64| value.is_finite());
    is_decimal(text).then(value).flatten()
}

/// True for `[-+]? ( .digits | digits [. digits*] ) ( e [-+]? digits )?`.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some((whole, fraction)) => {
            !(whole.is_empty() && fraction.is_empty()) && digits(whole) && digits(fraction)
        }
        None => !mantissa.is_empty() && digits(mantissa),
    };
    let exponent_ok = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    mantissa_ok && exponent_ok
}
