//! The stage `source`, brought what it needs: the login and the ref; and what the commit says, as far as the Sync reads it.
//!
//! I/O: through the stage.

use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use tracing::instrument;

use super::inputs;
use super::rendering::{self, Fresh, Known};
use super::{Run, remotes, stages};
use crate::api::{RemoteStatus, names};
use crate::cluster::secrets::User;
use crate::memory::Memory;
use crate::progress::POLLING;
use crate::report::{Failure, Seen};
use crate::shares::Share;
use crate::source::{Checkout, Credential, GitRef, Location};

/// What `source` found.
pub struct Source {
    pub seen: Seen,
    known: Known,
    /// What was rendered, if that was needed to know what the Sync reads.
    pub(super) fresh: Fresh,
    /// Where it was asked for; `None` if nothing was asked.
    asked: Option<(Location, GitRef)>,
    /// Held from the render to the end of the run, if something may be rendered.
    _turn: Option<Share>,
    /// Git could not be asked; this is what it said last.
    pub trouble: Option<Failure>,
}

impl Source {
    /// What was read from elsewhere, as the status lists it; `None` if the commit could not be rendered.
    pub fn remotes(&self) -> Option<Vec<RemoteStatus>> {
        let is_rendered = !matches!(self.fresh, Some(Err(_)));
        is_rendered.then(|| remotes::status(&self.known.remotes, &self.known.commit))
    }
}

/// Asks git, at most once an interval for all Syncs of a repository.
#[instrument(name = "source", skip_all, fields(sync = %run.owner))]
pub async fn source(run: &Run<'_>, memory: &mut Memory) -> Result<Source, Failure> {
    if let Some(known) = known(run, memory) {
        return Ok(known);
    }
    memory.postponed = false;
    memory.looked = Some(Instant::now());
    let timer = run.context.metrics.stage("source");
    let spec = &run.sync.spec;
    let git = &spec.source.git;
    let location = location(run).await?;
    run.context.secrets.release(&User::Sync(run.owner.clone()), &inputs::names(run));
    let asked = run.sync.annotations().get(names::RECONCILE_AT).cloned();
    let called = run.context.memories.take_call(run.owner);
    let forced = asked != memory.asked || called;
    // A look at a ref that nothing asked for is no news.
    let polls = memory.checkout.is_some() && !forced;
    run.progress.begin("source", if polls { POLLING } else { "fetching the source" });
    let max_age = if forced { Duration::ZERO } else { spec.interval() };
    run.context.memories.uses(run.owner, location.mirror());
    let reference = reference(git.reference.as_ref());
    let answer = run.context.sources.checkout(&location, &reference, max_age, spec.timeout()).await;
    memory.asked = asked;
    let trouble = match answer {
        Ok(checkout) => {
            memory.checkout = Some(checkout);
            None
        }
        Err(error) => Some(Failure::of("source", &error)),
    };
    drop(timer);
    let (checkout, trouble) = match (memory.checkout.clone(), trouble) {
        (Some(checkout), trouble) if checkout.is_of(&location, &reference) => (checkout, trouble),
        (_, Some(failure)) => return Err(failure),
        (_, None) => return Err(Failure::internal("source", "the checkout is of another repository")),
    };
    let same = memory.known.as_ref().is_some_and(|known| known.is_of(run, &checkout));
    if !same {
        run.progress.begin("source", "waiting for a turn: other Syncs of this namespace are running");
    }
    let turn = if same { None } else { Some(run.context.rooms.runs.take(run.owner.namespace()).await) };
    let (known, fresh) = Box::pin(rendering::look_at(run, memory, &checkout, forced)).await?;
    let asked = Some((location, reference));
    Ok(Source { seen: seen(&known, &checkout), known, fresh, asked, _turn: turn, trouble })
}

/// Where the repository of a Sync is, with its own login.
pub async fn location(run: &Run<'_>) -> Result<Location, Failure> {
    let git = &run.sync.spec.source.git;
    let credential = match &git.secret_ref {
        Some(secret) => {
            let data = run.context.secrets.read(&User::Sync(run.owner.clone()), &secret.name).await;
            let data =
                data.map_err(|error| Failure::user("source", "SecretUnreadable", error.to_string()))?;
            Some(Credential::from_secret(&data).map_err(|error| Failure::of("source", &error))?)
        }
        None => None,
    };
    let location = Location::parse(&git.url, credential).map_err(|error| Failure::of("source", &error))?;
    let namespace = run.owner.namespace();
    Ok(location.for_tenant(namespace).within(run.context.policy.domain(namespace)))
}

/// What is told of a commit.
fn seen(known: &Known, checkout: &Checkout) -> Seen {
    Seen {
        revision: checkout.revision().to_string(),
        short: checkout.revision().short(),
        tree: known.tree.clone(),
        commit: known.note.clone(),
    }
}

/// What git said last, if the cluster differs from it: what drifted is put back before git is asked anything, so that it
/// never waits for a server that is slow. Not twice in a row when it is time to ask.
fn known(run: &Run<'_>, memory: &mut Memory) -> Option<Source> {
    if run.context.memories.is_called(run.owner) {
        return None;
    }
    let due = memory.looked.is_none_or(|looked| looked.elapsed() >= run.sync.spec.interval());
    if (due && memory.postponed) || run.sync.annotations().get(names::RECONCILE_AT) != memory.asked.as_ref() {
        return None;
    }
    let checkout = memory.checkout.as_ref()?;
    let known = memory.known.clone().filter(|known| known.is_of(run, checkout))?;
    let seen = seen(&known, checkout);
    let differs = !stages::differing(run, &seen.tree, memory)?.is_nothing();
    memory.postponed = due && differs;
    differs.then_some(Source { seen, known, fresh: None, asked: None, _turn: None, trouble: None })
}

/// A commit that was applied before, as a status names it: `main@sha1:<40 hex>`.
pub async fn earlier(run: &Run<'_>, revision: &str) -> Result<Checkout, Failure> {
    let Some((_, commit)) = revision.rsplit_once("sha1:") else {
        return Err(Failure::internal("source", format!("{revision} names no commit")));
    };
    let (location, reference) = (location(run).await?, GitRef::Commit(commit.to_owned()));
    let timeout = run.sync.spec.timeout();
    let found = run.context.sources.checkout(&location, &reference, Duration::MAX, timeout).await;
    found.map_err(|error| Failure::of("source", &error))
}

fn reference(git: Option<&crate::api::GitRef>) -> GitRef {
    let Some(git) = git else { return GitRef::default() };
    let crate::api::GitRef { branch, tag, semver, name, commit } = git.clone();
    let chosen = [
        commit.map(GitRef::Commit),
        name.map(GitRef::Name),
        semver.map(GitRef::Semver),
        tag.map(GitRef::Tag),
        branch.map(GitRef::Branch),
    ];
    chosen.into_iter().flatten().next().unwrap_or_default()
}

/// True if git says something else than what is being applied. Asked at most once an interval.
pub async fn is_newer(run: &Run<'_>, Source { known, asked, .. }: &Source) -> bool {
    let Some((location, reference)) = asked else { return false };
    let spec = &run.sync.spec;
    let checkout = run.context.sources.checkout(location, reference, spec.interval(), spec.timeout()).await;
    checkout.is_ok_and(|checkout| known.differs_at(&checkout.files()))
}
