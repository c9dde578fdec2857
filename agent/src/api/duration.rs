//! Durations as people write them: Go's `1h30m` or humantime's `1h 30min`. Pure.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration as Time;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// What is longer counts as this: ten years.
const LONGEST: Time = Time::from_hours(10 * 366 * 24);

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
        let why = |why: String| DurationError { text: text.to_owned(), why };
        if let Ok(time) = humantime::parse_duration(text) {
            return Ok(Self(time));
        }
        go(text).map(Self).ok_or_else(|| why("it needs numbers with units (h, m, s, ms)".to_owned()))
    }
}

/// Go's syntax where humantime's differs: fractions (`1.5h`) and no spaces.
fn go(text: &str) -> Option<Time> {
    let mut rest = text.trim();
    let mut total = Time::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit =
            rest[digits..].find(|letter: char| letter.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let seconds = match &rest[digits..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total = total.checked_add(Time::try_from_secs_f64(number * seconds).ok()?)?;
        rest = &rest[unit..];
    }
    Some(total)
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
        json_schema!({"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$", "maxLength": 32})
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
    fn nonsense_is_refused_with_an_example() {
        for text in ["", "soon", "5", "1x", "-5s", "1e400h"] {
            let error = text.parse::<Duration>().map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains("1h30m")), "{text}: {error:?}");
        }
    }
}
