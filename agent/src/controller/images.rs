//! The wiring of the image loop: what starts the passes of ImageUpdates, and what happens to what they found.
//!
//! Leaves the pass to `image`. I/O: API watches, status writes.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::hash::{Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, store::Writer};
use kube::runtime::{Controller, WatchStreamExt as _, controller, watcher};
use kube::{Api, Resource as _, ResourceExt as _};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::feeds::watch;
use super::hooks;
use crate::api::{ImageUpdate, ImageUpdateStatus, ProposalStatus, conditions, names};
use crate::cluster::refusal::chain;
use crate::cluster::secrets::User;
use crate::context::Context;
use crate::error::Class;
use crate::image::pass::edits::Plain;
use crate::image::pass::{Found, Pass, pass, policy};
use crate::report::{Failure, updates, write};
use crate::server::hooks::HookOwner;
use crate::shares::Shares;
use crate::sync_ref::SyncRef;

/// Any number of ImageUpdates may wait for their turn; see [`PASSES`].
const CONCURRENCY: u16 = 0;
/// How many ImageUpdates of one namespace are at work side by side.
const PASSES: u32 = 4;
/// How often a pass checks that its ImageUpdate is still as it was.
const CHECK: Duration = Duration::from_secs(1);
/// The first pause after a failure that may pass; each doubles it.
const PAUSE: Duration = Duration::from_secs(5);
/// The pause after a pass that panicked.
const AFTER_PANIC: Duration = Duration::from_mins(1);
/// How often it is looked for what is remembered of ImageUpdates that are gone.
const SWEEP: Duration = Duration::from_secs(30);
/// How long a pass may take.
const LIMIT: Duration = Duration::from_mins(10);

/// What is remembered of an ImageUpdate between two of its passes. All of it can be made again.
#[derive(Default)]
struct Memory {
    uid: Option<String>,
    /// As it was written last; the watch may not have brought it yet.
    status: Option<ImageUpdateStatus>,
    /// The value of `holdfast.dev/reconcile-at` that was answered last.
    asked: Option<String>,
    /// When registries were asked last.
    looked: Option<Instant>,
    failures: u32,
    plain: Arc<Plain>,
}

/// What all passes share.
struct Shared {
    context: Arc<Context>,
    memories: Mutex<HashMap<SyncRef, Arc<tokio::sync::Mutex<Memory>>>>,
    /// ImageUpdates of which a registry says that there is news.
    called: Mutex<HashSet<SyncRef>>,
    passes: Shares,
}

/// Runs until the token is cancelled.
pub(super) async fn run(
    context: &Arc<Context>,
    namespaces: &[String],
    writer: Writer<ImageUpdate>,
    called: UnboundedReceiver<HookOwner>,
    stop: CancellationToken,
) {
    let shared = Arc::new(Shared {
        context: context.clone(),
        memories: Mutex::default(),
        called: Mutex::default(),
        passes: Shares::new(PASSES),
    });
    let triggers = watch::<ImageUpdate>(&context.client, namespaces);
    let gone = shared.clone();
    let (changed, changes) = unbounded_channel();
    let ended = changed.clone();
    let triggers = triggers
        .reflect(writer)
        .map(move |event| {
            match &event {
                Ok(watcher::Event::Delete(update)) => {
                    gone.forget(&name(update));
                    let _ = ended.send(name(update));
                }
                Ok(watcher::Event::InitDone) => gone.sweep(),
                _ => {}
            }
            event
        })
        .applied_objects()
        .predicate_filter(asks, kube::runtime::PredicateConfig::default())
        .inspect_ok(move |update| {
            let _ = changed.send(name(update));
        });
    let siblings =
        stream::unfold(changes, |mut changes| async move { Some((changes.recv().await?, changes)) });
    let found = context.clone();
    let siblings = siblings.flat_map(move |update| stream::iter(others(&found, &update)));
    let told = shared.clone();
    let calls =
        stream::unfold(called, |mut called| async move { called.recv().await.map(|call| (call, called)) })
            .filter_map(move |call| {
                let update = hooks::called(&told.context, call);
                if let Some(update) = &update {
                    told.lock_called().insert(update.clone());
                }
                std::future::ready(update)
            });
    let swept = shared.clone();
    let sweeps = async move {
        context.updates.wait_until_ready().await.ok();
        loop {
            tokio::time::sleep(SWEEP).await;
            swept.sweep();
        }
    };
    let passes = Controller::for_stream(triggers, context.updates.clone())
        .with_config(controller::Config::default().concurrency(CONCURRENCY))
        .reconcile_on(calls.map(|update| ObjectRef::new(update.name()).within(update.namespace())))
        .reconcile_on(moved(context))
        .reconcile_on(siblings.map(|update| ObjectRef::from_obj(&*update)))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(one, |_, _, _| Action::requeue(PAUSE), shared)
        .for_each(|_| std::future::ready(()));
    tokio::select! { () = passes => {} () = sweeps => {} }
}

