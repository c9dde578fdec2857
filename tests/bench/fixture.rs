//! What the benches share: objects, repositories, Syncs, the raw run they are measured against, and the audit log.
//! I/O: processes, network, disk.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use holdfast::api::{Sync, conditions};
use holdfast_tests::{Env, controlplane};
use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

/// Applies side by side in the raw run.
const SIDE_BY_SIDE: usize = 16;
/// Syncs of one namespace.
const CROWD: usize = 20;

/// How many Syncs there are, and what is in the folder of each.
pub struct Fleet {
    pub syncs: usize,
    pub objects: fn(usize) -> Vec<Value>,
}

impl Fleet {
    pub fn total(&self) -> usize {
        self.syncs * (self.objects)(0).len()
    }

    /// For example `300 x 4`.
    pub fn name(&self) -> String {
        format!("{} x {}", self.syncs, (self.objects)(0).len())
    }
}

/// The four objects of a small application.
pub fn app(at: usize) -> Vec<Value> {
    let name = format!("app-{at}");
    let labels = json!({"app": name});
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}),
        config_map(&name, at),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": labels, "ports": [{"port": 80}]}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": 0,
            "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"serviceAccountName": name, "containers": [{"name": "app", "image": "app:1", "ports": [{"containerPort": 80}]}]}}}}),
    ]
}

/// A set of 250 objects: mostly ConfigMaps, as in real sets, and 50 of the larger kinds.
pub fn set(at: usize) -> Vec<Value> {
    let mut all: Vec<Value> = (0..200)
        .map(|number| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("m-{at}-{number}")}, "data": {"text": "x".repeat(500)}}))
        .collect();
    all.extend((0..13).flat_map(|number| app(at * 1000 + number)));
    all.truncate(250);
    all
}

/// The same as one large set.
pub fn large(_: usize) -> Vec<Value> {
    (0..500).flat_map(app).collect()
}

pub fn config_map(name: &str, number: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"greeting": "hello", "number": number.to_string()}})
}

pub fn namespace(at: usize) -> String {
    format!("bench-{}", at / CROWD)
}

/// A repository with a folder for each Sync, and `more` files that no Sync reads.
pub fn repository(folder: &Path, fleet: &Fleet, more: usize) -> anyhow::Result<String> {
    for at in 0..fleet.syncs {
        let place = folder.join(at.to_string());
        std::fs::create_dir_all(&place)?;
        for (number, object) in (fleet.objects)(at).iter().enumerate() {
            std::fs::write(place.join(format!("{number}.json")), object.to_string())?;
        }
    }
    unread(folder, more)?;
    begin(folder)
}

/// Writes files that no Sync reads.
pub fn unread(folder: &Path, count: usize) -> anyhow::Result<()> {
    for at in 0..count {
        let place = folder.join(format!("more/{}", at / 100));
        std::fs::create_dir_all(&place)?;
        std::fs::write(place.join(format!("{at}.json")), config_map(&format!("more-{at}"), at).to_string())?;
    }
    Ok(())
}

/// Makes a repository of a folder. Returns its URL.
pub fn begin(folder: &Path) -> anyhow::Result<String> {
    git(folder, &["init", "--quiet", "-b", "main"])?;
    commit(folder, "Begin")?;
    Ok(format!("file://{}", folder.display()))
}

/// Commits everything in a repository.
pub fn commit(folder: &Path, message: &str) -> anyhow::Result<()> {
    git(folder, &["add", "--all"])?;
    git(folder, &["commit", "--quiet", "-m", message])?;
    // As a server keeps it.
    git(folder, &["repack", "-d", "--quiet"])
}

fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "gc.auto=0"])
        .args(arguments)
        .current_dir(folder)
        .status()?;
    if status.success() { Ok(()) } else { bail!("git {arguments:?} failed") }
}

pub async fn namespaces(env: &Env, syncs: usize) -> anyhow::Result<()> {
    for number in 0..syncs.div_ceil(CROWD) {
        env.cluster.must(&["create", "namespace", &format!("bench-{number}")]).await?;
    }
    Ok(())
}

fn sync(at: usize, url: &str, interval: &str) -> anyhow::Result<Sync> {
    let value = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": format!("app-{at}"), "namespace": namespace(at)},
        "spec": {"source": {"git": {"url": url}}, "path": at.to_string(), "interval": interval,
            // The raw run does not wait for controllers either.
            "health": {"wait": false}}});
    Ok(serde_json::from_value(value)?)
}

