//! The objects of an installation: those of `manifests/` for a mode, in a namespace, with an image. Pure.

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};

use super::bundle;
use crate::cli::plan::AGENT_NAMESPACE;

/// What the agent may do
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// One team: the agent, and every user who may create Syncs, is an administrator of the cluster
    #[default]
    Cluster,
    /// Several teams: the agent has no right on workloads, and a Sync acts as a ServiceAccount of its namespace
    Tenants,
    /// As tenants, and the agent reads the resources of the namespaces in --namespaces only
    Namespaced,
}

/// A part that an installation does not need
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The web UI, with sign-in by tokens of the cluster
    Ui,
    /// What the Prometheus operator and Grafana read
    Monitoring,
}

/// How the manifests are changed.
pub struct Choice {
    pub mode: Mode,
    /// The namespace of the agent.
    pub namespace: String,
    /// The namespaces in which the agent is bound.
    pub namespaces: Vec<String>,
    pub image: Option<String>,
    pub replicas: u32,
    pub with: Vec<Part>,
}

/// ClusterRoleBindings that one mode has and another one has not. After a change of the mode they would grant more than it says.
const BINDINGS: &[&str] = &["holdfast-cluster-admin", "holdfast-resources"];

impl Choice {
    /// The objects in the order in which they are applied.
    pub fn objects(&self) -> anyhow::Result<Vec<Value>> {
        self.check()?;
        let mut resources = vec![if self.mode == Mode::Cluster { "manifests" } else { "manifests/tenants" }];
        let mut components = Vec::new();
        if self.with.contains(&Part::Monitoring) {
            resources.push("manifests/monitoring");
        }
        if self.with.contains(&Part::Ui) {
            components.push("manifests/ui");
        }
        let mut objects = bundle::render(&resources, &components)?;
        // Kustomize does not know that policies belong to no namespace.
        for object in objects.iter_mut().filter(|object| kind(object).starts_with("Validating")) {
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("namespace");
            }
        }
        self.deployment(&mut objects)?;
        if self.mode == Mode::Namespaced {
            objects.retain(|object| {
                !(kind(object) == "ClusterRoleBinding" && name(object) == "holdfast-resources")
            });
        }
        for namespace in &self.namespaces {
            objects.push(binding(namespace, "holdfast", "holdfast-tenant"));
            if self.mode == Mode::Namespaced {
                objects.push(binding(namespace, "holdfast-resources", "holdfast-resources"));
            }
        }
        if self.namespace != AGENT_NAMESPACE {
            let text = objects.iter_mut().filter(|object| kind(object) != "CustomResourceDefinition");
            text.for_each(|object| rename(object, AGENT_NAMESPACE, &self.namespace));
        }
        Ok(objects)
    }

    fn check(&self) -> anyhow::Result<()> {
        let named = !self.namespaces.is_empty();
        ensure!(
            self.mode != Mode::Namespaced || named,
            "--mode=namespaced needs the namespaces that the agent serves: --namespaces=team-a,team-b"
        );
        ensure!(
            self.mode != Mode::Cluster || !named,
            "--namespaces has no effect with --mode=cluster, where the agent serves all namespaces; add --mode=tenants or \
             --mode=namespaced"
        );
        Ok(())
    }

    fn deployment(&self, objects: &mut [Value]) -> anyhow::Result<()> {
        let deployment = objects.iter_mut().find(|object| kind(object) == "Deployment");
        let spec = &mut deployment.context("the manifests have no Deployment")?["spec"];
        spec["replicas"] = json!(self.replicas);
        let container = &mut spec["template"]["spec"]["containers"][0];
        if let Some(image) = &self.image {
            container["image"] = json!(image);
        }
        if self.mode == Mode::Namespaced {
            let arguments = container["args"].as_array_mut().context("the agent has no arguments")?;
            arguments.push(json!(format!("--namespaces={}", self.namespaces.join(","))));
        }
        Ok(())
    }
}

/// The ClusterRoleBindings of other modes.
pub fn leftovers(objects: &[Value]) -> Vec<&'static str> {
    let has = |wanted: &str| {
        objects.iter().any(|object| kind(object) == "ClusterRoleBinding" && name(object) == wanted)
    };
    BINDINGS.iter().copied().filter(|name| !has(name)).collect()
}

pub fn kind(object: &Value) -> &str {
    object["kind"].as_str().unwrap_or_default()
}

pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Binds the agent to a ClusterRole in a namespace.
fn binding(namespace: &str, name: &str, role: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": "holdfast", "namespace": AGENT_NAMESPACE}],
    })
}

/// Replaces a name in every text of an object: namespaces, the name of the agent's user, commands in texts.
fn rename(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) if text.contains(from) => *text = text.replace(from, to),
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, from, to)),
        Value::Object(fields) => fields.values_mut().for_each(|field| rename(field, from, to)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(mode: Mode, namespace: &str, namespaces: &[&str]) -> Choice {
        let namespaces = namespaces.iter().map(|name| (*name).to_owned()).collect();
        let namespace = namespace.to_owned();
        Choice { mode, namespace, namespaces, image: None, replicas: 1, with: Vec::new() }
    }

    fn keys(objects: &[Value], kinds: &str) -> Vec<String> {
        let of_kind = objects.iter().filter(|object| kind(object) == kinds);
        of_kind
            .map(|object| match object["metadata"]["namespace"].as_str() {
                Some(namespace) => format!("{namespace}/{}", name(object)),
                None => name(object).to_owned(),
            })
            .collect()
    }

    #[test]
    fn each_mode_grants_what_it_says() {
        let cluster = choice(Mode::Cluster, AGENT_NAMESPACE, &[]);
        let objects = cluster.objects().expect("objects");
        assert_eq!(
            keys(&objects, "ClusterRoleBinding"),
            ["holdfast-agent", "holdfast-cluster-admin", "holdfast-resources"]
        );
        assert!(leftovers(&objects).is_empty());
        let tenants = choice(Mode::Tenants, AGENT_NAMESPACE, &["a"]);
        let objects = tenants.objects().expect("objects");
        assert_eq!(keys(&objects, "ClusterRoleBinding"), ["holdfast-agent", "holdfast-resources"]);
        assert!(keys(&objects, "RoleBinding").contains(&"a/holdfast".to_owned()));
        assert_eq!(leftovers(&objects), ["holdfast-cluster-admin"]);
        let namespaced = choice(Mode::Namespaced, AGENT_NAMESPACE, &["a", "b"]);
        let objects = namespaced.objects().expect("objects");
        assert_eq!(keys(&objects, "ClusterRoleBinding"), ["holdfast-agent"]);
        let bound = keys(&objects, "RoleBinding");
        for wanted in ["a/holdfast", "a/holdfast-resources", "b/holdfast", "b/holdfast-resources"] {
            assert!(bound.iter().any(|key| key == wanted), "{bound:?}");
        }
        assert_eq!(leftovers(&objects), ["holdfast-cluster-admin", "holdfast-resources"]);
        let text = serde_json::to_string(&objects).expect("JSON");
        assert!(text.contains("--namespaces=a,b") && text.contains("--default-service-account=deployer"));
        for (mode, namespaces, part) in
            [(Mode::Namespaced, &[][..], "needs"), (Mode::Cluster, &["a"], "no effect")]
        {
            let refused = choice(mode, AGENT_NAMESPACE, namespaces).objects().expect_err("it is refused");
            assert!(refused.to_string().contains(part), "{refused}");
        }
    }

    #[test]
    fn another_namespace_and_image_are_everywhere() {
        let mut choice = choice(Mode::Tenants, "gitops", &["a"]);
        choice.image = Some("registry.example.com/holdfast@sha256:0".to_owned());
        (choice.with, choice.replicas) = (vec![Part::Ui, Part::Monitoring], 2);
        let objects = choice.objects().expect("objects");
        for object in objects.iter().filter(|object| kind(object) != "CustomResourceDefinition") {
            assert!(!object.to_string().contains(AGENT_NAMESPACE), "{object}");
        }
        assert_eq!(keys(&objects, "Namespace"), ["gitops"]);
        assert_eq!(keys(&objects, "ServiceMonitor"), ["gitops/holdfast"]);
        let text = serde_json::to_string(&objects).expect("JSON");
        assert!(text.contains("system:serviceaccount:gitops:holdfast") && text.contains("--ui-auth=token"));
        let deployment = objects.iter().find(|object| kind(object) == "Deployment").expect("a Deployment");
        assert_eq!(deployment["spec"]["replicas"], 2);
        let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
        assert_eq!(image, "registry.example.com/holdfast@sha256:0");
    }
}
