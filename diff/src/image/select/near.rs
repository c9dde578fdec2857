//! The tags that were closest to being selected, if none was. Pure.

use semver::Version;

use super::decision::{Cause, Decision};
use super::rank::Ranker;
use crate::range::{self, Range};

/// Maximum number of excluded tags that are shown.
const SHOWN: usize = 3;

/// A tag that is nearly a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss<'a> {
    pub tag: &'a str,
    pub why: &'static str,
}

impl<'a, T: AsRef<str>> Decision<'a, T> {
    /// Returns the tags that are closest to the policy, if it selects none. At most seven.
    pub fn near_misses(&self) -> Vec<NearMiss<'a>> {
        if !self.found.candidates.is_empty() {
            return Vec::new();
        }
        let mut found = Vec::new();
        if let Ranker::Semver { range, .. } = &self.selector.ranker {
            found.extend(self.versions(range));
        }
        if found.is_empty() {
            found.extend(self.unmatched());
        }
        found
    }

    /// Returns the tags that were dropped for this cause.
    fn dropped_by(&self, cause: Cause) -> impl Iterator<Item = &'a str> {
        let dropped = self.found.dropped.iter().filter(move |(_, other)| *other == cause);
        dropped.filter_map(|(index, _)| self.tag(*index))
    }

    /// Returns the best prerelease, the highest version, and those next to the bounds of the range.
    fn versions(&self, range: &Range) -> Vec<NearMiss<'a>> {
        let read = |tag: &'a str| Some((range::exact(&self.selector.tag_filter.see(tag).ok()?)?, tag));
        let highest = |one: &(Version, &str), other: &(Version, &str)| {
            one.0.cmp_precedence(&other.0).then_with(|| one.1.cmp(other.1))
        };
        let prerelease = self.dropped_by(Cause::Prerelease).filter_map(read).max_by(highest);
        let mut outside: Vec<_> = self.dropped_by(Cause::OutOfRange).filter_map(read).collect();
        outside.sort_unstable_by(highest);
        let (mut low, mut high): (Option<&Version>, Option<&Version>) = (None, None);
        for bound in range.bounds() {
            low = Some(low.filter(|low| low.cmp_precedence(bound).is_le()).unwrap_or(bound));
            high = Some(high.filter(|high| high.cmp_precedence(bound).is_ge()).unwrap_or(bound));
        }
        let below =
            |bound: &Version| outside.iter().rfind(|(version, _)| version.cmp_precedence(bound).is_lt());
        let above =
            |bound: &Version| outside.iter().find(|(version, _)| version.cmp_precedence(bound).is_ge());
        let misses = [
            (prerelease.as_ref(), "a prerelease, which the range does not name"),
            (outside.last(), "the highest version"),
            (high.and_then(above), "the next above"),
            (low.and_then(below), "the next below"),
        ];
        let mut found: Vec<NearMiss> = Vec::new();
        for (version, why) in misses {
            if let Some((_, tag)) = version.filter(|(_, tag)| found.iter().all(|known| known.tag != *tag)) {
                found.push(NearMiss { tag, why });
            }
        }
        found
    }

    /// Returns the tags with the longest common prefix with the current tag, or with the literal prefix of the
    /// pattern.
    fn unmatched(&self) -> Vec<NearMiss<'a>> {
        let head = self.selector.tag_filter.pattern().map(head);
        let Some(wanted) = self.current.as_deref().or(head.as_deref()) else { return Vec::new() };
        let alike =
            |tag: &str| tag.bytes().zip(wanted.bytes()).take_while(|(one, other)| one == other).count();
        let mut best: Vec<(usize, &str)> = Vec::new();
        for tag in self.dropped_by(Cause::NotMatched) {
            let one = (alike(tag), tag);
            let at = best.partition_point(|other| *other > one);
            if at < SHOWN && best.get(at) != Some(&one) {
                best.insert(at, one);
                best.truncate(SHOWN);
            }
        }
        let why = if self.current.is_some() { "most like the current tag" } else { "most like the pattern" };
        best.into_iter().map(|(_, tag)| NearMiss { tag, why }).collect()
    }
}

/// Returns the literal prefix of a pattern.
fn head(pattern: &str) -> String {
    let pattern = pattern.strip_prefix('^').unwrap_or(pattern);
    pattern.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "_-".contains(*letter)).collect()
}
