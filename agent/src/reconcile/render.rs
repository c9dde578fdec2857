//! The stage `render`: the manifests of a commit, or "unchanged" if neither what the last render read nor the cluster has changed.
//!
//! A commit that changes nothing of what the Sync reads is not rendered. Leaves the rendering to [`crate::render`]. I/O: disk,
//! the programs that render; Secrets and ConfigMaps, which are watched.

use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::budget::Limits;
use holdfast_diff::digest::{Digest, Hasher};
use holdfast_diff::mask::Masks;
use holdfast_diff::object::{Manifest, ObjectId};

use super::inputs::{self, Gather};
use super::jobs::is_completed;
use super::past::{Past, since};
use super::peers::Peers;
use super::remotes;
use super::rendered_commit::RenderedCommit;
use super::source::Source;
use super::sync_at::SyncAt;
use super::trees::place;
use crate::api::{ChartStatus, CommitNote, IgnoreRule, RemoteStatus, conditions};
use crate::cluster::view::View;
use crate::error::{Class, StageError};
use crate::metrics::Metrics;
use crate::policy::Policy;
use crate::progress::Progress;
use crate::render::ask::ReadRemote;
use crate::render::kept::KeptError;
use crate::render::order::{Attempt, Order};
use crate::render::outside::Outside;
use crate::render::reads::Reads;
use crate::render::remote_inputs::RemoteInputs;
use crate::render::renderer::Renderer;
use crate::render::store::{RenderKey, Renders, Stored};
use crate::render::{Inputs, Keep, RenderError, RenderOutput, worker};
use crate::report::changes::cut;
use crate::report::{Failure, Seen};
use crate::shares::{Share, Shares};
use crate::source::{Checkout, SourceError, Sources};

/// The error of a mirror that cannot be read.
const UNREADABLE: &str = "GitFailed";
/// How often the content of files of web servers is compared.
const FILES_AGE: Duration = Duration::from_mins(10);
/// Characters of an author and of a subject that are reported.
const SHOWN: usize = 200;

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

/// What a Sync is at a commit.
pub struct Rendered {
    pub seen: Seen,
    /// What was read of the commit.
    pub read: RenderedCommit,
    /// A commit that cannot be rendered has been seen all the same.
    manifests: Result<Manifests, Error>,
    /// Held to the end of the run, if something may have to be rendered.
    _turn: Option<Share>,
}

/// The result of a render.
pub enum Manifests {
    /// The cluster matches the last render, and so does the commit.
    Unchanged,
    Changed(ManifestSet),
}

/// The manifests to compare with the cluster.
#[derive(Default)]
pub struct ManifestSet {
    pub manifests: Vec<Manifest>,
    /// All objects of the Sync, if the manifests are only those that differ.
    pub part_of: Option<Arc<Vec<(ObjectId, Digest)>>>,
    /// Problems that stop nothing.
    pub warnings: Vec<String>,
    /// Fields that a chart renders anew each time, and that stay as they are in the cluster.
    pub volatile: Vec<IgnoreRule>,
    /// The chart, if all was rendered; `None` in it for one that is in the source.
    pub chart: Option<Option<ChartStatus>>,
    /// Values that no message may show.
    pub masks: Arc<Masks>,
}

