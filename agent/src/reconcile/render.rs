//! The stage `render`: the manifests of a commit, or "unchanged" if neither what the last render read nor the cluster has changed.
//!
//! A commit that changes nothing of what the Sync reads is not rendered. Leaves the rendering to [`crate::render`]. I/O: disk,
//! the programs that render; Secrets and ConfigMaps, which are watched.

mod commit;
mod error;
mod manifests;

use std::sync::Arc;

pub use self::commit::{again, order};
pub use self::error::Error;
pub use self::manifests::{ManifestSet, Manifests};
use super::inputs::Gather;
use super::jobs::is_completed;
use super::past::Past;
use super::peers::Peers;
use super::remotes;
use super::rendered_commit::RenderedCommit;
use super::source::Source;
use super::sync_at::SyncAt;
use crate::api::{RemoteStatus, conditions};
use crate::cluster::view::View;
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::progress::Progress;
use crate::render::RenderOutput;
use crate::render::renderer::Renderer;
use crate::render::store::Renders;
use crate::report::Seen;
use crate::shares::{Share, Shares};
use crate::source::{Checkout, Sources};

/// What the stage needs.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    pub sources: &'a Sources,
    pub inputs: Gather<'a>,
    pub renders: &'a Arc<Renders>,
    pub renderer: &'a Renderer,
    pub policy: &'a Policy,
    pub view: &'a View,
    pub peers: &'a Peers,
    /// Runs of one namespace that render and apply side by side.
    pub runs: &'a Shares,
    pub metrics: &'a Arc<Metrics>,
    pub progress: &'a Progress,
}

/// The manifests of a Sync at a commit.
pub struct Rendered {
    pub seen: Seen,
    /// What was read of the commit.
    pub read: RenderedCommit,
    /// A commit that cannot be rendered has been seen all the same.
    manifests: Result<Manifests, Error>,
    /// Held to the end of the run, if something may have to be rendered.
    _turn: Option<Share>,
}

/// Renders a commit, if what the last render read has changed; then selects what has to be compared with the cluster.
pub async fn render(
    parts: Parts<'_>,
    at: SyncAt<'_>,
    source: &Source,
    past: &mut Past,
) -> Result<Rendered, Error> {
    let checkout = &source.checkout;
    let is_known = past.read.as_ref().is_some_and(|read| read.is_of(at, checkout));
    if !is_known {
        let doing = "waiting for a turn: other Syncs of this namespace are running";
        parts.progress.begin("render", doing);
    }
    let turn = if is_known { None } else { Some(parts.runs.take(at.owner.namespace()).await) };
    let (read, fresh) =
        match past.read.clone().filter(|read| source.follows.is_none() && read.is_of(at, checkout)) {
            // Drift comes first: nothing is read but what is remembered.
            Some(read) => (read, None),
            None => Box::pin(commit::read(parts, at, source, past)).await?,
        };
    let seen = seen(&read, checkout);
    note_revision(parts.progress, at, &seen);
    let manifests = select(parts.view, at, &seen.tree, fresh, past);
    Ok(Rendered { seen, read, manifests, _turn: turn })
}

/// Selects what has to be compared: nothing, what differs from the verified set of the same tree, or all of it.
fn select(
    view: &View,
    at: SyncAt<'_>,
    tree: &str,
    fresh: Option<Result<RenderOutput, Error>>,
    past: &mut Past,
) -> Result<Manifests, Error> {
    let is_done = |object: &_, manifest| is_completed(at.status, object, manifest);
    let Some(differing) = past.differing(view, at, tree, is_done) else {
        let set = ManifestSet::whole(fresh.ok_or(Error::Nothing)??, &past.masks);
        past.masks = set.masks.clone();
        return Ok(Manifests::Changed(set));
    };
    let Some(verified) = past.state.verified().filter(|_| !differing.is_nothing()) else {
        return Ok(Manifests::Unchanged);
    };
    let positions = differing.manifests.iter().map(|(position, _)| *position).collect();
    let positions = verified.with_definitions(positions);
    let part_of = Some(verified.objects.clone());
    let manifests = verified.kept.get(&positions)?;
    let masks = past.masks.clone();
    Ok(Manifests::Changed(ManifestSet { manifests, part_of, masks, ..ManifestSet::default() }))
}

/// Notes the commit that is being rendered. A verdict that all is well stands until what is rendered differs.
fn note_commit(progress: &Progress, at: SyncAt<'_>, checkout: &Checkout) {
    let revision = checkout.revision();
    let (full, seen) = (revision.to_string(), at.status.revision.as_ref());
    let ready = conditions::is_true(&at.status.conditions, conditions::READY);
    let is_news = !ready && seen.and_then(|seen| seen.seen.as_deref()) != Some(full.as_str());
    progress.revision(&full, &revision.short(), is_news);
}

/// Notes the revision that the run works on, and whether the last verdict is about another one.
fn note_revision(progress: &Progress, at: SyncAt<'_>, seen: &Seen) {
    let before = at.status.revision.as_ref();
    let is_news = before.is_none_or(|before| before.tree.as_deref() != Some(&seen.tree));
    progress.revision(&seen.revision, &seen.short, is_news);
}

/// A commit as it is reported.
fn seen(read: &RenderedCommit, checkout: &Checkout) -> Seen {
    Seen {
        revision: checkout.revision().to_string(),
        short: checkout.revision().short(),
        tree: read.tree.clone(),
        commit: read.note.clone(),
    }
}

impl Rendered {
    /// What was read from elsewhere, as the status lists it.
    pub fn remotes(&self) -> Vec<RemoteStatus> {
        remotes::status(&self.read.remotes, &self.read.commit)
    }

    /// Takes the manifests out.
    pub fn take(&mut self) -> Result<Manifests, Error> {
        std::mem::replace(&mut self.manifests, Ok(Manifests::Unchanged))
    }
}
