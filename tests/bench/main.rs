//! Figures, each against the machine's own limit in the same run:
//! `bench [fresh-sync|idle|commit|restart|memory|drift|quiet|render|crds|monorepo|scan|update|race|isolation|preview|ui] [--minutes N] [--sample N]`.
//!
//! One JSON line a case on stdout. `--sample` says how many of the 1,000 kustomizations of `render` are rendered. Repositories are `file://`: the transport is not the point. I/O: processes, network.
#![expect(clippy::print_stdout, reason = "figures go to stdout")]

mod drift;
mod fixture;
mod images;
mod isolation;
mod monorepo;
mod preview;
mod quiet;
mod race;
mod render;
mod scan;
#[path = "../hostile/servers.rs"]
mod servers;
mod ui;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use holdfast_tests::Env;
use holdfast_tests::agent::{Agent, program};
use holdfast_tests::tools::progress;
use holdfast_tests::watchdog::Folder;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::json;

use self::fixture::{
    Fleet, Meter, Requests, all_ready, app, commit, config_map, create_syncs, large, namespace, raw,
    repository, requests, set,
};

const CASES: [&str; 16] = [
    "fresh-sync",
    "idle",
    "commit",
    "restart",
    "memory",
    "drift",
    "quiet",
    "render",
    "crds",
    "monorepo",
    "scan",
    "update",
    "race",
    "isolation",
    "preview",
    "ui",
];
const AGENT: [&str; 1] = ["--allow-file-sources"];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked: Option<f64> = option(&arguments, "--minutes");
    let minutes = asked.unwrap_or(10.0);
    let sample = option(&arguments, "--sample").unwrap_or(usize::MAX);
    let chosen = arguments.first().filter(|name| !name.starts_with("--")).map_or("all", String::as_str);
    if chosen != "all" && !CASES.contains(&chosen) {
        bail!("there is no bench {chosen}; there are {}", CASES.join(", "));
    }
    for case in CASES.into_iter().filter(|case| chosen == "all" || chosen == *case) {
        match case {
            "fresh-sync" => {
                fresh_sync(&Fleet { syncs: 300, objects: app }).await?;
                fresh_sync(&Fleet { syncs: 1, objects: large }).await?;
            }
            "idle" => idle(Duration::from_secs_f64(minutes * 60.0)).await?,
            "commit" => one_commit().await?,
            "restart" => restart().await?,
            "drift" => drift::drift().await?,
            "isolation" => Box::pin(isolation::isolation()).await?,
            "preview" => Box::pin(preview::preview()).await?,
            "ui" => Box::pin(ui::ui()).await?,
            "render" => render::render(sample).await?,
            "crds" => render::definitions().await?,
            "monorepo" => monorepo::monorepo().await?,
            "scan" => Box::pin(scan::scan()).await?,
            "update" => Box::pin(images::update()).await?,
            "race" => Box::pin(race::race(Duration::from_secs_f64(asked.unwrap_or(1.0) * 60.0))).await?,
            "quiet" => Box::pin(quiet::quiet(Duration::from_secs_f64(minutes * 60.0))).await?,
            _ => memory().await?,
        }
    }
    Ok(())
}

/// The value behind an option.
fn option<T: std::str::FromStr>(arguments: &[String], name: &str) -> Option<T> {
    let at = arguments.iter().position(|argument| argument == name)?;
    arguments.get(at + 1)?.parse().ok()
}

