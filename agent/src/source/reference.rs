//! Which commit: a ref as a Sync names it, and the revision that came of it. Pure.

use std::fmt;

use gix::ObjectId;
use semver::{Version, VersionReq};

use super::SourceError;

/// What a Sync follows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GitRef {
    Branch(String),
    Tag(String),
    /// The highest tag in a range of versions.
    Semver(String),
    /// A full ref name, such as `refs/pull/1/head`.
    Name(String),
    Commit(String),
}

impl Default for GitRef {
    fn default() -> Self {
        Self::Branch("main".to_owned())
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(name) => write!(f, "branch {name}"),
            Self::Tag(name) => write!(f, "tag {name}"),
            Self::Semver(range) => write!(f, "tag in {range}"),
            Self::Name(name) => write!(f, "ref {name}"),
            Self::Commit(id) => write!(f, "commit {id}"),
        }
    }
}

/// A commit, and what it was found by. Displays as `main@sha1:<40 hex>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    pub name: String,
    pub commit: String,
}

impl Revision {
    /// `main@1a2b3c4`
    pub fn short(&self) -> String {
        format!("{}@{}", self.name, self.commit.get(..7).unwrap_or(&self.commit))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@sha1:{}", self.name, self.commit)
    }
}

/// The id of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommitId(pub(super) ObjectId);

impl CommitId {
    /// Reads all 40 hex digits.
    pub fn parse(hex: &str) -> Option<Self> {
        ObjectId::from_hex(hex.as_bytes()).ok().map(Self)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A range of versions: alternatives by `||`, each with conditions by comma or space.
pub struct Range(Vec<VersionReq>);

impl Range {
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let bad = |why: String| SourceError::BadRange { range: text.to_owned(), why };
        let alternatives = text.split("||").map(|part| {
            let part = part.trim();
            let joined = conditions(part);
            VersionReq::parse(if joined.is_empty() { "*" } else { &joined })
                .map_err(|error| bad(error.to_string()))
        });
        Ok(Self(alternatives.collect::<Result<_, _>>()?))
    }

    /// The highest tag in the range. Prereleases count only where the range names one; of equal versions the tag that
    /// sorts last wins.
    pub fn highest<'a>(&self, tags: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        tags.filter_map(|tag| Some((version(tag)?, tag)))
            .filter(|(version, _)| self.0.iter().any(|range| range.matches(version)))
            .max()
            .map(|(_, tag)| tag)
    }
}

/// Joins `>=1.0 <2` to `>=1.0, <2`. An operator may stand apart from its version.
fn conditions(text: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut operator = String::new();
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        if word.chars().all(|letter| "<>=^~!".contains(letter)) {
            operator.push_str(word);
        } else {
            parts.push(format!(
                "{operator}{}",
                word.replacen('v', "", usize::from(word.contains('v') && !word.contains('-')))
            ));
            operator.clear();
        }
    }
    // A bare version means exactly that one.
    let exact = |part: &String| {
        if part.starts_with(|letter: char| letter.is_ascii_digit())
            && part.matches('.').count() == 2
            && !part.contains(['x', '*'])
        {
            format!("={part}")
        } else {
            part.clone()
        }
    };
    parts.iter().map(exact).collect::<Vec<_>>().join(", ")
}

/// The version that a tag says, with or without a leading `v`; missing parts are 0.
fn version(tag: &str) -> Option<Version> {
    let text = tag.strip_prefix('v').unwrap_or(tag);
    if let Ok(version) = Version::parse(text) {
        return Some(version);
    }
    let (core, rest) = text.find(['-', '+']).map_or((text, ""), |at| text.split_at(at));
    let padded = match core.matches('.').count() {
        0 => format!("{core}.0.0{rest}"),
        1 => format!("{core}.0{rest}"),
        _ => return None,
    };
    Version::parse(&padded).ok()
}

#[cfg(test)]
mod tests {
    use super::Range;

    fn check(range: &str, tags: &[&str], expected: Option<&str>) {
        let found = Range::parse(range).map(|range| range.highest(tags.iter().copied()));
        assert_eq!(found.ok().flatten(), expected, "{range}");
    }

    #[test]
    fn the_highest_tag_in_a_range_wins() {
        let tags = ["v1.0.0", "1.2.0", "v1.10.0", "v2.0.0-rc.1", "v2.0.0", "latest", "v3"];
        check(">=1.0.0 <2.0.0", &tags, Some("v1.10.0"));
        check(">= 1.0, < 1.5", &tags, Some("1.2.0"));
        check("^1", &tags, Some("v1.10.0"));
        check("1.2.0", &tags, Some("1.2.0"));
        check("v1.0.0", &tags, Some("v1.0.0"));
        check("*", &tags, Some("v3"));
        check("<1.1 || >=2.0.0-rc.0 <2.0.0", &tags, Some("v2.0.0-rc.1"));
        check(">4", &tags, None);
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(Range::parse("newest").is_err());
    }
}
