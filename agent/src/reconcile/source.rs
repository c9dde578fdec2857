//! The stage `source`: the commit that a Sync follows, and the login of its repository.
//!
//! Drift has precedence: if the cluster differs from the last commit, the stage returns that commit and contacts no server.
//! Leaves Git to [`crate::source`]. I/O: network, disk; Secrets, which are watched.

use std::sync::Arc;
use std::time::Duration;

use super::inputs;
use super::jobs::is_completed;
use super::past::Past;
use super::peers::Peers;
use super::rendered_commit::RenderedCommit;
use super::sync_at::SyncAt;
use crate::api::VerifyMode;
use crate::calls::Calls;
use crate::cluster::secrets::{SecretError, Secrets};
use crate::cluster::view::View;
use crate::error::{Class, StageError};
use crate::local;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::progress::{POLLING, Progress};
use crate::report::Failure;
use crate::source::{
    BadSigners, Checkout, Credential, GitRef, Location, Signed, Signers, SourceError, Sources, VerifyError,
};
use crate::sync_ref::SyncRef;

/// What the stage needs.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    pub sources: &'a Sources,
    pub secrets: &'a Secrets,
    pub policy: &'a Policy,
    pub view: &'a View,
    pub peers: &'a Peers,
    /// Webhook calls.
    pub calls: &'a Calls<SyncRef>,
    pub metrics: &'a Arc<Metrics>,
    pub progress: &'a Progress,
}

/// The commit that a run works on.
pub struct Source {
    pub checkout: Checkout,
    /// A person or a webhook requested a check of the source.
    pub is_requested: bool,
    /// The ref that the Sync follows; `None` if the source was not contacted, because drift has precedence.
    pub follows: Option<Follows>,
    /// Why the source could not be contacted. The checkout is then that of the last contact.
    pub trouble: Option<Error>,
}

/// A ref of a repository, with the login of a Sync.
pub struct Follows {
    location: Location,
    reference: GitRef,
}

/// Why there is no commit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    SecretUnreadable(#[from] SecretError),
    #[error(transparent)]
    Unverified(#[from] VerifyError),
    #[error("the Secret {secret}, which spec.source.git.verify.secretRef names, holds no usable keys: {why}")]
    Signers { secret: String, why: BadSigners },
    #[error("the checkout is of another repository")]
    OtherRepository,
    #[error("{0} names no commit")]
    NoCommit(String),
}

/// Returns the commit that the Sync follows. The source is contacted at most once in an interval for all Syncs of a repository,
/// and at once after a webhook call.
pub async fn source(parts: Parts<'_>, at: SyncAt<'_>, past: &mut Past) -> Result<Source, Error> {
    let Parts { sources, secrets, policy, view, peers, calls, metrics, progress } = parts;
    if let Some(checkout) = drifted_checkout(view, calls, at, past) {
        return Ok(Source { checkout, is_requested: false, follows: None, trouble: None });
    }
    let SyncAt { sync, owner, now, .. } = at;
    let contact = &mut past.source;
    (contact.postponed, contact.at) = (false, Some(now));
    let timer = metrics.stage("source");
    let location = location(secrets, policy, at).await?;
    secrets.release(&owner.into(), &inputs::names(at));
    let requested = at.reconcile_at().cloned();
    let is_requested = calls.take(owner) || requested != contact.answered;
    // A poll is not reported as progress at once, since it mostly finds nothing.
    let is_poll = contact.checkout.is_some() && !is_requested;
    progress.begin("source", if is_poll { POLLING } else { "fetching the source" });
    let max_age = if is_requested { Duration::ZERO } else { sync.spec.interval() };
    peers.reads_from(owner, location.mirror());
    let reference = reference(sync.spec.source.git.reference.as_ref());
    let answer = sources.checkout(&location, &reference, max_age, sync.spec.timeout()).await;
    contact.answered = requested;
    drop(timer);
    let signers = signers(secrets, at).await?;
    let verify = |checkout: &Checkout| match &signers {
        Some((signers, signed)) => local::work(|| checkout.verify(signers, *signed, now)),
        None => Ok(()),
    };
    let verified = answer.map_err(Error::from).and_then(|checkout| {
        verify(&checkout)?;
        Ok(checkout)
    });
    let trouble = match verified {
        Ok(checkout) => {
            contact.checkout = Some(checkout);
            None
        }
        Err(error) => Some(error),
    };
    let last = contact.checkout.clone().filter(|checkout| checkout.is_of(&location, &reference));
    // Keys that counted before may not count any more.
    let last = last.filter(|last| trouble.is_none() || verify(last).is_ok());
    let Some(checkout) = last else { return Err(trouble.unwrap_or(Error::OtherRepository)) };
    Ok(Source { checkout, is_requested, follows: Some(Follows { location, reference }), trouble })
}

