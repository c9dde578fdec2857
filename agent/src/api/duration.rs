//! Durations as people write them: Go's `1h30m` or humantime's `1h 30min`. Pure.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(std::time::Duration);
impl Duration {
    pub fn get(self) -> std::time::Duration {
        self.0
    }
}
impl TryFrom<String> for Duration {
    type Error = humantime::DurationError;
    fn try_from(s: String) -> Result<Self, Self::Error> {
        humantime::parse_duration(&s).map(Self)
    }
}
impl From<Duration> for String {
    fn from(d: Duration) -> String {
        humantime::format_duration(d.0).to_string()
    }
}
impl std::str::FromStr for Duration {
    type Err = humantime::DurationError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(s).map(Self)
    }
}