/// What of an ImageUpdate asks for a pass when it changes; our own writes do not.
#[expect(clippy::unnecessary_wraps, reason = "the form of a predicate")]
fn asks(update: &ImageUpdate) -> Option<u64> {
    let mut hasher = std::hash::DefaultHasher::new();
    update.metadata.generation.hash(&mut hasher);
    update.metadata.uid.hash(&mut hasher);
    update.annotations().get(names::RECONCILE_AT).hash(&mut hasher);
    update.annotations().get(names::UNBAN).hash(&mut hasher);
    Some(hasher.finish())
}

fn name(update: &ImageUpdate) -> SyncRef {
    SyncRef::new(update.namespace().unwrap_or_default(), update.name_any())
}

/// All ImageUpdates, whenever a branch of some repository moved: what somebody takes back is seen at once. A pass in which
/// nothing is new asks nobody.
fn moved(context: &Arc<Context>) -> impl Stream<Item = ObjectRef<ImageUpdate>> + Send + 'static {
    let (updates, moved) = (context.updates.clone(), context.sources.moved());
    stream::unfold(moved, |mut moved| async move {
        match moved.recv().await {
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => Some(((), moved)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    })
    .flat_map(move |()| stream::iter(updates.state()))
    .map(|update| ObjectRef::from_obj(&*update))
}

impl Shared {
    fn lock_called(&self) -> parking_lot::MutexGuard<'_, HashSet<SyncRef>> {
        self.called.lock()
    }

    fn memory(&self, update: &SyncRef) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut memories = self.memories.lock();
        memories.entry(update.clone()).or_default().clone()
    }

    /// Forgets those that went while nobody watched.
    fn sweep(&self) {
        let there: HashSet<SyncRef> =
            self.context.updates.state().iter().map(|update| name(update)).collect();
        let known: Vec<SyncRef> = {
            let memories = self.memories.lock();
            memories.keys().filter(|update| !there.contains(*update)).cloned().collect()
        };
        known.iter().for_each(|update| self.forget(update));
    }

    fn forget(&self, update: &SyncRef) {
        self.memories.lock().remove(update);
        self.lock_called().remove(update);
        self.context.forget_update(update);
    }
}

/// Makes one pass of an ImageUpdate. A defect that it leads to is its own trouble alone.
async fn one(update: Arc<ImageUpdate>, shared: Arc<Shared>) -> Result<Action, Infallible> {
    let working = Box::pin(work(&update, &shared));
    // The place of a panic is in the log.
    let action = AssertUnwindSafe(working).catch_unwind().await.unwrap_or(Action::requeue(AFTER_PANIC));
    if shared.context.updates.get(&ObjectRef::from_obj(&*update)).is_none() {
        // It has gone meanwhile, and its pass noted things again.
        shared.forget(&name(&update));
    }
    Ok(action)
}

