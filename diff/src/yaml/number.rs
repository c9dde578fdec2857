//! The forms of numbers in go-yaml v2, and the numbers that JSON makes of them.
//!
//! Leaves `.inf` and `.nan` to `scalar`. Pure.

use serde_json::{Number, Value};

use super::scalar::Scalar;

/// Reads a number, or says None: then the scalar is text.
pub(super) fn read(text: &str) -> Option<Scalar> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    // After a point, underscores stand between digits only.
    let is_digit = |part: Option<char>| part.is_some_and(|c| c.is_ascii_digit());
    let mut around = text.split('_').zip(text.split('_').skip(1));
    if text.starts_with('.')
        && !around.all(|(left, right)| is_digit(left.chars().last()) && is_digit(right.chars().next()))
    {
        return None;
    }
    let digits = text.replace('_', "");
    if let Some(signed) = digits.strip_prefix("0b").filter(|rest| rest.starts_with(['-', '+'])) {
        return i64::from_str_radix(signed, 2).ok().map(Scalar::Int);
    }
    integer(&digits).or_else(|| is_decimal(&digits).then(|| finite(&digits)).flatten())
}

/// Integers as Go's base 0 reads them: `0x`, `0o`, `0b`, and octal after a leading zero.
fn integer(text: &str) -> Option<Scalar> {
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
        Some(value) => Some(Scalar::Int(value)),
        None if text.starts_with(['-', '+']) => None,
        None => Some(Scalar::Uint(magnitude)),
    }
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

/// A float, or None where it is out of range: Go leaves that as text.
fn finite(text: &str) -> Option<Scalar> {
    text.parse().ok().filter(|value: &f64| value.is_finite()).map(Scalar::Float)
}

/// A float in JSON. One without a fraction is an integer where 64 bits hold it, for that is how
/// kubectl and the API server read it.
pub(super) fn float(value: f64) -> Value {
    match value.to_string().parse::<i64>() {
        Ok(whole) => whole.into(),
        Err(_) => Number::from_f64(value).map_or(Value::Null, Value::Number),
    }
}

/// An integer beyond 63 bits, which JSON readers in Go hold as a float.
#[expect(clippy::cast_precision_loss, reason = "the loss is what kubectl and the API server do")]
pub(super) fn widen(value: u64) -> f64 {
    value as f64
}

/// A float as a field's name: the shortest digits of single precision, with an exponent below 1e-4 and
/// from 1e6 on.
#[expect(clippy::cast_possible_truncation, reason = "sigs.k8s.io/yaml formats keys in single precision")]
pub(crate) fn key(value: f64) -> String {
    let single = value as f32;
    if !single.is_finite() {
        return if single.is_nan() {
            ".nan"
        } else if single > 0.0 {
            ".inf"
        } else {
            "-.inf"
        }
        .to_owned();
    }
    let scientific = format!("{single:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return single.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
