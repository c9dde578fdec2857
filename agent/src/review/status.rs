//! The commit status of a pull request: its name, its state at each forge, and which writes are left for it.
//!
//! A status has one name for a cluster and a namespace, so that a branch protection can require it once, whatever Syncs there
//! will be: a pull request that affects none gets it too. At most two writes go to a commit: that the preview has begun, if
//! it is not done within a moment, and its result. GitLab gets the result alone, since a status there that does not end blocks
//! merges, and since the same state twice is an error. Pure.

use holdfast_diff::visible;

use super::preview::{Outcome, Preview};
use crate::api::Forge;
pub use crate::forge::review::State;

/// Characters of a description that each forge takes.
const DESCRIPTION: usize = 140;
/// Characters of a name that each forge takes.
const CONTEXT: usize = 200;

/// A status to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitStatus {
    pub context: String,
    pub state: State,
    /// One line.
    pub description: String,
}

/// The name of the status of a cluster and a namespace: `holdfast/1a2b3c4d/team-a`.
pub fn context(cluster: &str, namespace: &str) -> String {
    let cluster = cluster.get(..8).unwrap_or(cluster);
    format!("holdfast/{cluster}/{namespace}").chars().take(CONTEXT).collect()
}

/// The status that says what a preview says. It fails if a person must change something before the merge.
pub fn of(preview: &Preview, context: String) -> CommitStatus {
    let state = match &preview.outcome {
        Outcome::Conflicts { .. } => State::Failure,
        Outcome::Syncs(_) if preview.errors() > 0 => State::Failure,
        Outcome::Syncs(_) => State::Success,
    };
    CommitStatus { context, state, description: described(&preview.verdict()) }
}

/// The status while a preview is made.
pub fn pending(context: String) -> CommitStatus {
    CommitStatus { context, state: State::Pending, description: "planning the merge".to_owned() }
}

/// The status of a preview that could not be made.
pub fn failed(context: String, why: &str) -> CommitStatus {
    CommitStatus { context, state: State::Error, description: described(why) }
}

fn described(text: &str) -> String {
    let text = visible::line(text);
    match text.char_indices().nth(DESCRIPTION) {
        Some(_) => text.chars().take(DESCRIPTION - 1).chain(['…']).collect(),
        None => text.into_owned(),
    }
}

/// True if a status is still to be written after those that were written for this commit and context, the first one first.
pub fn is_due(forge: Forge, written: &[CommitStatus], next: &CommitStatus) -> bool {
    if next.state.word(forge).is_none() {
        return false;
    }
    match written {
        [] => true,
        [first] => !first.state.is_final() && next.state.is_final(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: State) -> CommitStatus {
        CommitStatus { context: context("cluster", "team-a"), state, description: String::new() }
    }

    #[test]
    fn a_commit_gets_at_most_two_writes() {
        let check = |forge, written: &[State], next, expected| {
            let written: Vec<CommitStatus> = written.iter().copied().map(status).collect();
            assert_eq!(is_due(forge, &written, &status(next)), expected, "{forge:?} {written:?} {next:?}");
        };
        for forge in [Forge::GitHub, Forge::Gitea] {
            check(forge, &[], State::Pending, true);
            check(forge, &[State::Pending], State::Pending, false);
            check(forge, &[State::Pending], State::Failure, true);
            check(forge, &[State::Pending, State::Success], State::Failure, false);
            check(forge, &[State::Success], State::Failure, false);
        }
        check(Forge::GitLab, &[], State::Pending, false);
        check(Forge::GitLab, &[], State::Success, true);
        check(Forge::GitLab, &[State::Success], State::Success, false);
    }

    #[test]
    fn each_forge_has_its_own_words() {
        assert_eq!(State::Failure.word(Forge::GitLab), Some("failed"));
        assert_eq!(State::Failure.word(Forge::GitHub), Some("failure"));
        assert_eq!(State::Error.word(Forge::Gitea), Some("error"));
        assert_eq!(State::Pending.word(Forge::GitLab), None);
    }

    #[test]
    fn names_and_descriptions_fit_everywhere() {
        assert_eq!(context("1a2b3c4d-0000", "team-a"), "holdfast/1a2b3c4d/team-a");
        assert!(context("c", &"n".repeat(300)).len() == CONTEXT);
        let long = failed(String::new(), &"ü\n".repeat(200));
        assert_eq!(long.description.chars().count(), DESCRIPTION);
        assert!(long.description.ends_with('…') && !long.description.contains('\n'));
    }
}
