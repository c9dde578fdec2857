//! Makes the next preview, and publishes it. I/O: through the stages and the forge.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::info;

use super::bases::Followed;
use super::memory::Memory;
use super::{Found, Pass};
use crate::api::{PreviewedPlan, PullRequestState};
use crate::error::{Class, StageError as _};
use crate::forge::review::{Fate, PullRequest, head_ref};
use crate::report::Failure;
use crate::review::annotations;
use crate::review::comment::{self, Approve, comment};
use crate::review::fork::{Absent, without_secrets};
use crate::review::live::Subject;
use crate::review::merge::{self, Proposed};
use crate::review::preview::{Outcome, Preview, SyncResult};
use crate::review::queue::{self, MadeOf, Treatment};
use crate::review::status;

/// Plans of a pull request that the status lists.
const PLANS: usize = 20;
/// The reason of a pull request that changed while it was previewed.
const MOVED: &str = "HeadMoved";
/// The pause before it is previewed again; each further one doubles it.
const AGAIN: Duration = Duration::from_millis(100);
/// How often a preview that is being made checks for a webhook call.
const CHECK: Duration = Duration::from_millis(100);
/// Bytes that are kept free for what became of commands.
const NOTES: usize = 4096;

impl Pass<'_> {
    /// Previews the pull request that was pushed to last of those whose preview is not up to date.
    pub(super) async fn preview_next(
        &self,
        memory: &mut Memory,
        followed: &[Followed],
        bases: &BTreeMap<String, String>,
        found: &mut Found,
    ) {
        let rules = &self.repository.spec.pull_requests;
        let open = memory.open.clone().unwrap_or_default();
        let due = queue::due(rules, bases, &open, &memory.made);
        let may_try = |memory: &Memory, number: i64, of: &MadeOf| {
            let review = memory.reviews.get(&number);
            review.is_none_or(|review| review.retry.is_due() || review.tried.as_ref() != Some(of))
        };
        let mut due = due.into_iter().filter(|(pull, of)| may_try(memory, pull.number, of));
        let Some((pull, of)) = due.next() else { return };
        if due.next().is_some() {
            found.soon(Duration::ZERO);
        }
        match self.preview(memory, pull, &of, followed).await {
            Ok(base) => {
                memory.moves = 0;
                memory.review(pull.number).retry.succeeded();
                memory.made.insert(pull.number, MadeOf { base, ..of });
                memory.trim();
            }
            // It is listed again at once.
            Err(failure) if failure.reason == MOVED => {
                memory.stale = true;
                memory.moves = memory.moves.saturating_add(1);
                found.soon(AGAIN.saturating_mul(1 << memory.moves.min(10)));
            }
            Err(failure) => {
                let review = memory.review(pull.number);
                if review.tried.replace(of.clone()) != Some(of) {
                    review.retry.succeeded();
                }
                review.retry.failed(failure.clone(), None);
                memory.note(&failure, None);
            }
        }
    }

    /// The commit of the base that the preview was made with, which may have moved since it was listed.
    async fn preview(
        &self,
        memory: &mut Memory,
        pull: &PullRequest,
        of: &MadeOf,
        followed: &[Followed],
    ) -> Result<String, Failure> {
        let is_fork = of.treatment == Treatment::WithoutSecrets;
        if is_fork {
            let label = &self.repository.spec.pull_requests.label;
            let trusted = self.client.is_trusted(self.target, pull.number, label).await;
            if !trusted.map_err(|error| Failure::of("review", &error))? {
                let record = memory.record(pull.number);
                record.state = PullRequestState::Skipped;
                "the label was not given by somebody with write access".clone_into(&mut record.verdict);
                return Ok(of.base.clone());
            }
        }
        let location = self.location(&pull.base, followed).await?;
        let mut absent = Absent::default();
        let on_branch = followed.iter().filter(|one| one.branch == pull.base);
        let subjects: Vec<Subject> = on_branch
            .map(|one| {
                let sync = (*one.sync).clone();
                // What was rendered with Secrets says nothing about a render without them.
                let reads = self.services.peers.reads(&one.owner);
                let sync = if is_fork { without_secrets(sync, &mut absent) } else { sync };
                Subject::new(one.owner.clone(), sync, reads)
            })
            .collect();
        let reference = head_ref(self.target.provider(), pull.number);
        let proposed = Proposed {
            name: format!("#{}", pull.number),
            head: &pull.head,
            head_ref: &reference,
            base: &pull.base,
            ancestor: pull.ancestor.as_deref(),
        };
        let making = Box::pin(merge::preview(self.services, &subjects, &location, &proposed));
        let made = tokio::select! {
            made = making => made,
            moved = self.superseded(pull) => return Err(moved),
        };
        let preview = match made {
            Ok(mut preview) => {
                if is_fork {
                    unapprovable(&mut preview);
                }
                preview
            }
            Err(error) => {
                if error.class() != Class::Transient {
                    self.cannot(memory, pull, &error.to_string()).await?;
                }
                return Err(Failure::of("review", &error));
            }
        };
        self.still(pull).await?;
        let (number, verdict) = (pull.number, preview.verdict());
        info!(repository = %self.owner, number, verdict, "Previewed a pull request");
        self.show(memory, pull, &preview, is_fork.then_some(&absent)).await?;
        Ok(preview.base.commit)
    }

    /// Returns once a pull request is no longer what is being previewed, so that the preview can be cancelled. Asks the forge after a
    /// webhook call, with growing pauses, and at each interval.
    async fn superseded(&self, pull: &PullRequest) -> Failure {
        let (interval, mut pause) = (self.repository.spec.interval(), CHECK);
        loop {
            let called = async {
                while !self.calls.is_open(self.owner) {
                    tokio::time::sleep(CHECK).await;
                }
            };
            let _ = tokio::time::timeout(interval, called).await;
            if let Err(failure) = self.still(pull).await
                && failure.reason == MOVED
            {
                return failure;
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(interval);
        }
    }

    /// Makes sure that a pull request is what was previewed: a forge finds out late where a head that was pushed parted from the base.
    async fn still(&self, pull: &PullRequest) -> Result<(), Failure> {
        let now = self.client.pull_request(self.target, pull.number).await;
        let is_same = match now.map_err(|error| Failure::of("review", &error))? {
            // After the merge the effect is nothing, and the preview before it counts.
            Some((now, Fate::Open)) => now.head == pull.head && now.ancestor == pull.ancestor,
            _ => false,
        };
        if is_same {
            return Ok(());
        }
        Err(Failure::transient("review", MOVED, format!("pull request #{} changed meanwhile", pull.number)))
    }

    /// Writes a preview into its pull request.
    async fn show(
        &self,
        memory: &mut Memory,
        pull: &PullRequest,
        preview: &Preview,
        fork: Option<&Absent>,
    ) -> Result<(), Failure> {
        let may_approve = self.repository.spec.pull_requests.approvals.is_some() && fork.is_none();
        let approve = if may_approve { Approve::Here } else { Approve::Cluster };
        let room = comment::LIMIT - self.marker().size() - NOTES;
        let said = fork.map(Absent::text).unwrap_or_default();
        let mut text = comment(preview, approve, room - said.len());
        text.push_str(&said);
        let review = memory.review(pull.number);
        review.author = Some(pull.author.clone());
        review.text = text;
        let record = memory.record(pull.number);
        record.head.clone_from(&pull.head);
        record.base = format!("{}@sha1:{}", pull.base, preview.base.commit);
        record.verdict = preview.verdict();
        record.state = state(preview);
        record.plans = plans(preview);
        let is_shown = !preview.syncs().is_empty() || record.comment.is_some();
        if is_shown && self.comments() {
            self.write_comment(memory, pull.number).await.map_err(|error| Failure::of("review", &error))?;
        }
        let context = status::context(&self.services.cluster.uid, &self.owner.namespace);
        let (status, annotations) = (status::of(preview, context), annotations::of(preview));
        self.write_status(memory, pull, &status, &annotations)
            .await
            .map_err(|error| Failure::of("review", &error))
    }

    /// Says that there is no preview, and why.
    async fn cannot(&self, memory: &mut Memory, pull: &PullRequest, why: &str) -> Result<(), Failure> {
        let record = memory.record(pull.number);
        record.head.clone_from(&pull.head);
        record.base.clone_from(&pull.base);
        record.state = PullRequestState::Failed;
        record.plans.clear();
        why.clone_into(&mut record.verdict);
        let context = status::context(&self.services.cluster.uid, self.owner.namespace.as_str());
        let status = status::failed(context, why);
        self.write_status(memory, pull, &status, &[]).await.map_err(|error| Failure::of("review", &error))
    }
}

