//! The inputs of a render beside the files of the source: variables, values, keys, charts, the capabilities of the cluster.
//!
//! I/O: Secrets and ConfigMaps, which are watched; charts; discovery, once in a while.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_diff::digest::Hasher;
use holdfast_diff::files::Files;
use holdfast_diff::mask::Masks;
use holdfast_diff::yaml;

use super::sync_at::SyncAt;
use crate::api::{
    self, ChartStatus, Decrypt, HelmOptions, IgnoreRule, IgnoreTarget, InputKind, Remote, Render, RenderType,
    Substitute, Sync, ValuesFrom,
};
use crate::cluster::discovery::Discovery;
use crate::cluster::refusal::chain;
use crate::cluster::secrets::{Held, Name, SecretError, Secrets};
use crate::error::{Class, StageError};
use crate::policy::Policy;
use crate::progress::Progress;
use crate::render::chart;
use crate::render::detect;
use crate::render::helm::{Chart, ChartSource, HelmError, Login, ValuesPart, Volatile};
use crate::render::outside::Outside;
use crate::render::remote_inputs::{LoginUrl, RemoteLogin};
use crate::render::{Inputs, KeySecret, Target};
use crate::secret_data::Data;
use crate::sync_ref::SyncRef;

/// Where inputs come from.
#[derive(Clone, Copy)]
pub struct Gather<'a> {
    pub secrets: &'a Secrets,
    pub discovery: &'a Discovery,
    pub outside: &'a Outside,
    pub policy: &'a Policy,
    pub progress: &'a Progress,
}

/// Why inputs are missing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Unreadable(#[from] SecretError),
    #[error("{what}, which {field} names, does not exist")]
    NotFound { what: String, field: &'static str, hint: &'static str },
    #[error(
        "spec.render.kustomize.remotes: {0} is not the beginning of a URL: write a scheme (https, http or ssh) and a host, such as \
         https://git.example.com/team"
    )]
    RemoteInvalid(String),
    #[error(transparent)]
    Chart(#[from] HelmError),
    #[error("{0}")]
    Unreachable(String),
}

/// The Secrets and ConfigMaps that a Sync refers to.
pub fn names(at: SyncAt<'_>) -> Vec<Name> {
    let spec = &at.sync.spec;
    let mut names: Vec<Name> = Vec::new();
    let mut secret = |name: &str| names.push((InputKind::Secret, name.to_owned()));
    spec.source.git.secret_ref.iter().for_each(|git| secret(&git.name));
    spec.source.git.verify.iter().for_each(|verify| secret(&verify.secret_ref.name));
    spec.webhook.iter().for_each(|hook| secret(&hook.secret_ref.name));
    let Some(Render { kustomize, helm, substitute, decrypt, .. }) = &spec.render else { return names };
    kustomize.iter().flat_map(|options| &options.remotes).for_each(|remote| secret(&remote.secret_ref.name));
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

/// True if a folder is rendered by Helm. The render reports a tree that cannot be read.
pub fn is_chart(sync: &Sync, files: &dyn Files, folder: &str) -> bool {
    let options = sync.spec.render.clone().unwrap_or_default();
    detect::renderer(files, folder, &options).is_ok_and(|renderer| renderer == RenderType::Helm)
}

/// Gathers what a Sync refers to outside of Git.
pub async fn inputs(from: Gather<'_>, at: SyncAt<'_>, is_chart: bool) -> Result<Inputs, Error> {
    let options = at.sync.spec.render.clone().unwrap_or_default();
    let mut gathered = Gathered { from, at, inputs: Inputs::default(), version: Hasher::default() };
    gathered.target();
    let Render { kind: _, plain: _, kustomize, helm, substitute, decrypt } = options;
    gathered.remotes(kustomize.map(|kustomize| kustomize.remotes).unwrap_or_default()).await?;
    if let Some(decrypt) = decrypt {
        gathered.keys(&decrypt).await?;
    }
    if is_chart {
        gathered.chart(helm.unwrap_or_default()).await?;
    }
    if let Some(substitute) = substitute {
        gathered.variables(&substitute).await?;
    }
    let Gathered { mut inputs, version, .. } = gathered;
    inputs.version = version.finish();
    Ok(inputs)
}

/// The gathered inputs, and a digest of their versions.
struct Gathered<'a> {
    from: Gather<'a>,
    at: SyncAt<'a>,
    inputs: Inputs,
    version: Hasher,
}

