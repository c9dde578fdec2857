//! The file and line of an object in the commit that is applied, which is rendered as the agent renders it; and the last commit
//! that changed the file. I/O: Git, disk, API reads.

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;

use super::history::{self, Change};
use crate::api::{GitRef, Sync};
use crate::cli::{Global, cluster, plan};
use crate::cluster::refusal::chain;
use crate::cluster::requests::ResourceType;
use crate::progress::Progress;
use crate::reconcile::limits::Limits;
use crate::reconcile::past::Past;
use crate::reconcile::sync_at::SyncAt;
use crate::reconcile::{Run, render, source};
use crate::report::Failure;
use crate::source::Checkout;
use crate::sync_ref::SyncRef;

/// Where an object is in Git.
#[derive(Default, Serialize)]
pub struct Place {
    /// `shop/web.yaml:12`, if the object is in the commit.
    pub file: Option<String>,
    /// The last commit that changed the file, or the applied one if the file is not in the repository.
    pub commit: Option<String>,
    /// `Name <address>`
    pub author: Option<String>,
    /// The first line of the message.
    pub subject: Option<String>,
    /// The commit of the branch with which the change arrived.
    #[serde(skip)]
    pub landed: Option<Landed>,
    /// Why the commit is not known.
    #[serde(skip)]
    pub unknown: Option<String>,
}

/// A commit of the branch.
pub struct Landed {
    pub commit: String,
    /// The first line of the message.
    pub subject: String,
}

/// The place of an object, which is named by kind, namespace and name, in the commit of a revision.
pub async fn place(
    global: &Global,
    agent_namespace: &str,
    owner: &SyncRef,
    sync: &Sync,
    revision: &str,
    (kind, namespace, name): (&ResourceType, &str, &str),
) -> anyhow::Result<Place> {
    let commit = id(revision).with_context(|| format!("{revision} names no commit"))?.to_owned();
    let mut sync = sync.clone();
    sync.spec.source.git.reference = Some(GitRef { commit: Some(commit.clone()), ..GitRef::default() });
    let config = cluster::config(global).await?;
    let cache = tempfile::tempdir().context("cannot make a folder for the mirror")?;
    let services = plan::connect(config, cache.path(), agent_namespace).await?.services;
    let status = sync.status.clone().unwrap_or_default();
    let at = SyncAt { sync: &sync, owner, status: &status, now: Timestamp::now() };
    let run = Run { services: &services, at, limits: Limits::default(), progress: Progress::default() };
    let mut past = Past::default();
    let source = source::source(run.source(), at, &mut past).await.map_err(Failure::from)?;
    let output = Box::pin(render::again(run.render(), at, &source.checkout)).await.map_err(Failure::from)?;
    let fallback = sync.spec.target_namespace.as_deref().unwrap_or(owner.namespace());
    let is_it = |manifest: &&holdfast_diff::object::Manifest| {
        let id = kind.id(manifest, fallback);
        *manifest.kind == *kind.kind && &*id.name == name && &*id.namespace == namespace
    };
    let Some(origin) = output.manifests.iter().find(is_it).map(|manifest| &manifest.origin) else {
        return Ok(Place::default());
    };
    let location = source::location(&services.secrets, &services.policy, at).await.map_err(Failure::from)?;
    let checkout = source.checkout.clone();
    let change = history::last_change(&services.sources, &location, checkout, &origin.file).await;
    let file = Some(origin.to_string());
    Ok(match change {
        Ok(Some(Change { commit, landed })) => Place::of(file, &commit, &landed),
        Ok(None) => Place::of(file, &source.checkout, &source.checkout),
        Err(error) => Place { file, unknown: Some(chain(error.as_ref())), ..Place::default() },
    })
}

impl Place {
    fn of(file: Option<String>, commit: &Checkout, landed: &Checkout) -> Self {
        let (author, subject) = commit.commit().unzip();
        let commit = Some(commit.id().to_string());
        let (_, said) = landed.commit().unwrap_or_default();
        let landed = Landed { commit: landed.id().to_string(), subject: said };
        Self { file, commit, author, subject, landed: Some(landed), unknown: None }
    }
}

/// The commit of a revision such as `main@sha1:…`.
pub fn id(revision: &str) -> Option<&str> {
    let (_, commit) = revision.rsplit_once("sha1:")?;
    (commit.len() == 40).then_some(commit)
}
