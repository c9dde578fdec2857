//! A decision and its reasons. Leaves the texts to `explain` and `near`. Pure.

use std::fmt;

use jiff::Timestamp;

use super::Selector;

/// The selected tag, and the result for all others. It stores indices in the list of tags, not tags.
pub struct Decision<'a, T = String> {
    pub(super) selector: &'a Selector,
    pub(super) tags: &'a [T],
    pub(super) current: Option<String>,
    pub(super) found: Found,
    outcome: Outcome<'a>,
}

/// The result of a selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// This tag is selected. It may be the current one.
    Winner(&'a str),
    /// The current tag stays, although the best candidate is another one.
    Keep { best: &'a str, why: Kept },
    /// There is no candidate.
    Nothing,
}

/// Why the current tag stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// This tag was reverted, and no better one was published since.
    Banned { tag: String },
    /// The best candidate is lower than the current tag, and downgrades are not allowed.
    OlderThanCurrent,
    /// The best candidate is the current version in another spelling.
    SameVersion,
}

/// Why a tag is not a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// It does not consist of three numbers separated by dots.
    Form,
    /// It has more than three numbers.
    Numbers,
    /// One of its numbers begins with a zero, as in a date.
    Zero,
}

/// Why a tag is not selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason<'s> {
    /// The distribution specification does not permit such tags.
    InvalidTag,
    Excluded {
        pattern: &'s str,
    },
    /// It does not match `filterTags.pattern`.
    NotMatched,
    NotSemver(Flaw),
    /// It is outside the range. A prerelease would be inside if the range had a prerelease.
    OutOfRange {
        prerelease: bool,
    },
    NotANumber,
    NoTime,
    /// A candidate that was reverted.
    Banned,
    /// A candidate that is lower than the current tag.
    OlderThanCurrent,
}

/// A reason, with indices instead of references.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    InvalidTag,
    /// The index of the pattern.
    Excluded(u16),
    NotMatched,
    NotSemver(Flaw),
    OutOfRange,
    Prerelease,
    NotANumber,
    NoTime,
}

/// The result of a selection, by indices in the list of tags.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Best first.
    pub candidates: Vec<u32>,
    /// Number of candidates that are not lower than the current tag.
    pub older: usize,
    /// Candidates that are banned.
    pub banned: Vec<u32>,
    pub dropped: Vec<(u32, Cause)>,
    /// The time of the best candidate, if candidates are ordered by time.
    pub time: Option<Timestamp>,
}

impl<'a, T: AsRef<str>> Decision<'a, T> {
    pub(super) fn new(
        selector: &'a Selector,
        tags: &'a [T],
        current: Option<&str>,
        found: Found,
        outcome: Outcome<'a>,
    ) -> Self {
        Self { selector, tags, current: current.map(ToOwned::to_owned), found, outcome }
    }

    pub fn outcome(&self) -> &Outcome<'a> {
        &self.outcome
    }

    /// Returns the tag to write; `None` if nothing changes or nothing can be selected.
    pub fn winner(&self) -> Option<&'a str> {
        if let Outcome::Winner(tag) = self.outcome { Some(tag) } else { None }
    }

    /// Returns the candidates of the policy, best first. Those that may not be selected now are also in `dropped`.
    pub fn candidates(&self) -> impl Iterator<Item = &'a str> {
        self.found.candidates.iter().filter_map(|index| self.tag(*index))
    }

    /// Returns the tags that are not selected, with the reasons: first those that are not candidates, in the order of
    /// the list.
    pub fn dropped(&self) -> impl Iterator<Item = (&'a str, Reason<'a>)> {
        let none = self.found.dropped.iter().map(|(index, cause)| (*index, self.reason(*cause)));
        let older = self.found.candidates.iter().skip(self.found.older);
        let older = older.map(|index| (*index, Reason::OlderThanCurrent));
        let banned = self.found.banned.iter().map(|index| (*index, Reason::Banned));
        none.chain(banned).chain(older).filter_map(|(index, reason)| Some((self.tag(index)?, reason)))
    }

    pub(super) fn tag(&self, index: u32) -> Option<&'a str> {
        self.tags.get(usize::try_from(index).ok()?).map(AsRef::as_ref)
    }

    pub(super) fn reason(&self, cause: Cause) -> Reason<'a> {
        match cause {
            Cause::InvalidTag => Reason::InvalidTag,
            Cause::Excluded(at) => Reason::Excluded { pattern: self.selector.tag_filter.exclude(at) },
            Cause::NotMatched => Reason::NotMatched,
            Cause::NotSemver(flaw) => Reason::NotSemver(flaw),
            Cause::OutOfRange => Reason::OutOfRange { prerelease: false },
            Cause::Prerelease => Reason::OutOfRange { prerelease: true },
            Cause::NotANumber => Reason::NotANumber,
            Cause::NoTime => Reason::NoTime,
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidTag => f.write_str("not a valid tag by the OCI distribution specification"),
            Self::Excluded { pattern } => write!(f, "excluded by {pattern}"),
            Self::NotMatched => f.write_str("not matched by filterTags.pattern"),
            Self::NotSemver(Flaw::Form) => f.write_str("not a version of three numbers"),
            Self::NotSemver(Flaw::Numbers) => f.write_str(
                "with more than three numbers, which semver does not know (take three of them with filterTags.extract, or \
                 choose another policy)",
            ),
            Self::NotSemver(Flaw::Zero) => f.write_str(
                "with a number that begins with 0, which semver does not allow (for dates, choose alphabetical)",
            ),
            Self::OutOfRange { prerelease: false } => f.write_str("outside the range"),
            Self::OutOfRange { prerelease: true } => {
                f.write_str("a prerelease, and the range has none (>=1.0.0-0 has)")
            }
            Self::NotANumber => f.write_str("no number"),
            Self::NoTime => f.write_str("without a time that can be read"),
            Self::Banned => f.write_str("reverted; waits for a better one"),
            Self::OlderThanCurrent => f.write_str("below the current tag, and downgrades are not allowed"),
        }
    }
}
