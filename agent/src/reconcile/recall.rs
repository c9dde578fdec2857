//! After a restart, renders the set of the revision that was applied before, if the source has moved on since. Fields that left
//! the source meanwhile are found by comparing with it. I/O: as the stage `render`; API reads for kinds that were not looked up
//! before.

use std::sync::Arc;

use tracing::instrument;

use super::past::{DesiredSet, Past, State};
use super::render::{self, Parts};
use super::source;
use super::sync_at::SyncAt;
use crate::api::RevisionStatus;
use crate::cluster::Cluster;
use crate::cluster::resolve;
use crate::render::kept::Kept;
use crate::report::{Failure, Seen};

/// Renders the applied revision again, once in a process, if the tree that is `seen` differs from it. `seen` is `None` for a
/// working tree. Returns a warning if the revision cannot be rendered.
#[instrument(name = "render", skip_all, fields(sync = %at.owner))]
pub async fn recall(
    parts: Parts<'_>,
    cluster: &Cluster,
    at: SyncAt<'_>,
    seen: Option<&Seen>,
    past: &mut Past,
) -> Option<String> {
    if !matches!(past.state, State::New) {
        return None;
    }
    past.state = State::Unknown;
    let RevisionStatus { applied, tree, .. } = at.status.revision.as_ref()?;
    let (applied, tree) = (applied.as_deref()?, tree.as_deref()?);
    if seen.is_some_and(|seen| tree == seen.tree || applied == seen.revision) {
        return None;
    }
    match again(parts, cluster, at, applied, tree).await {
        Ok(set) => {
            past.state = State::Failing(set);
            None
        }
        Err(Failure { message, .. }) => Some(format!(
            "fields that were removed from Git since {applied} may still be live if another manager owns them, because {applied} cannot be rendered: {message}"
        )),
    }
}

async fn again(
    parts: Parts<'_>,
    cluster: &Cluster,
    at: SyncAt<'_>,
    applied: &str,
    tree: &str,
) -> Result<DesiredSet, Failure> {
    let checkout = source::earlier(parts.sources, parts.inputs.secrets, parts.policy, at, applied).await?;
    let output = Box::pin(render::again(parts, at, &checkout)).await?;
    let rules = cluster.view.judges.rules(at.owner);
    let (found, _) =
        resolve::resolve(&cluster.discovery, at.owner, at.target_namespace(), rules, output.manifests).await;
    let kept = Kept::of(found.iter().map(|desired| &*desired.manifest)).map_err(render::Error::from)?;
    let objects = found.iter().map(|desired| (desired.object.clone(), desired.digest)).collect();
    Ok(DesiredSet::new(tree, at.sync, Arc::new(objects), kept))
}
