//! What a text would be read as without quotes.
//!
//! Leaves dates to `timestamp`, and words and most numbers to the reader's own `scalar` and `number`. Pure.

use granit_parser::ScalarStyle;

use super::timestamp::is_timestamp;
use crate::yaml::number;
use crate::yaml::scalar::{self, Scalar};

/// The longest word that is not text: `false`, `-.inf`.
const LONGEST_WORD: usize = 5;

/// True if the text without quotes is a string to all readers that go-yaml v2 writes for.
pub(super) fn is_text(text: &str) -> bool {
    let Some(first) = text.bytes().next() else { return false };
    match first {
        b'0'..=b'9' | b'+' | b'-' => {
            !(is_word(text)
                || number::read(text).is_some()
                || is_signed_binary(text)
                || is_base_60(text)
                || is_timestamp(text))
        }
        b'.' => !is_word(text) && (!has_good_underscores(text) || number::read(text).is_none()),
        _ => !is_word(text),
    }
}

/// True for the names of null, true, false and the floats that are no numbers.
fn is_word(text: &str) -> bool {
    let is_name = || match scalar::resolve(text, ScalarStyle::Plain, None) {
        Ok(Scalar::Null | Scalar::Bool(_)) => true,
        Ok(Scalar::Float(value)) => !value.is_finite(),
        _ => false,
    };
    text.len() <= LONGEST_WORD && is_name()
}

/// True for `0b-101`, which go-yaml takes for a number.
fn is_signed_binary(text: &str) -> bool {
    let plain = text.replace('_', "");
    let digits = plain.strip_prefix("0b").and_then(|rest| rest.strip_prefix(['-', '+']));
    digits.is_some_and(|digits| {
        digits.bytes().all(|byte| matches!(byte, b'0' | b'1'))
            && number::read(&format!("0b{digits}")).is_some()
    })
}

/// True if each underscore has a digit on both sides: elsewhere a float that starts with its point is text.
fn has_good_underscores(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let mut underscores = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'_');
    underscores.all(|(at, _)| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)))
}

/// True for numbers in base 60 such as `1:30` and `-190:20:30.15`.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let Some((first, rest)) = unsigned.split_once(':') else { return false };
    let (rest, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let loose = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let sixtieth = |part: &str| match part.as_bytes() {
        [tens, ones] => (b'0'..=b'5').contains(tens) && ones.is_ascii_digit(),
        [ones] => ones.is_ascii_digit(),
        _ => false,
    };
    first.starts_with(|c: char| c.is_ascii_digit())
        && loose(first)
        && rest.split(':').all(sixtieth)
        && loose(fraction)
}