/// Returns the commit of the last contact if the cluster differs from it: drift is corrected before the source is contacted, so
/// that it never waits for a slow server. A contact that is due is postponed only once.
fn drifted_checkout(
    view: &View,
    calls: &Calls<SyncRef>,
    at: SyncAt<'_>,
    past: &mut Past,
) -> Option<Checkout> {
    let contact = &past.source;
    let is_due = contact.is_due(at.sync.spec.interval(), at.now);
    let is_requested = calls.is_open(at.owner) || at.reconcile_at() != contact.answered.as_ref();
    if is_requested || (is_due && contact.postponed) {
        return None;
    }
    let checkout = contact.checkout.clone()?;
    let read = past.read.as_ref().filter(|read| read.is_of(at, &checkout))?;
    let is_done = |object: &_, manifest| is_completed(at.status, object, manifest);
    let differs = !past.differing(view, at, &read.tree, is_done)?.is_nothing();
    past.source.postponed = is_due && differs;
    differs.then_some(checkout)
}

/// Returns the repository of a Sync, with its login.
pub async fn location(secrets: &Secrets, policy: &Policy, at: SyncAt<'_>) -> Result<Location, Error> {
    let git = &at.sync.spec.source.git;
    let credential = match &git.secret_ref {
        Some(secret) => {
            let data = secrets.read(&at.owner.into(), &secret.name).await?;
            Some(Credential::from_secret(&data)?)
        }
        None => None,
    };
    let namespace = at.owner.namespace();
    Ok(Location::parse(&git.url, credential)?.for_tenant(namespace).within(policy.domain(namespace)))
}

/// Returns the keys of those who may sign, and what they have to sign. `None` if the Sync demands no signatures.
async fn signers(secrets: &Secrets, at: SyncAt<'_>) -> Result<Option<(Signers, Signed)>, Error> {
    let Some(verify) = &at.sync.spec.source.git.verify else { return Ok(None) };
    let secret = &verify.secret_ref.name;
    let data = secrets.read(&at.owner.into(), secret).await?;
    let signers = Signers::from_secret(&data);
    let signers = signers.map_err(|why| Error::Signers { secret: secret.clone(), why })?;
    let signed = match verify.mode {
        VerifyMode::Head => Signed::Head,
        VerifyMode::Tag => Signed::Tag,
        VerifyMode::TagAndHead => Signed::TagAndHead,
    };
    Ok(Some((signers, signed)))
}

/// Returns the checkout of a commit that was applied before. `revision` has the form of the status: `main@sha1:<40 hex>`.
pub async fn earlier(
    sources: &Sources,
    secrets: &Secrets,
    policy: &Policy,
    at: SyncAt<'_>,
    revision: &str,
) -> Result<Checkout, Error> {
    let commit = revision.rsplit_once("sha1:").map(|(_, commit)| commit.to_owned());
    let commit = commit.ok_or_else(|| Error::NoCommit(revision.to_owned()))?;
    let location = location(secrets, policy, at).await?;
    let timeout = at.sync.spec.timeout();
    Ok(sources.checkout(&location, &GitRef::Commit(commit), Duration::MAX, timeout).await?)
}

/// The branch that a Sync follows, if it follows one.
pub fn branch(git: Option<&crate::api::GitRef>) -> Option<String> {
    match reference(git) {
        GitRef::Branch(name) => Some(name),
        GitRef::Name(name) => name.strip_prefix("refs/heads/").map(ToOwned::to_owned),
        GitRef::Tag(_) | GitRef::Semver(_) | GitRef::Commit(_) => None,
    }
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

impl Follows {
    /// True if the ref points to a commit whose files differ from those that were read of the rendered one. The source is
    /// contacted at most once in an interval.
    pub async fn is_newer(&self, sources: &Sources, at: SyncAt<'_>, read: &RenderedCommit) -> bool {
        let Self { location, reference } = self;
        let spec = &at.sync.spec;
        let checkout = sources.checkout(location, reference, spec.interval(), spec.timeout()).await;
        checkout.is_ok_and(|checkout| read.differs_at(&checkout.files()))
    }
}

impl StageError for Error {
    fn class(&self) -> Class {
        match self {
            Self::Source(error) => error.class(),
            Self::Unverified(error) => error.class(),
            Self::SecretUnreadable(_) | Self::Signers { .. } => Class::User,
            Self::OtherRepository | Self::NoCommit(_) => Class::Internal,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Source(error) => error.name(),
            Self::Unverified(error) => error.name(),
            Self::Signers { .. } => "SignersInvalid",
            Self::SecretUnreadable(_) => "SecretUnreadable",
            Self::OtherRepository | Self::NoCommit(_) => "InternalError",
        }
    }

    fn common_cause(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.common_cause(),
            Self::SecretUnreadable(_)
            | Self::Unverified(_)
            | Self::Signers { .. }
            | Self::OtherRepository
            | Self::NoCommit(_) => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of("source", &error)
    }
}
