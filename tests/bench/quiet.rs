//! Quiet: what a cluster at work writes all day is no news. 2,000 objects, an Alert in every namespace, and other clients
//! that write: how many alerts fire, each of which is false, and what the agent asks the API server meanwhile. Fails if
//! there is any. Every second Sync waits for health, as is the default; the others do not. At the end a change by hand in
//! each namespace must be told, so that the silence was not that of a broken wire.
//!
//! The Deployment behind the autoscaler has two pods or none, and while they come and go its health does change. So it is
//! in a Sync of its own, and what the agent writes of that Sync is counted apart, as `reports`. An alert of it would be
//! false all the same. Leaves the objects to `drift`. I/O: processes, network.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::future::try_join_all;
use holdfast::api::Sync;
use holdfast_tests::receiver::{Received, Receiver};
use holdfast_tests::tools::progress;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::Running;
use super::drift::{self, Target, target};
use super::fixture::{Fleet, Requests, asked, namespace, sorted};

/// The fleet of `drift`, and two Syncs more.
const FLEET: Fleet = Fleet { syncs: BALANCED + 1, objects };
/// The Sync of an autoscaler and its Deployment.
const SCALED: usize = drift::MANY.syncs;
/// The Sync of a Service that has an address.
const BALANCED: usize = SCALED + 1;
/// The first Sync of each namespace of the fleet.
const FIRST: [usize; 5] = [0, 20, 40, 60, 80];
/// How long the agent must have asked nothing before anything is counted; and what may come late at the end.
const CALM: Duration = Duration::from_secs(20);
/// Lines that tell what was not quiet.
const TOLD: usize = 20;

fn objects(at: usize) -> Vec<Value> {
    match at {
        SCALED => vec![
            deployment("scaled"),
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "scaled"}, "spec": {
                "minReplicas": 1, "maxReplicas": 2, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"},
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]}}),
        ],
        BALANCED => vec![json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "balanced"},
            "spec": {"type": "LoadBalancer", "selector": {"app": "balanced"}, "ports": [{"port": 80}]}})],
        at => drift::objects(at),
    }
}

/// Whether the Ready of a Sync waits for the health of its objects.
fn waits(at: usize) -> bool {
    at % 2 == 1 || at == SCALED
}

/// A Deployment whose pods have the label `app`, which is its name.
fn deployment(name: &str) -> Value {
    let labels = json!({"app": name});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]}}}})
}

/// What goes on for some minutes, and what of it the agent took for news.
pub async fn quiet(time: Duration) -> anyhow::Result<()> {
    let total: usize = (0..FLEET.syncs).map(|at| objects(at).len()).sum();
    progress(&format!("quiet: {total} objects, for {} s", time.as_secs()));
    let running = Running::start(&FLEET, 0).await?;
    running.sync(0..FLEET.syncs).await?;
    let receiver = Receiver::webhook(None).await?;
    let noise =
        Noise { running: &running, client: running.env.cluster.client().await?, written: Mutex::default() };
    noise.prepare(&receiver).await?;
    calm(&running).await?;
    let (moment, since) = (Timestamp::now(), Instant::now());
    let cpu = running.agent.metric("process_cpu_seconds_total").await?;
    tokio::select! {
        ended = noise.all() => ended.context("the noise ended")?,
        () = tokio::time::sleep(time) => {}
    }
    let cpu = running.agent.metric("process_cpu_seconds_total").await? - cpu;
    let percent = cpu / since.elapsed().as_secs_f64() * 100.0;
    tokio::time::sleep(CALM).await;
    let told: Vec<Received> = receiver.requests().into_iter().filter(|told| told.at >= since).collect();
    let (reports, news): (Vec<Value>, Vec<Value>) =
        asked(&running.env, moment)?.into_iter().partition(|line| reported(line) == Some(SCALED));
    let of_waiting = news.iter().filter(|line| reported(line).is_some_and(waits)).count();
    let Requests { count, sorts } = sorted(&news, moment)?;
    println!(
        "{}",
        json!({"bench": "quiet", "case": format!("{total} objects in {} Syncs", FLEET.syncs),
            "minutes": time.as_secs_f64() / 60.0, "false": told.len(), "requests": count, "of_waiting": of_waiting, "sorts": sorts, "reports": reports.len(),
            "noise": &*noise.written.lock(), "controllers": controllers(&running, moment)?, "cpu_percent": percent})
    );
    explain(&told, &news);
    wired(&noise.client, &receiver).await?;
    if !told.is_empty() || count > 0 {
        bail!("{} alerts and {count} requests, of which there must be none", told.len());
    }
    Ok(())
}

/// Changes an object in each namespace by hand, and waits until each is told.
async fn wired(client: &Client, receiver: &Receiver) -> anyhow::Result<()> {
    let scaled =
        Target { name: "scaled".to_owned(), namespace: namespace(SCALED), ..target(&drift::MANY, 0, 4) };
    let targets: Vec<Target> =
        FIRST.into_iter().map(|at| target(&drift::MANY, at, 4)).chain([scaled]).collect();
    for target in &targets {
        drift::by_hand(client, target).await?;
    }
    let tells = |notice: &Value, target: &Target| {
        let mut objects = notice["objects"].as_array().into_iter().flatten();
        notice["event"] == "Drifted"
            && objects
                .any(|object| object["namespace"] == *target.namespace && object["name"] == *target.name)
    };
    let all =
        |notices: &[Value]| targets.iter().all(|target| notices.iter().any(|notice| tells(notice, target)));
    receiver.until("an alert from each namespace", all).await.map(drop)
}

