//! Numbers of any size, compared exactly: `42`, `-7`, `007`, `1.50`, `1e3`. Pure.

use std::cmp::Ordering;

/// The largest exponent that is accepted: `12e4567` is more likely the beginning of a hash than a number.
const EXPONENT: i64 = 308;

/// A decimal number: 0.digits times ten to the power of the exponent, with its sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Number {
    negative: bool,
    exponent: i64,
    /// Without leading and trailing zeros. Empty for zero.
    digits: Box<str>,
}

impl Number {
    /// Parses a decimal number: a sign, digits with an optional point, and an exponent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = sign(text);
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, power(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let all = [whole, fraction].concat();
        let digits = all.trim_start_matches('0');
        let zeros = i64::try_from(all.len() - digits.len()).ok()?;
        let digits = digits.trim_end_matches('0');
        if digits.is_empty() {
            return Some(Self { negative: false, exponent: 0, digits: "".into() });
        }
        let exponent = exponent + i64::try_from(whole.len()).ok()? - zeros;
        Some(Self { negative, exponent, digits: digits.into() })
    }

    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |number: &Self| i8::from(!number.is_zero()) * if number.negative { -1 } else { 1 };
        let size = |number: &Self, other: &Self| {
            number.exponent.cmp(&other.exponent).then_with(|| number.digits.cmp(&other.digits))
        };
        sign(self)
            .cmp(&sign(other))
            .then_with(|| if self.negative { size(other, self) } else { size(self, other) })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Removes the sign, and returns true if it is a minus.
fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn power(text: &str) -> Option<i64> {
    let (negative, digits) = sign(text);
    let size: i64 = Some(digits).filter(|digits| is_digits(digits))?.parse().ok()?;
    (size <= EXPONENT).then_some(if negative { -size } else { size })
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_have_an_order_of_any_size() {
        let ascending = [
            "-1e300",
            "-18446744073709551617",
            "-18446744073709551616",
            "-88",
            "-9",
            "-1.5",
            "-0.25",
            "0",
            "1e-7",
            "0.00001",
            ".5",
            "1",
            "1.4999",
            "1.50",
            "9",
            "10",
            "99",
            "100",
            "1606364286",
            "18446744073709551616",
            "18446744073709551617",
            "1e30",
        ];
        for (at, one) in ascending.iter().enumerate() {
            for (other_at, other) in ascending.iter().enumerate() {
                let order = Number::parse(one).expect(one).cmp(&Number::parse(other).expect(other));
                assert_eq!(order, at.cmp(&other_at), "{one} and {other}");
            }
        }
    }

    #[test]
    fn one_number_is_written_in_many_ways() {
        for same in
            [["1", "1.0"], ["1", "+001."], ["-0", "0.00"], ["0e5", "0"], ["1e2", "100"], ["12.5E-1", "1.25"]]
        {
            assert_eq!(Number::parse(same[0]), Number::parse(same[1]), "{same:?}");
        }
    }

    #[test]
    fn other_texts_are_no_numbers() {
        for text in [
            "", "-", "+", ".", "1a", "a1", "1.2.3", "--1", "+-1", "1e", "e1", "1e+", "1e1.5", "0x1p-2",
            "1_000", "inf", "NaN", " 1", "1 ", "12e4567", "１",
        ] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_compare_as_the_machine_compares_them(one in any::<i64>(), other in any::<i64>()) {
            let read = |number: i64| Number::parse(&number.to_string());
            prop_assert_eq!(read(one).cmp(&read(other)), one.cmp(&other));
        }

        #[test]
        fn fractions_compare_as_the_machine_compares_them(one in -9999_i32..9999, other in -9999_i32..9999) {
            let read = |number: i32| Number::parse(&format!("{}", f64::from(number) / 16.0));
            prop_assert_eq!(read(one).cmp(&read(other)), one.cmp(&other));
        }
    }
}
