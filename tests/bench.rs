//! Figures, each against the machine's own limit in the same run: `bench [fresh-sync|idle|memory] [--minutes N]`.
//! One JSON line a case on stdout. Repositories are `file://`: the transport is not the point. I/O: processes, network.
#![expect(clippy::print_stdout, reason = "figures go to stdout")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use holdfast::api::{Sync, conditions};
use holdfast_tests::Env;
use holdfast_tests::tools::progress;
use holdfast_tests::watchdog::Folder;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

/// Applies side by side in the raw run.
const SIDE_BY_SIDE: usize = 16;
/// Syncs of one namespace.
const CROWD: usize = 20;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let minutes = arguments
        .iter()
        .position(|argument| argument == "--minutes")
        .and_then(|at| arguments.get(at + 1)?.parse().ok());
    let name = arguments.first().filter(|name| !name.starts_with("--")).map_or("all", String::as_str);
    let all = name == "all";
    if !all && !["fresh-sync", "idle", "memory"].contains(&name) {
        bail!("there is no bench {name}; there are fresh-sync, idle, memory");
    }
    if all || name == "fresh-sync" {
        fresh_sync(200).await?;
    }
    if all || name == "idle" {
        idle(250, Duration::from_secs_f64(minutes.unwrap_or(5.0) * 60.0)).await?;
    }
    if all || name == "memory" {
        memory().await?;
    }
    Ok(())
}

/// The four objects of one Sync.
fn objects(at: usize) -> Vec<Value> {
    let name = format!("app-{at}");
    let labels = json!({"app": name});
    vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"greeting": "hello", "number": at.to_string()}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": labels, "ports": [{"port": 80}]}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": 0,
            "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"serviceAccountName": name, "containers": [{"name": "app", "image": "app:1", "ports": [{"containerPort": 80}]}]}}}}),
    ]
}

fn namespace(at: usize) -> String {
    format!("bench-{}", at / CROWD)
}

/// A repository with a folder for each Sync, of `each` objects.
fn repository(folder: &Path, syncs: usize, each: impl Fn(usize) -> Vec<Value>) -> anyhow::Result<String> {
    for at in 0..syncs {
        let place = folder.join(at.to_string());
        std::fs::create_dir_all(&place)?;
        for (number, object) in each(at).iter().enumerate() {
            std::fs::write(place.join(format!("{number}.json")), object.to_string())?;
        }
    }
    let git = |arguments: &[&str]| -> anyhow::Result<()> {
        let status = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(arguments)
            .current_dir(folder)
            .status()?;
        if status.success() { Ok(()) } else { bail!("git {arguments:?} failed") }
    };
    git(&["init", "--quiet", "-b", "main"])?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "-m", "Begin"])?;
    Ok(format!("file://{}", folder.display()))
}

async fn namespaces(env: &Env, syncs: usize) -> anyhow::Result<()> {
    for number in 0..syncs.div_ceil(CROWD) {
        env.cluster.must(&["create", "namespace", &format!("bench-{number}")]).await?;
    }
    Ok(())
}

fn sync(at: usize, url: &str, interval: &str) -> anyhow::Result<Sync> {
    let value = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": format!("app-{at}"), "namespace": namespace(at)},
        "spec": {"source": {"git": {"url": url}}, "path": at.to_string(), "interval": interval}});
    Ok(serde_json::from_value(value)?)
}

/// Creates Syncs side by side and waits until the last is Ready. Returns the seconds.
async fn run_syncs(
    client: &Client,
    syncs: std::ops::Range<usize>,
    url: &str,
    interval: &str,
) -> anyhow::Result<f64> {
    let total = syncs.end;
    let events = watcher::watcher(Api::<Sync>::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .applied_objects();
    let started = Instant::now();
    let creating = futures::stream::iter(syncs).map(|at| async move {
        let api = Api::<Sync>::namespaced(client.clone(), &namespace(at));
        api.create(&PostParams::default(), &sync(at, url, interval)?).await?;
        anyhow::Ok(())
    });
    let creating = creating.buffer_unordered(SIDE_BY_SIDE).try_collect::<Vec<()>>();
    let waiting = async {
        let mut ready = std::collections::HashSet::new();
        let mut events = std::pin::pin!(events);
        while ready.len() < total {
            let sync = events.try_next().await?.context("the watch ended")?;
            let status = sync.status.clone().unwrap_or_default();
            if conditions::is_true(&status.conditions, conditions::READY) {
                ready.insert(sync.uid());
            }
        }
        anyhow::Ok(started.elapsed().as_secs_f64())
    };
    let (_, seconds) =
        tokio::try_join!(creating, tokio::time::timeout(Duration::from_mins(10), waiting).into_ok())?;
    Ok(seconds)
}

/// Makes a timeout an error like the others.
trait IntoOk<T> {
    fn into_ok(self) -> impl Future<Output = anyhow::Result<T>>;
}

impl<T, F: Future<Output = Result<anyhow::Result<T>, tokio::time::error::Elapsed>>> IntoOk<T> for F {
    async fn into_ok(self) -> anyhow::Result<T> {
        self.await.context("the Syncs were not Ready in time")?
    }
}

/// Applies the same objects with nothing but requests. Returns the seconds.
async fn raw(env: &Env, client: &Client, syncs: usize) -> anyhow::Result<f64> {
    namespaces(env, syncs).await?;
    let started = Instant::now();
    let all = (0..syncs).flat_map(|at| objects(at).into_iter().map(move |object| (at, object)));
    futures::stream::iter(all)
        .map(|(at, object)| async move {
            let version = object["apiVersion"].as_str().unwrap_or_default();
            let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
            let kind = object["kind"].as_str().unwrap_or_default();
            let resource = ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, kind));
            let api = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace(at), &resource);
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            api.patch(&name, &PatchParams::apply("raw").force(), &Patch::Apply(&object)).await?;
            anyhow::Ok(())
        })
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(started.elapsed().as_secs_f64())
}

