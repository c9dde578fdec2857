//! The rate limit that a host reports: the remaining requests, and their time. Pure.

use std::time::Duration;

use http::HeaderMap;

/// The rate limit, as Docker Hub reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub remaining: u64,
    pub limit: Option<u64>,
    /// The period of the limit.
    pub window: Option<Duration>,
}

impl Rate {
    /// Parses `ratelimit-remaining: 76;w=21600` and `ratelimit-limit`.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let (remaining, window) = count(headers, "ratelimit-remaining")?;
        let limit = count(headers, "ratelimit-limit");
        let (limit, longest) = limit.map_or((None, None), |(limit, window)| (Some(limit), window));
        Some(Self { remaining, limit, window: window.or(longest) })
    }
}

fn count(headers: &HeaderMap, name: &str) -> Option<(u64, Option<Duration>)> {
    let text = headers.get(name)?.to_str().ok()?;
    let (count, rest) = text.split_once(';').unwrap_or((text, ""));
    let window = rest.split(';').find_map(|part| part.trim().strip_prefix("w=")?.parse().ok());
    Some((count.trim().parse().ok()?, window.map(Duration::from_secs)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_docker_hub_says_of_its_limits_is_read() {
        let window = Some(Duration::from_hours(6));
        for (pairs, expected) in [
            (
                &[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "76;w=21600")][..],
                Some(Rate { remaining: 76, limit: Some(100), window }),
            ),
            (&[("ratelimit-remaining", "0")], Some(Rate { remaining: 0, limit: None, window: None })),
            (&[("ratelimit-limit", "100;w=21600")], None),
            (&[("ratelimit-remaining", "many")], None),
        ] {
            let headers =
                pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(Rate::read(&headers), expected, "{pairs:?}");
        }
    }
}