/// Makes one pass of an ImageUpdate, writes what was found, and says when the next one is.
async fn work(update: &ImageUpdate, shared: &Shared) -> Action {
    if update.metadata.deletion_timestamp.is_some() {
        return Action::await_change();
    }
    let owner = name(update);
    let memory = shared.memory(&owner);
    let mut memory = memory.lock().await;
    let _turn = shared.passes.take(owner.namespace()).await;
    if memory.uid != update.metadata.uid {
        *memory = Memory { uid: update.metadata.uid.clone(), ..Memory::default() };
    }
    let context = &*shared.context;
    let before = memory.status.clone().or_else(|| update.status.clone()).unwrap_or_default();
    let now = Timestamp::now();
    let known = unbanned(update, &before);
    let asked = update.annotations().get(names::RECONCILE_AT).cloned();
    let called = shared.lock_called().remove(&owner);
    let interval = update.spec.interval();
    let is_asked = asked != memory.asked;
    let age = |is_now: bool| if is_now { Duration::ZERO } else { interval };
    // A call tells of a registry, and nothing of git. Only onto the branch that is read is a push refused that comes late.
    let is_same = update.spec.push_branch() == update.spec.branch();
    let (max_age, git_age) = (age(called || is_asked), age(is_asked || called && !is_same));
    let due = memory.looked.is_none_or(|looked| looked.elapsed() >= interval);
    context.secrets.release(&User::Update(owner.clone()), &policy::names(context, &owner, &update.spec));
    let path = hooks::of_update(context, &owner, update.spec.webhook.as_ref()).await;
    let found = {
        let pass = Pass {
            context,
            update,
            owner: &owner,
            status: &known,
            max_age,
            git_age,
            plain: &memory.plain,
            others: others(context, &owner),
            now,
            chance: fastrand::f64,
        };
        tokio::select! {
            found = limited(&pass) => found,
            () = changed(context, update) => return Action::requeue(Duration::ZERO),
        }
    };
    memory.asked = asked;
    if due || max_age.is_zero() {
        memory.looked = Some(Instant::now());
    }
    report(context, update, &owner, &mut memory, &before, &known, found, path, now).await
}

/// One pass, within a time.
async fn limited(one: &Pass<'_>) -> Found {
    if let Ok(found) = tokio::time::timeout(LIMIT, pass(one)).await {
        return found;
    }
    let message = format!("the pass took longer than {} s; it is tried again", LIMIT.as_secs());
    let failures = vec![Failure::transient("image", "Timeout", message)];
    Found { images: one.status.images.clone(), failures, ..Found::default() }
}

/// Returns when an ImageUpdate is gone, or is another one than it was: whatever its pass waits for is of no use any more.
async fn changed(context: &Context, update: &ImageUpdate) {
    let form = |update: &ImageUpdate| (update.metadata.uid.clone(), update.metadata.generation);
    while context.updates.get(&ObjectRef::from_obj(update)).is_some_and(|now| form(&now) == form(update)) {
        tokio::time::sleep(CHECK).await;
    }
}

/// The other ImageUpdates of the namespace.
fn others(context: &Context, update: &SyncRef) -> Vec<Arc<ImageUpdate>> {
    let is_other = |other: &SyncRef| other.namespace() == update.namespace() && other.name() != update.name();
    context.updates.state().into_iter().filter(|other| is_other(&name(other))).collect()
}

