//! Drift: how long after the API server has acknowledged a change the drift is reported and corrected; and a storm of
//! changes. In a hundred Syncs every one is hit again after five seconds; in a single one, whose alert is
//! updated at most once a second, only the corrections can be fast.
//! I/O: processes, network.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _};
use holdfast_tests::Env;
use holdfast_tests::receiver::Receiver;
use holdfast_tests::tools::progress;
use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::Running;
use super::fixture::{self, Fleet, namespace};

/// 2,000 objects of six kinds: in a hundred Syncs, and in a single one.
pub(super) const MANY: Fleet = Fleet { syncs: 100, objects };
const ONE: Fleet = Fleet { syncs: 1, objects: everything };
/// Objects that come after one another.
const GROUPS: usize = 100;
const CHANGES: usize = 500;
const PAUSE: Duration = Duration::from_millis(50);
const STORM: usize = 1000;
const KINDS: [(&str, &str, &str); 6] = [
    ("", "v1", "ConfigMap"),
    ("", "v1", "Secret"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("apps", "v1", "Deployment"),
    ("rbac.authorization.k8s.io", "v1", "Role"),
];

/// Twenty objects: some of each kind.
pub(super) fn objects(at: usize) -> Vec<Value> {
    let name = |number: usize| format!("d-{at}-{number}");
    (0..20)
        .map(|number| {
            let name = name(number);
            let labels = json!({"app": name});
            match number % 6 {
                0 => fixture::config_map(&name, number),
                1 => json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"password": "git"}}),
                2 => json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                    "spec": {"selector": labels, "sessionAffinity": "None", "ports": [{"port": 80}]}}),
                3 => json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}, "automountServiceAccountToken": true}),
                4 => json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": 0,
                    "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "app", "image": "app:1"}]}}}}),
                _ => json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
                    "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
            }
        })
        .collect()
}

/// All of them.
fn everything(_: usize) -> Vec<Value> {
    (0..GROUPS).flat_map(objects).collect()
}

/// What a person does to an object of a kind, and where that shows.
fn change(kind: &str) -> (Value, &'static str) {
    match kind {
        "ConfigMap" => (json!({"data": {"greeting": "by hand"}}), "/data/greeting"),
        "Secret" => (json!({"data": {"password": "YnkgaGFuZA=="}}), "/data/password"),
        "Service" => (json!({"spec": {"sessionAffinity": "ClientIP"}}), "/spec/sessionAffinity"),
        "ServiceAccount" => (json!({"automountServiceAccountToken": false}), "/automountServiceAccountToken"),
        "Deployment" => (
            json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:by-hand"}]}}}}),
            "/spec/template/spec/containers/0/image",
        ),
        _ => (
            json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "delete"]}]}),
            "/rules/0/verbs",
        ),
    }
}

/// One object that is changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Target {
    pub kind: usize,
    pub namespace: String,
    pub name: String,
}

pub(super) fn target(fleet: &Fleet, group: usize, number: usize) -> Target {
    let sync = if fleet.syncs == 1 { 0 } else { group };
    Target { kind: number % 6, namespace: namespace(sync), name: format!("d-{group}-{number}") }
}

