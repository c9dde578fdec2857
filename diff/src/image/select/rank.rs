//! The order of tags by the rule of a policy. Leaves filtering to `tag_filter`. Pure.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::Timestamp;
use semver::Version;

use super::decision::{Cause, Flaw};
use super::error::{PolicyError, shortened};
use super::number::Number;
use super::{Order, Rule, time};
use crate::range::{self, Range, Standing};

/// Returns when an image was created, by its tag.
pub(super) type Created<'c> = &'c dyn Fn(&str) -> Option<Timestamp>;

/// A compiled rule.
#[derive(Clone, Debug)]
pub(super) enum Ranker {
    Semver {
        range: Range,
        written: String,
    },
    Alphabetical(Order),
    Numerical(Order),
    /// By the content of a group of the pattern.
    Group(String),
    Created,
}

/// The sort key of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key<'t> {
    Version(Version),
    Text(Cow<'t, str>),
    Number(Number),
    Time(Timestamp),
}

impl Ranker {
    pub(super) fn compile(rule: &Rule) -> Result<Self, PolicyError> {
        Ok(match rule {
            Rule::Semver(range) if range.trim().is_empty() => return Err(PolicyError::EmptyRange),
            Rule::Semver(written) => {
                let bad = |source| PolicyError::Range { range: shortened(written), source };
                Self::Semver {
                    range: Range::parse(written).map_err(bad)?,
                    written: written.trim().to_owned(),
                }
            }
            Rule::Alphabetical(order) => Self::Alphabetical(*order),
            Rule::Numerical(order) => Self::Numerical(*order),
            Rule::Newest { group: Some(group) } => Self::Group(group.clone()),
            Rule::Newest { group: None } => Self::Created,
        })
    }

    /// Returns the sort key of the part of a tag that the policy sees. Does not consider ranges.
    pub(super) fn key<'t>(&self, tag: &str, seen: Cow<'t, str>, created: Created) -> Result<Key<'t>, Cause> {
        match self {
            Self::Semver { .. } => {
                range::exact(&seen).map(Key::Version).ok_or_else(|| Cause::NotSemver(flaw(&seen)))
            }
            Self::Alphabetical(_) => Ok(Key::Text(seen)),
            Self::Numerical(_) => Number::parse(&seen).map(Key::Number).ok_or(Cause::NotANumber),
            Self::Group(_) => time::parse(&seen).map(Key::Time).ok_or(Cause::NoTime),
            Self::Created => created(tag).map(Key::Time).ok_or(Cause::NoTime),
        }
    }

    /// Returns why a tag with a sort key is not a candidate.
    pub(super) fn admit(&self, key: &Key) -> Result<(), Cause> {
        let (Self::Semver { range, .. }, Key::Version(version)) = (self, key) else { return Ok(()) };
        match range.standing(version) {
            Standing::Inside => Ok(()),
            Standing::Prerelease => Err(Cause::Prerelease),
            Standing::Outside => Err(Cause::OutOfRange),
        }
    }

    /// Compares by the rule: the greater one is better. The caller orders ties.
    pub(super) fn compare(&self, one: &Key, other: &Key) -> Ordering {
        let order = match (one, other) {
            (Key::Version(one), Key::Version(other)) => one.cmp_precedence(other),
            (Key::Text(one), Key::Text(other)) => one.cmp(other),
            (Key::Number(one), Key::Number(other)) => one.cmp(other),
            (Key::Time(one), Key::Time(other)) => one.cmp(other),
            // One rule produces one kind of key.
            _ => Ordering::Equal,
        };
        match self {
            Self::Alphabetical(Order::Descending) | Self::Numerical(Order::Descending) => order.reverse(),
            _ => order,
        }
    }

    /// Describes the best tag of this rule, for a sentence.
    pub(super) fn superlative(&self) -> String {
        match self {
            Self::Semver { written, .. } => format!("the highest version in {written}"),
            Self::Alphabetical(Order::Ascending) => "the last in alphabetical order".to_owned(),
            Self::Alphabetical(Order::Descending) => "the first in alphabetical order".to_owned(),
            Self::Numerical(Order::Ascending) => "the highest number".to_owned(),
            Self::Numerical(Order::Descending) => "the lowest number".to_owned(),
            Self::Group(group) => format!("the newest by the group {group}"),
            Self::Created => "the image that was created last".to_owned(),
        }
    }
}

/// Returns the rule of semver that a text violates.
fn flaw(text: &str) -> Flaw {
    let text = text.strip_prefix('v').unwrap_or(text);
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    let are_numbers =
        numbers.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let has_zero = numbers.iter().any(|part| part.len() > 1 && part.starts_with('0'));
    match numbers.len() {
        _ if !are_numbers => Flaw::Form,
        3 if has_zero => Flaw::Zero,
        4.. => Flaw::Numbers,
        _ => Flaw::Form,
    }
}