/// Creates Syncs side by side.
pub async fn create_syncs(
    client: &Client,
    syncs: std::ops::Range<usize>,
    url: &str,
    interval: &str,
) -> anyhow::Result<()> {
    let creating = futures::stream::iter(syncs).map(|at| async move {
        let api = Api::<Sync>::namespaced(client.clone(), &namespace(at));
        api.create(&PostParams::default(), &sync(at, url, interval)?).await?;
        anyhow::Ok(())
    });
    creating.buffer_unordered(SIDE_BY_SIDE).try_collect::<Vec<()>>().await?;
    Ok(())
}

/// Waits until so many Syncs are Ready.
pub async fn all_ready(client: &Client, total: usize) -> anyhow::Result<()> {
    let events = watcher::watcher(Api::<Sync>::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .applied_objects();
    let waiting = async {
        let mut ready = HashSet::new();
        let mut events = std::pin::pin!(events);
        while ready.len() < total {
            let sync = events.try_next().await?.context("the watch ended")?;
            let status = sync.status.clone().unwrap_or_default();
            if conditions::is_true(&status.conditions, conditions::READY) {
                ready.insert(sync.uid());
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_mins(10), waiting)
        .await
        .context("the Syncs were not Ready in time")?
}

/// Applies the same objects with nothing but requests. Returns the seconds.
pub async fn raw(env: &Env, client: &Client, fleet: &Fleet) -> anyhow::Result<f64> {
    namespaces(env, fleet.syncs).await?;
    let started = Instant::now();
    let all = (0..fleet.syncs).flat_map(|at| (fleet.objects)(at).into_iter().map(move |object| (at, object)));
    futures::stream::iter(all)
        .map(|(at, object)| async move {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let (group, version) = text("/apiVersion").rsplit_once('/').unwrap_or(("", text("/apiVersion")));
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("/kind")));
            let api = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace(at), &resource);
            api.patch(text("/metadata/name"), &PatchParams::apply("raw").force(), &Patch::Apply(&object))
                .await?;
            anyhow::Ok(())
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(started.elapsed().as_secs_f64())
}

/// Processor seconds of each process meanwhile, this one among them: where the time goes.
pub struct Meter(Vec<(&'static str, f64)>);

impl Meter {
    pub fn start(env: &Env) -> anyhow::Result<Self> {
        Ok(Self(Self::read(env)?))
    }

    pub fn stop(self, env: &Env) -> anyhow::Result<BTreeMap<&'static str, f64>> {
        let now = Self::read(env)?;
        let spent = self.0.into_iter().zip(now).map(|((name, before), (_, now))| (name, now - before));
        Ok(spent.collect())
    }

    fn read(env: &Env) -> anyhow::Result<Vec<(&'static str, f64)>> {
        let mut all = env.cluster.cpu_seconds()?;
        all.push(("bench", controlplane::cpu_seconds(std::process::id())?));
        Ok(all)
    }
}

/// The requests of the agent in the audit log since a moment, watches and leases apart.
pub struct Requests {
    pub count: usize,
    /// By verb and resource: how many, and the seconds after the moment of the first and the last one.
    pub sorts: BTreeMap<String, (usize, f64, f64)>,
}

pub fn requests(env: &Env, since: Timestamp) -> anyhow::Result<Requests> {
    sorted(&asked(env, since)?, since)
}

/// Their lines in the audit log.
pub fn asked(env: &Env, since: Timestamp) -> anyhow::Result<Vec<Value>> {
    let start = since.to_string();
    env.cluster.requests(|line| {
        let text = |field: &str| line[field].as_str().unwrap_or_default();
        text("userAgent").starts_with("holdfast/")
            && text("verb") != "watch"
            && line["objectRef"]["resource"] != "leases"
            && *text("requestReceivedTimestamp") > *start
    })
}

/// Counts lines of the audit log by their sort.
pub fn sorted(found: &[Value], since: Timestamp) -> anyhow::Result<Requests> {
    let mut sorts: BTreeMap<String, (usize, f64, f64)> = BTreeMap::new();
    for line in found {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (resource, sub) = (word(&line["objectRef"]["resource"]), word(&line["objectRef"]["subresource"]));
        let at: Timestamp = word(&line["requestReceivedTimestamp"]).parse()?;
        let at = at.duration_since(since).as_secs_f64();
        let sort = format!("{} {resource} {sub}", word(&line["verb"])).trim_end().to_owned();
        let (count, first, last) = sorts.entry(sort).or_insert((0, at, at));
        (*count, *first, *last) = (*count + 1, first.min(at), last.max(at));
    }
    Ok(Requests { count: found.len(), sorts })
}
