//! Whether the agent runs, in this version, and holds its Lease. I/O: API.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use super::finding::{Finding, Findings};
use crate::VERSION;
use crate::cli::install::ready;
use crate::leader;

/// An agent that is installed.
pub struct Installed {
    pub namespace: String,
    pub service_account: String,
    pub arguments: Vec<String>,
}

impl Installed {
    /// The values of a flag that takes a list.
    pub fn flag(&self, name: &str) -> Vec<String> {
        let start = format!("--{name}=");
        let values = self.arguments.iter().filter_map(|argument| argument.strip_prefix(&start));
        values.flat_map(|list| list.split(',')).map(ToOwned::to_owned).collect()
    }

    /// The agent as a user of the API server.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.service_account)
    }
}

pub async fn check(client: &Client, namespace: &str) -> (Option<Installed>, Vec<Finding>) {
    let mut findings = Findings::of("agent");
    let params = ListParams::default().labels("app.kubernetes.io/name=holdfast");
    let found = Api::<Deployment>::namespaced(client.clone(), namespace).list(&params).await;
    let deployments = match found {
        Ok(list) => list.items,
        Err(error) => {
            findings.failed(&format!("the agent in namespace {namespace}"), &error);
            return (None, findings.found);
        }
    };
    let Some(deployment) = deployments.first() else {
        findings.error(
            format!("there is no Deployment with the label app.kubernetes.io/name=holdfast in namespace {namespace}"),
            "set the namespace of the agent with --agent-namespace, or install it: holdfast install",
        );
        return (None, findings.found);
    };
    let agent = installed(deployment, namespace);
    judge_version(deployment, &mut findings);
    let name = deployment.name_any();
    if let Some(missing) = ready::missing(deployment) {
        let reasons = ready::reasons(client, namespace).await;
        let why = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
        findings.error(
            format!("Deployment {namespace}/{name} is not ready, {missing}{why}"),
            format!(
                "see: kubectl -n {namespace} describe pods, and kubectl -n {namespace} logs deployment/{name}"
            ),
        );
    } else {
        findings.ok(format!("Deployment {namespace}/{name} is ready"));
        if agent.arguments.iter().any(|argument| argument == "--leader-elect") {
            lease(client, namespace, &name, &mut findings).await;
        }
    }
    (Some(agent), findings.found)
}

fn installed(deployment: &Deployment, namespace: &str) -> Installed {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let account = pod.and_then(|pod| pod.service_account_name.clone());
    let arguments = pod.and_then(|pod| pod.containers.first()).and_then(|container| container.args.clone());
    Installed {
        namespace: namespace.to_owned(),
        service_account: account.unwrap_or_else(|| "default".to_owned()),
        arguments: arguments.unwrap_or_default(),
    }
}

/// Compares the tag of the image with this program.
fn judge_version(deployment: &Deployment, findings: &mut Findings) {
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let image = pod.and_then(|pod| pod.containers.first()?.image.clone()).unwrap_or_default();
    let named = image.split('@').next().unwrap_or_default();
    let tag = named.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    let version =
        tag.map(|tag| tag.trim_start_matches('v')).filter(|tag| semver::Version::parse(tag).is_ok());
    match version {
        Some(version) if version == VERSION => findings.ok(format!("the agent has version {VERSION}")),
        Some(version) => findings.warning(
            format!("the agent has version {version}, and this program has version {VERSION}"),
            "use the same version: a plan of this program can differ from that of the agent",
        ),
        None => {}
    }
}

/// The agent that works renews the Lease all the time, with the time of its own clock.
async fn lease(client: &Client, namespace: &str, deployment: &str, findings: &mut Findings) {
    let logs = format!("see: kubectl -n {namespace} logs deployment/{deployment}");
    let lease = match Api::<Lease>::namespaced(client.clone(), namespace).get_opt(leader::NAME).await {
        Ok(Some(lease)) => lease.spec.unwrap_or_default(),
        Ok(None) => {
            return findings.error(format!("Lease {namespace}/{} does not exist", leader::NAME), logs);
        }
        Err(error) => return findings.failed("the Lease of the agent", &error),
    };
    let holder = lease.holder_identity.unwrap_or_default();
    let term = lease.lease_duration_seconds.unwrap_or(15);
    let age = lease.renew_time.map(|time| Timestamp::now().duration_since(time.0).as_secs());
    match age {
        _ if holder.is_empty() => findings.error("no agent holds the Lease, so none works", logs),
        Some(age) if age > i64::from(term) => findings.error(
            format!("{holder} holds the Lease and has not renewed it for {age} s: it hangs, or its clock is behind"),
            logs,
        ),
        Some(age) if age < -i64::from(term) => findings.error(
            format!("{holder} renewed the Lease {} s in the future: its clock is ahead", -age),
            "synchronise the clocks of the nodes with NTP",
        ),
        Some(_) => findings.ok(format!("{holder} holds the Lease")),
        None => findings.error(format!("{holder} has never renewed the Lease"), logs),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::Verdict;
    use super::*;

    fn deployment(image: &str) -> Deployment {
        let container = json!({"name": "holdfast", "image": image, "args": ["agent", "--namespaces=a,b"]});
        let pod = json!({"serviceAccountName": "robot", "containers": [container]});
        serde_json::from_value(json!({"spec": {"selector": {}, "template": {"spec": pod}}}))
            .expect("a Deployment")
    }

    #[test]
    fn an_image_of_another_version_is_a_warning() {
        let judged = |image: &str| {
            let mut findings = Findings::of("agent");
            judge_version(&deployment(image), &mut findings);
            findings.found.first().map(|finding| finding.result)
        };
        assert_eq!(judged(&format!("registry:5000/holdfast:v{VERSION}@sha256:0")), Some(Verdict::Ok));
        assert_eq!(judged("registry:5000/holdfast:99.0.0"), Some(Verdict::Warning));
        // Nothing is known of these.
        assert_eq!(judged("registry:5000/holdfast:latest"), None);
        assert_eq!(judged("registry:5000/holdfast@sha256:0"), None);
    }

    #[test]
    fn the_agent_is_read_from_its_deployment() {
        let agent = installed(&deployment("holdfast"), "gitops");
        assert_eq!(agent.user(), "system:serviceaccount:gitops:robot");
        assert_eq!(agent.flag("namespaces"), ["a", "b"]);
        assert!(agent.flag("default-service-account").is_empty());
    }
}
