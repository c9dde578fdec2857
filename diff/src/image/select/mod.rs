//! Which tag of a repository to take, and why: a policy, tags in, a decision out that explains itself.
//!
//! A tag goes through the same gates in the same order: it is a tag at all, `exclude`, `filterTags`, the form
//! that the rule needs (a version, a number, a time), and the range. What is left are the candidates. The
//! best of them by the rule is taken, unless it was reverted, or it ranks below the current one.
//!
//! **Ties.** Tags that rank the same (`1.2.3` and `v1.2.3`, `7` and `007`) are ordered by their bytes, and
//! the greater one is the better one, by whatever rule and order: so the order of the list never matters.
//!
//! Patterns are read by `syntax` and `template` as Go reads them, keys by `range`, `number` and `time`.
//! Leaves listing tags, asking for times and digests, and what is written to the caller. Pure.

mod decision;
mod error;
mod explain;
mod near;
mod number;
mod rank;
mod syntax;
mod tag_filter;
mod template;
mod time;

use std::cmp::Ordering;

use jiff::Timestamp;

pub use decision::{Decision, Flaw, Kept, Outcome, Reason};
pub use error::PolicyError;
pub use near::NearMiss;

use decision::{Cause, Found};
use rank::{Created, Key, Ranker};
use tag_filter::TagFilter;

/// Which tags are considered, and which of them is the best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub filter: Option<Filter>,
    /// Regular expressions of tags that are never taken. Default: `.sig`, `.att`, `.sbom`, and
    /// `sha256-<hex>`.
    pub exclude: Option<Vec<String>>,
    pub rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// A regular expression of RE2. Tags in which it is not found are left out.
    pub pattern: String,
    /// What of a tag the rule sees: text with `$name`, `${name}` or `$1` of the pattern. Default, and if it
    /// is empty: the whole tag. `Rule::Newest` does not look at it.
    pub extract: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The highest version in a range, of tags with three numbers, with or without `v`.
    Semver(String),
    /// By bytes.
    Alphabetical(Order),
    /// Decimal numbers of any size.
    Numerical(Order),
    /// By the time in a group of the filter's pattern, or else by when the image was created.
    Newest { group: Option<String> },
}

/// Ascending: the last one in this order is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

/// A policy, ready for use with many lists of tags.
#[derive(Clone, Debug)]
pub struct Selector {
    tag_filter: TagFilter,
    ranker: Ranker,
}

/// What a registry has.
pub struct Tags<'a, T = String> {
    /// In any order.
    pub tags: &'a [T],
    /// When the image of a tag was created; only asked by `Rule::Newest` without a group.
    pub created: &'a dyn Fn(&str) -> Option<Timestamp>,
}

/// What is there now, and what may be put in its place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The tag that is written now.
    pub current: Option<&'a str>,
    /// The versions that were reverted.
    pub banned: &'a [Banned],
    /// A tag that ranks below the current one may be taken.
    pub downgrade: bool,
}

/// Something that was taken back. Only the tag counts here: a ban whose digest is not any more that of its
/// tag is for the caller to leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Banned {
    pub tag: Option<String>,
    pub digest: Option<String>,
}

/// A candidate while they are put in order.
struct Ranked<'t> {
    index: u32,
    tag: &'t str,
    key: Key<'t>,
}

impl Selector {
    /// # Errors
    /// Says which field is wrong, and what to do.
    pub fn new(policy: &Policy) -> Result<Self, PolicyError> {
        let Policy { filter, exclude, rule } = policy;
        let ranker = Ranker::compile(rule)?;
        Ok(Self { tag_filter: TagFilter::compile(filter.as_ref(), exclude.as_deref(), rule)?, ranker })
    }

