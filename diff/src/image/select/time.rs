//! Times in tags.
//!
//! `2024-01-02T03:04:05Z` (RFC 3339) with any or no separators, since a tag can have no colon: `20240102`,
//! `202401020304`, `20240102030405`, `20240102T030405Z`, `2024-01-02-03-04-05`, `2024.1.2`. Only digits are a
//! date with 8, 12, 14 and 17 of them (milliseconds), and seconds since 1970 with 9 or 10, milliseconds with
//! 13, microseconds with 16 and nanoseconds with 19. Without a zone it is UTC. Pure.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Parses a time.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let mut rest = Cursor(text);
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        match text.len() {
            9 | 10 => return Timestamp::from_second(text.parse().ok()?).ok(),
            13 => return Timestamp::from_millisecond(text.parse().ok()?).ok(),
            16 => return Timestamp::from_microsecond(text.parse().ok()?).ok(),
            19 => return Timestamp::from_nanosecond(text.parse().ok()?).ok(),
            8 | 12 | 14 | 17 => {}
            _ => return None,
        }
    }
    let [year, month, day] = rest.date()?;
    let [hour, minute, second, nanos] = rest.time()?;
    let offset = rest.zone()?;
    if !rest.0.is_empty() {
        return None;
    }
    let small = |number: i32| i8::try_from(number).ok();
    let day = (i16::try_from(year).ok()?, small(month)?, small(day)?);
    // A leap second is treated as the last second of its minute.
    let time = (small(hour)?, small(minute)?, small(if second == 60 { 59 } else { second })?);
    let civil = DateTime::new(day.0, day.1, day.2, time.0, time.1, time.2, nanos).ok()?;
    offset.to_timestamp(civil).ok()
}

/// The rest of the text.
struct Cursor<'t>(&'t str);

impl Cursor<'_> {
    /// Returns the number of leading digits.
    fn digits(&self) -> usize {
        self.0.bytes().take_while(u8::is_ascii_digit).count()
    }

    fn number(&mut self, digits: usize) -> Option<i32> {
        let (number, rest) = (digits <= self.digits()).then(|| self.0.split_at(digits))?;
        self.0 = rest;
        number.parse().ok()
    }

    /// Consumes one of these letters.
    fn take(&mut self, letters: &str) -> Option<char> {
        let letter = self.0.chars().next().filter(|letter| letters.contains(*letter))?;
        self.0 = &self.0[letter.len_utf8()..];
        Some(letter)
    }

    fn date(&mut self) -> Option<[i32; 3]> {
        if self.digits() >= 8 {
            return Some([self.number(4)?, self.number(2)?, self.number(2)?]);
        }
        let year = (self.digits() == 4).then(|| self.number(4))??;
        let separator = self.take("-._/")?.to_string();
        let month = self.short()?;
        self.take(&separator)?;
        Some([year, month, self.short()?])
    }

    /// Parses a number of one or two digits.
    fn short(&mut self) -> Option<i32> {
        self.number(self.digits()).filter(|number| *number < 100)
    }

    /// Parses hour, minute, second and nanosecond; midnight if there is nothing.
    fn time(&mut self) -> Option<[i32; 4]> {
        if matches!(self.0, "" | "Z" | "z") {
            return Some([0; 4]);
        }
        if self.digits() == 0 {
            self.take("Tt_-. ")?;
        }
        match self.digits() {
            4 => Some([self.number(2)?, self.number(2)?, 0, 0]),
            6 => Some([self.number(2)?, self.number(2)?, self.number(2)?, self.fraction()?]),
            9 => Some([self.number(2)?, self.number(2)?, self.number(2)?, self.number(3)? * 1_000_000]),
            2 => {
                let hour = self.number(2)?;
                let separator = self.take(":-._")?.to_string();
                let minute = self.number(2)?;
                let more = self.0.starts_with(&separator)
                    && self.0.bytes().skip(1).take_while(u8::is_ascii_digit).count() == 2;
                if !more {
                    return Some([hour, minute, 0, 0]);
                }
                self.take(&separator)?;
                Some([hour, minute, self.number(2)?, self.fraction()?])
            }
            _ => None,
        }
    }

    /// Parses the nanoseconds after a point; digits after the ninth are ignored.
    fn fraction(&mut self) -> Option<i32> {
        if self.take(".,").is_none() {
            return Some(0);
        }
        let (digits, rest) = Some(self.0.split_at(self.digits())).filter(|(digits, _)| !digits.is_empty())?;
        self.0 = rest;
        format!("{digits:0<9.9}").parse().ok()
    }

    fn zone(&mut self) -> Option<Offset> {
        if self.0.is_empty() || self.take("Zz").is_some() {
            return Some(Offset::UTC);
        }
        let sign = if self.take("+-")? == '-' { -1 } else { 1 };
        let hours = self.number(2)?;
        self.take(":");
        let minutes = self.number(2).filter(|minutes| *minutes < 60)?;
        Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(parse(text).map(|time| time.to_string()).as_deref(), Some(expected), "{text}");
    }

    #[test]
    fn times_are_read_in_many_forms() {
        check("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z");
        check("2024-01-02t03:04:05.25z", "2024-01-02T03:04:05.25Z");
        check("2024-01-02T03:04:05+02:00", "2024-01-02T01:04:05Z");
        check("2024-01-02 03:04:05-0130", "2024-01-02T04:34:05Z");
        check("2024-01-02T03:04Z", "2024-01-02T03:04:00Z");
        check("2021-01-08T21-18-21Z", "2021-01-08T21:18:21Z");
        check("2024-01-02-03-04-05", "2024-01-02T03:04:05Z");
        check("2024-01-02-03-04", "2024-01-02T03:04:00Z");
        check("2024_01_02_03_04_05", "2024-01-02T03:04:05Z");
        check("2024.01.02.03.04.05", "2024-01-02T03:04:05Z");
        check("2024.1.2", "2024-01-02T00:00:00Z");
        check("2024-01-02", "2024-01-02T00:00:00Z");
        check("20240102", "2024-01-02T00:00:00Z");
        check("202401020304", "2024-01-02T03:04:00Z");
        check("20240102030405", "2024-01-02T03:04:05Z");
        check("20240102030405678", "2024-01-02T03:04:05.678Z");
        check("20240102030405Z", "2024-01-02T03:04:05Z");
        check("20240102T030405Z", "2024-01-02T03:04:05Z");
        check("20240102-030405", "2024-01-02T03:04:05Z");
        check("20240102.0304", "2024-01-02T03:04:00Z");
        check("20240102T030405.5Z", "2024-01-02T03:04:05.5Z");
        check("20240102-03.04.05", "2024-01-02T03:04:05Z");
        check("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z");
        check("1606364286", "2020-11-26T04:18:06Z");
        check("1606364286123", "2020-11-26T04:18:06.123Z");
        check("1606364286123456", "2020-11-26T04:18:06.123456Z");
        check("1606364286123456789", "2020-11-26T04:18:06.123456789Z");
        check("999999999", "2001-09-09T01:46:39Z");
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "1",
            "123456",
            "20241301",
            "20240230",
            "2024-01",
            "2024-01_02",
            "2024-123-02",
            "2024-01-02T",
            "2024-01-02T3",
            "2024-01-02T03:04:05.Z",
            "2024-01-02T25:00:00Z",
            "2024-01-02T03:04:05+2",
            "20240102x",
            "2024-01-02T03:04:05ZZ",
            "2024-01-02T03:04:05+99:00",
            "latest",
            "2024é01é02",
            "99999999999999999999",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9TZ:.+ é_-]{0,30}") {
            let _ = parse(&text);
        }
    }
}