/// Waits until the agent asks nothing for a time.
async fn calm(running: &Running) -> anyhow::Result<()> {
    for _ in 0..10 {
        let since = Timestamp::now();
        tokio::time::sleep(CALM).await;
        if asked(&running.env, since)?.is_empty() {
            return Ok(());
        }
    }
    bail!("all Syncs are Ready, and the agent is not quiet")
}

/// The Sync that a request is about, if it writes the status of one.
fn reported(line: &Value) -> Option<usize> {
    let target = &line["objectRef"];
    let status = target["resource"] == "syncs" && target["subresource"] == "status";
    target["name"].as_str().filter(|_| status)?.strip_prefix("app-")?.parse().ok()
}

/// What the controller manager wrote, by resource: writes that this benchmark does not cause.
fn controllers(running: &Running, since: Timestamp) -> anyhow::Result<BTreeMap<String, usize>> {
    let start = since.to_string();
    let found = running.env.cluster.requests(|line| {
        let text = |field: &str| line[field].as_str().unwrap_or_default();
        text("userAgent").starts_with("kube-controller-manager/")
            && matches!(text("verb"), "create" | "update" | "patch" | "delete")
            && *text("requestReceivedTimestamp") > *start
    })?;
    let Requests { sorts, .. } = sorted(&found, since)?;
    Ok(sorts.into_iter().map(|(sort, (count, ..))| (sort, count)).collect())
}

/// Says what was not quiet, so that it can be found.
fn explain(told: &[Received], asked: &[Value]) {
    for notice in told.iter().take(TOLD) {
        progress(&format!("a false alert at {}: {}", notice.time, String::from_utf8_lossy(&notice.body)));
    }
    for line in asked.iter().take(TOLD) {
        let [at, verb, uri, agent] = ["requestReceivedTimestamp", "verb", "requestURI", "userAgent"]
            .map(|field| line[field].as_str().unwrap_or_default());
        progress(&format!("a request at {at}: {verb} {uri} by {agent}"));
    }
}

/// The other clients of the cluster, and how much of each kind they wrote.
struct Noise<'a> {
    running: &'a Running,
    client: Client,
    written: Mutex<BTreeMap<&'static str, usize>>,
}

