//! Ranges of chart versions, by the rules of Helm (Masterminds' semver): `1.2` is any `1.2.x`, and prereleases count
//! only in an alternative that names one. Pure.

use semver::{BuildMetadata, Prerelease, Version};

/// A range of versions: alternatives by `||`, each with conditions by comma or space, or from-to by ` - `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range(Vec<Vec<Condition>>);

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} is no condition on a version")]
pub struct BadRange {
    pub part: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Tilde,
    Caret,
}

/// Operators as they are written, longer ones before what they begin with.
const OPERATORS: [(&str, Operator); 12] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("=>", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=<", Operator::LessOrEqual),
    ("~>", Operator::Tilde),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
    ("", Operator::Equal),
];

#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    operator: Operator,
    version: Version,
    /// How many parts of the version are written: 1 for `1` and `1.x`, 0 for `*`.
    parts: usize,
}

impl Range {
    /// Reads a range. An empty text is `*`.
    pub fn parse(text: &str) -> Result<Self, BadRange> {
        text.split("||").map(conditions).collect::<Result<_, _>>().map(Self)
    }

    pub fn matches(&self, version: &Version) -> bool {
        self.0.iter().any(|all| {
            let prereleases = all.iter().any(|condition| !condition.version.pre.is_empty());
            (version.pre.is_empty() || prereleases) && all.iter().all(|condition| condition.holds(version))
        })
    }

    /// The highest version in the range. Texts that are no versions are passed over.
    pub fn highest<'a>(&self, versions: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        versions
            .filter_map(|text| Some((version(text)?, text)))
            .filter(|(version, _)| self.matches(version))
            .max()
            .map(|(_, text)| text)
    }
}

/// The version that a text says, with or without a leading `v`; missing parts are 0.
pub fn version(text: &str) -> Option<Version> {
    let (version, parts) = partial(text)?;
    (parts > 0).then_some(version)
}

/// True if a text is one whole version, not a range.
pub fn is_exact(text: &str) -> bool {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).is_ok()
}

/// Reads one alternative. An operator may stand apart from its version.
fn conditions(text: &str) -> Result<Vec<Condition>, BadRange> {
    let mut found: Vec<Condition> = Vec::new();
    let mut operator = String::new();
    let mut until = false;
    for word in text.split([' ', ',', '\t']).filter(|word| !word.is_empty()) {
        if word == "-" && operator.is_empty() && !until && !found.is_empty() {
            until = true;
        } else if word.chars().all(|letter| "<>=^~!".contains(letter)) {
            operator.push_str(word);
        } else {
            let condition = condition(&format!("{operator}{word}"))?;
            operator.clear();
            match found.last_mut().filter(|_| until) {
                Some(from) if from.operator == Operator::Equal && condition.operator == Operator::Equal => {
                    from.operator = Operator::GreaterOrEqual;
                    found.push(Condition { operator: Operator::LessOrEqual, ..condition });
                }
                Some(_) => return Err(BadRange { part: text.trim().to_owned() }),
                None => found.push(condition),
            }
            until = false;
        }
    }
    if until || !operator.is_empty() {
        return Err(BadRange { part: text.trim().to_owned() });
    }
    if found.is_empty() {
        found.push(condition("*")?);
    }
    Ok(found)
}

fn condition(text: &str) -> Result<Condition, BadRange> {
    let bad = || BadRange { part: text.to_owned() };
    let (rest, operator) = OPERATORS
        .iter()
        .find_map(|(written, operator)| Some((text.strip_prefix(written)?, *operator)))
        .ok_or_else(bad)?;
    let (version, parts) = partial(rest).ok_or_else(bad)?;
    Ok(Condition { operator, version, parts })
}

/// A version of which parts may be missing or be `x`, and how many are there.
fn partial(text: &str) -> Option<(Version, usize)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (rest, build) = text.split_once('+').unwrap_or((text, ""));
    let (core, pre) = rest.split_once('-').unwrap_or((rest, ""));
    let mut numbers = [0_u64; 3];
    let mut parts = None;
    for (at, part) in core.split('.').enumerate() {
        let number = numbers.get_mut(at)?;
        if matches!(part, "x" | "X" | "*") {
            parts = parts.or(Some(at));
        } else if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        } else if parts.is_none() {
            *number = part.parse().ok()?;
        }
    }
    let [major, minor, patch] = numbers;
    let mut version = Version::new(major, minor, patch);
    version.pre = Prerelease::new(pre).ok()?;
    version.build = BuildMetadata::new(build).ok()?;
    Some((version, parts.unwrap_or_else(|| core.split('.').count())))
}

impl Condition {
    /// Compares without regard to prereleases being wanted, which is known of all conditions together.
    fn holds(&self, version: &Version) -> bool {
        let Self { operator, version: bound, parts } = self;
        let order = version.cmp_precedence(bound);
        let written = |version: &Version| {
            let all = [version.major, version.minor, version.patch];
            all.into_iter().take(*parts).collect::<Vec<_>>()
        };
        let partial = *parts < 3;
        match operator {
            Operator::Equal if partial => order.is_ge() && written(version) == written(bound),
            Operator::Equal => order.is_eq(),
            Operator::NotEqual if partial => written(version) != written(bound),
            Operator::NotEqual => order.is_ne(),
            Operator::Greater if partial => written(version) > written(bound),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual if partial => written(version) <= written(bound),
            Operator::LessOrEqual => order.is_le(),
            Operator::Tilde => order.is_ge() && self.is_near(version, 2),
            Operator::Caret => order.is_ge() && self.is_near(version, self.significant()),
        }
    }

