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
mod error_name;
pub mod helm;
pub mod helm_charts;
pub mod ignore;
pub mod kept;
pub mod kustomize;
pub mod order;
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

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_diff::budget::{Exceeded, Limits};
use holdfast_diff::causes::{self, Mistake};
use holdfast_diff::digest::Digest;
use holdfast_diff::files::{Files, FilesError};
use holdfast_diff::mask::Masks;
use holdfast_diff::object::{Manifest, Origin};
use holdfast_diff::yaml;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::ask::{Answers, ReadRemote};
use self::chart::Target;
use self::decrypted::Decrypted;
use self::error_name::Name;
use self::helm::{Chart, Login, ValuesPart, Volatile};
use self::remote_inputs::RemoteInputs;
use self::sops::Keys;
use self::surroundings::Surroundings;
use crate::api::{ChartStatus, Render, RenderType as Renderer, names};
use crate::error::{Class, StageError};

/// Why a chart is not rendered.
const NO_HELM: &str = "charts need Helm, which is not at hand here";

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

/// What a Sync refers to outside of Git. Fields that are not sent to a worker are for answering its requests.
#[derive(Default, Serialize, Deserialize)]
pub struct Inputs {
    /// All variables.
    pub vars: BTreeMap<String, String>,
    /// For encrypted files.
    pub keys: Option<KeySecret>,
    /// For a chart: the release and the cluster, the values of ConfigMaps and Secrets in `valuesFrom`, and the chart itself if it
    /// is not in the tree.
    pub target: Target,
    pub values: Vec<Option<ValuesPart>>,
    #[serde(skip)]
    pub logins: Vec<(String, Login)>,
    #[serde(skip)]
    pub chart: Option<Arc<Chart>>,
    /// The same chart, as the status reports it.
    pub fetched: Option<ChartStatus>,
    /// For files and bases from other servers.
    #[serde(skip)]
    pub remote: RemoteInputs,
    /// True if a part of it comes from a Secret: then the render is not written to disk.
    pub secret: bool,
    /// The texts that come from Secrets.
    pub masks: Masks,
    /// Digest of the versions of all of it: if it changes, the render may change.
    #[serde(skip)]
    pub version: Digest,
}

/// A Secret with private keys. They are secret: there is no `Debug`.
#[derive(Serialize, Deserialize)]
pub struct KeySecret {
    pub name: String,
    #[serde(with = "bytes::map")]
    pub data: BTreeMap<String, Vec<u8>>,
}

impl Inputs {
    /// Reads the private keys where they are used: that may take as much time as their author wants.
    pub fn keys(&self) -> Result<Option<Keys>, RenderError> {
        let Some(KeySecret { name, data }) = &self.keys else { return Ok(None) };
        let bad = |error: sops::KeyError| {
            RenderError::outside(Class::User, "KeyUnreadable", format!("Secret {name}: {error}"))
        };
        Keys::from_secret(data).map(Some).map_err(bad)
    }
}

/// An object as it was rendered.
#[derive(Clone, Debug)]
pub struct Object {
    pub value: Value,
    pub origin: Origin,
}

/// The result of rendering a folder.
#[derive(Debug, Default)]
pub struct Rendered {
    pub objects: Vec<Object>,
    /// Warnings, which do not block the sync.
    pub warnings: Vec<String>,
    /// What a chart makes anew each time, which is kept as it is in the cluster.
    pub volatile: Vec<Volatile>,
    /// What was read of other repositories.
    pub remotes: Vec<ReadRemote>,
    /// The chart, if it is not of the tree.
    pub chart: Option<ChartStatus>,
    /// True if a part of it was encrypted, or came from a Secret.
    pub secret: bool,
    /// The texts that were encrypted, or came from a Secret.
    pub masks: Masks,
}

/// What a render comes to.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RenderOutput {
    pub manifests: Vec<Manifest>,
    pub warnings: Vec<String>,
    /// What a chart makes anew each time, which is kept as it is in the cluster.
    pub volatile: Vec<Volatile>,
    /// The chart, if it is not of the tree.
    pub chart: Option<ChartStatus>,
    /// What was read of other repositories.
    #[serde(skip)]
    pub remotes: Vec<ReadRemote>,
    /// The texts that were encrypted, or came from a Secret. A render that has any is not written to disk.
    #[serde(default)]
    pub masks: Masks,
}