impl Noise<'_> {
    /// What must be there before: an Alert in every namespace, Syncs that wait, an unmanaged Deployment, an address.
    async fn prepare(&self, receiver: &Receiver) -> anyhow::Result<()> {
        let cluster = &self.running.env.cluster;
        for at in FIRST.into_iter().chain([SCALED]) {
            let alert = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Alert", "metadata": {"name": "all", "namespace": namespace(at)},
                "spec": {"receiver": {"webhook": {"url": receiver.url()}}}});
            cluster.apply(&alert.to_string()).await?;
        }
        for at in (0..FLEET.syncs).filter(|at| waits(*at)) {
            let syncs = Api::<Sync>::namespaced(self.client.clone(), &namespace(at));
            let patch = json!({"spec": {"health": {"wait": true}}});
            syncs.patch(&format!("app-{at}"), &manager("person"), &Patch::Merge(&patch)).await?;
        }
        // The Service of this name selects its pods.
        let mut stranger = deployment(&target(&drift::MANY, 0, 2).name);
        stranger["spec"]["replicas"] = json!(3);
        stranger["metadata"]["namespace"] = json!(namespace(0));
        cluster.apply(&stranger.to_string()).await?;
        self.address(0).await
    }

    /// All of them, side by side. Ends only with an error.
    async fn all(&self) -> anyhow::Result<()> {
        let leases = FIRST.map(|at| self.every(1, "leases", async move |_| self.lease(at).await));
        let elections =
            FIRST.map(|at| self.every(2, "elections", async move |round| self.election(at, round).await));
        let (rollouts, own) = ("rollouts of managed Deployments", "rollouts of a Deployment of 3");
        tokio::try_join!(
            try_join_all(leases),
            try_join_all(elections),
            self.every(2, "pods that Services select", async |round| self.pod(round).await),
            self.every(5, rollouts, async |round| self
                .rollout(&target(&drift::MANY, round % SCALED, 4))
                .await),
            self.every(10, own, async |_| self.rollout(&target(&drift::MANY, 0, 2)).await),
            self.every(1, "status of Deployments", async |round| self
                .condition(&target(&drift::MANY, round % SCALED, 10), round)
                .await),
            self.every(1, "status of Services", async |round| self
                .condition(&target(&drift::MANY, round % SCALED, 8), round)
                .await),
            self.every(1, "addresses of Services", async |round| self.address(round).await),
            self.every(15, "scale", async |round| self.scale(round).await),
            self.every(1, "annotations and labels", async |round| self.mark(round).await),
        )?;
        Ok(())
    }

    /// Does something again and again, and counts it.
    async fn every(
        &self,
        seconds: u64,
        kind: &'static str,
        act: impl AsyncFn(usize) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(Duration::from_secs(seconds));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 0.. {
            tick.tick().await;
            act(round).await.context(kind)?;
            *self.written.lock().entry(kind).or_default() += 1;
        }
        Ok(())
    }

    /// A leader renews its Lease, of which git knows nothing.
    async fn lease(&self, at: usize) -> anyhow::Result<()> {
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "operator"}, "spec": {
            "holderIdentity": "operator-0", "leaseDurationSeconds": 15, "renewTime": format!("{:.6}", Timestamp::now())}});
        let leases = Api::<Lease>::namespaced(self.client.clone(), &namespace(at));
        leases.patch("operator", &PatchParams::apply("operator"), &Patch::Apply(&lease)).await?;
        Ok(())
    }

    /// A leader of the old style renews its annotation of a managed ConfigMap, with all of the object.
    async fn election(&self, at: usize, round: usize) -> anyhow::Result<()> {
        let Target { namespace, name, .. } = target(&drift::MANY, at, 0);
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), &namespace);
        let mut map = maps.get(&name).await?;
        let record = json!({"holderIdentity": "operator-0", "renewTime": Timestamp::now().to_string(), "leaderTransitions": round});
        map.annotations_mut()
            .insert("control-plane.alpha.kubernetes.io/leader".to_owned(), record.to_string());
        maps.replace(
            &name,
            &PostParams { field_manager: Some("operator".to_owned()), ..PostParams::default() },
            &map,
        )
        .await?;
        Ok(())
    }

    /// A pod comes and another one goes, below a managed Service.
    async fn pod(&self, round: usize) -> anyhow::Result<()> {
        let Target { namespace, name, .. } = target(&drift::MANY, FIRST[1], 2);
        let pods = Api::<Pod>::namespaced(self.client.clone(), &namespace);
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("pod-{round}"), "labels": {"app": name}},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]}});
        pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        if let Some(former) = round.checked_sub(3) {
            pods.delete(&format!("pod-{former}"), &DeleteParams::default()).await?;
        }
        Ok(())
    }

    async fn rollout(&self, Target { namespace, name, .. }: &Target) -> anyhow::Result<()> {
        let deployment = format!("deployment/{name}");
        self.running.env.cluster.must(&["-n", namespace, "rollout", "restart", &deployment]).await?;
        Ok(())
    }

    /// Another client writes a condition of its own type.
    async fn condition(&self, target: &Target, round: usize) -> anyhow::Result<()> {
        let status = if round.is_multiple_of(2) { "True" } else { "False" };
        let condition = json!({"type": "Scanned", "status": status, "reason": "Scan", "message": format!("round {round}"),
            "lastTransitionTime": format!("{:.0}", Timestamp::now())});
        let patch = json!({"status": {"conditions": [condition]}});
        self.objects(target)
            .patch_status(&target.name, &manager("scanner"), &Patch::Strategic(&patch))
            .await?;
        Ok(())
    }

    /// A cloud gives a Service another address.
    async fn address(&self, round: usize) -> anyhow::Result<()> {
        let services = Api::<Service>::namespaced(self.client.clone(), &namespace(BALANCED));
        let patch = json!({"status": {"loadBalancer": {"ingress": [{"ip": format!("192.0.2.{}", 1 + round % 250)}]}}});
        services
            .patch_status("balanced", &manager("cloud-controller-manager"), &Patch::Merge(&patch))
            .await?;
        Ok(())
    }

    /// An autoscaler wants two pods, then none.
    async fn scale(&self, round: usize) -> anyhow::Result<()> {
        let deployments = Api::<Deployment>::namespaced(self.client.clone(), &namespace(SCALED));
        let patch = json!({"spec": {"replicas": if round.is_multiple_of(2) { 2 } else { 0 }}});
        deployments.patch_scale("scaled", &manager("kube-controller-manager"), &Patch::Merge(&patch)).await?;
        Ok(())
    }

    /// Another client annotates managed objects of every kind. The first ConfigMaps are left to the leaders.
    async fn mark(&self, round: usize) -> anyhow::Result<()> {
        let target = target(&drift::MANY, round % SCALED, 1 + round % 19);
        let class = if (round / SCALED).is_multiple_of(2) { json!("known") } else { Value::Null };
        let patch = json!({"metadata": {"annotations": {"scanner.example.com/seen": round.to_string()},
            "labels": {"scanner.example.com/class": class}}});
        self.objects(&target).patch(&target.name, &manager("scanner"), &Patch::Merge(&patch)).await?;
        Ok(())
    }

    /// The objects of a kind and a namespace.
    fn objects(&self, Target { kind, namespace, .. }: &Target) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &drift::resource(*kind))
    }
}

fn manager(name: &str) -> PatchParams {
    PatchParams { field_manager: Some(name.to_owned()), ..PatchParams::default() }
}
