//! What is remembered of the pull requests of a Repository between two passes. Its records are the status; all else can be made
//! again. No I/O.

use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

use super::retry::Retry;
use crate::api::{PullRequestState, RepositoryStatus, RevertPullRequest, ReviewedPullRequest};
use crate::forge::review::{Deployed, PullRequest, User};
use crate::review::queue::MadeOf;
use crate::review::status::State;

/// Pull requests that the status lists.
const LISTED: usize = 100;

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
    /// The preview as the comment has it.
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
