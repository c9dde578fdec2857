//! Reads a commit as far as a Sync does: it is rendered, taken from an earlier render, or found to be unchanged. I/O: disk, the
//! programs that render; Secrets and ConfigMaps, which are watched.

use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::budget::Limits;
use holdfast_diff::digest::{Digest, Hasher};

use super::super::inputs;
use super::super::past::{Past, since};
use super::super::remotes;
use super::super::rendered_commit::RenderedCommit;
use super::super::source::Source;
use super::super::sync_at::SyncAt;
use super::super::trees::place;
use super::error::Error;
use super::{Parts, note_commit};
use crate::api::CommitNote;
use crate::error::StageError as _;
use crate::policy::Policy;
use crate::render::ask::ReadRemote;
use crate::render::order::{Attempt, Order};
use crate::render::outside::Outside;
use crate::render::reads::Reads;
use crate::render::remote_inputs::RemoteInputs;
use crate::render::store::{RenderKey, Stored};
use crate::render::{Inputs, Keep, RenderError, RenderOutput, worker};
use crate::report::changes::cut;
use crate::source::{Checkout, Sources};

/// The error of a mirror that cannot be read.
const UNREADABLE: &str = "GitFailed";
/// How often the content of files of web servers is compared.
const FILES_AGE: Duration = Duration::from_mins(10);
/// Maximum number of characters of an author and of a subject in the status.
const SHOWN: usize = 200;

/// Reads the part of a commit that the Sync uses. The commit is rendered, unless the files that the last render read are the same.
pub(super) async fn read(
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
    // After an error, the result of the last render is not kept, so the commit is rendered again.
    let is_kept =
        |read: &RenderedCommit| past.state.verified().is_some_and(|set| set.is_of(&read.tree, at.sync));
    let mut before = before.filter(is_kept);
    if let Some(read) = &before
        && remotes::moved(parts.sources, &read.remotes, &inputs.remote).await
    {
        before = None;
    }
    // Changed files of web servers are read again at the next commit, whatever it changes.
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
    // A render that was ended early has no list of what it read.
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

/// Returns the failure of a commit whose render was ended because of its size: another render would be ended too.
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

/// Returns the files that were read before, if they are the same in the commit.
async fn unchanged(checkout: &Checkout, before: Option<Arc<Reads>>) -> Result<Option<Arc<Reads>>, Error> {
    let Some(before) = before else { return Ok(None) };
    let files = checkout.files();
    blocking(move || before.matches(&files).is_some().then_some(before)).await
}

/// Returns the stored render of an earlier run or of another Sync, or a new one.
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

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    Ok(tokio::task::spawn_blocking(work).await?)
}