impl Gathered<'_> {
    fn target(&mut self) {
        let SyncAt { sync, owner, status, .. } = self.at;
        let namespace = sync.spec.target_namespace.as_deref().unwrap_or(owner.namespace());
        let installed = status.revision.as_ref().is_some_and(|revision| revision.applied.is_some());
        let (name, namespace) = (owner.name().to_owned(), namespace.to_owned());
        self.inputs.target = Target { name, namespace, installed, ..Target::default() };
    }

    /// Adds what the fetch of remote bases and files needs.
    async fn remotes(&mut self, remotes: Vec<Remote>) -> Result<(), Error> {
        let SyncAt { owner, status, .. } = self.at;
        let namespace = owner.namespace();
        namespace.clone_into(&mut self.inputs.remote.tenant);
        self.inputs.remote.domain = Some(self.from.policy.domain(namespace));
        self.inputs.remote.recorded.clone_from(&status.remotes);
        for Remote { url: text, secret_ref } in remotes {
            let Some(url) = LoginUrl::parse(&text) else { return Err(Error::RemoteInvalid(text)) };
            let Some(held) = self.look(InputKind::Secret, &secret_ref.name, false).await? else { continue };
            self.version.text(&held.version);
            self.inputs.remote.logins.push(RemoteLogin { url, secret: secret_ref.name, data: held.data });
        }
        Ok(())
    }

    async fn keys(&mut self, Decrypt { secret_ref }: &Decrypt) -> Result<(), Error> {
        let Some(held) = self.look(InputKind::Secret, &secret_ref.name, false).await? else {
            return Ok(());
        };
        self.version.text(&held.version);
        self.inputs.keys =
            Some(KeySecret { name: secret_ref.name.clone(), data: held.data.as_ref().clone() });
        Ok(())
    }

    async fn variables(
        &mut self,
        Substitute { vars, from, mode: _, quoted: _ }: &Substitute,
    ) -> Result<(), Error> {
        for from in from {
            let Some(held) = self.look(from.kind, &from.name, from.optional).await? else { continue };
            self.version.text(&held.version);
            if from.kind == InputKind::Secret {
                self.inputs.secret = true;
                texts(&held.data).values().for_each(|text| self.inputs.masks.add(text));
            }
            self.inputs.vars.extend(texts(&held.data));
        }
        self.inputs.vars.extend(vars.clone());
        Ok(())
    }

    /// Adds values, logins, the capabilities of the cluster, and the chart if it is not in the source.
    async fn chart(&mut self, options: HelmOptions) -> Result<(), Error> {
        let capabilities = self.from.discovery.capabilities().await;
        let capabilities = capabilities.map_err(|error| Error::Unreachable(chain(&error)))?;
        self.inputs.target.kube_version = Some(capabilities.version.clone());
        self.inputs.target.api_versions.clone_from(&capabilities.apis);
        let Target { name, namespace, kube_version: _, api_versions: _, installed } = &self.inputs.target;
        self.version.text(&format!("{name} {namespace} {installed} {}", capabilities.version));
        capabilities.apis.iter().for_each(|api| self.version.text(api));
        for from in &options.values_from {
            let part = self.values(from).await?;
            self.inputs.values.push(part);
        }
        let Some(chart) = &options.chart else { return Ok(()) };
        let login = match &chart.secret_ref {
            Some(secret) => {
                let held = self.look(InputKind::Secret, &secret.name, false).await?;
                let login = held.map(|held| chart::login(&held.data, &chart.repository));
                login.transpose()?
            }
            None => None,
        };
        self.from.progress.proceed("render", "fetching the chart");
        if let Some(chart) = fetch(self.from.outside, chart, login.as_ref()).await? {
            self.version.text(&format!("{} {} {:?}", chart.name, chart.version, chart.digest));
            self.inputs.fetched = Some(status(&chart));
            self.inputs.chart = Some(Arc::new(chart));
        }
        Ok(())
    }

    /// Returns values from the cluster; `None` for those in a file, and for optional ones that do not exist.
    async fn values(&mut self, from: &ValuesFrom) -> Result<Option<ValuesPart>, Error> {
        let ValuesFrom { kind, name, values_key, file: _, target_path, optional } = from;
        let (Some(kind), Some(name)) = (*kind, name) else { return Ok(None) };
        let Some(held) = self.look(kind, name, *optional).await? else { return Ok(None) };
        self.version.text(&held.version);
        self.inputs.secret |= kind == InputKind::Secret;
        let key = values_key.as_deref().unwrap_or("values.yaml");
        if kind == InputKind::Secret
            && let Some(text) = held.data.get(key)
        {
            note_values(&mut self.inputs.masks, text, target_path.is_some());
        }
        let place = format!("{kind} {}/{name}, key {key}", self.at.owner.namespace());
        match held.data.get(key) {
            Some(text) => {
                Ok(Some(ValuesPart { name: place, text: text.clone(), target_path: target_path.clone() }))
            }
            None if *optional => Ok(None),
            None => Err(Error::NotFound {
                what: place,
                field: "spec.render.helm.valuesFrom",
                hint: "add it, or set optional: true",
            }),
        }
    }

    /// Returns a Secret or ConfigMap; `None` if it is optional and does not exist.
    async fn look(&self, kind: InputKind, name: &str, optional: bool) -> Result<Option<Held>, Error> {
        let user = self.at.owner.into();
        let held = self.from.secrets.look(&user, kind, name).await?;
        if held.is_none() && !optional {
            let what = format!("{kind} {}/{name}", self.at.owner.namespace());
            let hint = "create it, or set optional: true";
            return Err(Error::NotFound { what, field: "spec.render", hint });
        }
        Ok(held)
    }
}