/// Why there are no manifests.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Inputs(#[from] inputs::Error),
    #[error(transparent)]
    Render(Arc<RenderError>),
    #[error(transparent)]
    Kept(#[from] KeptError),
    #[error("a task of the render has ended: {0}")]
    Task(#[from] tokio::task::JoinError),
    #[error("nothing was rendered")]
    Nothing,
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
            None => Box::pin(read(parts, at, source, past)).await?,
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

/// Reads a commit as far as the Sync does. It is rendered unless it holds the same of what the last render read.
async fn read(
    parts: Parts<'_>,
    at: SyncAt<'_>,
    Source { checkout, is_requested, .. }: &Source,
    past: &mut Past,
) -> Result<(RenderedCommit, Option<Result<RenderOutput, Error>>), Error> {
    note_commit(parts.progress, at, checkout);
    let folder = checkout.folder(at.sync.spec.path.as_deref().unwrap_or_default())?;
    let is_chart = inputs::is_chart(at.sync, &checkout.files(), &folder);
    let mut inputs = inputs::inputs(parts.inputs, at, is_chart).await?;
    inputs.remote.commit.clone_from(&checkout.revision().commit);
    let options = options(at, &folder, &inputs);
    let before = past.read.take().filter(|read| read.options == options);
    if let Some((read, failure)) =
        hopeless(parts.sources, at, checkout, before.as_ref(), &inputs.remote).await
    {
        past.read = Some(read.clone());
        return Ok((read, Some(Err(Error::Render(failure)))));
    }
    // After an error nothing of the last render is kept: then it is rendered again.
    let is_kept =
        |read: &RenderedCommit| past.state.verified().is_some_and(|set| set.is_of(&read.tree, at.sync));
    let mut before = before.filter(is_kept);
    if let Some(read) = &before
        && remotes::moved(parts.sources, &read.remotes, &inputs.remote).await
    {
        before = None;
    }
    // Files of web servers that have other content are taken with the next commit, whatever it changes.
    let is_other = |read: &RenderedCommit| read.commit != checkout.revision().commit;
    if before.as_ref().is_some_and(is_other) && !past.notices.elsewhere.is_empty() {
        before = None;
    }
    let is_due = |read: &&mut RenderedCommit| *is_requested || since(read.compared, at.now) >= FILES_AGE;
    if let Some(read) = before.as_mut().filter(is_due) {
        read.compared = at.now;
        let outside = parts.inputs.outside;
        past.notices.elsewhere = remotes::changed(outside, &read.remotes, &inputs.remote).await;
    }
    if let Some(read) = before.clone().filter(|read| read.is_of(at, checkout)) {
        past.read = Some(read.clone());
        return Ok((read, None));
    }
    let compared = before.as_ref().map_or(at.now, |before| before.compared);
    let (reads, mut remotes) = before.map(|before| (before.reads, before.remotes)).unzip();
    let (reads, fresh) = if let Some(reads) = unchanged(checkout, reads).await? {
        (reads, None)
    } else {
        let key = key(parts.policy, at, checkout, options);
        let (reads, end) = Box::pin(found(parts, at, checkout, folder, key, Arc::new(inputs))).await?;
        (Arc::new(reads), Some(end))
    };
    // A render that was ended does not say what it read.
    if !reads.is_empty() {
        parts.peers.note_reads(at.owner, &reads);
    }
    if let Some(Ok(output)) = &fresh {
        remotes = Some(output.remotes.clone());
        past.notices.elsewhere.clear();
    }
    let remotes = remotes.unwrap_or_default();
    let tree = reads.digest().with(options).with(ReadRemote::digest(&remotes)).to_string();
    let commit = checkout.revision().commit.clone();
    let note = checkout
        .commit()
        .map(|(author, subject)| CommitNote { author: cut(&author, SHOWN), subject: cut(&subject, SHOWN) });
    let generation = at.sync.metadata.generation;
    let failure = fresh.as_ref().and_then(|fresh| fresh.as_ref().err());
    let failure = failure.filter(|error| worker::ENDED.contains(&error.name())).cloned();
    let read = RenderedCommit { commit, note, generation, options, reads, remotes, compared, tree, failure };
    past.read = Some(read.clone());
    Ok((read, fresh.map(|fresh| fresh.map_err(Error::Render))))
}

/// A commit whose render was ended because of its size: it would be ended again.
async fn hopeless(
    sources: &Sources,
    at: SyncAt<'_>,
    checkout: &Checkout,
    before: Option<&RenderedCommit>,
    inputs: &RemoteInputs,
) -> Option<(RenderedCommit, Arc<RenderError>)> {
    let read = before.filter(|read| read.is_of(at, checkout))?;
    let failure = read.failure.clone()?;
    let moved = remotes::moved(sources, &read.remotes, inputs).await;
    (!moved).then(|| (read.clone(), failure))
}

/// Renders a commit again that was applied before.
pub async fn again(parts: Parts<'_>, at: SyncAt<'_>, checkout: &Checkout) -> Result<RenderOutput, Error> {
    let folder = checkout.folder(at.sync.spec.path.as_deref().unwrap_or_default())?;
    let is_chart = inputs::is_chart(at.sync, &checkout.files(), &folder);
    let inputs = inputs::inputs(parts.inputs, at, is_chart).await?;
    let key = key(parts.policy, at, checkout, options(at, &folder, &inputs));
    let (_, end) = found(parts, at, checkout, folder, key, Arc::new(inputs)).await?;
    end.map_err(Error::Render)
}

/// Names everything that a render depends on beside the files.
fn options(at: SyncAt<'_>, folder: &str, inputs: &Inputs) -> Digest {
    let mut hasher = Hasher::default();
    hasher.text(folder);
    hasher.text(&serde_json::to_string(&at.sync.spec.render).unwrap_or_default());
    hasher.text(&inputs.version.to_string());
    hasher.finish()
}

fn key(policy: &Policy, at: SyncAt<'_>, checkout: &Checkout, options: Digest) -> RenderKey {
    let domain = policy.domain(at.owner.namespace());
    RenderKey { domain, mirror: checkout.mirror().to_string(), options }
}

/// What was read before, if the commit holds the same of it.
async fn unchanged(checkout: &Checkout, before: Option<Arc<Reads>>) -> Result<Option<Arc<Reads>>, Error> {
    let Some(before) = before else { return Ok(None) };
    let files = checkout.files();
    blocking(move || before.matches(&files).is_some().then_some(before)).await
}

/// A render that an earlier run or another Sync has kept, or a new one.
async fn found(
    parts: Parts<'_>,
    at: SyncAt<'_>,
    checkout: &Checkout,
    folder: String,
    key: RenderKey,
    inputs: Arc<Inputs>,
) -> Result<(Reads, Result<RenderOutput, Arc<RenderError>>), Error> {
    let Parts { renders, renderer, progress, policy, .. } = parts;
    let (outside, tenant) = (parts.inputs.outside, at.owner.namespace());
    progress.begin("render", "waiting for another render of the same files");
    let _turn = renders.turn(&key, &checkout.tree()).await;
    if !inputs.secret {
        let (renders, files, key) = (renders.clone(), checkout.files(), key.clone());
        if let Some(Stored { reads, output }) = blocking(move || renders.find(&key, &files)).await? {
            return Ok((reads, Ok(output)));
        }
    }
    // Only what is really rendered is counted and timed.
    let timer = parts.metrics.stage("render");
    progress.begin("render", "rendering");
    let order = order(policy, outside, at, checkout, folder, inputs);
    let Attempt { reads, end, missing: _ } = renderer.render(order, outside, tenant).await;
    drop(timer);
    if end.as_ref().is_err_and(|error| error.stage() == "source" && error.name() == UNREADABLE) {
        checkout.mark_broken();
    }
    match end {
        Ok((output, Keep::No)) => Ok((reads, Ok(output))),
        Ok((output, Keep::Yes)) => {
            let renders = renders.clone();
            let put = move || {
                let stored = Stored { reads, output };
                renders.put(&key, &stored);
                (stored.reads, Ok(stored.output))
            };
            blocking(put).await
        }
        Err(error) => Ok((reads, Err(Arc::new(error)))),
    }
}

/// The order to render a Sync at a commit.
pub fn order(
    policy: &Policy,
    outside: &Outside,
    at: SyncAt<'_>,
    checkout: &Checkout,
    folder: String,
    inputs: Arc<Inputs>,
) -> Order {
    Order {
        place: place(checkout),
        changed: Vec::new(),
        folder,
        options: at.sync.spec.render.clone().unwrap_or_default(),
        inputs,
        limits: Limits::default(),
        time: at.sync.spec.timeout().min(policy.max_timeout),
        charts: outside.charts.is_some(),
        remotes: outside.remotes.is_some(),
    }
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

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    Ok(tokio::task::spawn_blocking(work).await?)
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

impl ManifestSet {
    /// All manifests of a render. `before` are the masks of the render before: a value that is replaced may be one of them.
    pub fn whole(output: RenderOutput, before: &Masks) -> Self {
        let RenderOutput { manifests, warnings, volatile, chart, remotes: _, mut masks } = output;
        manifests.iter().for_each(|manifest| masks.add_secret(&manifest.value));
        if !masks.is_full_with(before) {
            masks.extend(before);
        }
        let volatile = volatile.iter().map(inputs::kept).collect();
        let (chart, masks) = (Some(chart), Arc::new(masks));
        Self { manifests, part_of: None, warnings, volatile, chart, masks }
    }

    /// True if the source has no objects at all.
    pub fn is_empty(&self) -> bool {
        self.part_of.as_ref().map_or(self.manifests.is_empty(), |all| all.is_empty())
    }
}

impl StageError for Error {
    fn class(&self) -> Class {
        match self {
            Self::Source(error) => error.class(),
            Self::Inputs(error) => error.class(),
            Self::Render(error) => error.class(),
            Self::Kept(_) | Self::Task(_) | Self::Nothing => Class::Internal,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Source(error) => error.name(),
            Self::Inputs(error) => error.name(),
            Self::Render(error) => error.name(),
            Self::Kept(_) | Self::Task(_) | Self::Nothing => "InternalError",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Inputs(error) => error.hint(),
            Self::Source(_) | Self::Render(_) | Self::Kept(_) | Self::Task(_) | Self::Nothing => None,
        }
    }

    fn common_cause(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.common_cause(),
            Self::Inputs(error) => error.common_cause(),
            Self::Render(error) => error.common_cause(),
            Self::Kept(_) | Self::Task(_) | Self::Nothing => None,
        }
    }

    fn mistakes(&self) -> (Vec<holdfast_diff::causes::Mistake>, usize) {
        match self {
            Self::Source(error) => error.mistakes(),
            Self::Inputs(error) => error.mistakes(),
            Self::Render(error) => error.mistakes(),
            Self::Kept(_) | Self::Task(_) | Self::Nothing => (Vec::new(), 0),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let stage = match &error {
            Error::Source(_) => "source",
            Error::Render(error) => error.stage(),
            Error::Inputs(_) | Error::Kept(_) | Error::Task(_) | Error::Nothing => "render",
        };
        Self::of(stage, &error)
    }
}
