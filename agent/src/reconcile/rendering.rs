//! The stage `render`, brought what it needs: what is known of the commit, and what was kept of it.
//!
//! A commit that changes nothing of what a Sync reads is told without rendering anything. I/O: through the stage.

use std::sync::Arc;

use holdfast_diff::digest::{Digest, Hasher};
use tracing::instrument;

use super::Run;
use super::inputs;
use super::remotes;
use crate::api::{CommitNote, Render};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::render::outside::{Outside, ReadRemote};
use crate::render::reads::Reads;
use crate::render::store::{RenderKey, Renders, Stored};
use crate::render::{self, Fruit, Inputs, Job, Keep};
use crate::report::Failure;
use crate::report::changes::cut;
use crate::source::{Checkout, CommitFiles};

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
    remotes: Vec<ReadRemote>,
    /// Names what was read, and what the Sync refers to.
    pub tree: String,
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
) -> Result<(Known, Fresh), Failure> {
    let path = run.sync.spec.path.as_deref().unwrap_or_default();
    let folder = checkout.folder(path).map_err(|error| Failure::of("source", &error))?;
    let is_chart = inputs::is_chart(run.sync, &checkout.files(), &folder);
    let inputs = inputs::inputs(run, is_chart).await?;
    let options = options(run, &folder, &inputs);
    let commit = checkout.revision().commit.clone();
    let before = memory.known.take().filter(|known| known.options == options);
    // What was rendered may be gone, after an error: then it is wanted again.
    let rendered = |known: &Known| memory.rendered.as_ref().is_some_and(|it| it.is_of(&known.tree, run.sync));
    let mut before = before.filter(rendered);
    if let Some(known) = &before
        && remotes::moved(&run.context.sources, &known.remotes).await
    {
        before = None;
    }
    if let Some(known) = before.clone().filter(|known| known.is_of(run, checkout)) {
        memory.known = Some(known.clone());
        return Ok((known, None));
    }
    let context = run.context;
    let (render, outside) = (run.sync.spec.render.clone(), context.outside.clone());
    let metrics = context.metrics.clone();
    let key = RenderKey {
        domain: context.policy.domain(run.owner.namespace()),
        mirror: checkout.mirror().to_string(),
        options,
    };
    let renders = context.renders.clone();
    let turn = renders.turn(&key, &checkout.tree()).await;
    let work = Work { files: checkout.files(), folder, key, inputs, render, outside, metrics };
    let (reads, mut remotes) = before.map(|before| (before.reads, before.remotes)).unzip();
    // The turn goes along: a render that its caller gave up comes to its end before the next one begins.
    let worked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work.run(&renders, reads)
    })
    .await;
    let (reads, fresh) = worked.map_err(|error| Failure::internal("render", error.to_string()))?;
    context.memories.note_reads(run.owner, &reads);
    if let Some(Ok(fruit)) = &fresh {
        remotes = Some(fruit.remotes.clone());
    }
    let remotes = remotes.unwrap_or_default();
    let others = Digest::of_bytes(format!("{remotes:?}").as_bytes());
    let tree = reads.digest().with(options).with(others).to_string();
    let note = checkout
        .commit()
        .map(|(author, subject)| CommitNote { author: cut(&author, SHOWN), subject: cut(&subject, SHOWN) });
    let generation = run.sync.metadata.generation;
    let known = Known { commit, note, generation, options, reads, remotes, tree };
    memory.known = Some(known.clone());
    Ok((known, fresh))
}

/// Names everything that a render depends on beside the files.
fn options(run: &Run<'_>, folder: &str, inputs: &Inputs) -> Digest {
    let mut hasher = Hasher::default();
    hasher.text(folder);
    hasher.text(&serde_json::to_string(&run.sync.spec.render).unwrap_or_default());
    hasher.text(&inputs.version.to_string());
    hasher.finish()
}

/// One render, to be made where it may block.
struct Work {
    files: CommitFiles,
    folder: String,
    key: RenderKey,
    inputs: Inputs,
    render: Option<Render>,
    outside: Outside,
    /// Counts and times what is really rendered, and no look at what is known.
    metrics: Arc<Metrics>,
}

impl Work {
    /// What is read, and what it renders to if that is not known to be the same as before.
    fn run(self, renders: &Renders, before: Option<Arc<Reads>>) -> (Arc<Reads>, Fresh) {
        if let Some(before) = before.filter(|before| before.matches(&self.files).is_some()) {
            return (before, None);
        }
        let (reads, fruit) = self.found(renders);
        (Arc::new(reads), Some(fruit))
    }

    /// Kept by an earlier run or another Sync, or rendered now.
    fn found(&self, renders: &Renders) -> (Reads, Result<Fruit, Failure>) {
        let kept = if self.inputs.secret { None } else { renders.find(&self.key, &self.files) };
        if let Some(Stored { reads, fruit }) = kept {
            return (reads, Ok(fruit));
        }
        let _timer = self.metrics.stage("render");
        let render = self.render.clone().unwrap_or_default();
        let outside = Some(&self.outside);
        let job = Job { folder: &self.folder, options: &render, inputs: &self.inputs, outside };
        let (rendered, reads) = render::render(&self.files, &job);
        // A tree that cannot be read says more by itself than the renderer can say of it.
        if let (Err(_), Some(trouble)) = (&rendered, self.files.trouble()) {
            return (reads, Err(Failure::of("source", &trouble)));
        }
        match rendered.and_then(|rendered| rendered.fruit(self.inputs.keys.as_ref())) {
            Ok((fruit, Keep::No)) => (reads, Ok(fruit)),
            Ok((fruit, Keep::Yes)) => {
                let stored = Stored { reads, fruit };
                renders.put(&self.key, &stored);
                (stored.reads, Ok(stored.fruit))
            }
            Err(error) => (reads, Err(Failure::of("render", &error))),
        }
    }
}