async fn fresh_sync(syncs: usize) -> anyhow::Result<()> {
    progress(&format!("fresh-sync: raw, {syncs} x 4 objects"));
    let env = Env::start().await?;
    let raw_seconds = raw(&env, &env.cluster.client().await?, syncs).await?;
    drop(env);
    progress("fresh-sync: the agent");
    let env = Env::start().await?;
    namespaces(&env, syncs).await?;
    let folder = Folder::make("bench")?;
    let url = repository(folder.path(), syncs, objects)?;
    let agent = env.agent(&["--allow-file-sources"]).await?;
    let client = env.cluster.client().await?;
    let seconds = run_syncs(&client, 0..syncs, &url, "1m").await?;
    let requests = requests(&env, "")?;
    println!(
        "{}",
        json!({"bench": "fresh-sync", "case": format!("{syncs} x 4"), "ratio": seconds / raw_seconds, "seconds": seconds,
            "raw_seconds": raw_seconds, "requests": requests, "rss_mib": agent.rss_mib()?})
    );
    Ok(())
}

/// Requests of the agent since a moment, watches and leases apart.
fn requests(env: &Env, since: &str) -> anyhow::Result<usize> {
    let found = env.cluster.requests(|line| {
        let text = |field: &str| line[field].as_str().unwrap_or_default();
        text("userAgent").starts_with("holdfast/")
            && text("verb") != "watch"
            && line["objectRef"]["resource"] != "leases"
            && text("requestReceivedTimestamp") > since
    })?;
    Ok(found.len())
}

async fn idle(syncs: usize, time: Duration) -> anyhow::Result<()> {
    progress(&format!("idle: {} objects at 10s, for {} s", syncs * 4, time.as_secs()));
    let env = Env::start().await?;
    namespaces(&env, syncs).await?;
    let folder = Folder::make("bench")?;
    let url = repository(folder.path(), syncs, objects)?;
    let _agent = env.agent(&["--allow-file-sources"]).await?;
    run_syncs(&env.cluster.client().await?, 0..syncs, &url, "10s").await?;
    // The Events of the first syncs are written when there is nothing more urgent.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let since = jiff::Timestamp::now().to_string();
    tokio::time::sleep(time).await;
    println!(
        "{}",
        json!({"bench": "idle", "case": format!("{} objects at 10s", syncs * 4), "requests": requests(&env, &since)?, "minutes": time.as_secs_f64() / 60.0})
    );
    Ok(())
}

async fn memory() -> anyhow::Result<()> {
    progress("memory: 0, 1,000 and 5,000 objects");
    let env = Env::start().await?;
    let folder = Folder::make("bench")?;
    // 20 Syncs of 250 objects: mostly ConfigMaps, as in real sets, and 50 of the larger kinds.
    let many = |at: usize| {
        let mut all: Vec<Value> = (0..200)
            .map(|number| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("m-{at}-{number}")}, "data": {"text": "x".repeat(500)}}))
            .collect();
        all.extend((0..13).flat_map(|number| objects(at * 1000 + number)));
        all.truncate(250);
        all
    };
    let url = repository(folder.path(), 20, many)?;
    env.cluster.must(&["create", "namespace", "bench-0"]).await?;
    let agent = env.agent(&["--allow-file-sources"]).await?;
    let client = env.cluster.client().await?;
    let mut done = 0;
    for (syncs, objects) in [(0, 0), (4, 1000), (20, 5000)] {
        if syncs > done {
            run_syncs(&client, done..syncs, &url, "1m").await?;
            done = syncs;
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
        println!(
            "{}",
            json!({"bench": "memory", "case": format!("{objects} objects"), "rss_mib": agent.rss_mib()?})
        );
    }
    let agent = agent.restart(&env.cluster.kubeconfig(), &["--allow-file-sources"]).await?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    println!(
        "{}",
        json!({"bench": "memory", "case": "5000 objects after a restart", "rss_mib": agent.rss_mib()?})
    );
    Ok(())
}
