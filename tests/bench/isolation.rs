//! Fifty Syncs by themselves, and the same fifty beside a neighbour whose objects, servers, renders and receivers hang, fail
//! and never end: how much later their commits are applied, their drift is corrected and their alerts arrive. Fails if one
//! of the fifty reports a timeout.
//! I/O: processes, network.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::TryStreamExt as _;
use holdfast::api::Sync;
use holdfast_tests::receiver::Receiver;
use holdfast_tests::tools::progress;
use holdfast_tests::webhook::Webhook;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::Running;
use super::drift::{millis, percentile};
use super::fixture::{Fleet, app, commit, config_map, namespace};
use super::servers::{MANNERS, Server};

/// The Syncs that nothing may happen to.
const GOOD: Fleet = Fleet { syncs: 50, objects: app };
/// Commits, each to another Sync than the one before.
const COMMITS: usize = 100;
/// Objects of the Sync whose every write takes eight seconds.
const HUGE: usize = 2000;
/// Syncs that read from each of the hostile servers, and Alerts that tell them.
const HANGING: usize = 20;
const BY_HAND: &str = "by hand";
const NEIGHBOUR: &str = "neighbour";
/// How long anything may take before the bench fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// Milliseconds after which something is explained.
const SLOW: f64 = 1000.0;
/// Lines of the log that explain it.
const LINES: usize = 8;

/// What was measured, in milliseconds.
struct Figures {
    commits: Vec<f64>,
    corrected: Vec<f64>,
    alerted: Vec<f64>,
}

/// A ConfigMap of a good Sync: its data, since when, and when it was last seen with the change of another client.
#[derive(Clone, Default)]
struct Map {
    data: Value,
    at: Option<Instant>,
    by_hand: Option<Instant>,
}

type Seen = Arc<Mutex<HashMap<(String, String), Map>>>;

pub async fn isolation() -> anyhow::Result<()> {
    progress("isolation: 50 Syncs by themselves");
    let running = Running::start(&GOOD, 0).await?;
    let receiver = Receiver::webhook(None).await?;
    for number in 0..GOOD.syncs.div_ceil(20) {
        let alert = alert(&namespace(number * 20), "all", &receiver.url());
        running.env.cluster.apply(&alert.to_string()).await?;
    }
    running.sync_every(0..GOOD.syncs, "1h").await?;
    let client = running.env.cluster.client().await?;
    let seen = watch(&client);
    tokio::time::sleep(Duration::from_secs(15)).await;
    let mut alone = measure(&running, &client, &receiver, &seen, 1000).await?;
    progress("isolation: the neighbour comes");
    let _trouble = trouble(&running).await?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let mut beside = measure(&running, &client, &receiver, &seen, 2000).await?;
    let late = timeouts(&client).await?;
    let (half_alone, half) = (alone.at(0.5), beside.at(0.5));
    let (alone, beside) = (alone.at(0.99), beside.at(0.99));
    println!(
        "{}",
        json!({"bench": "isolation", "case": format!("{} Syncs beside a hostile neighbour", GOOD.syncs),
            "commit_alone_p50_ms": half_alone[0], "commit_p50_ms": half[0], "corrected_alone_p50_ms": half_alone[1],
            "corrected_p50_ms": half[1], "alert_alone_p50_ms": half_alone[2], "alert_p50_ms": half[2],
            "commit_alone_p99_ms": alone[0], "commit_p99_ms": beside[0], "commit_later_ms": beside[0] - alone[0],
            "corrected_alone_p99_ms": alone[1], "corrected_p99_ms": beside[1],
            "alert_alone_p99_ms": alone[2], "alert_p99_ms": beside[2], "timeouts": late,
            "threads": running.agent.metric("process_threads").await?, "rss_mib": running.agent.rss_mib()?})
    );
    if late > 0 {
        bail!("{late} Syncs report a timeout that is their neighbour's");
    }
    Ok(())
}