fn state(preview: &Preview) -> PullRequestState {
    match &preview.outcome {
        Outcome::Conflicts { .. } => PullRequestState::Conflicts,
        Outcome::Syncs(_) if preview.errors() > 0 => PullRequestState::Failed,
        Outcome::Syncs(_) if preview.waiting() > 0 => PullRequestState::Waiting,
        Outcome::Syncs(_) => PullRequestState::Previewed,
    }
}

fn plans(preview: &Preview) -> Vec<PreviewedPlan> {
    let of = |sync: &crate::review::preview::SyncPreview| {
        let SyncResult::Planned(planned) = &sync.result else { return None };
        let waits = planned.waiting.as_ref().and_then(|waits| waits.id.as_ref());
        let id = waits.unwrap_or(&planned.id).to_string();
        Some(PreviewedPlan { sync: sync.sync.name().to_owned(), id, waits: waits.is_some() })
    };
    preview.syncs().iter().filter_map(of).take(PLANS).collect()
}

/// A plan without Secrets is not the one that waits after the merge.
fn unapprovable(preview: &mut Preview) {
    let Outcome::Syncs(syncs) = &mut preview.outcome else { return };
    for sync in syncs {
        if let SyncResult::Planned(planned) = &mut sync.result
            && let Some(waiting) = &mut planned.waiting
        {
            waiting.id = None;
        }
    }
}
