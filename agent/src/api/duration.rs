//! Durations as people write them: Go's `1h30m` or humantime's `1h 30min`. Pure.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration as Time;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What is longer counts as this: ten years.
const LONGEST: Time = Time::from_hours(10 * 366 * 24);

/// The shortest interval. The definitions refuse a shorter one in Go's form alone, which is all that the API server reads.
pub const SHORTEST: Time = Time::from_secs(5);

/// A duration that is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(Time);

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} is not a duration: {why}; write one such as 30s, 5m or 1h30m")]
pub struct DurationError {
    text: String,
    why: String,
}

impl Duration {
    /// At most [`LONGEST`], so that it can be added to any time and multiplied.
    pub fn get(self) -> Time {
        self.0.min(LONGEST)
    }
}

impl From<Time> for Duration {
    fn from(time: Time) -> Self {
        Self(time)
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let why = || "it needs numbers with units (h, m, s, ms)".to_owned();
        parse(text).map(Self).ok_or_else(|| DurationError { text: text.to_owned(), why: why() })
    }
}

/// Units in seconds: Go's, and those of humantime. No unit may stand behind one that it begins with.
const UNITS: [(&str, f64); 34] = [
    ("nsec", 1e-9),
    ("ns", 1e-9),
    ("usec", 1e-6),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("msec", 1e-3),
    ("ms", 1e-3),
    ("seconds", 1.0),
    ("second", 1.0),
    ("secs", 1.0),
    ("sec", 1.0),
    ("s", 1.0),
    ("minutes", 60.0),
    ("minute", 60.0),
    ("mins", 60.0),
    ("min", 60.0),
    ("months", MONTH),
    ("month", MONTH),
    ("m", 60.0),
    ("hours", HOUR),
    ("hour", HOUR),
    ("hrs", HOUR),
    ("hr", HOUR),
    ("h", HOUR),
    ("days", DAY),
    ("day", DAY),
    ("d", DAY),
    ("weeks", 7.0 * DAY),
    ("week", 7.0 * DAY),
    ("w", 7.0 * DAY),
    ("M", MONTH),
    ("years", YEAR),
    ("year", YEAR),
    ("y", YEAR),
];
const HOUR: f64 = 3600.0;
const DAY: f64 = 24.0 * HOUR;
const MONTH: f64 = 30.44 * DAY;
const YEAR: f64 = 365.25 * DAY;

/// Numbers with units, with spaces between them or without, as [`pattern`] has it.
fn parse(text: &str) -> Option<Time> {
    let mut rest = text.trim_matches(' ');
    let mut total = Time::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number = number(&rest[..digits])?;
        rest = rest[digits..].trim_start_matches(' ');
        let (unit, seconds) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        total = total.checked_add(Time::try_from_secs_f64(number * seconds).ok()?)?;
        rest = rest[unit.len()..].trim_start_matches(' ');
    }
    Some(total)
}

/// `12` or `1.5`.
fn number(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(whole) && is_number(fraction) { text.parse().ok() } else { None }
}

impl Duration {
    /// The accepted text, as a regular expression.
    pub fn pattern() -> String {
        let units: Vec<&str> = UNITS.iter().map(|(unit, _)| *unit).collect();
        format!(r"^ *([0-9]+(\.[0-9]+)? *({}) *)+$", units.join("|"))
    }
}

impl TryFrom<String> for Duration {
    type Error = DurationError;

    fn try_from(text: String) -> Result<Self, DurationError> {
        text.parse()
    }
}

/// Go's shortest form.
impl From<Duration> for String {
    fn from(Duration(time): Duration) -> Self {
        let (seconds, millis) = (time.as_secs(), time.subsec_millis());
        let parts =
            [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"), (u64::from(millis), "ms")];
        let mut text = String::new();
        for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
            text.push_str(&count.to_string());
            text.push_str(unit);
        }
        if text.is_empty() { "0s".to_owned() } else { text }
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": Self::pattern(), "maxLength": 32})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, seconds: f64, written: &str) {
        let read: Result<Duration, _> = text.parse();
        assert_eq!(read.clone().map(|duration| duration.get().as_secs_f64()), Ok(seconds), "{text}");
        assert_eq!(read.map(String::from), Ok(written.to_owned()), "{text}");
    }

    #[test]
    fn both_ways_of_writing_are_read() {
        check("1h30m", 5400.0, "1h30m");
        check("1h 30min", 5400.0, "1h30m");
        check("250ms", 0.25, "250ms");
        check("1.5h", 5400.0, "1h30m");
        check("90s", 90.0, "1m30s");
        check("0s", 0.0, "0s");
    }

    #[test]
    fn what_is_read_is_what_the_definition_allows() -> Result<(), regex::Error> {
        let pattern = regex::Regex::new(&Duration::pattern())?;
        let texts = [
            "1h30m",
            "1h 30min",
            "1.5h",
            "1 hour",
            "2days 3 h",
            " 5m ",
            "1month 2M",
            "10 ms",
            "3µs",
            "0s",
            "1y",
            "90 secs",
            "",
            " ",
            "5",
            "1x",
            "-5s",
            "1.h",
            ".5h",
            "1..5h",
            "1h,",
            "h",
            "1 h m",
            "1mi",
            "1e3s",
            "1h\n",
            "\u{a0}1h",
            "1hm",
        ];
        for text in texts {
            assert_eq!(text.parse::<Duration>().is_ok(), pattern.is_match(text), "{text:?}");
        }
        assert_eq!("1month".parse::<Duration>().map(|time| time.get().as_secs()), Ok(2_630_016));
        Ok(())
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in ["", "soon", "5", "1x", "-5s", "1e400h"] {
            let error = text.parse::<Duration>().map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains("1h30m")), "{text}: {error:?}");
        }
    }
}
