//! Writes numbers as they come out of JSON: integers without a point, others as Go prints them.
//!
//! Pure.

use serde_json::Number;

/// `1.0` is `1`, ten million and a half is `1.00000005e+07`, integers beyond 64 bits are floats.
pub(super) fn text(number: &Number) -> String {
    let text = number.to_string();
    if number.is_i64() || number.is_u64() {
        return text;
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let decimal = Decimal::of(text.trim_start_matches('-'));
    let whole = decimal.whole().map(|digits| format!("{sign}{digits}"));
    match whole {
        Some(digits) if digits == "-0" => "0".to_owned(),
        Some(digits) if digits.parse::<i64>().is_ok() || digits.parse::<u64>().is_ok() => digits,
        _ => format!("{sign}{}", decimal.float()),
    }
}

/// The digits of a number without leading and trailing zeros, and the power of ten of the first one.
struct Decimal {
    digits: String,
    exponent: i32,
}

impl Decimal {
    /// Parses the shortest digits of a float: `12.5`, `1.25e1`.
    fn of(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let before_point = count(whole) - count(&all) + count(significant);
        let exponent = exponent.parse::<i32>().unwrap_or(0) + before_point - 1;
        Self { digits: significant.trim_end_matches('0').to_owned(), exponent }
    }

    /// Returns the number without a point, if possible.
    fn whole(&self) -> Option<String> {
        if self.digits.is_empty() {
            return Some("0".to_owned());
        }
        let zeros = usize::try_from(self.exponent + 1 - count(&self.digits)).ok()?;
        Some(format!("{}{}", self.digits, "0".repeat(zeros)))
    }

    /// Returns the number with a point, or with an exponent below 1e-4 and from 1e6 on.
    fn float(&self) -> String {
        let Self { digits, exponent } = self;
        match usize::try_from(*exponent) {
            Ok(before_point @ ..6) => {
                let (whole, fraction) = digits.split_at(digits.len().min(before_point + 1));
                format!("{whole}.{fraction}")
            }
            Err(_) if *exponent >= -4 => {
                let zeros = usize::try_from(-exponent - 1).unwrap_or(0);
                format!("0.{}{digits}", "0".repeat(zeros))
            }
            _ => {
                let (first, rest) = digits.split_at(digits.len().min(1));
                let point = if rest.is_empty() { "" } else { "." };
                let sign = if *exponent < 0 { '-' } else { '+' };
                format!("{first}{point}{rest}e{sign}{:02}", exponent.abs())
            }
        }
    }
}

/// Returns the length of a text; the digits of a float are at most some hundreds.
fn count(digits: &str) -> i32 {
    i32::try_from(digits.len()).unwrap_or(i32::MAX)
}
