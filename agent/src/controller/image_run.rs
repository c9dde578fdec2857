//! One run of one ImageUpdate: makes a pass of the image loop within a time limit, and reports what it found.
//!
//! Leaves the pass to `image`. I/O: status writes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource as _, ResourceExt as _};
use tracing::warn;

use super::agent::Agent;
use super::hooks;
use super::updates::{Memory, Updates, name, others};
use crate::api::{ImageUpdate, ImageUpdateSpec, ImageUpdateStatus, ProposalStatus, conditions, names};
use crate::cluster::refusal::chain;
use crate::error::Class;
use crate::image::pass::{Found, Pass, pass, policy};
use crate::reconcile::past::since;
use crate::reconcile::services::Services;
use crate::report::{Failure, NewValue, updates, write};
use crate::subject::Subject;

/// How often a pass checks that its ImageUpdate has not changed.
const CHECK: Duration = Duration::from_secs(1);
/// The first pause after a transient failure; each failure doubles it.
const PAUSE: Duration = Duration::from_secs(5);
/// The pause after a pass that panicked.
const AFTER_PANIC: Duration = Duration::from_mins(1);
/// Maximum duration of a pass.
const LIMIT: Duration = Duration::from_mins(10);

/// Makes one pass of an ImageUpdate. A panic fails this ImageUpdate alone.
pub(super) async fn run(update: Arc<ImageUpdate>, updates: &Updates) -> Action {
    let working = Box::pin(work(&update, updates));
    // The log has the location of a panic.
    let action = AssertUnwindSafe(working).catch_unwind().await.unwrap_or(Action::requeue(AFTER_PANIC));
    if updates.agent.updates.get(&ObjectRef::from_obj(&*update)).is_none() {
        // It was deleted meanwhile, and its pass has stored things about it again.
        updates.forget(&name(&update));
    }
    action
}

/// Makes one pass of an ImageUpdate, writes its status, and returns when the next pass is due.
async fn work(update: &ImageUpdate, updates: &Updates) -> Action {
    if update.metadata.deletion_timestamp.is_some() {
        return Action::await_change();
    }
    let owner = name(update);
    let memory = updates.memories.of(&owner);
    let mut memory = memory.lock().await;
    let _turn = updates.passes.take(&owner.namespace).await;
    if memory.uid != update.metadata.uid {
        *memory = Memory { uid: update.metadata.uid.clone(), ..Memory::default() };
    }
    let Agent { services, images, .. } = &*updates.agent;
    let before = memory.status.clone().or_else(|| update.status.clone()).unwrap_or_default();
    let now = Timestamp::now();
    let known = unbanned(update, &before);
    let asked = update.annotations().get(names::RECONCILE_AT).cloned();
    let called = updates.calls.take(&owner);
    let interval = update.spec.interval();
    let is_asked = asked != memory.answered;
    let age = |is_now: bool| if is_now { Duration::ZERO } else { interval };
    // A call is about a registry, so Git is not contacted. If the push branch is another one, the branch that is read may have
    // moved, which no refused push would show.
    let is_same = update.spec.push_branch() == update.spec.branch();
    let (max_age, git_age) = (age(called || is_asked), age(is_asked || called && !is_same));
    let due = memory.contacted.is_none_or(|contacted| since(contacted, now) >= interval);
    services.secrets.release(&owner, &policy::names(services, &owner, &update.spec));
    let path = hooks::of_update(&updates.agent, &owner, update.spec.webhook.as_ref()).await;
    let found = {
        let pass = Pass {
            services,
            images,
            update,
            owner: &owner,
            status: &known,
            max_age,
            git_age,
            plain: &memory.plain,
            others: others(&updates.agent, &owner),
            now,
            chance: fastrand::f64,
        };
        tokio::select! {
            found = limited(&pass) => found,
            () = changed(&updates.agent, update) => return Action::requeue(Duration::ZERO),
        }
    };
    memory.answered = asked;
    if due || max_age.is_zero() {
        memory.contacted = Some(Timestamp::now());
    }
    report(&updates.agent, update, &owner, &mut memory, &before, &known, found, path, now).await
}

/// Makes one pass within [`LIMIT`].
async fn limited(one: &Pass<'_>) -> Found {
    if let Ok(found) = tokio::time::timeout(LIMIT, pass(one)).await {
        return found;
    }
    let message = format!("the pass took longer than {} s; the next pass continues", LIMIT.as_secs());
    let failures = vec![Failure::transient("image", "Timeout", message)];
    Found { images: one.status.images.clone(), failures, ..Found::default() }
}

/// Returns when an ImageUpdate is deleted or changed, so that its pass is obsolete.
async fn changed(agent: &Agent, update: &ImageUpdate) {
    let form = |update: &ImageUpdate| (update.metadata.uid.clone(), update.metadata.generation);
    while agent.updates.get(&ObjectRef::from_obj(update)).is_some_and(|now| form(&now) == form(update)) {
        tokio::time::sleep(CHECK).await;
    }
}

