//! The parameters and the result of one render, as values that can be sent to another process.
//!
//! Leaves the choice of the process to `renderer`. Pure.

use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::budget::Limits;
use holdfast_diff::digest::Digest;
use holdfast_diff::files::Files;
use serde::{Deserialize, Serialize};

use super::ask::{Answer, Answers, Ask, TreeFiles, TreePlace, Trees};
use super::changed::Changed;
use super::outside::Outside;
use super::reads::{Reads, Recorder};
use super::{File, Inputs, Job, Keep, RenderError, RenderOutput, Rendered, of_files};
use crate::api::Render;

/// What is to be rendered, and how.
#[derive(Serialize, Deserialize)]
pub struct Order {
    pub place: TreePlace,
    /// Files that are other ones than those of the commit.
    pub changed: Vec<File>,
    /// The clean path of the folder.
    pub folder: String,
    pub options: Render,
    pub inputs: Arc<Inputs>,
    pub limits: Limits,
    /// How long it may take.
    pub time: Duration,
    /// Whether charts may be asked for, and other repositories.
    pub charts: bool,
    pub remotes: bool,
}

/// What was answered so far.
pub type Given = Vec<(Digest, Arc<Answer>)>;

/// A render, as far as it came.
pub struct Attempt {
    /// What it read: also when it failed.
    pub reads: Reads,
    pub end: Result<(RenderOutput, Keep), RenderError>,
    /// The question that must be answered before it can come to an end.
    pub missing: Option<Ask>,
}

impl Attempt {
    pub fn failed(error: RenderError) -> Self {
        Self { reads: Reads::default(), end: Err(error), missing: None }
    }
}

/// Renders as far as the answers go.
pub fn attempt(order: &Order, given: &[(Digest, Arc<Answer>)], trees: &dyn Trees) -> Attempt {
    let files = match trees.open(&order.place) {
        Ok(files) => files,
        Err(error) => return Attempt::failed(error),
    };
    let answers = Answers::new(order.charts, order.remotes.then_some(trees), given);
    let changed = Changed::new(&*files, order.changed.iter().map(|file| (&*file.path, &*file.bytes)));
    let recorder = Recorder::new(&changed);
    let end = end(order, &recorder, &answers, &*files);
    Attempt { reads: recorder.into_reads(), end, missing: answers.into_missing() }
}

fn end(
    order: &Order,
    files: &Recorder<'_>,
    answers: &Answers<'_>,
    tree: &dyn TreeFiles,
) -> Result<(RenderOutput, Keep), RenderError> {
    let Order { folder, options, inputs, limits, .. } = order;
    let keys = inputs.keys()?;
    let job = Job { folder, options, inputs, keys: keys.as_ref(), answers, limits: *limits };
    let rendered = of_files(files, &job);
    // A tree that cannot be read says more by itself than the renderer can say of it, unless more is wrong.
    if let (Err(error), Some(trouble)) = (&rendered, tree.trouble())
        && error.errors.len() == 1
    {
        return Err(RenderError::of_source(&*trouble));
    }
    rendered?.output(keys.as_ref())
}

/// Renders files that this process reads, and answers what the render asks for.
pub async fn render_here(
    files: Arc<dyn Files + Send + Sync>,
    folder: String,
    options: Render,
    inputs: Arc<Inputs>,
    outside: &Outside,
    trees: Arc<dyn Trees>,
) -> Result<Rendered, RenderError> {
    let mut asked = outside.asked(&inputs, "");
    let options = Arc::new(options);
    let (charts, remotes) = (outside.charts.is_some(), outside.remotes.is_some());
    loop {
        let (files, folder, options) = (files.clone(), folder.clone(), options.clone());
        let (inputs, trees, given) = (inputs.clone(), trees.clone(), asked.given().to_vec());
        let working = tokio::task::spawn_blocking(move || {
            let keys = inputs.keys()?;
            let answers = Answers::new(charts, remotes.then_some(&*trees), &given);
            let (options, inputs, keys) = (&options, &inputs, keys.as_ref());
            let job =
                Job { folder: &folder, options, inputs, keys, answers: &answers, limits: Limits::default() };
            let rendered = of_files(&*files, &job);
            Ok::<_, RenderError>((rendered, answers.into_missing()))
        });
        let (rendered, missing) =
            working.await.map_err(|error| RenderError::internal(&error.to_string()))??;
        match missing {
            Some(ask) => asked.answer(ask).await?,
            None => return rendered,
        }
    }
}
