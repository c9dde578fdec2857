//! The stage `source`, brought what it needs: the login, the ref, and the folder that the Sync names.
//!
//! I/O: through the stage.

use std::time::{Duration, Instant};

use kube::ResourceExt as _;
use tracing::instrument;

use super::{Run, stages};
use crate::api::{CommitNote, names};
use crate::cluster::secrets::User;
use crate::memory::Memory;
use crate::report::changes::cut;
use crate::report::{Failure, Seen};
use crate::source::{Checkout, Credential, Folder, GitRef, Location};

/// Characters of an author and of a subject that are told.
const SHOWN: usize = 200;

/// What `source` found.
pub struct Source {
    pub seen: Seen,
    pub(super) folder: Folder,
    /// Where it was asked for; `None` if nothing was asked.
    asked: Option<(Location, GitRef)>,
    /// Git could not be asked; this is what it said last.
    pub trouble: Option<Failure>,
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
    let user = User::Sync(run.owner.clone());
    let credential = match &git.secret_ref {
        Some(secret) => {
            let data = run.context.secrets.read(&user, &secret.name).await;
            let data =
                data.map_err(|error| Failure::user("source", "SecretUnreadable", error.to_string()))?;
            Some(Credential::from_secret(&data).map_err(|error| Failure::of("source", &error))?)
        }
        None => None,
    };
    run.context.secrets.release(&user, git.secret_ref.as_ref().map(|secret| secret.name.as_str()));
    let location = Location::parse(&git.url, credential).map_err(|error| Failure::of("source", &error))?;
    let asked = run.sync.annotations().get(names::RECONCILE_AT).cloned();
    let max_age = if asked == memory.asked { spec.interval() } else { Duration::ZERO };
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
    let (checkout, trouble) = match (&memory.checkout, trouble) {
        (Some(checkout), trouble) if checkout.is_of(&location, &reference) => (checkout, trouble),
        (_, Some(failure)) => return Err(failure),
        (_, None) => return Err(Failure::internal("source", "the checkout is of another repository")),
    };
    let (seen, folder) = at_path(run, checkout)?;
    Ok(Source { seen, folder, asked: Some((location, reference)), trouble })
}

/// The folder of the Sync in a checkout.
fn at_path(run: &Run<'_>, checkout: &Checkout) -> Result<(Seen, Folder), Failure> {
    let path = run.sync.spec.path.as_deref().unwrap_or_default();
    let folder = checkout.folder(path).map_err(|error| Failure::of("source", &error))?;
    let seen = Seen {
        revision: checkout.revision().to_string(),
        short: checkout.revision().short(),
        tree: folder.id().clone(),
        commit: checkout.commit().map(|(author, subject)| CommitNote {
            author: cut(&author, SHOWN),
            subject: cut(&subject, SHOWN),
        }),
    };
    Ok((seen, folder))
}

/// What git said last, if the cluster differs from it: what drifted is put back before git is asked anything, so that it
/// never waits for a server that is slow. Not twice in a row when it is time to ask.
fn known(run: &Run<'_>, memory: &mut Memory) -> Option<Source> {
    let due = memory.looked.is_none_or(|looked| looked.elapsed() >= run.sync.spec.interval());
    if (due && memory.postponed) || run.sync.annotations().get(names::RECONCILE_AT) != memory.asked.as_ref() {
        return None;
    }
    let (seen, folder) = at_path(run, memory.checkout.as_ref()?).ok()?;
    let differs = !stages::differing(run, &seen.tree, memory)?.is_nothing();
    memory.postponed = due && differs;
    differs.then_some(Source { seen, folder, asked: None, trouble: None })
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

/// True if git has another tree than the one that is being applied. Asked at most once an interval.
pub async fn is_newer(run: &Run<'_>, Source { seen, asked, .. }: &Source) -> bool {
    let Some((location, reference)) = asked else { return false };
    let spec = &run.sync.spec;
    let checkout = run.context.sources.checkout(location, reference, spec.interval(), spec.timeout()).await;
    let path = spec.path.as_deref().unwrap_or_default();
    checkout
        .ok()
        .and_then(|checkout| checkout.folder(path).ok())
        .is_some_and(|folder| *folder.id() != seen.tree)
}