    /// The tags of which the creation times decide; none by most rules.
    pub fn wanted_times<'t, T: AsRef<str>>(&self, tags: &'t [T]) -> Vec<&'t str> {
        let Ranker::Created = self.ranker else { return Vec::new() };
        tags.iter().map(AsRef::as_ref).filter(|tag| self.tag_filter.see(tag).is_ok()).collect()
    }

    /// Selects a tag. The order of the tags does not matter, nor that one is there twice.
    pub fn decide<'a, T: AsRef<str>>(&'a self, tags: &Tags<'a, T>, context: &Context) -> Decision<'a, T> {
        let Tags { tags, created } = *tags;
        let Context { current, banned, downgrade } = *context;
        let (ranked, dropped) = self.sort(tags, created);
        let Some(best) = ranked.first() else {
            let found = Found { dropped, ..Found::default() };
            return Decision::new(self, tags, current, found, Outcome::Nothing);
        };
        let current_key = current.filter(|_| !downgrade).and_then(|tag| self.key(tag, created).ok());
        let younger = |one: &Ranked| match &current_key {
            Some(key) => self.ranker.compare(&one.key, key).is_ge(),
            None => true,
        };
        let outcome = if current == Some(best.tag) {
            Outcome::Winner(best.tag)
        } else if current.is_some_and(|current| self.is_respelled(current, best, &ranked)) {
            Outcome::Keep { best: best.tag, why: Kept::SameVersion }
        } else if let Some(tag) = self.ban(best, banned, created) {
            Outcome::Keep { best: best.tag, why: Kept::Banned { tag } }
        } else if younger(best) {
            Outcome::Winner(best.tag)
        } else {
            Outcome::Keep { best: best.tag, why: Kept::OlderThanCurrent }
        };
        let is_banned = |tag: &str| banned.iter().any(|one| one.tag.as_deref() == Some(tag));
        let found = Found {
            time: if let Key::Time(time) = &best.key { Some(*time) } else { None },
            older: ranked.partition_point(younger),
            banned: ranked.iter().filter(|one| is_banned(one.tag)).map(|one| one.index).collect(),
            candidates: ranked.iter().map(|one| one.index).collect(),
            dropped,
        };
        Decision::new(self, tags, current, found, outcome)
    }

    /// The candidates, best first, and why the others are none.
    fn sort<'t, T: AsRef<str>>(
        &self,
        tags: &'t [T],
        created: Created,
    ) -> (Vec<Ranked<'t>>, Vec<(u32, Cause)>) {
        let (mut ranked, mut dropped) = (Vec::new(), Vec::new());
        for (index, tag) in (0_u32..).zip(tags) {
            let tag = tag.as_ref();
            match self.candidate(tag, created) {
                Ok(key) => ranked.push(Ranked { index, tag, key }),
                Err(cause) => dropped.push((index, cause)),
            }
        }
        ranked.sort_unstable_by(|one, other| self.compare(other, one));
        ranked.dedup_by(|one, other| one.tag == other.tag);
        (ranked, dropped)
    }

    fn compare(&self, one: &Ranked, other: &Ranked) -> Ordering {
        self.ranker.compare(&one.key, &other.key).then_with(|| one.tag.cmp(other.tag))
    }

    /// What a tag is ranked by, be it in range or not.
    fn key<'t>(&self, tag: &'t str, created: Created) -> Result<Key<'t>, Cause> {
        self.ranker.key(tag, self.tag_filter.see(tag)?, created)
    }

    fn candidate<'t>(&self, tag: &'t str, created: Created) -> Result<Key<'t>, Cause> {
        let key = self.key(tag, created)?;
        self.ranker.admit(&key).map(|()| key)
    }

    /// True if the best candidate is the current one in another spelling, such as `v1.2.0` and `1.2.0`, and the current one is
    /// there too.
    fn is_respelled(&self, current: &str, best: &Ranked, ranked: &[Ranked]) -> bool {
        let Some(there) = ranked.iter().find(|one| one.tag == current) else { return false };
        let bare = |tag: &str| tag.strip_prefix('v').unwrap_or(tag).to_owned();
        let is_whole = |tag: &str| self.tag_filter.see(tag).is_ok_and(|seen| seen == tag);
        let is_version = matches!(best.key, Key::Version(_) | Key::Number(_));
        is_version
            && self.ranker.compare(&there.key, &best.key).is_eq()
            && (bare(current) == bare(best.tag) || is_whole(current) && is_whole(best.tag))
    }

    /// The reverted version, if the best candidate is not better than it. It need not be in the registry any
    /// more, but what the policy itself would not take now is forgotten.
    fn ban(&self, best: &Ranked, banned: &[Banned], created: Created) -> Option<String> {
        let mut tags = banned.iter().filter_map(|ban| ban.tag.as_deref());
        let holds = tags.find(|tag| {
            let key = self.candidate(tag, created);
            key.is_ok_and(|key| self.compare(best, &Ranked { index: 0, tag, key }).is_le())
        });
        holds.map(ToOwned::to_owned)
    }
}
