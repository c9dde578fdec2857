//! Renders the files of a folder in Git to manifests. All errors are reported at once, each with file and line.
//!
//! Independent of Git and of a cluster: files are a tree, and what the Sync refers to in the cluster are [`Inputs`]. I/O: through
//! the programs that are passed in.

pub mod ask;
pub mod bytes;
pub mod changed;
pub mod chart;
mod chart_files;
pub mod decrypted;
pub mod detect;
pub mod error;
mod error_name;
pub mod helm;
pub mod helm_charts;
pub mod ignore;
pub mod inputs;
pub mod kept;
pub mod kustomize;
pub mod order;
pub mod output;
pub mod outside;
pub mod overlay;
pub mod plain;
pub mod reads;
pub mod remote_inputs;
pub mod renderer;
pub mod sops;
pub mod store;
pub mod surroundings;
pub mod turns;
pub mod variables;
pub mod web_files;
pub mod worker;

use holdfast_diff::budget::Limits;
use holdfast_diff::files::Files;
use serde::{Deserialize, Serialize};

use self::ask::Answers;
use self::decrypted::Decrypted;
pub use self::error::RenderError;
pub use self::inputs::{Inputs, KeySecret, Target};
pub use self::output::{Keep, Object, RenderOutput, Rendered, manifests};
use self::sops::Keys;
use self::surroundings::Surroundings;
use crate::api::{Render, RenderType as Renderer};

/// Why a chart is not rendered.
const NO_HELM: &str = "charts need Helm, which is not available here";

/// The parameters of a render.
pub struct Job<'a> {
    /// The clean path of the folder.
    pub folder: &'a str,
    pub options: &'a Render,
    pub inputs: &'a Inputs,
    /// For encrypted files.
    pub keys: Option<&'a Keys>,
    /// The requests to the outside, and their answers.
    pub answers: &'a Answers<'a>,
    pub limits: Limits,
}

/// A file: its path, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub path: String,
    #[serde(with = "bytes")]
    pub bytes: Vec<u8>,
}

/// Renders a folder.
pub fn of_files(files: &dyn Files, job: &Job<'_>) -> Result<Rendered, RenderError> {
    let files = Decrypted::new(files, job.keys);
    let rendered = of_plain(&files, job).map_err(|error| job.answers.explain(error));
    let mut masks = job.inputs.masks.clone();
    masks.extend(&files.masks());
    match rendered {
        Ok(mut rendered) => {
            rendered.warnings.iter_mut().for_each(|warning| *warning = masks.hide(warning).into_owned());
            Ok(Rendered { secret: job.inputs.secret || files.used(), masks, ..rendered })
        }
        Err(error) => Err(error.hiding(&masks)),
    }
}

/// Renders decrypted files. Files from other servers are named by their URL.
fn of_plain(files: &Decrypted<'_>, job: &Job<'_>) -> Result<Rendered, RenderError> {
    let host = Surroundings::new(files, job.answers, job.limits);
    let rendered = rendered(&host, files, job);
    if host.remotes().is_empty() {
        return rendered;
    }
    match rendered {
        Ok(mut rendered) => {
            for Object { origin, .. } in &mut rendered.objects {
                origin.file = host.named(&origin.file).into();
            }
            let warnings = rendered.warnings.iter().map(|warning| host.named(warning)).collect();
            Ok(Rendered { warnings, ..rendered })
        }
        Err(error) => Err(error.rewritten(|text| host.named(text))),
    }
}

fn rendered(host: &Surroundings<'_>, files: &Decrypted<'_>, job: &Job<'_>) -> Result<Rendered, RenderError> {
    let Job { folder, options, inputs, keys: _, answers, limits: _ } = job;
    let kustomize = options.kustomize.as_ref();
    let mut rendered = match detect::renderer(files, folder, options)? {
        Renderer::Plain => plain::render(host, folder, options)?,
        Renderer::Helm => {
            if !answers.charts {
                return Err(RenderError::of(vec![NO_HELM.to_owned()]));
            }
            chart::render(host, folder, options.helm.as_ref(), inputs)?
        }
        Renderer::Kustomize => kustomize::render(host, folder, kustomize)?,
    };
    let patches = options.helm.as_ref().map(|helm| &*helm.patches).unwrap_or_default();
    let (objects, warnings) = overlay::apply(host, folder, rendered.objects, kustomize, patches)?;
    rendered.objects = objects;
    rendered.warnings.extend(warnings);
    if let Some(substitute) = &options.substitute {
        variables::fill(host, &mut rendered.objects, substitute, &inputs.vars)?;
    }
    rendered.warnings.extend(host.warnings());
    rendered.remotes = host.remotes();
    Ok(rendered)
}

#[cfg(test)]
mod whole_tests;