/// Whether a render may be written to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    Yes,
    /// A part of it was encrypted, or came from a Secret, or from outside the files.
    No,
}

impl Rendered {
    /// The manifests of what was rendered; nothing in them is encrypted.
    pub fn output(self, keys: Option<&Keys>) -> Result<(RenderOutput, Keep), RenderError> {
        let Self { objects, warnings, volatile, remotes, chart, secret, mut masks } = self;
        let keep = if secret || !remotes.is_empty() { Keep::No } else { Keep::Yes };
        let manifests = opened(objects, keys, &mut masks).map_err(|error| error.hiding(&masks))?;
        Ok((RenderOutput { manifests, warnings, volatile, chart, remotes, masks }, keep))
    }
}

/// A file: its path, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    pub path: String,
    #[serde(with = "bytes")]
    pub bytes: Vec<u8>,
}

/// All mistakes in the files, so that they can be corrected at once; or another error that ended a render.
#[derive(Clone, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{}{}", head(*.cause, .errors.len() + .more), said(.errors, *.more))]
pub struct RenderError {
    /// Each starts with `file:line`, if it is in Git.
    pub errors: Vec<String>,
    /// How many more there are.
    more: usize,
    class: Class,
    name: Name,
    cause: Cause,
    /// The cause that errors of other Syncs may share.
    #[serde(default)]
    common: Option<String>,
}

/// The kind of an error of a render.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Cause {
    /// A mistake in the files.
    Git,
    /// The tree itself cannot be read.
    Source,
    /// A limit, or a defect.
    Outside,
}

fn head(cause: Cause, errors: usize) -> String {
    if cause == Cause::Git { count(errors) } else { String::new() }
}

/// The mistakes, grouped by their causes if there are many.
fn said(errors: &[String], more: usize) -> String {
    causes::summary(&read(errors), more).0
}

fn read(errors: &[String]) -> Vec<Mistake> {
    errors.iter().map(|error| Mistake::read(error)).collect()
}

/// Maximum number of mistakes: a bad file may have as many as it has bytes.
const REPORTED: usize = 1000;

fn count(errors: usize) -> String {
    if errors == 1 { "1 mistake in git: ".to_owned() } else { format!("{errors} mistakes in git: ") }
}

impl RenderError {
    pub fn of(mut errors: Vec<String>) -> Self {
        let more = errors.len().saturating_sub(REPORTED);
        errors.truncate(REPORTED);
        Self { errors, more, class: Class::User, name: Name("RenderFailed"), cause: Cause::Git, common: None }
    }

    /// Creates an error that is not caused by Git alone.
    pub fn outside(class: Class, name: &'static str, said: String) -> Self {
        Self { errors: vec![said], more: 0, class, name: Name(name), cause: Cause::Outside, common: None }
    }

    /// A defect of Holdfast, or of the machine.
    pub fn internal(said: &str) -> Self {
        Self::outside(Class::Internal, "RenderFault", said.to_owned())
    }

    /// Creates the error of a tree that cannot be read.
    pub fn of_source(error: &dyn StageError) -> Self {
        Self {
            errors: vec![error.to_string()],
            more: 0,
            class: error.class(),
            name: Name(error.name()),
            cause: Cause::Source,
            common: error.common_cause(),
        }
    }

    /// The same text, if an error outside is the reason.
    #[must_use]
    pub fn because_of(self, trouble: &Self) -> Self {
        Self {
            class: trouble.class,
            name: trouble.name,
            cause: Cause::Outside,
            common: trouble.common.clone(),
            ..self
        }
    }

    /// A base in another repository that cannot be read.
    pub fn of_remote(error: &dyn StageError) -> Self {
        let said = format!("remote base: {error}");
        Self {
            more: 0,
            errors: vec![said],
            class: error.class(),
            name: Name(error.name()),
            cause: Cause::Git,
            common: error.common_cause(),
        }
    }

