//! One run of one Repository: makes a pass over its pull requests within a time limit, and writes the status.
//!
//! Leaves the pass to `review`. I/O: reads Secrets, which are watched; status writes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt as _};
use tracing::warn;

use super::agent::Agent;
use super::hooks;
use super::repository_state::{Memory, Repositories, name};
use crate::api::{InputKind, PullRequestState, RateLimit, Repository, RepositoryStatus, conditions, names};
use crate::cluster::refusal::chain;
use crate::error::Class;
use crate::forge::review::PullRequest;
use crate::forge::{Login, Target};
use crate::reconcile::past::since;
use crate::report::{Failure, write};
use crate::review::pass::memory::Memory as Pulls;
use crate::review::pass::{Found, Pass, pass};
use crate::secret_data::SecretData;
use crate::subject::Subject;
use crate::ui::Pull;

/// How often a pass checks that its Repository has not changed.
const CHECK: Duration = Duration::from_secs(1);
/// The pause after a status that cannot be written.
const PAUSE: Duration = Duration::from_secs(5);
/// The pause after a pass that panicked.
const AFTER_PANIC: Duration = Duration::from_mins(1);
/// Maximum duration of a pass.
const LIMIT: Duration = Duration::from_mins(10);

/// Makes one pass of a Repository. A panic fails this Repository alone.
pub(super) async fn run(repository: Arc<Repository>, all: &Repositories) -> Action {
    let working = Box::pin(work(&repository, all));
    // The log has the location of a panic.
    let action = AssertUnwindSafe(working).catch_unwind().await.unwrap_or(Action::requeue(AFTER_PANIC));
    if all.agent.repositories.get(&ObjectRef::from_obj(&*repository)).is_none() {
        // It was deleted meanwhile, and its pass has stored things about it again.
        all.forget(&name(&repository));
    }
    action
}

async fn work(repository: &Repository, all: &Repositories) -> Action {
    if repository.metadata.deletion_timestamp.is_some() {
        return Action::await_change();
    }
    let owner = name(repository);
    let memory = all.memories.of(&owner);
    let mut memory = memory.lock().await;
    let _turn = all.passes.take(&owner.namespace).await;
    if memory.uid != repository.metadata.uid {
        *memory = Memory { uid: repository.metadata.uid.clone(), ..Memory::default() };
    }
    let before = memory.status.clone().or_else(|| repository.status.clone()).unwrap_or_default();
    if memory.generation != repository.metadata.generation {
        // With another repository, login or other rules, all pull requests are read again.
        memory.generation = repository.metadata.generation;
        memory.pulls = None;
    }
    let now = Timestamp::now();
    let (agent, interval) = (&all.agent, repository.spec.interval());
    let asked = repository.annotations().get(names::RECONCILE_AT).cloned();
    let is_asked = asked != memory.answered;
    let is_due = memory.listed.is_none_or(|listed| since(listed, now) >= interval);
    let list = all.calls.take(&owner) || is_asked || is_due || memory.pulls.is_none();
    let suspended = repository.spec.suspend.as_ref().and_then(|suspend| suspend.holds(now));
    let path = hooks::of_repository(agent, &owner, repository.spec.webhook.as_ref()).await;
    let mut found = Found::default();
    let mut rate = None;
    if suspended.is_none() {
        match target(agent, repository, &owner, now).await {
            Ok(target) => {
                let mut pulls = memory.pulls.take().unwrap_or_else(|| Pulls::of(&before));
                let (services, client, calls) = (&agent.services, &agent.reviews, &all.calls);
                let (owner, target, proposals) = (&owner, &target, &agent.images.pull_requests);
                let one = Pass { services, client, proposals, repository, owner, target, list, calls, now };
                let passed = tokio::select! {
                    passed = tokio::time::timeout(LIMIT, pass(&one, &mut pulls)) => passed,
                    () = changed(agent, repository) => return Action::requeue(Duration::ZERO),
                };
                found = passed.unwrap_or_else(|_| late());
                rate = client.rate(target);
                agent.pulls.keep((owner.namespace.clone(), owner.name.clone()), shown(&pulls));
                memory.pulls = Some(pulls);
                memory.answered = asked;
                if list {
                    memory.listed = Some(now);
                }
            }
            Err(failure) => found.failures.push(failure),
        }
    }
    let path = match path {
        Ok(path) => path,
        Err(failure) => {
            found.failures.push(failure);
            None
        }
    };
    let rate = rate.map(|rate| RateLimit { remaining: rate.remaining, limit: rate.limit, reset: rate.reset });
    let after = status(repository, &before, &memory, &found, suspended.as_deref(), path, rate, now);
    let api: Api<Repository> = Api::namespaced(agent.services.cluster.clients.own(), &owner.namespace);
    if let Err(error) = write::patch(&api, &owner.name, &before, &after).await {
        warn!(repository = %owner, stage = "report", error = %chain(&error), "Cannot write the status; retrying");
        return Action::requeue(PAUSE);
    }
    for failure in &found.failures {
        let is_known = before.conditions.iter().any(|condition| condition.message.contains(&failure.message));
        if !is_known {
            warn!(repository = %owner, stage = failure.stage, error = %failure.message, "Repository failed; retrying");
        }
    }
    memory.status = Some(after);
    let passing = found.failures.iter().any(|failure| failure.class != Class::User);
    memory.failures = if passing { memory.failures.saturating_add(1) } else { 0 };
    let left = memory.listed.map_or(Duration::ZERO, |listed| interval.saturating_sub(since(listed, now)));
    let next = if left.is_zero() { interval } else { left };
    let soon = found.next.or_else(|| passing.then(|| PAUSE.saturating_mul(1 << memory.failures.min(6))));
    Action::requeue(soon.map_or(next, |soon| soon.min(next)))
}

