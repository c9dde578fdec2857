//! A stand-in for the kubelet: one node, to which pods are bound, on which they become ready, and from which they go.
//!
//! A pod whose image has `broken` in its name waits with ImagePullBackOff, one with `never` stays pending, and those of
//! a Job succeed. I/O: API.

use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Binding, Node, ObjectReference, Pod};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tokio::task::AbortHandle;

const NODE: &str = "loopback";
/// Pods that are handled side by side.
const SIDE_BY_SIDE: usize = 16;

/// The stand-in, ended when this is dropped.
pub struct Kubelet(Vec<AbortHandle>);

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Kubelet {
    pub fn start(client: Client) -> Self {
        let heartbeat = tokio::spawn(heartbeat(client.clone())).abort_handle();
        let pods = tokio::spawn(pods(client)).abort_handle();
        Self(vec![heartbeat, pods])
    }
}

/// Keeps the node there and ready.
async fn heartbeat(client: Client) {
    let nodes = Api::<Node>::all(client.clone());
    let leases = Api::<Lease>::namespaced(client, "kube-node-lease");
    let apply = PatchParams::apply("kubelet").force();
    let room = json!({"cpu": "100000", "memory": "100Ti", "pods": "100000", "ephemeral-storage": "100Ti"});
    loop {
        let now = Timestamp::now();
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": {
            "kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}}});
        let status = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "status": {
            "capacity": room, "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": second(now), "lastTransitionTime": second(now)}]}});
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NODE},
            "spec": {"holderIdentity": NODE, "leaseDurationSeconds": 40, "renewTime": format!("{now:.6}")}});
        // What fails now is done again at the next beat.
        let _ = nodes.patch(NODE, &apply, &Patch::Apply(&node)).await;
        let _ = nodes.patch_status(NODE, &apply, &Patch::Apply(&status)).await;
        let _ = leases.patch(NODE, &apply, &Patch::Apply(&lease)).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

fn second(time: Timestamp) -> String {
    format!("{time:.0}")
}

async fn pods(client: Client) {
    let events = watcher::watcher(Api::<Pod>::all(client.clone()), watcher::Config::default());
    events
        .default_backoff()
        .applied_objects()
        .for_each_concurrent(SIDE_BY_SIDE, |pod| {
            let client = client.clone();
            async move {
                if let Ok(pod) = pod {
                    // What fails comes again with the pod's next change.
                    let _ = handle(&client, &pod).await;
                }
            }
        })
        .await;
}

async fn handle(client: &Client, pod: &Pod) -> Result<(), kube::Error> {
    let name = pod.name_any();
    let api = Api::<Pod>::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    if pod.metadata.deletion_timestamp.is_some() {
        let preconditions = Some(Preconditions { uid: pod.uid(), resource_version: None });
        let now = DeleteParams { grace_period_seconds: Some(0), preconditions, ..DeleteParams::default() };
        return api.delete(&name, &now).await.map(|_| ());
    }
    let Some(spec) = &pod.spec else { return Ok(()) };
    if spec.node_name.is_none() {
        let target = ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(NODE.to_owned()),
            ..ObjectReference::default()
        };
        let mut binding = Binding { target, ..Binding::default() };
        binding.metadata.name = Some(name.clone());
        let _: serde_json::Value =
            api.create_subresource("binding", &name, &PostParams::default(), &binding).await?;
        return Ok(());
    }
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let images: Vec<&str> =
        spec.containers.iter().filter_map(|container| container.image.as_deref()).collect();
    if phase != Some("Pending") || images.iter().any(|image| image.contains("never")) {
        return Ok(());
    }
    let broken = images.iter().any(|image| image.contains("broken"));
    let job = pod.owner_references().iter().any(|owner| owner.kind == "Job");
    let now = second(Timestamp::now());
    let state = match (broken, job) {
        (true, _) => {
            json!({"waiting": {"reason": "ImagePullBackOff", "message": "a stand-in has no images"}})
        }
        (false, true) => {
            json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}})
        }
        (false, false) => json!({"running": {"startedAt": now}}),
    };
    let ready = !broken && !job;
    let statuses: Vec<_> = spec
        .containers
        .iter()
        .map(|container| {
            let image = container.image.clone().unwrap_or_default();
            json!({"name": container.name, "image": image, "imageID": format!("stand-in://{image}"), "ready": ready,
                "started": ready, "restartCount": 0, "state": state})
        })
        .collect();
    let condition = |kind: &str| {
        let status = if ready || !kind.ends_with("Ready") { "True" } else { "False" };
        json!({"type": kind, "status": status, "lastTransitionTime": now})
    };
    let phase = match (broken, job) {
        (true, _) => "Pending",
        (false, true) => "Succeeded",
        (false, false) => "Running",
    };
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    let status = json!({"metadata": {"uid": pod.uid()}, "status": {
        "phase": phase, "startTime": now, "hostIP": "10.255.0.1", "podIP": "10.255.0.2",
        "conditions": conditions,
        "containerStatuses": statuses}});
    if broken && pod.status.as_ref().is_some_and(|status| status.container_statuses.is_some()) {
        return Ok(());
    }
    api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await.map(|_| ())
}

/// True if the node is there: the stand-in is at work.
pub async fn is_up(client: &Client) -> bool {
    Api::<Node>::all(client.clone())
        .list(&ListParams::default())
        .await
        .is_ok_and(|nodes| !nodes.items.is_empty())
}