/// Returns the status without the bans that the annotation `holdfast.dev/unban` removes.
fn unbanned(update: &ImageUpdate, before: &ImageUpdateStatus) -> ImageUpdateStatus {
    let mut known = before.clone();
    let asked = update.annotations().get(names::UNBAN);
    if asked.is_none() || asked == before.unbanned.as_ref() {
        return known;
    }
    let image = asked.and_then(|asked| asked.split_once('@')).map_or("*", |(image, _)| image);
    for status in known.images.iter_mut().filter(|status| image == "*" || status.name == image) {
        let banned = std::mem::take(&mut status.banned);
        // The entry is removed too, so that the value there is not taken for a decision again.
        status
            .places
            .retain(|place| banned.iter().all(|ban| ban.file != place.file || ban.path != place.path));
    }
    let names = |proposed: &String| proposed.split_once(' ').is_some_and(|(name, _)| name == image);
    if known.proposal.as_ref().is_some_and(|proposal| image == "*" || proposal.images.iter().any(names)) {
        // Commits of others on the branch stay.
        let base = known.proposal.take().and_then(|proposal| proposal.base);
        known.proposal = base.map(|base| ProposalStatus { base: Some(base), ..ProposalStatus::default() });
    }
    known.unbanned = asked.cloned();
    known
}

/// Writes the status if it changed, reports what is new, and returns when the next pass is due.
#[expect(clippy::too_many_arguments, reason = "all that a pass leaves behind")]
async fn report(
    agent: &Agent,
    update: &ImageUpdate,
    owner: &Subject,
    memory: &mut Memory,
    before: &ImageUpdateStatus,
    known: &ImageUpdateStatus,
    found: Found,
    path: Result<Option<String>, Failure>,
    now: Timestamp,
) -> Action {
    let Services { cluster, events, metrics, alerts, .. } = &agent.services;
    let Found {
        images,
        published,
        pull_request,
        proposal,
        mut failures,
        held,
        stay,
        left_out,
        mut unproven,
        unmarked,
        suspended,
    } = found;
    let webhook_path = match path {
        Ok(path) => NewValue::Set(path),
        Err(failure) => {
            failures.push(failure);
            NewValue::Unchanged
        }
    };
    unproven.extend(left_out);
    let changes = published.as_ref().map(|published| published.changes.as_slice()).unwrap_or_default();
    let written = changes.iter().map(|change| format!("{} to {}", change.image, change.new)).collect();
    let passed = updates::PassReport {
        generation: update.metadata.generation,
        images,
        commit: published.as_ref().map(|published| published.commit.clone()),
        written,
        pull_request,
        webhook_path,
        // A version that a user allowed again is no longer a proposal.
        proposal: match proposal {
            NewValue::Unchanged if known.proposal != before.proposal => NewValue::Set(known.proposal.clone()),
            proposal => proposal,
        },
        unbanned: known.unbanned.clone(),
        failures: &failures,
        held: &held,
        stay: &stay,
        unproven: &unproven,
        unmarked: &unmarked,
        suspended,
    };
    let after = updates::status(before, &passed, now);
    updates::tell(events, owner, &update.object_ref(&()), before, &passed);
    metrics.image_updates(owner, changes.len());
    metrics.image_update(owner, conditions::is_true(&after.conditions, conditions::READY));
    for (host, rate) in agent.images.registries.rates() {
        metrics.registry_remaining(&host, rate.remaining);
    }
    let api: Api<ImageUpdate> = Api::namespaced(cluster.clients.own(), &owner.namespace);
    if let Err(error) = write::patch(&api, &owner.name, before, &after).await {
        warn!(update = %owner, stage = "report", error = %chain(&error), "Cannot write the status; retrying");
        memory.status = Some(ImageUpdateStatus { conditions: before.conditions.clone(), ..after });
        return Action::requeue(PAUSE);
    }
    alerts.report_update(owner, update.labels(), &after, failures.first());
    memory.status = Some(after);
    let passing = failures.iter().any(|failure| failure.class != Class::User);
    // Frequent pushes of others do not lengthen the pause.
    let is_race = failures.iter().all(|failure| failure.reason == "BranchMoved");
    memory.failures = match (passing, is_race) {
        (true, true) => 1,
        (true, false) => memory.failures.saturating_add(1),
        (false, _) => 0,
    };
    Action::requeue(next(&update.spec, memory, Timestamp::now()))
}

/// When the next pass is due, if nothing requests one before.
fn next(spec: &ImageUpdateSpec, memory: &Memory, now: Timestamp) -> Duration {
    let interval = spec.interval();
    let passed = memory.contacted.map_or(Duration::ZERO, |contacted| since(contacted, now));
    let left = interval.saturating_sub(passed);
    let next = if left.is_zero() { interval } else { left };
    match memory.failures {
        0 => next,
        failures => next.min(PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(6))),
    }
}
