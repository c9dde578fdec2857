//! A preview against the live cluster, as the agent would plan it. I/O: git, disk, API reads, dry runs.

use anyhow::Context as _;
use jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;

use super::super::{Global, cluster, plan, print};
use super::Preview;
use super::syncs::{following, named, owned};
use crate::api::{Sync, SyncStatus};
use crate::progress::Progress;
use crate::reconcile::Run;
use crate::reconcile::limits::Limits;
use crate::reconcile::services::Services;
use crate::reconcile::sync_at::SyncAt;
use crate::review::plan::{Commit, Sides, claim, render};
use crate::review::preview::{At, SyncPreview, SyncResult};
use crate::source::{CloneOnDisk, MergedTree};
use crate::sync_ref::SyncRef;

/// One Sync of a preview, with its status.
struct One {
    owner: SyncRef,
    sync: Sync,
    status: SyncStatus,
}

impl One {
    fn run<'a>(&'a self, services: &'a Services) -> Run<'a> {
        let Self { owner, sync, status } = self;
        let at = SyncAt { sync, owner, status, now: Timestamp::now() };
        Run { services, at, limits: Limits::default(), progress: Progress::default() }
    }
}

/// Returns the UID of the cluster, and the effect of a merge on each Sync that reads a file which the merge changes.
pub async fn syncs(
    preview: &Preview,
    global: &Global,
    clone: &CloneOnDisk,
    tree: &MergedTree,
) -> anyhow::Result<(String, Vec<SyncPreview>)> {
    let config = cluster::config(global).await?;
    let namespace = config.default_namespace.clone();
    let cache = tempfile::tempdir().context("cannot create a folder for charts")?;
    let services = plan::connect(config, cache.path(), &preview.agent_namespace).await?.services;
    plan::warn_unverified(&services);
    let found = chosen(preview, &services, clone, &namespace).await?;
    let mut all = Vec::new();
    for (owner, mut sync) in found {
        plan::act(&services, &mut sync, &owner).await?;
        let status = sync.status.clone().unwrap_or_default();
        all.push(One { owner, sync, status });
    }
    let base = Commit::base(tree, &preview.base);
    let merge = Commit::merge(tree, &preview.base, &preview.head);
    let affected = affected(&services, &all, &base, &merge).await?;
    let mut bases = Vec::new();
    for (one, sides) in &affected {
        bases.push(sides.base(&one.run(&services), &base).await);
    }
    if affected.len() > 1 {
        // Twice: an object that moves can only be claimed after its previous Sync no longer claims it.
        for (one, sides) in affected.iter().chain(&affected) {
            claim(&one.run(&services), &merge, sides).await;
        }
    }
    let mut previews = Vec::new();
    for ((one, sides), base) in affected.iter().zip(bases) {
        let result = sides.planned(&one.run(&services), &merge, base).await;
        previews.push(SyncPreview { sync: one.owner.clone(), result });
    }
    Ok((services.cluster.uid.clone(), previews))
}

/// Returns the Syncs of the named files, or those that follow the base.
async fn chosen(
    preview: &Preview,
    services: &Services,
    clone: &CloneOnDisk,
    namespace: &str,
) -> anyhow::Result<Vec<(SyncRef, Sync)>> {
    if !preview.file.is_empty() {
        return named(&preview.file, namespace);
    }
    let api = Api::<Sync>::namespaced(services.cluster.clients.own(), namespace);
    let listed = api.list(&ListParams::default()).await;
    let listed = listed.with_context(|| format!("cannot list the Syncs of namespace {namespace}"))?;
    let listed = listed.items.into_iter().map(|sync| owned(sync, namespace)).collect();
    following(listed, clone, &preview.base, &format!("in namespace {namespace}"))
}

/// Renders both sides of each Sync, and returns the Syncs that read a file which the merge changes.
async fn affected<'a>(
    services: &Services,
    all: &'a [One],
    base: &Commit<'_>,
    merge: &Commit<'_>,
) -> anyhow::Result<Vec<(&'a One, Sides)>> {
    let mut found = Vec::new();
    if base.id == merge.id {
        return Ok(found);
    }
    for one in all {
        let run = one.run(services);
        let before = render(&run, base).await;
        if before.is_same_at(&merge.files()?) {
            continue;
        }
        let sides = Sides::of(before, render(&run, merge).await);
        match sides.failure() {
            Some(SyncResult::Failed { at: At::Base, errors }) => print::say(format_args!(
                "warning: Sync {} cannot be rendered before or after the merge: {}",
                one.owner,
                errors.join("; ")
            )),
            _ => found.push((one, sides)),
        }
    }
    Ok(found)
}
