//! The file and line of an object in the commit that is applied, and who made that commit: the commit is rendered as the agent
//! renders it. I/O: Git, disk, API reads.

use anyhow::Context as _;
use jiff::Timestamp;
use serde::Serialize;

use crate::api::{GitRef, Sync};
use crate::cli::{Global, cluster, plan};
use crate::cluster::requests::ResourceType;
use crate::progress::Progress;
use crate::reconcile::limits::Limits;
use crate::reconcile::past::Past;
use crate::reconcile::sync_at::SyncAt;
use crate::reconcile::{Run, render, source};
use crate::report::Failure;
use crate::sync_ref::SyncRef;

/// Where an object is in Git.
#[derive(Default, Serialize)]
pub struct Place {
    /// `shop/web.yaml:12`, if the object is in the commit.
    pub file: Option<String>,
    pub commit: Option<String>,
    /// `Name <address>`
    pub author: Option<String>,
    /// The first line of the message.
    pub subject: Option<String>,
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
    let made = source.checkout.commit();
    let output = Box::pin(render::again(run.render(), at, &source.checkout)).await.map_err(Failure::from)?;
    let fallback = sync.spec.target_namespace.as_deref().unwrap_or(owner.namespace());
    let is_it = |manifest: &&holdfast_diff::object::Manifest| {
        let id = kind.id(manifest, fallback);
        *manifest.kind == *kind.kind && &*id.name == name && &*id.namespace == namespace
    };
    let file = output.manifests.iter().find(is_it).map(|manifest| manifest.origin.to_string());
    let (author, subject) = made.unzip();
    Ok(Place { file, commit: Some(commit), author, subject })
}

/// The commit of a revision such as `main@sha1:…`.
pub fn id(revision: &str) -> Option<&str> {
    let (_, commit) = revision.rsplit_once("sha1:")?;
    (commit.len() == 40).then_some(commit)
}