    /// Returns the stage that failed.
    pub fn stage(&self) -> &'static str {
        if self.cause == Cause::Source { "source" } else { "render" }
    }

    /// The same without secret texts, which a message can quote.
    fn hiding(self, masks: &Masks) -> Self {
        Self { errors: self.errors.iter().map(|error| masks.hide(error).into_owned()).collect(), ..self }
    }
}

impl From<Exceeded> for RenderError {
    fn from(exceeded: Exceeded) -> Self {
        Self::of(vec![exceeded.to_string()])
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
        self.name.0
    }

    fn common_cause(&self) -> Option<String> {
        self.common.clone()
    }

    fn mistakes(&self) -> (Vec<Mistake>, usize) {
        (read(&self.errors), self.more)
    }
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
    let named = |texts: Vec<String>| texts.iter().map(|text| host.named(text)).collect();
    match rendered {
        Ok(mut rendered) => {
            for Object { origin, .. } in &mut rendered.objects {
                origin.file = host.named(&origin.file).into();
            }
            Ok(Rendered { warnings: named(rendered.warnings), ..rendered })
        }
        Err(error) => Err(RenderError { errors: named(error.errors), ..error }),
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

/// True for an Approval of any version. The names of groups and kinds have one spelling, and a definition converts only
/// within its group, so nothing else becomes one in the API server.
fn is_approval(manifest: &Manifest) -> bool {
    manifest.kind.is(names::GROUP, "Approval")
}

/// The manifests of what was rendered: nothing in them is encrypted, and none of them approves anything.
///
/// A Sync may hold other Syncs, and change itself: what is merged is wanted. What such a Sync renders passes through here too.
/// Objects that grant rights are refused by the API server unless the identity of the Sync holds these rights; the agent's
/// own identity holds all of them in an installation for one team.
pub fn manifests(objects: Vec<Object>, keys: Option<&Keys>) -> Result<Vec<Manifest>, RenderError> {
    opened(objects, keys, &mut Masks::default())
}

/// The manifests, and what of them was encrypted until now.
fn opened(
    objects: Vec<Object>,
    keys: Option<&Keys>,
    masks: &mut Masks,
) -> Result<Vec<Manifest>, RenderError> {
    let mut manifests = Vec::with_capacity(objects.len());
    let mut errors = Vec::new();
    for Object { mut value, origin } in objects {
        match decrypted::open(&mut value, keys) {
            Ok(true) => masks.add_secret(&value),
            Ok(false) => {}
            Err(error) => {
                errors.push(format!("{origin}: {error}"));
                continue;
            }
        }
        let (found, mistakes) = yaml::manifest(value, &origin);
        errors.extend(found.iter().filter(|manifest| is_approval(manifest)).map(|manifest| {
            format!(
                "{}: Approval {} must not be in Git, because users with write access to Git could approve their own changes; \
                 remove it, and approve with `holdfast approve`",
                manifest.origin, manifest.name
            )
        }));
        manifests.extend(found);
        errors.extend(mistakes.into_iter().map(|mistake| mistake.to_string()));
    }
    if errors.is_empty() { Ok(manifests) } else { Err(RenderError::of(errors)) }
}

#[cfg(test)]
mod whole_tests;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value, expected: Option<&str>) {
        let origin = Origin { file: "a.yaml".into(), line: 7 };
        let found = manifests(vec![Object { value, origin }], None).map_err(|error| error.to_string());
        assert_eq!(found.err().map(|error| error.contains("a.yaml:7: Approval ")), expected.map(|_| true));
    }

    #[test]
    fn git_approves_nothing() {
        let of = |version: &str, kind: &str| json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}});
        for version in ["holdfast.dev/v1alpha1", "holdfast.dev/v1", "holdfast.dev/v9beta9"] {
            check(of(version, "Approval"), Some("refused"));
            let approval = of(version, "Approval");
            let item = json!({"apiVersion": "v1", "kind": "List", "items": [approval]});
            check(item.clone(), Some("refused"));
            check(
                json!({"apiVersion": version, "kind": "ApprovalList", "items": [approval]}),
                Some("refused"),
            );
            check(json!({"apiVersion": "v1", "kind": "List", "items": [item]}), Some("refused"));
        }
        check(of("holdfast.dev/v1alpha1", "Sync"), None);
        check(of("example.com/v1", "Approval"), None);
    }
}
