//! A decision as text: a sentence for a condition, and the output of `holdfast image explain`. Both are
//! bounded, whatever the number of tags. Pure.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::decision::{Decision, Kept, Outcome, Reason};

/// Maximum number of candidates that are shown.
const CANDIDATES: usize = 20;
/// Maximum number of tags that are shown for each reason.
const EXAMPLES: usize = 3;
/// Maximum number of reasons in a sentence.
const REASONS: usize = 4;
/// Maximum characters of a tag: the maximum length of a valid one.
const WIDTH: usize = 128;

/// Number of tags that were dropped for a reason, and the greatest ones.
#[derive(Default)]
struct Tally<'a> {
    count: usize,
    examples: Vec<&'a str>,
}

impl<'a, T: AsRef<str>> Decision<'a, T> {
    /// Describes the decision in a sentence.
    pub fn message(&self) -> String {
        match self.outcome() {
            Outcome::Winner(tag) => format!("{} is {}", self.named(tag), self.superlative()),
            Outcome::Keep { best, why: Kept::Banned { tag } } if tag == best => {
                format!("{} was reverted, and no better tag exists", shown(best))
            }
            Outcome::Keep { best, why: Kept::Banned { tag } } => {
                format!("{} was reverted, and {}, the best tag, is not better", shown(tag), shown(best))
            }
            Outcome::Keep { best, why: Kept::OlderThanCurrent } => format!(
                "{} is {}, but below the current {}, and downgrades are not allowed",
                self.named(best),
                self.superlative(),
                shown(self.current.as_deref().unwrap_or_default())
            ),
            Outcome::Keep { best, why: Kept::SameVersion } => format!(
                "{} stays: {} is the same version",
                shown(self.current.as_deref().unwrap_or_default()),
                shown(best)
            ),
            Outcome::Nothing if self.tags.is_empty() => "the repository has no tags".to_owned(),
            Outcome::Nothing => self.nothing(),
        }
    }

    /// Describes the decision, the candidates, and which rule dropped which tags, in a few lines.
    pub fn explain(&self) -> String {
        self.to_string()
    }

    /// Returns the number of tags that were dropped for each reason, with at most three examples.
    pub fn counts(&self) -> Vec<(Reason<'a>, usize, Vec<&'a str>)> {
        let tallies = self.tallies().into_iter();
        tallies.map(|(reason, Tally { count, examples })| (reason, count, examples)).collect()
    }

    fn tallies(&self) -> BTreeMap<Reason<'a>, Tally<'a>> {
        let mut tallies: BTreeMap<Reason, Tally> = BTreeMap::new();
        for (tag, reason) in self.dropped() {
            let Tally { count, examples } = tallies.entry(reason).or_default();
            *count += 1;
            let at = examples.partition_point(|other| *other > tag);
            if at < EXAMPLES && examples.get(at) != Some(&tag) {
                examples.insert(at, tag);
                examples.truncate(EXAMPLES);
            }
        }
        tallies
    }

    fn superlative(&self) -> String {
        let time = self.found.time.map_or_else(String::new, |time| format!(": {time}"));
        self.selector.ranker.superlative() + &time
    }

    /// Returns a tag, and the part that the policy sees if it is another one.
    fn named(&self, tag: &str) -> String {
        match self.selector.tag_filter.see(tag) {
            Ok(seen) if seen != tag => format!("{} ({} for the policy)", shown(tag), shown(&seen)),
            _ => shown(tag),
        }
    }

    fn nothing(&self) -> String {
        let mut tallies: Vec<_> = self.tallies().into_iter().collect();
        tallies.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.count));
        let near: Vec<_> =
            self.near_misses().iter().map(|near| format!("{} ({})", shown(near.tag), near.why)).collect();
        let part = |(reason, Tally { count, examples }): &(Reason, Tally)| {
            let example = examples.first().filter(|_| near.is_empty());
            let example = example.map_or_else(String::new, |tag| format!(" such as {}", shown(tag)));
            format!("{count} {reason}{example}")
        };
        let mut parts: Vec<_> = tallies.iter().take(REASONS).map(part).collect();
        if tallies.len() > REASONS {
            let others: usize = tallies.iter().skip(REASONS).map(|(_, tally)| tally.count).sum();
            parts.push(format!("{others} for other reasons"));
        }
        let near = if near.is_empty() { String::new() } else { format!("; nearest: {}", near.join(", ")) };
        format!("no tag of {} can be selected: {}{near}", self.tags.len(), parts.join(", "))
    }

    fn candidate_lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let candidates = &self.found.candidates;
        writeln!(f, "candidates: {}, best first", candidates.len())?;
        for (place, index) in candidates.iter().take(CANDIDATES).enumerate() {
            let Some(tag) = self.tag(*index) else { continue };
            let mut line = self.named(tag);
            if self.winner() == Some(tag) {
                line.push_str(", taken");
            }
            if self.current.as_deref() == Some(tag) {
                line.push_str(", current");
            }
            if self.found.banned.contains(index) {
                let _ = write!(line, ", {}", Reason::Banned);
            }
            if place >= self.found.older {
                line.push_str(", below the current tag");
            }
            writeln!(f, "  {line}")?;
        }
        if candidates.len() > CANDIDATES {
            writeln!(f, "  and {} more", candidates.len() - CANDIDATES)?;
        }
        Ok(())
    }
}

impl<T: AsRef<str>> fmt::Display for Decision<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome() {
            Outcome::Winner(tag) => writeln!(f, "taken: {}", shown(tag))?,
            Outcome::Keep { .. } => {
                writeln!(
                    f,
                    "nothing changes: {} stays",
                    self.current.as_deref().map_or("what is there".to_owned(), shown)
                )?;
            }
            Outcome::Nothing => writeln!(f, "nothing found")?,
        }
        writeln!(f, "  {}", self.message())?;
        if !self.found.candidates.is_empty() {
            self.candidate_lines(f)?;
        }
        let tallies = self.tallies();
        let tallies: Vec<_> = tallies.iter().filter(|(reason, _)| !is_candidate(reason)).collect();
        if !tallies.is_empty() {
            let total: usize = tallies.iter().map(|(_, tally)| tally.count).sum();
            writeln!(f, "left out: {total}")?;
        }
        for (reason, Tally { count, examples }) in tallies {
            let mut shown: Vec<_> = examples.iter().map(|tag| shown(tag)).collect();
            if *count > examples.len() {
                shown.push("...".to_owned());
            }
            writeln!(f, "  {count} {reason}: {}", shown.join(", "))?;
        }
        Ok(())
    }
}

/// True for reasons of tags that are nevertheless candidates.
fn is_candidate(reason: &Reason) -> bool {
    matches!(reason, Reason::Banned | Reason::OlderThanCurrent)
}

/// Returns a tag for the output: an invalid one may contain any characters.
fn shown(tag: &str) -> String {
    let mut letters = tag.chars().flat_map(char::escape_debug);
    let mut shown: String = letters.by_ref().take(WIDTH).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    if shown.is_empty() { "\"\"".to_owned() } else { shown }
}
