//! Times as go-yaml v3 recognises them in plain scalars, printed as Go prints a time in JSON.
//!
//! Pure.

use std::fmt::Write as _;

/// Parses a time; `None` if the text is not one.
pub(super) fn read(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_year = bytes.len() > 4 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-';
    if !is_year {
        return None;
    }
    let mut rest = Rest(&bytes[5..]);
    let year: u32 = text[..4].parse().ok()?;
    let month = rest.number()?;
    rest.literal(b"-")?;
    let day = rest.number()?;
    if !(1..=12).contains(&month) || day < 1 || day > days(year, month) {
        return None;
    }
    let (time, zone) = match rest.0.first() {
        None => (Time::default(), 0),
        Some(b'T' | b't') => {
            rest.0 = &rest.0[1..];
            (rest.time()?, rest.zone()?)
        }
        Some(b' ') => {
            rest.0 = rest.0.trim_ascii_start();
            (rest.time()?, 0)
        }
        Some(_) => return None,
    };
    let Time { hour, minute, second, nanos } = time;
    if !rest.0.is_empty() {
        return None;
    }
    let mut out = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanos > 0 {
        let fraction = format!("{nanos:09}");
        let _ = write!(out, ".{}", fraction.trim_end_matches('0'));
    }
    match zone {
        0 => out.push('Z'),
        minutes => {
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.abs();
            let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
        }
    }
    Some(out)
}

#[derive(Default)]
struct Time {
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The rest of the text.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn literal(&mut self, expected: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// Parses one or two digits.
    fn number(&mut self) -> Option<u32> {
        let length = self.0.iter().take(2).take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        str::from_utf8(digits).ok()?.parse().ok()
    }

    fn time(&mut self) -> Option<Time> {
        let hour = self.number()?;
        self.literal(b":")?;
        let minute = self.number()?;
        self.literal(b":")?;
        let second = self.number()?;
        let nanos = self.fraction();
        (hour < 24 && minute < 60 && second < 60).then_some(Time { hour, minute, second, nanos })
    }

    /// Parses the digits after the point as nanoseconds; further digits are dropped.
    fn fraction(&mut self) -> u32 {
        let [b'.' | b',', digits @ ..] = self.0 else { return 0 };
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return 0;
        }
        self.0 = &digits[length..];
        let padded = digits[..length].iter().chain(std::iter::repeat(&b'0')).take(9);
        padded.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    }

    /// Parses `Z` or an offset, in minutes east of Greenwich. Go prints no zone of 24 hours or more.
    fn zone(&mut self) -> Option<i32> {
        if self.literal(b"Z").is_some() {
            return Some(0);
        }
        let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2, rest @ ..] = self.0 else { return None };
        let digit = |byte: &u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
        let hours = digit(h1)? * 10 + digit(h2)?;
        let minutes = digit(m1)? * 10 + digit(m2)?;
        let total = hours * 60 + minutes;
        if minutes > 60 || total >= 24 * 60 {
            return None;
        }
        self.0 = rest;
        Some(if *sign == b'-' { -total } else { total })
    }
}
