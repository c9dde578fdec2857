//! What the stage `render` needs, brought to it: what the Sync refers to in the cluster, and what is known of the commit.
//!
//! A commit that changes nothing of what a Sync reads is told without rendering anything. I/O: through the stage.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_diff::digest::{Digest, Hasher};
use holdfast_diff::object::Manifest;
use tracing::instrument;

use super::Run;
use crate::api::{CommitNote, InputKind, Render, Substitute};
use crate::cluster::secrets::{Data, Held, Name, User};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::render::reads::Reads;
use crate::render::sops::{KeyError, Keys};
use crate::render::store::Stored;
use crate::render::{self, Inputs, Job};
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
    /// Names what was read, and what the Sync refers to.
    pub tree: String,
}

/// What a render came to, if it had to be made.
pub type Fresh = Option<Result<Fruit, Failure>>;

/// The manifests of a render.
#[derive(Default)]
pub struct Fruit {
    pub manifests: Vec<Manifest>,
    pub warnings: Vec<String>,
}

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

/// The Secrets and ConfigMaps that a Sync refers to.
pub fn names(run: &Run<'_>) -> Vec<Name> {
    let spec = &run.sync.spec;
    let mut names: Vec<Name> = Vec::new();
    let mut secret = |name: &str| names.push((InputKind::Secret, name.to_owned()));
    spec.source.git.secret_ref.iter().for_each(|git| secret(&git.name));
    let Some(Render { helm, substitute, decrypt, .. }) = &spec.render else { return names };
    decrypt.iter().for_each(|decrypt| secret(&decrypt.secret_ref.name));
    if let Some(helm) = helm {
        helm.chart.iter().filter_map(|chart| chart.secret_ref.as_ref()).for_each(|chart| secret(&chart.name));
        let values = helm.values_from.iter();
        names.extend(values.filter_map(|from| Some((from.kind?, from.name.clone()?))));
    }
    let from = substitute.iter().flat_map(|substitute| &substitute.from);
    names.extend(from.map(|from| (from.kind, from.name.clone())));
    names
}

/// What a Sync refers to in the cluster. Costs no request: all of it is watched.
pub async fn inputs(run: &Run<'_>) -> Result<Inputs, Failure> {
    let mut inputs = Inputs::default();
    let Some(options) = &run.sync.spec.render else { return Ok(inputs) };
    let mut version = Hasher::default();
    let Render { substitute, decrypt, .. } = options;
    if let Some(decrypt) = decrypt {
        let name = &decrypt.secret_ref.name;
        if let Some(held) = look(run, InputKind::Secret, name, false).await? {
            version.text(&held.version);
            let keys = Keys::from_secret(&held.data);
            let bad =
                |error: KeyError| Failure::user("render", "KeyUnreadable", format!("Secret {name}: {error}"));
            inputs.keys = Some(keys.map_err(bad)?);
        }
    }
    if let Some(Substitute { vars, from, .. }) = substitute {
        for from in from {
            let Some(held) = look(run, from.kind, &from.name, from.optional).await? else { continue };
            version.text(&held.version);
            inputs.secret |= from.kind == InputKind::Secret;
            inputs.vars.extend(texts(&held.data));
        }
        inputs.vars.extend(vars.clone());
    }
    inputs.version = version.finish();
    Ok(inputs)
}

/// A Secret or ConfigMap; `None` only if it need not exist.
async fn look(run: &Run<'_>, kind: InputKind, name: &str, optional: bool) -> Result<Option<Held>, Failure> {
    let user = User::Sync(run.owner.clone());
    let refused = |said: String| Failure::user("render", "InputUnreadable", said);
    let held =
        run.context.secrets.look(&user, kind, name).await.map_err(|error| refused(error.to_string()))?;
    if held.is_none() && !optional {
        let namespace = run.owner.namespace();
        return Err(refused(format!(
            "{kind:?} {namespace}/{name}, which spec.render names, does not exist; create it, or set optional: true"
        )));
    }
    Ok(held)
}

