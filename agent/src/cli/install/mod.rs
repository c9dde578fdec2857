//! `holdfast install`: prints or applies the manifests that are a part of the program. I/O: API, terminal.

mod bundle;
mod objects;
pub(super) mod ready;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use holdfast_diff::yaml;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::api::{DeleteParams, Patch, PatchParams, ValidationDirective};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta};
use kube::{Api, Client};
use serde_json::Value;

use self::objects::{Choice, Mode, Part, kind, leftovers, name};
use super::plan::AGENT_NAMESPACE;
use super::{Global, cluster, print};
use crate::api::Duration;
use crate::cluster::requests::is_conflict;

/// The field manager of the objects.
const MANAGER: &str = "holdfast-install";

/// What is installed, and where
#[derive(Args, Debug)]
pub struct Install {
    /// What the agent may do
    #[arg(long, value_enum, default_value_t)]
    mode: Mode,
    /// Bind the agent in these namespaces, for --mode=tenants and --mode=namespaced
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Image of the agent, in your registry [default: that of manifests/]
    #[arg(long)]
    image: Option<String>,
    /// Number of pods; with two or more, the others take over within seconds
    #[arg(long, default_value_t = 1)]
    replicas: u32,
    /// Install more: the web UI, or the ServiceMonitor, the alert rules and the dashboard
    #[arg(long, value_enum, value_delimiter = ',')]
    with: Vec<Part>,
    /// Print the manifests as YAML and apply nothing; no cluster is needed
    #[arg(long)]
    dry_run: bool,
    /// Overwrite fields that other field managers own
    #[arg(long)]
    force_conflicts: bool,
    /// Maximum time to wait until the agent is ready; 0s to return at once
    #[arg(long, value_name = "DURATION", default_value = "2m")]
    timeout: Duration,
}

impl Install {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let Self { mode, namespaces, image, replicas, with, dry_run, force_conflicts, timeout } = self;
        let namespace = global.namespace.clone().unwrap_or_else(|| AGENT_NAMESPACE.to_owned());
        let choice = Choice { mode, namespace, namespaces, image, replicas, with };
        let objects = choice.objects()?;
        if dry_run {
            for (at, object) in objects.iter().enumerate() {
                print::written(&format!("{}{}", if at > 0 { "---\n" } else { "" }, yaml::write(object)))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let client = cluster::client(&global).await?;
        let until = Instant::now() + timeout.get();
        let (definitions, others): (Vec<&Value>, Vec<&Value>) =
            objects.iter().partition(|object| kind(object) == "CustomResourceDefinition");
        for object in &definitions {
            apply(&client, object, force_conflicts).await?;
        }
        let names: Vec<String> = definitions.iter().map(|object| name(object).to_owned()).collect();
        ready::definitions(&client, &names, until.max(Instant::now() + std::time::Duration::from_secs(30)))
            .await?;
        for object in &others {
            apply(&client, object, force_conflicts).await?;
        }
        for binding in leftovers(&objects) {
            remove(&client, binding, mode).await?;
        }
        if !timeout.get().is_zero() {
            ready::agent(&client, &choice.namespace, until).await?;
            print::say("the agent is ready; check the installation at any time with: holdfast doctor");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Applies one object and says so.
async fn apply(client: &Client, object: &Value, force: bool) -> anyhow::Result<()> {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let types = TypeMeta { api_version: version.to_owned(), kind: kind(object).to_owned() };
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
    let namespace = object["metadata"]["namespace"].as_str();
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        force,
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    };
    let place = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let whole = format!("{} {place}{}", kind(object), name(object));
    match api.patch(name(object), &params, &Patch::Apply(object)).await {
        Ok(_) => {
            print::line(format_args!("{whole} applied"));
            Ok(())
        }
        Err(error) if is_conflict(&error) => Err(error).with_context(|| {
            format!("cannot apply {whole}; to overwrite these fields, add --force-conflicts")
        }),
        Err(kube::Error::Api(status))
            if status.code == 404 && version.starts_with("monitoring.coreos.com/") =>
        {
            bail!(
                "cannot apply {whole}: the cluster does not have the definitions of the Prometheus operator; install it, or leave out \
             --with=monitoring"
            )
        }
        Err(error) => Err(error).with_context(|| format!("cannot apply {whole}")),
    }
}

/// Deletes a binding of another mode, if it is there.
async fn remove(client: &Client, binding: &str, mode: Mode) -> anyhow::Result<()> {
    let api = Api::<ClusterRoleBinding>::all(client.clone());
    match api.delete(binding, &DeleteParams::default()).await {
        Ok(_) => {
            let mode = clap::ValueEnum::to_possible_value(&mode);
            let mode = mode.as_ref().map_or("", |mode| mode.get_name());
            print::line(format_args!(
                "ClusterRoleBinding {binding} deleted, which --mode={mode} does not have"
            ));
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => {
            Err(error).with_context(|| format!("cannot delete ClusterRoleBinding {binding} of another mode"))
        }
    }
}
