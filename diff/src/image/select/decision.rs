//! What was decided, and everything that it was decided by. Leaves the words to `explain` and `near`. Pure.

use std::fmt;

use jiff::Timestamp;

use super::Selector;

/// What was selected, and what of all the others. It keeps places in the list of tags, not tags.
pub struct Decision<'a, T = String> {
    pub(super) selector: &'a Selector,
    pub(super) tags: &'a [T],
    pub(super) current: Option<String>,
    pub(super) found: Found,
    outcome: Outcome<'a>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// This tag is taken. It may be the current one.
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
    /// The best candidate ranks below the current tag, and downgrades are not allowed.
    OlderThanCurrent,
    /// The best candidate is the current version in another spelling.
    SameVersion,
}

/// What keeps a tag from being a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// It has not three numbers with points between them.
    Form,
    /// It has more than three numbers.
    Numbers,
    /// One of its numbers begins with a zero, as in a date.
    Zero,
}

/// Why a tag is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason<'s> {
    /// The distribution specification has no such tags.
    InvalidTag,
    Excluded {
        pattern: &'s str,
    },
    /// `filterTags.pattern` is not found in it.
    NotMatched,
    NotSemver(Flaw),
    /// Of the range. A prerelease would be in it if the range named one.
    OutOfRange {
        prerelease: bool,
    },
    NotANumber,
    NoTime,
    /// A candidate that was reverted.
    Banned,
    /// A candidate that ranks below the current tag.
    OlderThanCurrent,
}

/// A reason as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    InvalidTag,
    /// The place of the pattern.
    Excluded(u16),
    NotMatched,
    NotSemver(Flaw),
    OutOfRange,
    Prerelease,
    NotANumber,
    NoTime,
}

/// What was found out, by places in the list of tags.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Best first.
    pub candidates: Vec<u32>,
    /// How many candidates are not below the current tag.
    pub older: usize,
    /// The candidates that are banned.
    pub banned: Vec<u32>,
    pub dropped: Vec<(u32, Cause)>,
    /// The time of the best candidate, if it is ranked by that.
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

    /// The tag to write; none if nothing is to be changed or nothing can be taken.
    pub fn winner(&self) -> Option<&'a str> {
        if let Outcome::Winner(tag) = self.outcome { Some(tag) } else { None }
    }

    /// What the policy would take, best first. Those that may not be taken now are also in `dropped`.
    pub fn candidates(&self) -> impl Iterator<Item = &'a str> {
        self.found.candidates.iter().filter_map(|index| self.tag(*index))
    }

    /// The tags that are not taken, and why: first those that are no candidates, in the order of the list.
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
            Self::InvalidTag => f.write_str("no tag by the distribution specification"),
            Self::Excluded { pattern } => write!(f, "excluded by {pattern}"),
            Self::NotMatched => f.write_str("not matched by filterTags.pattern"),
            Self::NotSemver(Flaw::Form) => f.write_str("no version of three numbers"),
            Self::NotSemver(Flaw::Numbers) => f.write_str(
                "with more than three numbers, which semver does not know (take three of them with filterTags.extract, or \
                 choose another policy)",
            ),
            Self::NotSemver(Flaw::Zero) => f.write_str(
                "with a number that begins with 0, which semver does not allow (for dates, choose alphabetical)",
            ),
            Self::OutOfRange { prerelease: false } => f.write_str("outside of the range"),
            Self::OutOfRange { prerelease: true } => {
                f.write_str("a prerelease, and the range names none (>=1.0.0-0 would)")
            }
            Self::NotANumber => f.write_str("no number"),
            Self::NoTime => f.write_str("without a time that can be read"),
            Self::Banned => f.write_str("taken back, until there is a better one"),
            Self::OlderThanCurrent => f.write_str("below the current tag, and downgrades are not allowed"),
        }
    }
}
