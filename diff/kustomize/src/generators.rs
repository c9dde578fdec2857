//! Generators of resources: those in the fields of a kustomization, and those in files.
//!
//! Leaves the creation of ConfigMaps and Secrets to `generate`. Pure.

use serde::Deserialize;

use super::error::KustomizeError;
use super::generate::{Generated, GeneratorArgs};
use super::host::HelmChart;
use super::node::{Map, Node};
use super::provenance::record::Provenance;
use super::read;
use super::resource::Resource;
use super::target::Target;
use holdfast_documents::object::Origin;

/// A generator that is ready to run.
pub struct Generator {
    pub what: What,
    pub origin: Origin,
    /// The place of the generator for `buildMetadata`, if that is requested.
    pub provenance: Option<Provenance>,
}

/// The kind of a generator.
pub enum What {
    Data(Generated, GeneratorArgs),
    Chart(Box<HelmChart>),
    Policy(PolicyArgs),
}

/// The fields of an IAMPolicyGenerator.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PolicyArgs {
    pub cloud: String,
    pub kubernetes_service: KubernetesService,
    pub service_account: ServiceAccount,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct KubernetesService {
    pub name: String,
    pub namespace: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceAccount {
    pub name: String,
    pub project_id: String,
}

impl Generator {
    pub fn data(
        generated: Generated,
        args: GeneratorArgs,
        origin: Origin,
        provenance: Option<Provenance>,
    ) -> Self {
        Self { what: What::Data(generated, args), origin, provenance }
    }

    /// Creates the generator of a chart, if charts are enabled.
    pub fn chart(
        mut chart: HelmChart,
        target: &Target,
        origin: Origin,
        provenance: Option<Provenance>,
    ) -> Result<Self, KustomizeError> {
        if !target.loader.context.options.enable_helm {
            let message =
                "charts are not rendered unless that is allowed: allow it, or put the rendered objects here";
            return Err(KustomizeError::at(&origin, message));
        }
        if chart.name.is_empty() {
            return Err(KustomizeError::at(&origin, "a chart needs a name: add `name`"));
        }
        if chart.chart_home.is_empty() {
            "charts".clone_into(&mut chart.chart_home);
        }
        for file in chart.files() {
            target.loader.load(file).map_err(|error| error.or_at(&origin))?;
        }
        Ok(Self { what: What::Chart(Box::new(chart)), origin, provenance })
    }

    pub fn run(&self, target: &Target) -> Result<Vec<Resource>, KustomizeError> {
        let mut resources = match &self.what {
            What::Data(generated, args) => vec![args.generate(*generated, target.loader, &self.origin)?],
            What::Chart(chart) => self.inflate(chart, target)?,
            What::Policy(args) => self.policy(args)?,
        };
        if let Some(provenance) = &self.provenance {
            for resource in resources.iter_mut().filter(|resource| resource.provenance.is_none()) {
                resource.provenance = Some(provenance.clone());
                resource.touch();
            }
        }
        Ok(resources)
    }

    fn inflate(&self, chart: &HelmChart, target: &Target) -> Result<Vec<Resource>, KustomizeError> {
        let rendered = target.loader.context.host.chart(chart, target.loader.root());
        let rendered = rendered.map_err(|error| KustomizeError::at(&self.origin, error.0))?;
        let file = format!("chart {} of {}", chart.name, self.origin);
        let mut unread = Vec::new();
        let mut resources = read::resources_noting(&file, &rendered, &mut unread)?;
        unread.into_iter().for_each(|warning| target.loader.warn(warning));
        for resource in &mut resources {
            let metadata = resource.edit().get_mut("metadata").and_then(Node::as_map_mut);
            if let Some(metadata) = metadata {
                let annotations = metadata.entry("annotations", || Map::default().into());
                if annotations.is_empty() {
                    *annotations = Map::default().into();
                }
                if let Some(annotations) = annotations.as_map_mut() {
                    annotations.set("internal.config.kubernetes.io/helm-generated", Node::string("true"));
                }
            }
        }
        Ok(resources)
    }

    /// Returns the ServiceAccount that represents an account of the cloud provider.
    fn policy(&self, args: &PolicyArgs) -> Result<Vec<Resource>, KustomizeError> {
        let PolicyArgs { cloud, kubernetes_service, service_account } = args;
        if cloud != "gke" {
            let message = format!("the cloud `{cloud}` is unknown: kustomize knows gke alone");
            return Err(KustomizeError::at(&self.origin, message));
        }
        let ServiceAccount { name, project_id } = service_account;
        let mut text = format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  annotations:\n    \
             iam.gke.io/gcp-service-account: {name}@{project_id}.iam.gserviceaccount.com\n  name: {}\n",
            kubernetes_service.name
        );
        if !kubernetes_service.namespace.is_empty() {
            text.push_str("  namespace: ");
            text.push_str(&kubernetes_service.namespace);
        }
        let nodes = read::nodes(&self.origin.file, text.as_bytes())?;
        Ok(nodes.into_iter().map(|(node, _)| Resource::new(node, self.origin.clone())).collect())
    }
}