pub(super) fn resource(kind: usize) -> ApiResource {
    let (group, version, kind) = KINDS[kind];
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// When each object was seen as it is in git again, after it was seen changed.
type Corrected = Arc<Mutex<HashMap<Target, (bool, Option<Instant>)>>>;

/// Watches all objects of the six kinds.
fn watch(client: &Client) -> Corrected {
    let corrected = Corrected::default();
    for (kind, (_, _, name)) in KINDS.iter().enumerate() {
        let (api, seen) =
            (Api::<DynamicObject>::all_with(client.clone(), &resource(kind)), corrected.clone());
        let (patch, path) = change(name);
        let hand = patch.pointer(path).cloned();
        tokio::spawn(async move {
            let mut events =
                std::pin::pin!(watcher::watcher(api, watcher::Config::default()).default_backoff());
            while let Ok(Some(event)) = events.try_next().await {
                let watcher::Event::Apply(object) = event else { continue };
                let target = Target {
                    kind,
                    namespace: object.namespace().unwrap_or_default(),
                    name: object.name_any(),
                };
                let by_hand = object.data.pointer(path).cloned() == hand;
                let mut seen = seen.lock();
                match seen.get_mut(&target) {
                    Some((changed, at)) if *changed && !by_hand => {
                        at.get_or_insert_with(Instant::now);
                    }
                    Some((changed, at)) if by_hand => {
                        *changed = true;
                        *at = None;
                    }
                    Some(_) => {}
                    None => drop(seen.insert(target, (by_hand, None))),
                }
            }
        });
    }
    corrected
}

/// Changes an object as kubectl does; returns when the API server has acknowledged it.
pub(super) async fn by_hand(client: &Client, target: &Target) -> anyhow::Result<Instant> {
    let api =
        Api::<DynamicObject>::namespaced_with(client.clone(), &target.namespace, &resource(target.kind));
    let (patch, _) = change(KINDS[target.kind].2);
    let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    let patch =
        if KINDS[target.kind].2 == "Deployment" { Patch::Strategic(&patch) } else { Patch::Merge(&patch) };
    api.patch(&target.name, &params, &patch).await?;
    Ok(Instant::now())
}

/// Makes an Alert in every namespace that tells one receiver.
async fn alerts(env: &Env, fleet: &Fleet, receiver: &Receiver) -> anyhow::Result<()> {
    for number in 0..fleet.syncs.div_ceil(20) {
        let namespace = namespace(number * 20);
        let alert = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Alert", "metadata": {"name": "all", "namespace": namespace},
            "spec": {"receiver": {"webhook": {"url": receiver.url()}}}});
        env.cluster.apply(&alert.to_string()).await?;
    }
    Ok(())
}

/// What the receiver was told of drift since a moment: for each object, when first; and the onsets by Sync.
fn told(
    receiver: &Receiver,
    since: Instant,
) -> anyhow::Result<(HashMap<Target, Instant>, BTreeSet<String>, usize)> {
    let (mut first, mut onsets, mut count) = (HashMap::new(), BTreeSet::new(), 0);
    for received in
        receiver.requests().into_iter().filter(|received| received.at >= since && received.accepted)
    {
        let notice = received.json()?;
        if notice["event"] != "Drifted" || notice["status"] != "firing" {
            continue;
        }
        count += 1;
        onsets.insert(format!("{} {}", notice["object"]["name"], notice["startsAt"]));
        for object in notice["objects"].as_array().into_iter().flatten() {
            let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
            let kind =
                KINDS.iter().position(|(_, _, kind)| *kind == text("kind")).context("an unknown kind")?;
            let target = Target { kind, namespace: text("namespace"), name: text("name") };
            first.entry(target).or_insert(received.at);
        }
    }
    Ok((first, onsets, count))
}

pub(super) fn percentile(times: &mut [f64], share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "small positive counts"
    )]
    let at = ((times.len() as f64 - 1.0) * share).round() as usize;
    times.get(at).copied().unwrap_or(f64::NAN)
}

pub(super) fn millis(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1000.0
}

/// 500 changes, one every 50 ms; then 1,000 objects at once.
pub async fn drift() -> anyhow::Result<()> {
    fleet(&MANY).await?;
    fleet(&ONE).await
}

async fn fleet(fleet: &Fleet) -> anyhow::Result<()> {
    progress(&format!("drift: {} objects of {} kinds in {} Syncs", fleet.total(), KINDS.len(), fleet.syncs));
    let running = Running::start(fleet, 0).await?;
    running.sync(0..fleet.syncs).await?;
    let receiver = Receiver::webhook(None).await?;
    alerts(&running.env, fleet, &receiver).await?;
    let client = running.env.cluster.client().await?;
    let corrected = watch(&client);
    tokio::time::sleep(Duration::from_secs(20)).await;
    one_by_one(&running, fleet, &receiver, &client, &corrected).await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    storm(&running, fleet, &receiver, &client, &corrected).await
}

