//! One pass over the pull requests of a Repository, one line a step: list, preview the one that was pushed to last, follow commands,
//! follow what was merged.
//!
//! A pass makes one preview at most, so that a newer push comes before older ones. I/O: through the stages and the forge.

mod bases;
mod commands;
mod deployments;
mod evidence;
pub mod memory;
mod merged;
mod previews;
mod publish;
mod retry;
mod reverts;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use self::memory::Memory;
use crate::api::{CommentPolicy, PullRequestState, Repository};
use crate::calls::Calls;
use crate::forge::review::{Client, Fate, Listing};
use crate::forge::{ForgeError, PullRequests, Target};
use crate::reconcile::services::Services;
use crate::report::Failure;
use crate::review::marker::Marker;
use crate::review::queue;
use crate::subject::Subject;

/// How often the Syncs of a merged pull request are looked at, which costs no request.
const FOLLOW: Duration = Duration::from_secs(1);

/// What a pass needs.
pub struct Pass<'a> {
    pub services: &'a Services,
    pub client: &'a Client,
    pub proposals: &'a PullRequests,
    pub repository: &'a Repository,
    pub owner: &'a Subject,
    pub target: &'a Target,
    /// True if the forge is to be asked for the open pull requests.
    pub list: bool,
    /// Webhook calls that the next pass answers.
    pub calls: &'a Calls<Subject>,
    pub now: Timestamp,
}

/// What a pass came to.
#[derive(Default)]
pub struct Found {
    pub failures: Vec<Failure>,
    /// When the next pass is due, if that is before the interval ends.
    pub next: Option<Duration>,
}

impl Found {
    fn fail(&mut self, failure: Failure, after: Duration) {
        self.failures.push(failure);
        self.soon(after);
    }

    fn soon(&mut self, after: Duration) {
        self.next = Some(self.next.map_or(after, |next| next.min(after)));
    }
}

/// Makes one pass.
pub async fn pass(one: &Pass<'_>, memory: &mut Memory) -> Found {
    let mut found = Found::default();
    memory.stale |= one.list || memory.open.is_none();
    if memory.stale && memory.listing.is_due() {
        match one.list(memory).await {
            Ok(()) => memory.listing.succeeded(),
            Err(error) => memory.listing.failed(Failure::of("review", &error), error.retry_after()),
        }
    }
    if memory.open.is_some() && memory.is_reachable() {
        one.work(memory, &mut found).await;
    }
    if let Some(now) = one.client.moved(one.target) {
        found.failures.push(moved(&now));
    }
    for retry in memory.retries() {
        if let Some(failure) = retry.trouble()
            && !found.failures.iter().any(|known| known.message == failure.message)
        {
            found.failures.push(failure.clone());
        }
        retry.pause().into_iter().for_each(|pause| found.soon(pause));
    }
    found
}

/// The forge redirects to another repository, which works until there is another one with the old name.
fn moved(now: &str) -> Failure {
    let message = format!("the repository was moved to {now}; set spec.url to its new address");
    Failure::user("review", "Moved", message)
}

impl Pass<'_> {
    async fn work(&self, memory: &mut Memory, found: &mut Found) {
        let followed = self.followed();
        let bases = self.bases(memory, &followed, found).await;
        self.skip(memory, &followed);
        self.preview_next(memory, &followed, &bases, found).await;
        if memory.is_reachable() {
            self.commands(memory, found).await;
        }
        if memory.is_reachable() {
            self.follow(memory, found).await;
        }
        if memory.is_reachable() {
            self.reverts(memory, &followed, found).await;
        }
    }

    fn marker(&self) -> Marker {
        Marker::new(&self.services.cluster.uid, self.owner.namespace.as_str(), self.owner.name.as_str())
    }

    fn comments(&self) -> bool {
        self.repository.spec.pull_requests.comment == CommentPolicy::Affected
    }

    /// Reads the open pull requests, and what became of those that are open no more.
    async fn list(&self, memory: &mut Memory) -> Result<(), ForgeError> {
        if let Listing::Changed(open, more) = self.client.open(self.target, memory.open.is_none()).await? {
            (memory.open, memory.more) = (Some(open), more);
        }
        memory.stale = false;
        let open: BTreeSet<i64> = memory.open.iter().flatten().map(|found| found.number).collect();
        let gone: Vec<i64> = memory
            .records
            .values()
            .filter(|record| record.state != PullRequestState::Merged && !open.contains(&record.number))
            .map(|record| record.number)
            .collect();
        for number in gone {
            let fate = self.client.pull_request(self.target, number).await?;
            match fate {
                Some((_, Fate::Merged { commit: Some(commit) })) => {
                    self.begin_to_follow(memory, number, commit);
                }
                // One that is open and not listed is beyond what is read.
                Some((_, Fate::Open)) => {}
                _ => memory.forget(number),
            }
        }
        let kept = memory.merged().into_iter().chain(open).collect();
        memory.keep(&kept);
        Ok(())
    }

    /// Records which pull requests are not previewed.
    fn skip(&self, memory: &mut Memory, followed: &[bases::Followed]) {
        let branches = followed.iter().map(|followed| followed.branch.clone()).collect();
        let rules = &self.repository.spec.pull_requests;
        for pull in memory.open.clone().into_iter().flatten() {
            match queue::treatment(rules, &branches, &pull) {
                queue::Treatment::Skip(why) => {
                    let record = memory.record(pull.number);
                    record.head.clone_from(&pull.head);
                    record.base.clone_from(&pull.base);
                    why.clone_into(&mut record.verdict);
                    record.state = PullRequestState::Skipped;
                    record.plans.clear();
                }
                queue::Treatment::Ignore => drop(memory.records.remove(&pull.number)),
                queue::Treatment::Preview | queue::Treatment::WithoutSecrets => {}
            }
        }
    }
}
