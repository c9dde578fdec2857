//! The number formats that go-yaml takes from Go, in every version. Each dialect interprets them. Pure.

/// An integer as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integer {
    /// True if it begins with `-` or `+`.
    pub has_sign: bool,
    pub is_negative: bool,
    pub magnitude: u64,
}

impl Integer {
    /// Parses an integer as Go does with base 0: `0x`, `0o`, `0b`, and octal after a leading zero. Underscores are not
    /// permitted.
    pub fn read(text: &str) -> Option<Self> {
        let (sign, digits) = match text.as_bytes().first()? {
            sign @ (b'-' | b'+') => (Some(*sign), &text[1..]),
            _ => (None, text),
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
        Some(Self { has_sign: sign.is_some(), is_negative: sign == Some(b'-'), magnitude })
    }

    /// Returns the value as a signed 64-bit integer, if it fits.
    pub fn signed(self) -> Option<i64> {
        let Self { is_negative, magnitude, .. } = self;
        if is_negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
    }
}

/// True for `[-+]? ( .digits | digits [. digits*] ) ( e [-+]? digits )?`.
pub fn is_decimal(text: &str) -> bool {
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

/// Parses a decimal number within the range of floats: Go leaves others as text.
pub fn decimal(text: &str) -> Option<f64> {
    let value = || text.parse().ok().filter(|value: &f64| value.is_finite());
    is_decimal(text).then(value).flatten()
}
