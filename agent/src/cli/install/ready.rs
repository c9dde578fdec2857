//! Waits until an installation is ready, and says what it waits for. I/O: API reads, terminal.

use std::time::{Duration, Instant};

use anyhow::bail;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use super::super::print::Lines;

/// Interval of the checks.
const INTERVAL: Duration = Duration::from_millis(500);

/// Waits until the API server serves these definitions.
pub async fn definitions(client: &Client, names: &[String], until: Instant) -> anyhow::Result<()> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for name in names {
        while !api.get(name).await.is_ok_and(|definition| is_established(&definition)) {
            if Instant::now() >= until {
                bail!(
                    "the API server does not serve {name}; see its conditions: kubectl describe customresourcedefinition {name}"
                );
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
    Ok(())
}

/// True if the API server serves a definition.
pub fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
}

/// Waits until every replica of the agent is available.
pub async fn agent(client: &Client, namespace: &str, until: Instant) -> anyhow::Result<()> {
    let api = Api::<Deployment>::namespaced(client.clone(), namespace);
    let mut lines = Lines::of_messages();
    loop {
        let deployment = api.get("holdfast").await?;
        let Some(missing) = missing(&deployment) else {
            lines.end();
            return Ok(());
        };
        if Instant::now() >= until {
            lines.end();
            let reasons = reasons(client, namespace).await;
            let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
            bail!(
                "the agent is not ready, {missing}{why}. The objects are applied; see: kubectl -n {namespace} describe pods -l \
                 app.kubernetes.io/name=holdfast"
            );
        }
        lines.passing(format_args!("waiting for the agent, {missing}"));
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Says what a Deployment lacks; `None` if its rollout is complete.
pub fn missing(deployment: &Deployment) -> Option<String> {
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let seen = status.observed_generation.unwrap_or(0) >= deployment.metadata.generation.unwrap_or(0);
    let ready = status.available_replicas.unwrap_or(0).min(status.updated_replicas.unwrap_or(0));
    (!seen || ready < wanted).then(|| format!("{ready} of {wanted} pods are available"))
}

/// Why pods of the agent do not run.
pub async fn reasons(client: &Client, namespace: &str) -> Vec<String> {
    let params = ListParams::default().labels("app.kubernetes.io/name=holdfast").limit(20);
    let pods = Api::<Pod>::namespaced(client.clone(), namespace).list(&params).await;
    let mut found: Vec<String> =
        pods.map(|pods| pods.items.iter().flat_map(of_pod).collect()).unwrap_or_default();
    found.sort();
    found.dedup();
    found
}

fn of_pod(pod: &Pod) -> Vec<String> {
    let name = pod.name_any();
    let status = pod.status.clone().unwrap_or_default();
    let mut found = Vec::new();
    for container in status.container_statuses.unwrap_or_default() {
        let state = container.state.unwrap_or_default();
        if let Some(waiting) = state.waiting {
            let (reason, message) = (waiting.reason.unwrap_or_default(), waiting.message.unwrap_or_default());
            found.push(format!("pod {name} waits, {reason}: {message}"));
        }
        if let Some(ended) = container.last_state.and_then(|state| state.terminated) {
            let message = ended.message.or(ended.reason).unwrap_or_default();
            found.push(format!("pod {name} ended with exit code {}: {message}", ended.exit_code));
        }
    }
    let conditions = status.conditions.unwrap_or_default().into_iter();
    let unscheduled =
        conditions.filter(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    found.extend(unscheduled.map(|condition| {
        format!("pod {name} cannot be scheduled: {}", condition.message.unwrap_or_default())
    }));
    found
}
