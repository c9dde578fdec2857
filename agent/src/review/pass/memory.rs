//! What is remembered of the pull requests of a Repository between two passes. Its records are the status; all else can be made
//! again. No I/O.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::retry::Retry;
use crate::api::{PullRequestState, RepositoryStatus, RevertPullRequest, ReviewedPullRequest};
use crate::error::Class;
use crate::forge::review::{Deployed, PullRequest, User};
use crate::report::Failure;
use crate::review::queue::MadeOf;
use crate::review::status::State;

/// Pull requests that the status lists.
const LISTED: usize = 100;
/// Bytes of the texts of comments that are kept.
const TEXTS: usize = 4 * 1024 * 1024;
/// Reasons of failures that concern the forge as a whole.
const DOWN: [&str; 3] = ["Unreachable", "Answered", "Busy"];

/// What is remembered of a Repository.
#[derive(Default)]
pub struct Memory {
    /// The open pull requests; `None` before they were listed.
    pub open: Option<Vec<PullRequest>>,
    /// True if the list is known to be old.
    pub stale: bool,
    /// When the open pull requests are listed again after that failed.
    pub listing: Retry,
    /// How often pull requests changed while they were previewed, since that last went well.
    pub moves: u32,
    /// True if the forge has more of them than are read.
    pub more: bool,
    /// What each preview was made of.
    pub made: BTreeMap<i64, MadeOf>,
    pub reviews: BTreeMap<i64, Review>,
    pub records: BTreeMap<i64, ReviewedPullRequest>,
    /// The reverts of failed revisions, by the name of the Sync.
    pub reverts: BTreeMap<String, RevertPullRequest>,
    /// The revision at which a Sync was healthy last.
    pub healthy: BTreeMap<String, String>,
    /// When reverts are tried again after a failure, by the name of the Sync.
    pub reverting: BTreeMap<String, Retry>,
}

/// What is remembered of a pull request.
#[derive(Default)]
pub struct Review {
    /// Who opened it.
    pub author: Option<User>,
    /// The preview as the comment has it; empty if it was not kept.
    pub text: String,
    /// What became of commands, below the preview.
    pub notes: Vec<String>,
    /// The last change of the pull request when its comments were read.
    pub read: Option<Timestamp>,
    /// The statuses that were written on a commit, and how many.
    pub reported: Option<(String, State, u32)>,
    /// The id of the check run.
    pub check: Option<i64>,
    /// How far the deployment was when it was written last.
    pub deployed: Option<Deployed>,
    /// The revision of each Sync when the merge was noticed.
    pub before: BTreeMap<String, String>,
    /// What the last preview that failed was made of.
    pub tried: Option<MadeOf>,
    /// When a preview, or the comment of a merge, that failed is made again.
    pub retry: Retry,
    /// When comments that could not be read, or commands that could not be followed, are read again.
    pub reading: Retry,
}

impl Memory {
    /// Takes the records of an earlier process.
    pub fn of(status: &RepositoryStatus) -> Self {
        let records = status.pull_requests.iter().map(|record| (record.number, record.clone())).collect();
        let review =
            |record: &ReviewedPullRequest| Review { reported: reported(record), ..Review::default() };
        let reviews = status.pull_requests.iter().map(|record| (record.number, review(record))).collect();
        let reverts = status.reverts.iter().map(|revert| (revert.sync.clone(), revert.clone())).collect();
        Self { reviews, records, reverts, ..Self::default() }
    }

    pub fn review(&mut self, number: i64) -> &mut Review {
        self.reviews.entry(number).or_default()
    }

    /// The record of a pull request.
    pub fn record(&mut self, number: i64) -> &mut ReviewedPullRequest {
        self.records.entry(number).or_insert_with(|| ReviewedPullRequest {
            number,
            head: String::new(),
            base: String::new(),
            state: PullRequestState::Pending,
            verdict: String::new(),
            plans: Vec::new(),
            comment: None,
            written: None,
            deployment: None,
            merged: None,
            merged_at: None,
        })
    }

    /// Notes that something failed. If the forge does not answer, nothing else is asked of it until it lists the pull requests.
    pub fn note(&mut self, failure: &Failure, after: Option<Duration>) {
        if failure.class == Class::Transient && DOWN.contains(&failure.reason) {
            self.stale = true;
            self.listing.failed(failure.clone(), after);
        }
    }

    /// False while the forge does not answer.
    pub fn is_reachable(&self) -> bool {
        self.listing.trouble().is_none()
    }

