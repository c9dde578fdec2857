//! Selects a tag of a repository: a policy and tags in, a decision out that explains itself.
//!
//! A tag passes the same checks in the same order: it is valid, `exclude`, `filterTags`, the form
//! that the rule needs (a version, a number, a time), and the range. The remaining tags are the candidates. The
//! best of them by the rule is selected, unless it was reverted, or it is lower than the current one.
//!
//! **Ties.** Tags with the same rank (`1.2.3` and `v1.2.3`, `7` and `007`) are ordered by their bytes, and
//! the greater one is better, for every rule and order: so the order of the list does not matter.
//!
//! Patterns are parsed by `syntax` and `template` as in Go, keys by `range`, `number` and `time`.
//! Leaves listing tags, requesting times and digests, and writing to the caller. Pure.

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
    /// Regular expressions of tags that are never selected. Defaults to `.sig`, `.att`, `.sbom`, and
    /// `sha256-<hex>`.
    pub exclude: Option<Vec<String>>,
    pub rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// A regular expression of RE2. Tags that do not match are excluded.
    pub pattern: String,
    /// The part of a tag that the rule sees: text with `$name`, `${name}` or `$1` of the pattern. Defaults to the whole
    /// tag, also if it is empty. `Rule::Newest` does not use it.
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
    /// By the time in a group of the filter's pattern, or else by the creation time of the image.
    Newest { group: Option<String> },
}

/// Ascending: the last one in this order is selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Ascending,
    Descending,
}

/// A compiled policy, for any number of lists of tags.
#[derive(Clone, Debug)]
pub struct Selector {
    tag_filter: TagFilter,
    ranker: Ranker,
}

/// The tags of a repository.
pub struct Tags<'a, T = String> {
    /// In any order.
    pub tags: &'a [T],
    /// Returns when the image of a tag was created; only used by `Rule::Newest` without a group.
    pub created: &'a dyn Fn(&str) -> Option<Timestamp>,
}

/// The current state, and which tags may replace it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The tag that is currently written.
    pub current: Option<&'a str>,
    /// The reverted versions.
    pub banned: &'a [Banned],
    /// Whether a tag that is lower than the current one may be selected.
    pub downgrade: bool,
}

/// A reverted version. Only the tag counts here: the caller omits a ban whose digest is no longer that of its
/// tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Banned {
    pub tag: Option<String>,
    pub digest: Option<String>,
}

/// A candidate during sorting.
struct Ranked<'t> {
    index: u32,
    tag: &'t str,
    key: Key<'t>,
}

impl Selector {
    /// # Errors
    /// Returns the invalid field, and what to do.
    pub fn new(policy: &Policy) -> Result<Self, PolicyError> {
        let Policy { filter, exclude, rule } = policy;
        let ranker = Ranker::compile(rule)?;
        Ok(Self { tag_filter: TagFilter::compile(filter.as_ref(), exclude.as_deref(), rule)?, ranker })
    }

    /// Returns the tags whose creation times are needed; none for most rules.
    pub fn wanted_times<'t, T: AsRef<str>>(&self, tags: &'t [T]) -> Vec<&'t str> {
        let Ranker::Created = self.ranker else { return Vec::new() };
        tags.iter().map(AsRef::as_ref).filter(|tag| self.tag_filter.see(tag).is_ok()).collect()
    }

    /// Selects a tag. The order of the tags, and duplicates, do not matter.
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

    /// Returns the candidates, best first, and why the others are not candidates.
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

    /// Returns the sort key of a tag, whether it is in the range or not.
    fn key<'t>(&self, tag: &'t str, created: Created) -> Result<Key<'t>, Cause> {
        self.ranker.key(tag, self.tag_filter.see(tag)?, created)
    }

    fn candidate<'t>(&self, tag: &'t str, created: Created) -> Result<Key<'t>, Cause> {
        let key = self.key(tag, created)?;
        self.ranker.admit(&key).map(|()| key)
    }

    /// True if the best candidate is the current tag in another spelling, such as `v1.2.0` and `1.2.0`, and the current
    /// tag exists too.
    fn is_respelled(&self, current: &str, best: &Ranked, ranked: &[Ranked]) -> bool {
        let Some(there) = ranked.iter().find(|one| one.tag == current) else { return false };
        let bare = |tag: &str| tag.strip_prefix('v').unwrap_or(tag).to_owned();
        let is_whole = |tag: &str| self.tag_filter.see(tag).is_ok_and(|seen| seen == tag);
        let is_version = matches!(best.key, Key::Version(_) | Key::Number(_));
        is_version
            && self.ranker.compare(&there.key, &best.key).is_eq()
            && (bare(current) == bare(best.tag) || is_whole(current) && is_whole(best.tag))
    }

    /// Returns the reverted version, if the best candidate is not better than it. The reverted tag need not exist any
    /// more, but a ban that the policy itself excludes now is ignored.
    fn ban(&self, best: &Ranked, banned: &[Banned], created: Created) -> Option<String> {
        let mut tags = banned.iter().filter_map(|ban| ban.tag.as_deref());
        let holds = tags.find(|tag| {
            let key = self.candidate(tag, created);
            key.is_ok_and(|key| self.compare(best, &Ranked { index: 0, tag, key }).is_le())
        });
        holds.map(ToOwned::to_owned)
    }
}
