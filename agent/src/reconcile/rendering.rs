//! The stage `render`, brought what it needs: what is known of the commit, and what was kept of it.
//!
//! A commit that changes nothing of what a Sync reads is told without rendering anything. I/O: through the stage.

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::budget::Limits;
use holdfast_diff::digest::{Digest, Hasher};
use tracing::instrument;

use super::Run;
use super::inputs;
use super::remotes;
use super::trees::place;
use crate::api::{CommitNote, conditions};
use crate::error::StageError as _;
use crate::memory::Memory;
use crate::render::ask::ReadRemote;
use crate::render::order::{Attempt, Order};
use crate::render::reads::Reads;
use crate::render::remote_inputs::RemoteInputs;
use crate::render::store::{RenderKey, Stored};
use crate::render::{Fruit, Inputs, Keep, worker};
use crate::report::Failure;
use crate::report::changes::cut;
use crate::source::{Checkout, CommitFiles};

/// The error of a mirror that cannot be read.
const UNREADABLE: &str = "GitFailed";
/// How often files of web servers are looked at, whether they have other content.
const FILES_AGE: Duration = Duration::from_mins(10);
/// Characters of an author and of a subject that are told.
const SHOWN: usize = 200;

/// What is known of a Sync at a commit.
#[derive(Clone)]
pub struct Known {
    pub commit: String,
    pub note: Option<CommitNote>,
    generation: Option<i64>,
    options: Digest,
    pub reads: Arc<Reads>,
    /// What was read of other repositories.
    pub remotes: Vec<ReadRemote>,
    /// When the files of web servers among them were looked at last.
    files_looked: Instant,
    /// Names what was read, and what the Sync refers to.
    pub tree: String,
    /// Why it cannot be rendered, if trying again would only take as much again.
    failure: Option<Failure>,
}

/// What a render came to, if it had to be made.
pub type Fresh = Option<Result<Fruit, Failure>>;

impl Known {
    /// True if it is of this commit and of the Sync as it is now.
    pub fn is_of(&self, run: &Run<'_>, checkout: &Checkout) -> bool {
        self.commit == checkout.revision().commit && self.generation == run.sync.metadata.generation
    }

    /// True if another commit holds something else of what was read.
    pub fn differs_at(&self, files: &CommitFiles) -> bool {
        files.revision().commit != self.commit && self.reads.matches(files).is_none()
    }
}

/// What a Sync is at a commit: known without rendering if it would read what it read before; else rendered.
#[instrument(name = "render", skip_all, fields(sync = %run.owner))]
pub async fn look_at(
    run: &Run<'_>,
    memory: &mut Memory,
    checkout: &Checkout,
    forced: bool,
) -> Result<(Known, Fresh), Failure> {
    note_revision(run, checkout);
    let path = run.sync.spec.path.as_deref().unwrap_or_default();
    let folder = checkout.folder(path).map_err(|error| Failure::of("source", &error))?;
    let is_chart = inputs::is_chart(run.sync, &checkout.files(), &folder);
    let mut inputs = inputs::inputs(run, is_chart).await?;
    inputs.remote.commit.clone_from(&checkout.revision().commit);
    let options = options(run, &folder, &inputs);
    let commit = checkout.revision().commit.clone();
    let before = memory.known.take().filter(|known| known.options == options);
    if let Some((known, failure)) = hopeless(run, checkout, before.as_ref(), &inputs.remote).await {
        memory.known = Some(known.clone());
        return Ok((known, Some(Err(failure))));
    }
    // What was rendered may be gone, after an error: then it is wanted again.
    let rendered = |known: &Known| memory.rendered.as_ref().is_some_and(|it| it.is_of(&known.tree, run.sync));
    let mut before = before.filter(rendered);
    if let Some(known) = &before
        && remotes::moved(&run.context.sources, &known.remotes, &inputs.remote).await
    {
        before = None;
    }
    // Files of web servers that have other content are taken with the next commit, whatever it changes.
    if before.as_ref().is_some_and(|known| known.commit != commit) && !memory.elsewhere.is_empty() {
        before = None;
    }
    if let Some(known) = before.as_mut().filter(|known| forced || known.files_looked.elapsed() >= FILES_AGE) {
        known.files_looked = Instant::now();
        memory.elsewhere = remotes::changed(run, &known.remotes, &inputs.remote).await;
    }
    if let Some(known) = before.clone().filter(|known| known.is_of(run, checkout)) {
        memory.known = Some(known.clone());
        return Ok((known, None));
    }
    let context = run.context;
    let files_looked = before.as_ref().map_or_else(Instant::now, |before| before.files_looked);
    let (reads, mut remotes) = before.map(|before| (before.reads, before.remotes)).unzip();
    let (reads, fresh) = if let Some(reads) = unchanged(checkout, reads).await? {
        (reads, None)
    } else {
        let domain = context.policy.domain(run.owner.namespace());
        let key = RenderKey { domain, mirror: checkout.mirror().to_string(), options };
        let (reads, fruit) = Box::pin(found(run, checkout, folder, key, Arc::new(inputs))).await?;
        (Arc::new(reads), Some(fruit))
    };
    // A render that was ended does not say what it read.
    if !reads.is_empty() {
        context.memories.note_reads(run.owner, &reads);
    }
    if let Some(Ok(fruit)) = &fresh {
        remotes = Some(fruit.remotes.clone());
        memory.elsewhere.clear();
    }
    let remotes = remotes.unwrap_or_default();
    let others = Digest::of_bytes(format!("{remotes:?}").as_bytes());
    let tree = reads.digest().with(options).with(others).to_string();
    let note = checkout
        .commit()
        .map(|(author, subject)| CommitNote { author: cut(&author, SHOWN), subject: cut(&subject, SHOWN) });
    let generation = run.sync.metadata.generation;
    let failure = match &fresh {
        Some(Err(failure)) if worker::ENDED.contains(&failure.reason) => Some(failure.clone()),
        _ => None,
    };
    let known = Known { commit, note, generation, options, reads, remotes, files_looked, tree, failure };
    memory.known = Some(known.clone());
    Ok((known, fresh))
}