/// The entries that are text.
fn texts(data: &Data) -> BTreeMap<String, String> {
    let text =
        |(key, value): (&String, &Vec<u8>)| Some((key.clone(), String::from_utf8(value.clone()).ok()?));
    data.iter().filter_map(text).collect()
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
    let inputs = inputs(run).await?;
    let options = options(run, &folder, &inputs);
    let commit = checkout.revision().commit.clone();
    let before = memory.known.take().filter(|known| known.options == options);
    // What was rendered may be gone, after an error: then it is wanted again.
    let rendered = |known: &Known| memory.rendered.as_ref().is_some_and(|it| it.is_of(&known.tree, run.sync));
    let before = before.filter(rendered);
    if let Some(known) = before.clone().filter(|known| known.is_of(run, checkout)) {
        memory.known = Some(known.clone());
        return Ok((known, None));
    }
    let context = run.context;
    let work = Work {
        files: checkout.files(),
        folder,
        options,
        inputs,
        render: run.sync.spec.render.clone(),
        metrics: context.metrics.clone(),
    };
    let renders = context.renders.clone();
    let reads = before.map(|before| before.reads);
    let worked = tokio::task::spawn_blocking(move || work.run(&renders, reads)).await;
    let (reads, fresh) = worked.map_err(|error| Failure::internal("render", error.to_string()))?;
    let tree = reads.digest().with(options).to_string();
    let note = checkout
        .commit()
        .map(|(author, subject)| CommitNote { author: cut(&author, SHOWN), subject: cut(&subject, SHOWN) });
    let generation = run.sync.metadata.generation;
    let known = Known { commit, note, generation, options, reads, tree };
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
    options: Digest,
    inputs: Inputs,
    render: Option<Render>,
    /// Counts and times what is really rendered, and no look at what is known.
    metrics: Arc<Metrics>,
}

impl Work {
    /// What is read, and what it renders to if that is not known to be the same as before.
    fn run(self, renders: &crate::render::store::Renders, before: Option<Arc<Reads>>) -> (Arc<Reads>, Fresh) {
        if let Some(before) = before.filter(|before| before.matches(&self.files).is_some()) {
            return (before, None);
        }
        let (reads, fruit) = renders.alone(self.options, || self.found(renders));
        (Arc::new(reads), Some(fruit))
    }

    /// Kept by an earlier run or another Sync, or rendered now.
    fn found(&self, renders: &crate::render::store::Renders) -> (Reads, Result<Fruit, Failure>) {
        if !self.inputs.secret
            && let Some(Stored { reads, manifests, warnings }) = renders.find(self.options, &self.files)
        {
            return (reads, Ok(Fruit { manifests, warnings }));
        }
        let _timer = self.metrics.stage("render");
        let render = self.render.clone().unwrap_or_default();
        let job = Job { folder: &self.folder, options: &render, inputs: &self.inputs, outside: None };
        let (rendered, reads) = render::render(&self.files, &job);
        // A tree that cannot be read says more by itself than the renderer can say of it.
        if let (Err(_), Some(trouble)) = (&rendered, self.files.trouble()) {
            return (reads, Err(Failure::of("source", &trouble)));
        }
        let fruit = rendered.and_then(|rendered| {
            let (secret, warnings) = (rendered.secret, rendered.warnings);
            Ok((
                secret,
                Fruit {
                    manifests: render::manifests(rendered.objects, self.inputs.keys.as_ref())?,
                    warnings,
                },
            ))
        });
        match fruit {
            Ok((secret, fruit)) => {
                let Fruit { manifests, warnings } = fruit;
                let stored = Stored { reads, manifests, warnings };
                if !secret {
                    renders.put(self.options, &stored);
                }
                let Stored { reads, manifests, warnings } = stored;
                (reads, Ok(Fruit { manifests, warnings }))
            }
            Err(error) => (reads, Err(Failure::of("render", &error))),
        }
    }
}
