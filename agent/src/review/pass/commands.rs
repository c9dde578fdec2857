//! Follows the commands in comments: an Approval for each that counts, and a line in our comment for each. I/O: the forge, API
//! requests.

use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use tracing::info;

use super::memory::{Memory, Review};
use super::{Found, Pass};
use crate::api::{ApprovalDecision, PullRequestState};
use crate::cluster::refusal::explained;
use crate::cluster::reviewers::may_approve;
use crate::forge::ForgeError;
use crate::forge::review::{Comment, Reaction, User};
use crate::report::{Failure, approvals};
use crate::review::approve::{self, Refusal, approval, approver};
use crate::review::command::{Command, Said, command};
use crate::review::follow;
use crate::review::markdown::code;

/// Pull requests whose comments one pass reads.
const READ: usize = 20;
/// How long it is waited for an Approval to be seen.
const SEEN: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);

/// What became of a command.
enum Outcome {
    /// It was followed before.
    Known(String),
    Followed(String),
    Refused(String),
}

/// Why comments were not read, or a command was not followed.
struct Unread {
    failure: Failure,
    /// How long the forge asks to wait.
    after: Option<Duration>,
}

impl From<ForgeError> for Unread {
    fn from(error: ForgeError) -> Self {
        Self { failure: Failure::of("review", &error), after: error.retry_after() }
    }
}

/// The API server did not create an Approval.
fn uncreated(error: &kube::Error) -> Unread {
    let (class, message) = explained(error);
    Unread { failure: Failure::new("review", class, "ApprovalFailed", message), after: None }
}