/// From the start of the agent, with all Syncs there and nothing applied, to the last one Ready; against nothing but the
/// applies.
async fn fresh_sync(fleet: &Fleet) -> anyhow::Result<()> {
    progress(&format!("fresh-sync: raw, {} objects", fleet.name()));
    let env = Env::start().await?;
    let meter = Meter::start(&env)?;
    let raw_seconds = raw(&env, &env.cluster.client().await?, fleet).await?;
    let raw_cpu = meter.stop(&env)?;
    drop(env);
    progress("fresh-sync: the agent");
    program().await?;
    let env = Env::start().await?;
    fixture::namespaces(&env, fleet.syncs).await?;
    let folder = Folder::make("bench")?;
    let url = repository(folder.path(), fleet, 0)?;
    let client = env.cluster.client().await?;
    create_syncs(&client, 0..fleet.syncs, &url, "1m").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (since, meter, started) = (Timestamp::now(), Meter::start(&env)?, Instant::now());
    let agent = env.agent(&AGENT).await?;
    all_ready(&client, fleet.syncs).await?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = meter.stop(&env)?;
    let agent_cpu = agent.metric("process_cpu_seconds_total").await?;
    let Requests { count, sorts } = requests(&env, since)?;
    println!(
        "{}",
        json!({"bench": "fresh-sync", "case": fleet.name(), "ratio": seconds / raw_seconds, "seconds": seconds,
            "raw_seconds": raw_seconds, "requests": count, "sorts": sorts, "stages": stages(&agent).await?,
            "raw_cpu": raw_cpu, "cpu": cpu, "cpu_seconds": agent_cpu, "rss_mib": agent.rss_mib()?})
    );
    Ok(())
}

/// A cluster, a repository and an agent, with no Sync yet.
struct Running {
    env: Env,
    folder: Folder,
    url: String,
    agent: Agent,
}

impl Running {
    async fn start(fleet: &Fleet, more: usize) -> anyhow::Result<Self> {
        Self::of(fleet, |folder| repository(folder, fleet, more)).await
    }

    /// The same with another repository, made in a folder.
    async fn of(
        fleet: &Fleet,
        repository: impl FnOnce(&Path) -> anyhow::Result<String>,
    ) -> anyhow::Result<Self> {
        let env = Env::start().await?;
        fixture::namespaces(&env, fleet.syncs).await?;
        let folder = Folder::make("bench")?;
        let url = repository(folder.path())?;
        let agent = env.agent(&AGENT).await?;
        // The API server holds back the first objects of a definition that is younger than two seconds.
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(Self { env, folder, url, agent })
    }

    async fn sync(&self, syncs: std::ops::Range<usize>) -> anyhow::Result<()> {
        self.sync_every(syncs, "1m").await
    }

    async fn sync_every(&self, syncs: std::ops::Range<usize>, interval: &str) -> anyhow::Result<()> {
        let client = self.env.cluster.client().await?;
        let total = syncs.end;
        create_syncs(&client, syncs, &self.url, interval).await?;
        all_ready(&client, total).await
    }

    async fn restart(self) -> anyhow::Result<Self> {
        let agent = self.agent.restart(&self.env.cluster.kubeconfig(), &AGENT).await?;
        Ok(Self { agent, ..self })
    }
}

/// Seconds that the agent spent in each stage, over all Syncs.
async fn stages(agent: &Agent) -> anyhow::Result<serde_json::Value> {
    let mut all = serde_json::Map::new();
    for stage in ["source", "render", "observe", "plan", "gate", "apply", "report"] {
        let line = format!("holdfast_stage_seconds_sum{{stage=\"{stage}\"}}");
        all.insert(stage.to_owned(), json!(agent.metric(&line).await?));
    }
    Ok(all.into())
}

/// Ten thousand objects and nothing to do.
async fn idle(time: Duration) -> anyhow::Result<()> {
    let fleet = Fleet { syncs: 40, objects: set };
    progress(&format!("idle: {} objects, for {} s", fleet.total(), time.as_secs()));
    let running = Running::start(&fleet, 0).await?;
    running.sync(0..fleet.syncs).await?;
    // The Events of the first syncs are written when there is nothing more urgent.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let since = Timestamp::now();
    let before = running.agent.metric("process_cpu_seconds_total").await?;
    tokio::time::sleep(time).await;
    let cpu = running.agent.metric("process_cpu_seconds_total").await? - before;
    let Requests { count, sorts } = requests(&running.env, since)?;
    println!(
        "{}",
        json!({"bench": "idle", "case": format!("{} objects", fleet.total()), "requests": count, "sorts": sorts,
            "cpu_percent": cpu / time.as_secs_f64() * 100.0, "minutes": time.as_secs_f64() / 60.0})
    );
    Ok(())
}