/// The open pull requests as the web UI shows them.
fn shown(pulls: &Pulls) -> Vec<Pull> {
    let of = |found: &PullRequest| {
        let text = pulls.reviews.get(&found.number).map(|review| review.text.clone()).unwrap_or_default();
        let (number, is_draft) = (found.number, found.draft);
        let (title, url, author) = (found.title.clone(), found.url.clone(), found.author.login.clone());
        Pull { number, title, url, author, is_draft, text }
    };
    let open = pulls.open.iter().flatten();
    open.filter(|found| pulls.records.contains_key(&found.number)).map(of).collect()
}

/// The repository at the forge, with the login of the Secret.
async fn target(
    agent: &Agent,
    repository: &Repository,
    owner: &Subject,
    now: Timestamp,
) -> Result<Target, Failure> {
    let spec = &repository.spec;
    let secret = &spec.secret_ref.name;
    let hook = spec.webhook.iter().map(|hook| &hook.secret_ref.name);
    let signing = spec.signing().map(|secret| &secret.name);
    let used: Vec<_> =
        hook.chain(signing).chain([secret]).map(|name| (InputKind::Secret, name.clone())).collect();
    agent.services.secrets.release(owner, &used);
    let unreadable = |said: String| Failure::user("review", "SecretUnreadable", said);
    let data = agent.services.secrets.read(owner, secret).await;
    let data = data.map_err(|error| unreadable(error.to_string()))?;
    let login = Login::read(SecretData::of(&data));
    let login = login.map_err(|error| unreadable(format!("spec.secretRef, Secret {secret}: {error}")))?;
    let target = agent.session.target(spec.provider, &spec.url, spec.api_url.as_deref(), &login, now).await;
    target.map_err(|error| Failure::of("review", &error))
}

fn late() -> Found {
    let message = format!("the pass took longer than {} s; the next pass continues", LIMIT.as_secs());
    Found { failures: vec![Failure::transient("review", "Timeout", message)], ..Found::default() }
}

/// Returns when a Repository is deleted or changed, so that its pass is obsolete.
async fn changed(agent: &Agent, repository: &Repository) {
    let form = |repository: &Repository| (repository.metadata.uid.clone(), repository.metadata.generation);
    let key = ObjectRef::from_obj(repository);
    while agent.repositories.get(&key).is_some_and(|now| form(&now) == form(repository)) {
        tokio::time::sleep(CHECK).await;
    }
}

/// The status after a pass.
#[expect(clippy::too_many_arguments, reason = "all that a pass leaves behind")]
fn status(
    repository: &Repository,
    before: &RepositoryStatus,
    memory: &Memory,
    found: &Found,
    suspended: Option<&str>,
    webhook_path: Option<String>,
    rate: Option<RateLimit>,
    now: Timestamp,
) -> RepositoryStatus {
    let generation = repository.metadata.generation;
    let mut status = RepositoryStatus { observed_generation: generation, webhook_path, ..before.clone() };
    if let Some(pulls) = &memory.pulls {
        let (listed, omitted) = pulls.listed();
        let open = listed.iter().filter(|one| one.state != PullRequestState::Merged).count() + omitted;
        status.open = Some(i64::try_from(open).unwrap_or(i64::MAX));
        status.omitted = (omitted > 0).then(|| i64::try_from(omitted).unwrap_or(i64::MAX));
        status.pull_requests = listed;
        status.reverts = pulls.reverts.values().cloned().collect();
    }
    // What is left changes with each request; a tenth of it is news.
    let tenth = |rate: &RateLimit| rate.remaining.saturating_mul(10) / rate.limit.max(1);
    let is_news =
        |rate: &RateLimit| status.rate_limit.as_ref().is_none_or(|known| tenth(known) != tenth(rate));
    if let Some(rate) = rate.filter(is_news) {
        status.rate_limit = Some(rate);
    }
    let (ready, reason, message) = match (suspended, found.failures.first()) {
        (Some(why), _) => (false, conditions::reason::SUSPENDED, why.to_owned()),
        (None, Some(first)) => {
            let all: Vec<&str> = found.failures.iter().map(|failure| failure.message.as_str()).collect();
            (false, first.reason, all.join("; "))
        }
        (None, None) => (true, conditions::reason::UP_TO_DATE, String::new()),
    };
    let generation = generation.unwrap_or_default();
    let all = &mut status.conditions;
    conditions::set(all, conditions::READY, Some(ready), reason, &message, generation, now);
    let lasting = found.failures.iter().find(|failure| failure.class != Class::Transient);
    let (reason, message) = lasting.map_or(("", ""), |failure| (failure.reason, failure.message.as_str()));
    let stalled = lasting.is_some().then_some(true);
    conditions::set(all, conditions::STALLED, stalled, reason, message, generation, now);
    status
}