/// The status without what a person asks to be forgotten.
fn unbanned(update: &ImageUpdate, before: &ImageUpdateStatus) -> ImageUpdateStatus {
    let mut known = before.clone();
    let asked = update.annotations().get(names::UNBAN);
    if asked.is_none() || asked == before.unbanned.as_ref() {
        return known;
    }
    let image = asked.and_then(|asked| asked.split_once('@')).map_or("*", |(image, _)| image);
    for status in known.images.iter_mut().filter(|status| image == "*" || status.name == image) {
        let banned = std::mem::take(&mut status.banned);
        // Its place is no longer where something was right: what is there is not taken for a decision again.
        status
            .places
            .retain(|place| banned.iter().all(|ban| ban.file != place.file || ban.path != place.path));
    }
    let names = |proposed: &String| proposed.split_once(' ').is_some_and(|(name, _)| name == image);
    if known.proposal.as_ref().is_some_and(|proposal| image == "*" || proposal.images.iter().any(names)) {
        // What others committed to the branch stays.
        let base = known.proposal.take().and_then(|proposal| proposal.base);
        known.proposal = base.map(|base| ProposalStatus { base: Some(base), ..ProposalStatus::default() });
    }
    known.unbanned = asked.cloned();
    known
}

/// Writes the status if it changed, tells what is new, and says when the next pass is.
#[expect(clippy::too_many_arguments, reason = "all that a pass leaves behind")]
async fn report(
    context: &Context,
    update: &ImageUpdate,
    owner: &SyncRef,
    memory: &mut Memory,
    before: &ImageUpdateStatus,
    known: &ImageUpdateStatus,
    found: Found,
    path: Result<Option<String>, Failure>,
    now: Timestamp,
) -> Action {
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
        Ok(path) => Some(path),
        Err(failure) => {
            failures.push(failure);
            None
        }
    };
    unproven.extend(left_out);
    let changes = published.as_ref().map(|published| published.changes.as_slice()).unwrap_or_default();
    let written = changes.iter().map(|change| format!("{} to {}", change.image, change.new)).collect();
    let told = updates::Told {
        generation: update.metadata.generation,
        images,
        commit: published.as_ref().map(|published| published.commit.clone()),
        written,
        pull_request,
        webhook_path,
        // What a person allowed again is no proposal any more.
        proposal: proposal.or_else(|| (known.proposal != before.proposal).then(|| known.proposal.clone())),
        unbanned: known.unbanned.clone(),
        failures: &failures,
        held: &held,
        stay: &stay,
        unproven: &unproven,
        unmarked: &unmarked,
        suspended,
    };
    let after = updates::status(before, &told, now);
    updates::tell(&context.events, owner, &update.object_ref(&()), before, &told);
    context.metrics.image_updates(owner, changes.len());
    context.metrics.image_update(owner, conditions::is_true(&after.conditions, conditions::READY));
    for (host, rate) in context.registries.rates() {
        context.metrics.registry_remaining(&host, rate.remaining);
    }
    let api: Api<ImageUpdate> = Api::namespaced(context.client.clone(), owner.namespace());
    if let Err(error) = write::patch(&api, owner.name(), before, &after).await {
        warn!(update = %owner, stage = "report", error = %chain(&error), "Cannot write the status and tries again");
        memory.status = Some(ImageUpdateStatus { conditions: before.conditions.clone(), ..after });
        return Action::requeue(PAUSE);
    }
    context.alerts.tell_update(owner, update.labels(), &after, failures.first());
    memory.status = Some(after);
    let passing = failures.iter().any(|failure| failure.class != Class::User);
    // Who pushes all the time would else be waited for longer and longer.
    let is_race = failures.iter().all(|failure| failure.reason == "BranchMoved");
    memory.failures = match (passing, is_race) {
        (true, true) => 1,
        (true, false) => memory.failures.saturating_add(1),
        (false, _) => 0,
    };
    Action::requeue(next(update, memory))
}

/// When the next pass is, if nothing asks for one before.
fn next(update: &ImageUpdate, memory: &Memory) -> Duration {
    let interval = update.spec.interval();
    let left = interval.saturating_sub(memory.looked.map_or(Duration::ZERO, |looked| looked.elapsed()));
    let next = if left.is_zero() { interval } else { left };
    match memory.failures {
        0 => next,
        failures => next.min(PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(6))),
    }
}
