//! Ranges of versions, by the rules of Helm and Flux (Masterminds' semver): `1.2` is any `1.2.x`, and
//! prereleases only match an alternative that contains one. Leaves parsing to `parse`.
//!
//! There are two differences: `^*` is any version, as documented there, and ` - ` may also follow other
//! conditions (`1 2 - 3`). Pure.

mod parse;

use semver::Version;

pub use parse::BadRange;

/// A range of versions: alternatives separated by `||`, each with conditions separated by commas or spaces, or from-to
/// by ` - `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range(Vec<Vec<Condition>>);

/// The position of a version relative to a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Outside,
    /// A prerelease that would be inside if the range contained one, as `>=1.0.0-0` does.
    Prerelease,
    Inside,
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

#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    operator: Operator,
    version: Version,
    /// Number of parts of the version that are written: 1 for `1` and `1.x`, 0 for `*`.
    parts: usize,
}

impl Range {
    /// Parses a range. An empty text is `*`.
    ///
    /// # Errors
    /// Returns the part that is not a condition. Texts of more than [`Range::LONGEST`] bytes are refused.
    pub fn parse(text: &str) -> Result<Self, BadRange> {
        parse::range(text).map(Self)
    }

    /// Maximum length of the text of a range, in bytes.
    pub const LONGEST: usize = 4096;

    pub fn matches(&self, version: &Version) -> bool {
        self.standing(version) == Standing::Inside
    }

    pub fn standing(&self, version: &Version) -> Standing {
        let standings = self.0.iter().map(|all| {
            let named = all.iter().any(|condition| !condition.version.pre.is_empty());
            if !all.iter().all(|condition| condition.holds(version)) {
                Standing::Outside
            } else if version.pre.is_empty() || named {
                Standing::Inside
            } else {
                Standing::Prerelease
            }
        });
        standings.max().unwrap_or(Standing::Outside)
    }

    /// Returns the versions in its conditions.
    pub fn bounds(&self) -> impl Iterator<Item = &Version> {
        self.0.iter().flatten().map(|condition| &condition.version)
    }

    /// Returns the highest version in the range. Texts that are not versions are skipped.
    pub fn highest<'a>(&self, versions: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        versions
            .filter_map(|text| Some((version(text)?, text)))
            .filter(|(version, _)| self.matches(version))
            .max()
            .map(|(_, text)| text)
    }
}

/// Parses a version, with or without a leading `v`; missing parts are 0.
pub fn version(text: &str) -> Option<Version> {
    parse::partial(text).filter(|(_, parts)| parts.wildcard.is_none()).map(|(version, _)| version)
}

/// Parses a complete version, with three numbers and without leading zeros; it may have a leading
/// `v`.
pub fn exact(text: &str) -> Option<Version> {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

/// True if a text is one complete version, not a range.
pub fn is_exact(text: &str) -> bool {
    exact(text).is_some()
}

impl Condition {
    /// Compares without considering whether prereleases are wanted, which depends on all conditions together.
    fn holds(&self, version: &Version) -> bool {
        let Self { operator, version: bound, parts } = self;
        let order = version.cmp_precedence(bound);
        // `1` and `1.2` mean all versions with this prefix; `*` is 0.0.0 in comparisons.
        let partial = matches!(parts, 1 | 2);
        let written = compare(version, bound, *parts);
        match operator {
            Operator::Equal if *parts < 3 => order.is_ge() && self.is_near(version, 2),
            Operator::Equal => order.is_eq(),
            Operator::NotEqual if *parts == 2 => written.is_ne() || version.pre != bound.pre,
            Operator::NotEqual if partial => written.is_ne(),
            Operator::NotEqual => order.is_ne(),
            Operator::Greater if partial => written.is_gt(),
            Operator::Greater => order.is_gt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual if partial => written.is_le(),
            Operator::LessOrEqual if *parts == 0 => compare(version, bound, 2).is_le(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Tilde if *parts == 3 && is_zero(bound) => order.is_ge(),
            Operator::Tilde => order.is_ge() && self.is_near(version, 2),
            Operator::Caret => order.is_ge() && self.is_near(version, self.significant()),
        }
    }

    /// True if the first parts, as far as they are written, are equal.
    fn is_near(&self, version: &Version, count: usize) -> bool {
        compare(version, &self.version, count.min(self.parts)).is_eq()
    }

    /// Returns the part up to which a caret permits no change: the first one that is not 0.
    fn significant(&self) -> usize {
        let Version { major, minor, .. } = &self.version;
        match (major, minor) {
            (1.., _) => 1,
            (0, 1..) => 2,
            (0, 0) => 3,
        }
    }
}

/// Compares the first numbers of two versions.
fn compare(one: &Version, other: &Version, parts: usize) -> std::cmp::Ordering {
    let numbers = |version: &Version| [version.major, version.minor, version.patch];
    numbers(one).iter().take(parts).cmp(numbers(other).iter().take(parts))
}

/// True for 0.0.0, for which a tilde permits any version above.
fn is_zero(version: &Version) -> bool {
    (version.major, version.minor, version.patch) == (0, 0, 0)
}