/// From `reconcile-at` on one of 300 Syncs to its object changed, in a repository of 20,000 files.
async fn one_commit() -> anyhow::Result<()> {
    let fleet = Fleet { syncs: 300, objects: app };
    let more = 20_000 - fleet.total();
    progress(&format!("commit: {} objects, 20,000 files", fleet.name()));
    let running = Running::start(&fleet, more).await?;
    running.sync(0..fleet.syncs).await?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let maps: Api<ConfigMap> = Api::namespaced(running.env.cluster.client().await?, &namespace(7));
    for round in 1..=5 {
        let since = Timestamp::now();
        let file = running.folder.path().join("7/1.json");
        std::fs::write(file, config_map("app-7", 1000 + round).to_string())?;
        commit(running.folder.path(), "Change one file")?;
        let patch = json!({"metadata": {"annotations": {"holdfast.dev/reconcile-at": since.to_string()}}});
        let syncs: Api<holdfast::api::Sync> =
            Api::namespaced(running.env.cluster.client().await?, &namespace(7));
        let started = Instant::now();
        syncs
            .patch_metadata("app-7", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&patch))
            .await?;
        let wanted = (1000 + round).to_string();
        let seconds = loop {
            let map = maps.get("app-7").await?;
            if map.data.is_some_and(|data| data.get("number") == Some(&wanted)) {
                break started.elapsed().as_secs_f64();
            }
            if started.elapsed() > Duration::from_mins(1) {
                bail!("the object did not change within a minute");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        tokio::time::sleep(Duration::from_secs(5)).await;
        let Requests { count, sorts } = requests(&running.env, since)?;
        println!(
            "{}",
            json!({"bench": "commit", "case": format!("1 of 20,000 files, {} Syncs, round {round}", fleet.syncs),
                "seconds": seconds, "requests": count, "sorts": sorts})
        );
    }
    Ok(())
}

/// From the start of the process to a verdict for every Sync, with ten thousand objects in sync.
async fn restart() -> anyhow::Result<()> {
    let fleet = Fleet { syncs: 40, objects: set };
    progress(&format!("restart: {} objects", fleet.total()));
    let running = Running::start(&fleet, 0).await?;
    running.sync(0..fleet.syncs).await?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let since = Timestamp::now();
    let started = Instant::now();
    let running = running.restart().await?;
    let seconds = loop {
        let text = running.agent.get("metrics").await?;
        let verified =
            text.lines().filter(|line| line.starts_with("holdfast_sync_verified_timestamp_seconds{"));
        if verified.count() == fleet.syncs {
            break started.elapsed().as_secs_f64();
        }
        if started.elapsed() > Duration::from_mins(2) {
            bail!("not every Sync has a verdict after two minutes");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    tokio::time::sleep(Duration::from_secs(5)).await;
    let Requests { count, sorts } = requests(&running.env, since)?;
    println!(
        "{}",
        json!({"bench": "restart", "case": format!("{} objects in {} Syncs", fleet.total(), fleet.syncs), "seconds": seconds,
            "requests": count, "sorts": sorts, "stages": stages(&running.agent).await?})
    );
    Ok(())
}

/// Resident memory with nothing, with ten thousand objects, and after a restart with them.
async fn memory() -> anyhow::Result<()> {
    progress("memory: 0, 1,000 and 10,000 objects");
    let fleet = Fleet { syncs: 40, objects: set };
    let running = Running::start(&fleet, 0).await?;
    let told = |case: String, agent: &Agent| -> anyhow::Result<()> {
        println!("{}", json!({"bench": "memory", "case": case, "rss_mib": agent.rss_mib()?}));
        Ok(())
    };
    let mut done = 0;
    for syncs in [0, 4, fleet.syncs] {
        if syncs > done {
            running.sync(done..syncs).await?;
            done = syncs;
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
        told(format!("{} objects", syncs * 250), &running.agent)?;
    }
    let running = running.restart().await.context("after 10,000 objects")?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    told(format!("{} objects after a restart", fleet.total()), &running.agent)
}