/// Fetches a chart that is not in the tree.
async fn fetch(
    outside: &Outside,
    chart: &api::Chart,
    login: Option<&Login>,
) -> Result<Option<Chart>, HelmError> {
    let Some(charts) = &outside.charts else { return Ok(None) };
    let version = chart.version.as_deref().unwrap_or_default();
    let oci = format!("{}/{}", chart.repository.trim_end_matches('/'), chart.name);
    let source = if chart.repository.starts_with("oci://") {
        ChartSource::Oci { url: &oci, version, login, plain_http: chart.insecure }
    } else {
        ChartSource::Repository { url: &chart.repository, name: &chart.name, version, login }
    };
    charts.fetch(source).await.map(Some)
}

/// A chart as the status reports it.
fn status(Chart { name, version, digest, .. }: &Chart) -> ChartStatus {
    let digest = digest.as_ref().map(|digest| format!("sha256:{digest}"));
    ChartStatus { name: name.clone(), version: version.clone(), digest }
}

/// Gathers the inputs of a Sync in a file without a cluster; `None` if the Sync refers to objects of one.
pub async fn alone(sync: &Sync, owner: &SyncRef, outside: &Outside) -> Result<Option<Inputs>, HelmError> {
    let Render { kustomize, helm, substitute, decrypt, .. } = sync.spec.render.clone().unwrap_or_default();
    let (vars, from) = substitute.map(|Substitute { vars, from, .. }| (vars, from)).unwrap_or_default();
    let HelmOptions { chart, values_from, .. } = helm.unwrap_or_default();
    let refers = !from.is_empty()
        || decrypt.is_some()
        || kustomize.is_some_and(|kustomize| !kustomize.remotes.is_empty())
        || values_from.iter().any(|from| from.kind.is_some())
        || chart.as_ref().is_some_and(|chart| chart.secret_ref.is_some());
    if refers {
        return Ok(None);
    }
    let namespace = sync.spec.target_namespace.as_deref().unwrap_or(owner.namespace()).to_owned();
    let target = Target { name: owner.name().to_owned(), namespace, ..Target::default() };
    let chart = match &chart {
        Some(chart) => fetch(outside, chart, None).await?.map(Arc::new),
        None => None,
    };
    let fetched = chart.as_deref().map(status);
    Ok(Some(Inputs {
        vars,
        target,
        chart,
        fetched,
        values: vec![None; values_from.len()],
        ..Inputs::default()
    }))
}

/// Masks the values of a Secret that a chart takes: one value, or a document of values.
fn note_values(masks: &mut Masks, text: &[u8], is_one: bool) {
    let (documents, errors) = yaml::read("", text);
    if is_one || !errors.is_empty() {
        return masks.add(&String::from_utf8_lossy(text));
    }
    documents.iter().for_each(|document| masks.add_values(&document.value));
}

/// The entries that are text.
fn texts(data: &Data) -> BTreeMap<String, String> {
    let text =
        |(key, value): (&String, &Vec<u8>)| Some((key.clone(), String::from_utf8(value.clone()).ok()?));
    data.iter().filter_map(text).collect()
}

/// Returns an ignore rule for fields that a chart generates anew on each render, so that their live values stay.
pub fn kept(Volatile { object, paths }: &Volatile) -> IgnoreRule {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let target = IgnoreTarget {
        group: Some(object.kind.group.clone()),
        kind: Some(object.kind.kind.clone()),
        name: given(&object.name),
        namespace: given(&object.namespace),
        ..IgnoreTarget::default()
    };
    // The API server keeps the strings of a Secret as data.
    let stored = |path: &String| match path.strip_prefix("/stringData") {
        Some(rest) if object.kind.is("", "Secret") => format!("/data{rest}"),
        _ => path.clone(),
    };
    IgnoreRule { target, paths: paths.iter().map(stored).collect(), managers: Vec::new() }
}

impl StageError for Error {
    fn class(&self) -> Class {
        match self {
            Self::Unreadable(_) | Self::NotFound { .. } | Self::RemoteInvalid(_) => Class::User,
            Self::Chart(error) => error.class(),
            Self::Unreachable(_) => Class::Transient,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Unreadable(_) | Self::NotFound { .. } | Self::RemoteInvalid(_) => "InputUnreadable",
            Self::Chart(error) => error.name(),
            Self::Unreachable(_) => "Unreachable",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { hint, .. } => Some((*hint).to_owned()),
            Self::Unreadable(_) | Self::RemoteInvalid(_) | Self::Chart(_) | Self::Unreachable(_) => None,
        }
    }

    fn common_cause(&self) -> Option<String> {
        match self {
            Self::Chart(error) => error.common_cause(),
            Self::Unreadable(_) | Self::NotFound { .. } | Self::RemoteInvalid(_) | Self::Unreachable(_) => {
                None
            }
        }
    }

    fn mistakes(&self) -> (Vec<holdfast_diff::causes::Mistake>, usize) {
        match self {
            Self::Chart(error) => error.mistakes(),
            Self::Unreadable(_) | Self::NotFound { .. } | Self::RemoteInvalid(_) | Self::Unreachable(_) => {
                (Vec::new(), 0)
            }
        }
    }
}
