//! The ref of a Sync, and the revision that it resolves to. Pure.

use std::fmt;

use gix::ObjectId;
use holdfast_diff::range::{self, Range, Standing};

use super::SourceError;

/// The ref that a Sync follows.
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

/// A commit, and the ref by which it was found. Displays as `main@sha1:<40 hex>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    pub name: String,
    pub commit: String,
}

impl Revision {
    /// Returns the short form: `main@1a2b3c4`.
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
    /// Parses all 40 hex digits.
    pub fn parse(hex: &str) -> Option<Self> {
        ObjectId::from_hex(hex.as_bytes()).ok().map(Self)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Returns the highest tag in a range of versions, by the rules that also apply to images and charts. If there is none,
/// the error lists tags that exist.
pub fn highest<'a>(url: &str, range: &str, tags: &'a [String]) -> Result<&'a str, SourceError> {
    let parsed = Range::parse(range)
        .map_err(|why| SourceError::BadRange { range: range.to_owned(), why: why.to_string() })?;
    let all = || tags.iter().map(String::as_str);
    parsed.highest(all()).ok_or_else(|| {
        let is_prerelease = |tag: &&str| {
            range::version(tag).is_some_and(|version| parsed.standing(&version) == Standing::Prerelease)
        };
        let near = match all().find(is_prerelease) {
            _ if tags.is_empty() => "; the repository has no tags".to_owned(),
            Some(tag) => format!(
                "; {} is a prerelease, and prereleases are selected only if the range contains one, such as >=1.0.0-0",
                shortened(tag)
            ),
            None => format!("; its tags end with {}", last(tags)),
        };
        SourceError::RefNotFound { url: url.to_owned(), reference: format!("tag in the range {range}"), near }
    })
}

/// Maximum number of characters of a ref name in an error.
const SHOWN: usize = 100;

/// Lists the last names, for an error.
pub fn last(names: &[String]) -> String {
    names.iter().rev().take(5).map(|name| shortened(name)).collect::<Vec<_>>().join(", ")
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::highest;

    const TAGS: [&str; 10] = [
        "v1.0.0",
        "1.2.0",
        "1.2.9",
        "1.9.0",
        "v1.10.0",
        "v2.0.0-rc.1",
        "v2.0.0",
        "2.1.0-beta.2",
        "latest",
        "v3",
    ];

    fn check(range: &str, expected: &str) {
        let tags = TAGS.map(ToOwned::to_owned);
        match highest("https://a.example.com/b", range, &tags) {
            Ok(tag) => assert_eq!(tag, expected, "{range}"),
            Err(error) => assert!(error.to_string().contains(expected), "{range}: {error}"),
        }
    }

    #[test]
    fn the_highest_tag_in_a_range_wins() {
        check(">=1.0.0 <2.0.0", "v1.10.0");
        check(">= 1.0, < 1.5", "1.2.9");
        check("^1", "v1.10.0");
        check("~1.2", "1.2.9");
        check("1.2", "1.2.9");
        check("1.2.x", "1.2.9");
        check("1.2.0", "1.2.0");
        check("=v1.0.0", "v1.0.0");
        check("1.2 - 1.9", "1.9.0");
        check("!=v3 >1", "v2.0.0");
        check(">=1.0.0-0 <2.0.0", "v2.0.0-rc.1");
        check(">=v2.0.0-rc.0 <2.0.0", "v2.0.0-rc.1");
        check("~2.1.0-0", "2.1.0-beta.2");
        check("<1.1 || >=2.0.0-rc.0 <2.0.0", "v2.0.0-rc.1");
        check("*", "v3");
        check("", "v3");
    }

    #[test]
    fn an_error_says_what_there_is() {
        check("newest", "newest is not a range of versions");
        check(">4", "its tags end with v3, latest");
        check(">2.0.0 <3", "2.1.0-beta.2 is a prerelease");
        let none = highest("https://a.example.com/b", "*", &[]).map_err(|error| error.to_string());
        assert!(none.is_err_and(|error| error.contains("no tags")));
    }
}