async fn one_by_one(
    running: &Running,
    fleet: &Fleet,
    receiver: &Receiver,
    client: &Client,
    corrected: &Corrected,
) -> anyhow::Result<()> {
    let (since, moment) = (Instant::now(), Timestamp::now());
    let cpu = running.agent.metric("process_cpu_seconds_total").await?;
    let mut acknowledged = HashMap::new();
    let mut tick = tokio::time::interval(PAUSE);
    for number in 0..CHANGES {
        tick.tick().await;
        let group = number % GROUPS;
        let target = target(fleet, group, (number / GROUPS * 7 + group) % 20);
        let at = by_hand(client, &target).await?;
        acknowledged.insert(target, at);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let cpu = running.agent.metric("process_cpu_seconds_total").await? - cpu;
    let (told, ..) = told(receiver, since)?;
    let seen = corrected.lock().clone();
    let mut alerted: Vec<f64> =
        acknowledged.iter().filter_map(|(target, at)| Some(millis(*at, *told.get(target)?))).collect();
    let mut put_back: Vec<f64> =
        acknowledged.iter().filter_map(|(target, at)| Some(millis(*at, seen.get(target)?.1?))).collect();
    let stray = told.keys().filter(|target| !acknowledged.contains_key(target)).count();
    let fixture::Requests { count, sorts } = fixture::requests(&running.env, moment)?;
    println!(
        "{}",
        json!({"bench": "drift", "case": format!("{CHANGES} changes over {} objects in {} Syncs", fleet.total(), fleet.syncs),
            "p50_ms": percentile(&mut alerted, 0.5), "p99_ms": percentile(&mut alerted, 0.99),
            "corrected_p50_ms": percentile(&mut put_back, 0.5), "corrected_p99_ms": percentile(&mut put_back, 0.99),
            "missed": acknowledged.len() - alerted.len(), "uncorrected": acknowledged.len() - put_back.len(), "false": stray,
            "requests": count, "sorts": sorts, "cpu_seconds": cpu})
    );
    Ok(())
}

async fn storm(
    running: &Running,
    fleet: &Fleet,
    receiver: &Receiver,
    client: &Client,
    corrected: &Corrected,
) -> anyhow::Result<()> {
    progress(&format!("drift: {STORM} objects at once"));
    let (since, moment) = (Instant::now(), Timestamp::now());
    let targets: Vec<Target> =
        (0..STORM).map(|number| target(fleet, number % GROUPS, (number / GROUPS * 2 + 1) % 20)).collect();
    futures::stream::iter(&targets)
        .map(|target| async move { by_hand(client, target).await.map(drop) })
        .buffer_unordered(32)
        .try_collect::<Vec<()>>()
        .await?;
    let written = since.elapsed();
    let mut last = Instant::now();
    for _ in 0..600 {
        let seen = corrected.lock().clone();
        let left =
            targets.iter().filter(|target| seen.get(target).is_none_or(|(_, at)| at.is_none())).count();
        last = targets.iter().filter_map(|target| seen.get(target)?.1).max().unwrap_or(last);
        if left == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let seen = corrected.lock().clone();
    let left = targets.iter().filter(|target| seen.get(target).is_none_or(|(_, at)| at.is_none())).count();
    let (told, onsets, notices) = told(receiver, since)?;
    let missed = targets.iter().filter(|target| !told.contains_key(target)).count();
    let fixture::Requests { sorts, .. } = fixture::requests(&running.env, moment)?;
    let writes = writes(&running.env, moment)?;
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let share = writes as f64 / STORM as f64;
    println!(
        "{}",
        json!({"bench": "drift", "case": format!("{STORM} objects at once in {} Syncs", fleet.syncs),
            "changing_seconds": written.as_secs_f64(), "corrected_seconds": millis(since, last) / 1000.0, "uncorrected": left,
            "alerts": onsets.len(), "notices": notices, "unnamed": missed, "writes_per_change": share, "sorts": sorts})
    );
    Ok(())
}

/// Writes of the agent to objects of the six kinds, dry runs left out.
fn writes(env: &Env, since: Timestamp) -> anyhow::Result<usize> {
    let start = since.to_string();
    let found = env.cluster.requests(|line| {
        let text = |field: &str| line[field].as_str().unwrap_or_default();
        text("userAgent").starts_with("holdfast/")
            && matches!(text("verb"), "patch" | "create" | "update" | "delete")
            && !text("requestURI").contains("dryRun")
            && !matches!(
                line["objectRef"]["resource"].as_str(),
                Some("leases" | "events" | "syncs" | "alerts")
            )
            && *text("requestReceivedTimestamp") > *start
    })?;
    Ok(found.len())
}
