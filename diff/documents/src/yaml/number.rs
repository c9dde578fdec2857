//! The number formats of go-yaml v2, and their values in JSON.
//!
//! Leaves `.inf` and `.nan` to `scalar`. Pure.

use serde_json::{Number, Value};

use super::resolved::Scalar;
use crate::go_number::{Integer, decimal};

/// Parses a number. `None`: the scalar is text.
pub(super) fn read(text: &str) -> Option<Scalar> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    // After a point, underscores are only permitted between digits.
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
    integer(&digits).or_else(|| decimal(&digits).map(Scalar::Float))
}

/// Parses an integer. `None` if it does not fit into 64 bits with a sign.
fn integer(text: &str) -> Option<Scalar> {
    let integer = Integer::read(text)?;
    match integer.signed() {
        Some(value) => Some(Scalar::Int(value)),
        None if integer.has_sign => None,
        None => Some(Scalar::Uint(integer.magnitude)),
    }
}

/// Returns a float in JSON. One without a fraction is an integer if 64 bits are enough, as
/// kubectl and the API server read it.
pub(super) fn float(value: f64) -> Value {
    match value.to_string().parse::<i64>() {
        Ok(whole) => whole.into(),
        Err(_) => Number::from_f64(value).map_or(Value::Null, Value::Number),
    }
}

/// Converts an integer beyond 63 bits, which JSON readers in Go store as a float.
#[expect(clippy::cast_precision_loss, reason = "the loss is what kubectl and the API server do")]
pub(super) fn widen(value: u64) -> f64 {
    value as f64
}

/// Formats a float as the name of a field: the shortest digits of single precision, with an exponent below 1e-4 and
/// from 1e6 on.
#[expect(clippy::cast_possible_truncation, reason = "sigs.k8s.io/yaml formats keys in single precision")]
pub fn key(value: f64) -> String {
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