    /// True if the first parts, as far as they are written, are the same.
    fn is_near(&self, version: &Version, count: usize) -> bool {
        let Self { version: bound, parts, .. } = self;
        let pairs =
            [(version.major, bound.major), (version.minor, bound.minor), (version.patch, bound.patch)];
        pairs.iter().take(count.min(*parts)).all(|(one, other)| one == other)
    }

    /// Up to which part a caret allows no change: the first that is not 0.
    fn significant(&self) -> usize {
        let Version { major, minor, .. } = &self.version;
        match (major, minor) {
            (1.., _) => 1,
            (0, 1..) => 2,
            (0, 0) => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, inside: &[&str], outside: &[&str]) {
        let parsed = Range::parse(range);
        let matches = |text: &str| {
            let version = version(text);
            parsed.as_ref().is_ok_and(|range| version.is_some_and(|version| range.matches(&version)))
        };
        for text in inside {
            assert!(matches(text), "{text} is in {range}: {parsed:?}");
        }
        for text in outside {
            assert!(parsed.is_ok() && !matches(text), "{text} is not in {range}: {parsed:?}");
        }
    }

    #[test]
    fn ranges_are_read_as_helm_reads_them() {
        check("1.2.3", &["1.2.3", "v1.2.3", "1.2.3+build"], &["1.2.4", "1.2.3-rc.1"]);
        check("1.2", &["1.2.0", "1.2.9"], &["1.3.0", "1.1.9", "1.2.1-rc.1"]);
        check("1", &["1.0.0", "1.9.9"], &["2.0.0", "0.9.0"]);
        check("0", &["0.9.0"], &["1.0.0"]);
        check("1.x", &["1.9.9"], &["2.0.0"]);
        check("1.2.x", &["1.2.9"], &["1.3.0"]);
        check("*", &["0.0.1", "9.0.0"], &["1.0.0-rc.1"]);
        check("", &["0.0.1", "9.0.0"], &["1.0.0-rc.1"]);
        check("~1.2.3", &["1.2.3", "1.2.9"], &["1.2.2", "1.3.0"]);
        check("~1.2", &["1.2.0"], &["1.3.0"]);
        check("~1", &["1.9.0"], &["2.0.0"]);
        check("~>1.2", &["1.2.5"], &["1.3.0"]);
        check("^1.2.3", &["1.9.0"], &["1.2.2", "2.0.0"]);
        check("^0.2.3", &["0.2.9"], &["0.3.0", "1.0.0"]);
        check("^0.0.3", &["0.0.3"], &["0.0.4"]);
        check("^0.0", &["0.0.9"], &["0.1.0"]);
        check("^0", &["0.9.0"], &["1.0.0"]);
        check(">1.2", &["1.3.0"], &["1.2.9"]);
        check(">1", &["2.0.0"], &["1.9.0"]);
        check("<=1.2", &["1.2.9"], &["1.3.0"]);
        check("<=1", &["1.9.9"], &["2.0.0"]);
        check("!=1.2.3", &["1.2.4"], &["1.2.3"]);
        check("!=1.2", &["1.3.0"], &["1.2.4"]);
        check(">=1.2.3 <2", &["1.9.0"], &["2.0.0", "1.2.2"]);
        check(">= 1.2.3, < 2", &["1.9.0"], &["2.0.0"]);
        check("1.2 - 1.4.5", &["1.2.0", "1.4.5"], &["1.4.6", "1.1.0"]);
        check("<1.0 || >=2.0", &["0.9.0", "2.1.0"], &["1.5.0"]);
    }

    #[test]
    fn prereleases_count_only_where_one_is_named() {
        check(">=1.0.0-0 <2.0.0", &["1.5.0-rc.1", "1.5.0"], &["2.0.0"]);
        check(">=1.0.0 || >=0.0.0-0", &["1.0.0-rc.1"], &[]);
        check("^1.2.3-beta.1", &["1.2.3-beta.2", "1.3.0-alpha"], &["1.2.3-alpha", "2.0.0"]);
        check(">0.0.0-0", &["0.1.0-rc.1"], &[]);
    }

    #[test]
    fn nonsense_is_an_error() {
        for text in ["newest", ">=", "1.2.3.4", ">=1.0 - 2.0", "1.0 -", "=>=1", "a.b", "1..2"] {
            assert!(Range::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_highest_version_wins() {
        let versions = ["1.0.0", "v1.10.0", "1.2.0", "latest", "2.0.0-rc.1"];
        let highest = |range| Range::parse(range).ok().and_then(|range| range.highest(versions.into_iter()));
        assert_eq!(highest("1"), Some("v1.10.0"));
        assert_eq!(highest(">=2.0.0-0"), Some("2.0.0-rc.1"));
        assert_eq!(highest(">=3"), None);
    }
}