impl Pass<'_> {
    /// Reads the comments of the pull requests that changed and have something to decide.
    pub(super) async fn commands(&self, memory: &mut Memory, found: &mut Found) {
        let open = memory.open.clone().unwrap_or_default();
        let is_due = |memory: &Memory, number: i64, updated| {
            let record = memory.records.get(&number);
            let decides = record.is_some_and(|record| !record.plans.is_empty());
            let is_new = |review: &Review| {
                review.reading.is_due() && (review.read != updated || review.reading.trouble().is_some())
            };
            decides && memory.reviews.get(&number).is_none_or(is_new)
        };
        let mut left = READ;
        for pull in open {
            if !memory.is_reachable() {
                return;
            }
            if is_due(memory, pull.number, pull.updated) {
                if left == 0 {
                    found.soon(super::FOLLOW);
                    return;
                }
                left -= 1;
                self.take(memory, (pull.number, pull.updated), found).await;
            }
        }
        let waits = |memory: &Memory, number| {
            memory.records.get(&number).is_some_and(|one| one.verdict == follow::WAITS)
        };
        for number in memory.merged().into_iter().filter(|_| self.list) {
            if waits(memory, number) && memory.is_reachable() && memory.review(number).reading.is_due() {
                self.take(memory, (number, None), found).await;
            }
        }
    }

    /// Reads the comments of one pull request, and notes when they are read again if that failed.
    async fn take(&self, memory: &mut Memory, (number, at): (i64, Option<Timestamp>), found: &mut Found) {
        match self.read(memory, number).await {
            Ok(is_new) => {
                let review = memory.review(number);
                review.read = at;
                review.reading.succeeded();
                if is_new {
                    found.soon(Duration::ZERO);
                }
            }
            Err(Unread { failure, after }) => {
                memory.note(&failure, after);
                memory.review(number).reading.failed(failure, after);
            }
        }
    }

    /// True if a command was followed, so that another preview is due.
    async fn read(&self, memory: &mut Memory, number: i64) -> Result<bool, Unread> {
        let comments = self.client.comments(self.target, number).await?;
        let mut notes = Vec::new();
        let mut is_new = false;
        let mut failed = None;
        for comment in &comments {
            let (text, created, updated) = (comment.body.clone(), comment.created, comment.updated);
            let Some(read) = command(&Said { text, created, updated }) else { continue };
            let outcome = match read {
                Ok(command) => match self.obey(memory, number, comment, &command).await {
                    Ok(outcome) => outcome,
                    Err(unread) => {
                        let note = format!("not followed yet, and tried again: {}", unread.failure.message);
                        failed.get_or_insert(unread);
                        Outcome::Known(note)
                    }
                },
                Err(why) => Outcome::Refused(why.to_string()),
            };
            let (note, reaction) = match outcome {
                Outcome::Known(note) => (note, None),
                Outcome::Followed(note) => {
                    is_new = true;
                    (note, Some(Reaction::Done))
                }
                Outcome::Refused(note) => (note, Some(Reaction::Refused)),
            };
            let note = format!("{}: {note}", code(&format!("@{}", comment.author.login)));
            let was_said = memory.review(number).notes.contains(&note);
            if let Some(reaction) = reaction.filter(|_| !was_said) {
                self.client.react(self.target, number, comment.id, reaction).await?;
            }
            notes.push(note);
        }
        let review = memory.review(number);
        let changed = review.notes != notes;
        review.notes = notes;
        if is_new {
            // What waits is another plan now: the comment is written with the next preview.
            memory.made.remove(&number);
            return failed.map_or(Ok(true), Err);
        }
        let is_kept = !memory.review(number).text.is_empty();
        if changed && self.comments() && is_kept {
            self.write_comment(memory, number).await?;
        } else if changed && self.comments() {
            memory.made.remove(&number);
        }
        failed.map_or(Ok(false), Err)
    }

    /// Creates the Approval that a command asks for.
    async fn obey(
        &self,
        memory: &mut Memory,
        number: i64,
        comment: &Comment,
        command: &Command,
    ) -> Result<Outcome, Unread> {
        let (services, namespace) = (self.services, self.owner.namespace.as_str());
        let name = approve::name(self.owner.name.as_str(), number, comment.id);
        let key = ObjectRef::new(&name).within(namespace);
        if let Some(known) = services.approvals.get(&key) {
            return Ok(Outcome::Known(followed(
                known.spec.decision,
                &known.spec.approver,
                &known.spec.reason,
            )));
        }
        let rules = self.repository.spec.pull_requests.approvals.as_ref();
        let Some(author) = self.author(memory, number).await? else {
            return Ok(Outcome::Refused(Refusal::NoAuthor.to_string()));
        };
        let user = match approver(rules, &author, &comment.author, command.decision) {
            Ok(user) => user,
            Err(why) => return Ok(Outcome::Refused(why.to_string())),
        };
        let record = memory.record(number);
        let plans = self.waiting(record.state, &record.plans);
        let spec = match approval(command, &plans, user, (self.owner.name.as_str(), number, comment)) {
            Ok(spec) => spec,
            Err(why) => return Ok(Outcome::Refused(why.to_string())),
        };
        let client = services.cluster.clients.own();
        if !may_approve(&client, user, namespace).await.map_err(|error| uncreated(&error))? {
            let (user, namespace) = (user.to_owned(), namespace.to_owned());
            return Ok(Outcome::Refused(Refusal::NoRight { user, namespace }.to_string()));
        }
        let note = followed(spec.decision, &spec.approver, &spec.reason);
        let (sync, plan) = (spec.sync.clone(), spec.plan_id.clone());
        approvals::create(&client, namespace, &name, spec).await.map_err(|error| uncreated(&error))?;
        info!(repository = %self.owner, number, sync, plan, user, "Took a decision from a pull request");
        // The next preview shows it.
        let seen = async {
            while services.approvals.get(&key).is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        let _ = tokio::time::timeout(SEEN, seen).await;
        Ok(Outcome::Followed(note))
    }

    /// Who opened a pull request.
    async fn author(&self, memory: &mut Memory, number: i64) -> Result<Option<User>, ForgeError> {
        let listed = memory.open.iter().flatten().find(|pull| pull.number == number);
        let known = listed.map(|pull| pull.author.clone()).or_else(|| memory.review(number).author.clone());
        if known.is_some() {
            return Ok(known.filter(|author| author.id != 0));
        }
        let found = self.client.pull_request(self.target, number).await?;
        let author = found.map(|(pull, _)| pull.author).filter(|author| author.id != 0);
        memory.review(number).author.clone_from(&author);
        Ok(author)
    }

    /// The plans that wait: after the merge, those that wait in the cluster.
    fn waiting(
        &self,
        state: PullRequestState,
        plans: &[crate::api::PreviewedPlan],
    ) -> Vec<crate::api::PreviewedPlan> {
        if state != PullRequestState::Merged {
            return plans.to_vec();
        }
        let now = |plan: &crate::api::PreviewedPlan| {
            let sync = crate::sync_ref::SyncRef::new(self.owner.namespace.as_str(), plan.sync.clone());
            let status = self.services.cluster.sync(&sync)?.status.clone()?;
            let id = status.plan.filter(|plan| plan.state == crate::api::PlanState::AwaitingApproval)?.id;
            Some(crate::api::PreviewedPlan { sync: plan.sync.clone(), id, waits: true })
        };
        plans.iter().filter_map(now).collect()
    }
}

fn followed(decision: ApprovalDecision, approver: &str, reason: &str) -> String {
    let verb = match decision {
        ApprovalDecision::Approve => "approved",
        ApprovalDecision::Reject => "rejected",
    };
    format!("{verb} as {}: {}", code(approver), code(reason))
}