    /// Forgets the texts of the pull requests that changed longest ago, if there are too many. What needs one is previewed again.
    pub fn trim(&mut self) {
        let open: Vec<i64> = self.open.iter().flatten().map(|found| found.number).collect();
        let mut left = TEXTS;
        for number in self.merged().into_iter().chain(open) {
            let Some(review) = self.reviews.get_mut(&number) else { continue };
            match left.checked_sub(review.text.len()) {
                Some(rest) => left = rest,
                None => review.text = String::new(),
            }
        }
    }

    /// All that failed and was not repeated yet.
    pub fn retries(&self) -> impl Iterator<Item = &Retry> {
        let reviews = self.reviews.values().flat_map(|review| [&review.retry, &review.reading]);
        [&self.listing].into_iter().chain(reviews).chain(self.reverting.values())
    }

    /// Those that were merged and are followed.
    pub fn merged(&self) -> Vec<i64> {
        let merged = self.records.values().filter(|record| record.state == PullRequestState::Merged);
        merged.map(|record| record.number).collect()
    }

    /// Forgets a pull request.
    pub fn forget(&mut self, number: i64) {
        self.records.remove(&number);
        self.reviews.remove(&number);
        self.made.remove(&number);
    }

    /// Forgets all but these.
    pub fn keep(&mut self, numbers: &BTreeSet<i64>) {
        self.records.retain(|number, _| numbers.contains(number));
        self.reviews.retain(|number, _| numbers.contains(number));
        self.made.retain(|number, _| numbers.contains(number));
    }

    /// The records for the status: the last changed first, merged ones before them; and how many are left out.
    pub fn listed(&self) -> (Vec<ReviewedPullRequest>, usize) {
        let open = self.open.iter().flatten().map(|found| found.number);
        let numbers = self.merged().into_iter().chain(open);
        let all: Vec<_> = numbers.filter_map(|number| self.records.get(&number).cloned()).collect();
        let omitted = all.len().saturating_sub(LISTED);
        (all.into_iter().take(LISTED).collect(), omitted)
    }
}

/// The status that an earlier process wrote on a head: it is not written again.
fn reported(record: &ReviewedPullRequest) -> Option<(String, State, u32)> {
    let state = match record.state {
        PullRequestState::Previewed | PullRequestState::Waiting => State::Success,
        PullRequestState::Conflicts | PullRequestState::Failed => State::Failure,
        PullRequestState::Pending | PullRequestState::Skipped | PullRequestState::Merged => return None,
    };
    Some((record.head.clone(), state, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(number: i64) -> PullRequest {
        PullRequest {
            number,
            url: String::new(),
            title: String::new(),
            draft: false,
            labels: Vec::new(),
            author: User::default(),
            head: "aa".to_owned(),
            base: "main".to_owned(),
            base_commit: None,
            ancestor: None,
            fork: false,
            updated: None,
        }
    }

    #[test]
    fn nothing_is_asked_of_a_forge_that_does_not_answer_until_it_lists_pull_requests() {
        let mut memory = Memory::default();
        memory.note(&Failure::user("review", "Forbidden", "the token may not"), None);
        memory.note(&Failure::transient("review", "HeadMoved", "pull request #1 changed"), None);
        assert!(memory.is_reachable() && !memory.stale, "others are not affected by one pull request");
        for reason in DOWN {
            memory.note(&Failure::transient("review", reason, "no answer"), Some(Duration::from_mins(1)));
            assert!(!memory.is_reachable() && memory.stale && !memory.listing.is_due(), "{reason}");
            memory.listing.succeeded();
            assert!(memory.is_reachable());
        }
    }

    #[test]
    fn a_thousand_pull_requests_are_remembered_within_bounds() {
        let open: Vec<PullRequest> = (1..=1000).map(pull).collect();
        let mut memory = Memory { open: Some(open), ..Memory::default() };
        for number in 1..=1000 {
            memory.record(number);
            memory.review(number).text = "x".repeat(60_000);
        }
        memory.trim();
        let kept = |number| memory.reviews.get(&number).is_some_and(|review| !review.text.is_empty());
        assert!(kept(1) && !kept(1000), "the last changed first");
        assert!(memory.reviews.values().map(|review| review.text.len()).sum::<usize>() <= TEXTS);
        let (listed, omitted) = memory.listed();
        assert_eq!((listed.len(), omitted), (LISTED, 900));
    }
}
