//! From the files of a folder in git to manifests. All errors are reported at once, each with file and line.
//!
//! Knows neither git nor a cluster: files come in as a tree, and what the Sync refers to in the cluster as [`Inputs`].
//! I/O: through the programs that it is given.

pub mod decrypted;
pub mod detect;
pub mod ignore;
pub mod kept;
pub mod kustomize;
pub mod overlay;
pub mod plain;
pub mod reads;
pub mod sops;
pub mod store;
pub mod variables;

use std::collections::BTreeMap;

use holdfast_diff::digest::Digest;
use holdfast_diff::files::{Files, FilesError, Versioned};
use holdfast_diff::object::{Manifest, Origin};
use holdfast_diff::yaml;
use serde_json::Value;

use self::decrypted::Decrypted;
use self::kustomize::{Outside, Surroundings};
use self::reads::{Reads, Recorder};
use self::sops::Keys;
use crate::api::{Render, RenderType as Renderer};
use crate::error::{Class, StageError};

/// What is to be rendered, and how.
pub struct Job<'a> {
    /// The clean path of the folder.
    pub folder: &'a str,
    pub options: &'a Render,
    pub inputs: &'a Inputs,
    /// What may be asked for beside files.
    pub outside: Option<&'a dyn Outside>,
}

/// What a Sync refers to outside of git.
#[derive(Default)]
pub struct Inputs {
    /// Variables, all of them.
    pub vars: BTreeMap<String, String>,
    /// For encrypted files.
    pub keys: Option<Keys>,
    /// True if some of it comes from a Secret: then nothing of the render is written to disk.
    pub secret: bool,
    /// The versions of all of it: when it changes, so may the render.
    pub version: Digest,
}

/// An object as it was rendered.
#[derive(Clone, Debug)]
pub struct Object {
    pub value: Value,
    pub origin: Origin,
}

/// What a folder renders to.
#[derive(Debug, Default)]
pub struct Rendered {
    pub objects: Vec<Object>,
    /// What is odd and stops nothing.
    pub warnings: Vec<String>,
    /// True if some of it was encrypted, or came from a Secret.
    pub secret: bool,
}

/// Everything that is wrong in the files, so that it can be mended in one go.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{} in git: {}", count(.errors.len()), .errors.join("; "))]
pub struct RenderError {
    /// Each starts with `file:line`.
    pub errors: Vec<String>,
    class: Class,
}

fn count(errors: usize) -> String {
    if errors == 1 { "1 mistake".to_owned() } else { format!("{errors} mistakes") }
}

impl RenderError {
    pub fn of(errors: Vec<String>) -> Self {
        Self { errors, class: Class::User }
    }
}

impl From<FilesError> for RenderError {
    fn from(error: FilesError) -> Self {
        Self::of(vec![error.to_string()])
    }
}

impl StageError for RenderError {
    fn class(&self) -> Class {
        self.class
    }

    fn name(&self) -> &'static str {
        "RenderFailed"
    }
}

/// Renders a folder, and says what it read: also when it failed.
pub fn render(files: &dyn Versioned, job: &Job<'_>) -> (Result<Rendered, RenderError>, Reads) {
    let recorder = Recorder::new(files);
    let rendered = of_files(&recorder, job);
    (rendered, recorder.into_reads())
}

/// Renders a folder.
pub fn of_files(files: &dyn Files, job: &Job<'_>) -> Result<Rendered, RenderError> {
    let Job { folder, options, inputs, outside } = job;
    let files = Decrypted::new(files, inputs.keys.as_ref());
    let host = Surroundings { files: &files, outside: *outside };
    let kustomize = options.kustomize.as_ref();
    let mut rendered = match detect::renderer(&files, folder, options)? {
        Renderer::Plain | Renderer::Helm => plain::render(&host, folder, kustomize)?,
        Renderer::Kustomize => kustomize::render(&host, folder, kustomize)?,
    };
    let patches = options.helm.as_ref().map(|helm| &*helm.patches).unwrap_or_default();
    rendered.objects = overlay::apply(&host, folder, rendered.objects, kustomize, patches)?;
    if let Some(substitute) = &options.substitute {
        variables::fill(&files, &mut rendered.objects, substitute, &inputs.vars)?;
    }
    rendered.secret = inputs.secret || files.used();
    Ok(rendered)
}

/// The manifests of what was rendered; nothing in them is encrypted.
pub fn manifests(objects: Vec<Object>, keys: Option<&Keys>) -> Result<Vec<Manifest>, RenderError> {
    let mut manifests = Vec::with_capacity(objects.len());
    let mut errors = Vec::new();
    for Object { mut value, origin } in objects {
        if let Err(error) = decrypted::open(&mut value, keys) {
            errors.push(format!("{origin}: {error}"));
            continue;
        }
        let (found, mistakes) = yaml::manifest(value, &origin);
        manifests.extend(found);
        errors.extend(mistakes.into_iter().map(|mistake| mistake.to_string()));
    }
    if errors.is_empty() { Ok(manifests) } else { Err(RenderError::of(errors)) }
}