/// A commit whose render was ended for what it takes: it would be ended again.
async fn hopeless(
    run: &Run<'_>,
    checkout: &Checkout,
    before: Option<&Known>,
    inputs: &RemoteInputs,
) -> Option<(Known, Failure)> {
    let known = before.filter(|known| known.is_of(run, checkout))?;
    let failure = known.failure.clone()?;
    let moved = remotes::moved(&run.context.sources, &known.remotes, inputs).await;
    (!moved).then(|| (known.clone(), failure))
}

/// Names everything that a render depends on beside the files.
fn options(run: &Run<'_>, folder: &str, inputs: &Inputs) -> Digest {
    let mut hasher = Hasher::default();
    hasher.text(folder);
    hasher.text(&serde_json::to_string(&run.sync.spec.render).unwrap_or_default());
    hasher.text(&inputs.version.to_string());
    hasher.finish()
}

/// What was read before, if the commit holds the same of it.
async fn unchanged(checkout: &Checkout, before: Option<Arc<Reads>>) -> Result<Option<Arc<Reads>>, Failure> {
    let Some(before) = before else { return Ok(None) };
    let files = checkout.files();
    blocking(move || before.matches(&files).is_some().then_some(before)).await
}

/// Notes the revision that is rendered. While a verdict stands that all is well, it stands until what is rendered differs.
fn note_revision(run: &Run<'_>, checkout: &Checkout) {
    let revision = checkout.revision();
    let (full, seen) = (revision.to_string(), run.status.revision.as_ref());
    let ready = conditions::is_true(&run.status.conditions, conditions::READY);
    let news = !ready && seen.and_then(|seen| seen.seen.as_deref()) != Some(full.as_str());
    run.progress.revision(&full, &revision.short(), news);
}

/// Kept by an earlier run or another Sync, or rendered now.
async fn found(
    run: &Run<'_>,
    checkout: &Checkout,
    folder: String,
    key: RenderKey,
    inputs: Arc<Inputs>,
) -> Result<(Reads, Result<Fruit, Failure>), Failure> {
    let (context, tenant) = (run.context, run.owner.namespace());
    run.progress.begin("render", "waiting for another render of the same files");
    let _turn = context.renders.turn(&key, &checkout.tree()).await;
    if !inputs.secret {
        let (renders, files, key) = (context.renders.clone(), checkout.files(), key.clone());
        if let Some(Stored { reads, fruit }) = blocking(move || renders.find(&key, &files)).await? {
            return Ok((reads, Ok(fruit)));
        }
    }
    // Counts and times what is really rendered, and no look at what is known.
    let timer = context.metrics.stage("render");
    run.progress.begin("render", "rendering");
    let order = order(run, checkout, folder, inputs);
    let Attempt { reads, end, missing: _ } = context.renderer.render(order, &context.outside, tenant).await;
    drop(timer);
    if end.as_ref().is_err_and(|error| error.stage() == "source" && error.name() == UNREADABLE) {
        checkout.mark_broken();
    }
    match end {
        Ok((fruit, Keep::No)) => Ok((reads, Ok(fruit))),
        Ok((fruit, Keep::Yes)) => {
            let renders = context.renders.clone();
            let put = move || {
                let stored = Stored { reads, fruit };
                renders.put(&key, &stored);
                (stored.reads, Ok(stored.fruit))
            };
            blocking(put).await
        }
        Err(error) => Ok((reads, Err(Failure::of(error.stage(), &error)))),
    }
}

/// What a Sync was at an earlier commit.
pub async fn once(
    run: &Run<'_>,
    checkout: &Checkout,
    folder: String,
    inputs: Inputs,
) -> Result<Fruit, Failure> {
    let domain = run.context.policy.domain(run.owner.namespace());
    let options = options(run, &folder, &inputs);
    let key = RenderKey { domain, mirror: checkout.mirror().to_string(), options };
    found(run, checkout, folder, key, Arc::new(inputs)).await?.1
}

/// A render of a Sync at a commit.
pub fn order(run: &Run<'_>, checkout: &Checkout, folder: String, inputs: Arc<Inputs>) -> Order {
    let policy = &run.context.policy;
    Order {
        place: place(checkout),
        changed: Vec::new(),
        folder,
        options: run.sync.spec.render.clone().unwrap_or_default(),
        inputs,
        limits: Limits::default(),
        time: run.sync.spec.timeout().min(policy.max_timeout),
        charts: run.context.outside.charts.is_some(),
        remotes: run.context.outside.remotes.is_some(),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::internal("render", error.to_string()))
}