impl Figures {
    fn at(&mut self, share: f64) -> [f64; 3] {
        [&mut self.commits, &mut self.corrected, &mut self.alerted].map(|times| percentile(times, share))
    }
}

fn alert(namespace: &str, name: &str, url: &str) -> Value {
    json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Alert", "metadata": {"name": name, "namespace": namespace},
        "spec": {"receiver": {"webhook": {"url": url}}}})
}

/// Watches the ConfigMaps of the good Syncs.
fn watch(client: &Client) -> Seen {
    let seen = Seen::default();
    let (api, kept) = (Api::<ConfigMap>::all(client.clone()), seen.clone());
    tokio::spawn(async move {
        let events = watcher::watcher(api, watcher::Config::default()).default_backoff().applied_objects();
        let mut events = std::pin::pin!(events);
        while let Ok(Some(map)) = events.try_next().await {
            let name = (map.namespace().unwrap_or_default(), map.name_any());
            if name.0.starts_with("bench-") {
                let mut kept = kept.lock();
                let known = kept.entry(name).or_default();
                (known.data, known.at) = (json!(map.data), Some(Instant::now()));
                if known.data["greeting"] == BY_HAND {
                    known.by_hand = known.at;
                }
            }
        }
    });
    seen
}

/// Waits until the ConfigMap of a Sync is as `is` says, and returns since when it is.
async fn until(seen: &Seen, at: usize, is: impl Fn(&Map) -> bool) -> anyhow::Result<Instant> {
    let name = (namespace(at), format!("app-{at}"));
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let found = seen.lock().get(&name).cloned();
        if let Some(since) = found.filter(|map| is(map)).and_then(|map| map.at) {
            return Ok(since);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    bail!("the ConfigMap of {name:?} is not as it should be within {PATIENCE:?}")
}

async fn measure(
    running: &Running,
    client: &Client,
    receiver: &Receiver,
    seen: &Seen,
    begin: usize,
) -> anyhow::Result<Figures> {
    let mut figures = Figures { commits: Vec::new(), corrected: Vec::new(), alerted: Vec::new() };
    for number in 0..COMMITS {
        let at = number * 7 % GOOD.syncs;
        let value = (begin + number).to_string();
        let file = running.folder.path().join(format!("{at}/1.json"));
        std::fs::write(file, config_map(&format!("app-{at}"), begin + number).to_string())?;
        commit(running.folder.path(), "Change one file")?;
        let asked = json!({"metadata": {"annotations": {"holdfast.dev/reconcile-at": value}}});
        let syncs = Api::<Sync>::namespaced(client.clone(), &namespace(at));
        let started = Instant::now();
        syncs.patch_metadata(&format!("app-{at}"), &PatchParams::default(), &Patch::Merge(&asked)).await?;
        let applied = until(seen, at, |map| map.data["number"] == *value).await?;
        figures.commits.push(millis(started, applied));
        explain(running, at, "commit", millis(started, applied))?;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    for at in 0..GOOD.syncs {
        let maps = Api::<ConfigMap>::namespaced(client.clone(), &namespace(at));
        let params = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
        let by_hand = Patch::Merge(json!({"data": {"greeting": BY_HAND}}));
        let before = Instant::now();
        maps.patch(&format!("app-{at}"), &params, &by_hand).await?;
        let acknowledged = Instant::now();
        let is_back = |map: &Map| map.data["greeting"] == "hello" && map.by_hand >= Some(before);
        let corrected = until(seen, at, is_back).await?;
        let told = told(receiver, at, before).await?;
        figures.corrected.push(millis(acknowledged, corrected));
        figures.alerted.push(millis(acknowledged, told));
        explain(running, at, "correction", millis(acknowledged, corrected))?;
        explain(running, at, "alert", millis(acknowledged, told))?;
    }
    Ok(figures)
}

/// Prints what the agent logged about a Sync lately if something of it took very long.
fn explain(running: &Running, at: usize, what: &str, took: f64) -> anyhow::Result<()> {
    if took < SLOW {
        return Ok(());
    }
    progress(&format!(
        "isolation: the {what} of app-{at} took {took:.0} ms; the last lines of the log about it:"
    ));
    let log = running.agent.output()?;
    let name = format!("/app-{at}\"");
    let lines: Vec<_> = log.lines().rev().filter(|line| line.contains(&name)).take(LINES).collect();
    lines.iter().rev().for_each(|line| progress(line));
    Ok(())
}

/// When the receiver was told first that the object of a Sync drifted.
async fn told(receiver: &Receiver, at: usize, since: Instant) -> anyhow::Result<Instant> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        for received in receiver.requests().into_iter().filter(|received| received.at >= since) {
            let notice = received.json()?;
            if notice["event"] == "Drifted" && notice.to_string().contains(&format!("\"app-{at}\"")) {
                return Ok(received.at);
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    bail!("the drift of app-{at} was not reported")
}

/// What the neighbour runs. It ends when this is dropped.
struct Trouble {
    _webhook: Webhook,
    _servers: Vec<Server>,
}

/// Makes the neighbour: a huge Sync behind a slow admission webhook, servers that hang or never end, and a render that
/// fails in a loop.
async fn trouble(running: &Running) -> anyhow::Result<Trouble> {
    let cluster = &running.env.cluster;
    cluster.must(&["create", "namespace", NEIGHBOUR]).await?;
    cluster.must(&["label", "namespace", NEIGHBOUR, "webhook=slow"]).await?;
    let webhook = Webhook::start().await?;
    cluster.apply(&webhook.configuration("slow", "", &["configmaps"], 20)).await?;
    let folder = running.folder.path().join("neighbour");
    std::fs::create_dir_all(folder.join("huge"))?;
    let maps: Vec<String> = (0..HUGE).map(|at| config_map(&format!("huge-{at}"), at).to_string()).collect();
    std::fs::write(folder.join("huge/maps.yaml"), maps.join("\n---\n"))?;
    std::fs::create_dir_all(folder.join("broken"))?;
    std::fs::write(folder.join("broken/kustomization.yaml"), "resources: [missing.yaml]\n")?;
    commit(running.folder.path(), "The neighbour")?;
    let sync = |name: &str, url: &str, path: &str| {
        json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": name, "namespace": NEIGHBOUR},
            "spec": {"source": {"git": {"url": url}}, "path": path, "interval": "5s", "timeout": "30m"}})
    };
    let mut items =
        vec![sync("huge", &running.url, "neighbour/huge"), sync("broken", &running.url, "neighbour/broken")];
    let mut servers = Vec::new();
    for manner in MANNERS {
        let (server, word) = (Server::start(manner).await?, format!("{manner:?}").to_lowercase());
        let url = server.url();
        for at in 0..HANGING {
            items.push(sync(&format!("{word}-{at}"), &format!("{url}/{at}.git"), ""));
            items.push(alert(NEIGHBOUR, &format!("{word}-{at}"), &url));
        }
        servers.push(server);
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    cluster.apply(&list.to_string()).await?;
    let started = Instant::now();
    while !servers.iter().all(|server| server.seen() > 0) {
        if started.elapsed() > PATIENCE {
            bail!("not every server was asked");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    progress(&format!("isolation: {} connections hang", servers.iter().map(Server::open).sum::<usize>()));
    Ok(Trouble { _webhook: webhook, _servers: servers })
}

/// Good Syncs that report a timeout.
async fn timeouts(client: &Client) -> anyhow::Result<usize> {
    let all = Api::<Sync>::all(client.clone()).list(&ListParams::default()).await?;
    let good = all.into_iter().filter(|sync| sync.namespace().is_some_and(|name| name.starts_with("bench-")));
    let mut late = 0;
    for sync in good {
        let status = sync.status.context("a good Sync has no status")?;
        late += usize::from(status.conditions.iter().any(|condition| condition.reason == "Timeout"));
    }
    Ok(late)
}
