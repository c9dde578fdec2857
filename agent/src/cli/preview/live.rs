//! A preview against the live cluster, as the agent would plan it. I/O: git, disk, API reads, dry runs.

use anyhow::Context as _;
use kube::Api;
use kube::api::ListParams;

use super::super::{Global, cluster, plan, print};
use super::Preview;
use super::syncs::{following, named, owned};
use crate::api::Sync;
use crate::reconcile::services::Services;
use crate::review::live::{Subject, affected};
use crate::review::plan::Commit;
use crate::review::preview::SyncPreview;
use crate::source::{CloneOnDisk, MergedTree};
use crate::sync_ref::SyncRef;

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
        all.push(Subject::new(owner, sync, None));
    }
    let base = Commit::base(tree, &preview.base);
    let merge = Commit::merge(tree, &preview.base, &preview.head);
    let affected = affected(&services, &all, &base, &merge).await?;
    for (owner, errors) in &affected.broken {
        print::say(format_args!(
            "warning: Sync {owner} cannot be rendered before or after the merge: {}",
            errors.join("; ")
        ));
    }
    let previews = Box::pin(affected.plans(&services, &base, &merge)).await;
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
