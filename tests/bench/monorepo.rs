//! One repository for many: 500 Syncs, each an overlay on a base that ten of them share, among 50,000 files.
//!
//! A commit of one file renders exactly the Syncs that read the file. Fails if one more or one less is rendered.
//! I/O: processes, network, disk.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use holdfast::api::Sync;
use holdfast_tests::agent::Agent;
use holdfast_tests::tools::progress;
use jiff::Timestamp;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::Running;
use super::fixture::{Fleet, app, begin, commit, config_map, namespace, unread};

/// Overlays on one base.
const SHARED: usize = 10;
const FILES: usize = 50_000;
const ROUNDS: usize = 5;
/// The Sync that is told to look: no commit here changes what it reads, so the news has the whole way to go.
const MESSENGER: usize = 499;
/// How long every Sync may take to have looked at a commit.
const LIMIT: Duration = Duration::from_mins(1);
/// Behind a commit: what is well is told at most every five seconds, and a run that is not told is not counted.
const PAUSE: Duration = Duration::from_secs(6);

/// A sort of commit.
struct Case {
    name: &'static str,
    file: fn(usize) -> String,
    text: fn(usize) -> String,
    /// Syncs that read the file.
    readers: u64,
}

const CASES: [Case; 3] = [
    Case {
        name: "an overlay",
        file: |round| format!("{}/patch.yaml", 7 + round),
        text: |round| patch(7 + round, 1000 + round),
        readers: 1,
    },
    Case {
        name: "a base of ten",
        file: |round| format!("bases/{}/1.json", 20 + round),
        text: |round| config_map(&format!("app-{}", 20 + round), 1000 + round).to_string(),
        readers: SHARED as u64,
    },
    Case {
        name: "a file that no Sync reads",
        file: |round| format!("more/{round}/new.json"),
        text: |round| config_map("unread", round).to_string(),
        readers: 0,
    },
];

pub async fn monorepo() -> anyhow::Result<()> {
    let fleet = Fleet { syncs: 500, objects: app };
    progress(&format!("monorepo: {} Syncs, {FILES} files", fleet.syncs));
    let running = Running::of(&fleet, |folder| repository(folder, &fleet)).await?;
    // Only who is told looks at git.
    running.sync_every(0..fleet.syncs, "1h").await?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    for case in CASES {
        for round in 0..ROUNDS {
            one_commit(&running, fleet.syncs, &case, round).await?;
        }
    }
    Ok(())
}

/// Bases of an application each, and overlays on them in the folders of the Syncs.
fn repository(folder: &Path, fleet: &Fleet) -> anyhow::Result<String> {
    let bases = fleet.syncs / SHARED;
    let objects = (fleet.objects)(0).len();
    for at in 0..bases {
        let place = folder.join(format!("bases/{at}"));
        std::fs::create_dir_all(&place)?;
        let mut text = "resources:\n".to_owned();
        for (number, object) in (fleet.objects)(at).iter().enumerate() {
            let _ = writeln!(text, "- {number}.json");
            std::fs::write(place.join(format!("{number}.json")), object.to_string())?;
        }
        std::fs::write(place.join("kustomization.yaml"), text)?;
    }
    for at in 0..fleet.syncs {
        let place = folder.join(at.to_string());
        std::fs::create_dir_all(&place)?;
        let text = format!(
            "namePrefix: o{at}-\nresources: [../bases/{}]\nlabels:\n- pairs: {{overlay: o{at}}}\npatches:\n- path: patch.yaml\n",
            at / SHARED
        );
        std::fs::write(place.join("kustomization.yaml"), text)?;
        std::fs::write(place.join("patch.yaml"), patch(at, 0))?;
    }
    unread(folder, FILES - bases * (objects + 1) - fleet.syncs * 2)?;
    begin(folder)
}

/// What the overlay of a Sync lays over its base.
fn patch(at: usize, number: usize) -> String {
    let name = format!("app-{}", at / SHARED);
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  overlay: \"{number}\"\n")
}

/// What the agent has counted.
#[derive(Clone, Copy)]
struct Counts {
    looks: u64,
    renders: u64,
    runs: u64,
    cpu: f64,
}

async fn counts(agent: &Agent) -> anyhow::Result<Counts> {
    let text = agent.get("metrics").await?;
    let value = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
    let sum = |start: &str| text.lines().filter(|line| line.starts_with(start)).filter_map(value).sum();
    let cpu = text.lines().find_map(|line| line.strip_prefix("process_cpu_seconds_total ")?.parse().ok());
    Ok(Counts {
        looks: sum("holdfast_source_requests_total"),
        renders: sum("holdfast_stage_seconds_count{stage=\"render\"}"),
        runs: sum("holdfast_reconciles_total"),
        cpu: cpu.unwrap_or_default(),
    })
}

/// Commits a file, has one Sync look, and counts what is rendered. The times are from the last answer in which the agent had
/// not fetched to the first one in which all was done, so they are never told too short.
async fn one_commit(running: &Running, syncs: usize, case: &Case, round: usize) -> anyhow::Result<()> {
    let Case { name, file, text, readers } = case;
    let folder = running.folder.path();
    std::fs::write(folder.join(file(round)), text(round))?;
    commit(folder, "Change one file")?;
    let before = counts(&running.agent).await?;
    look(running).await?;
    let (mut unfetched, mut rendered, mut cpu, started) = (Instant::now(), None, 0.0, Instant::now());
    let all = before.renders + readers;
    let seen = loop {
        let asked = Instant::now();
        let now = counts(&running.agent).await?;
        if now.looks <= before.looks {
            unfetched = asked;
        } else if rendered.is_none() && now.renders >= all {
            (rendered, cpu) = (Some(unfetched.elapsed()), now.cpu - before.cpu);
        }
        if rendered.is_some() && now.runs >= before.runs + syncs as u64 {
            break unfetched.elapsed();
        }
        if started.elapsed() > LIMIT {
            let (renders, runs) = (now.renders - before.renders, now.runs - before.runs);
            bail!("{name}: {renders} renders and {runs} runs after {LIMIT:?}");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    tokio::time::sleep(PAUSE).await;
    let renders = counts(&running.agent).await?.renders - before.renders;
    println!(
        "{}",
        json!({"bench": "monorepo", "case": format!("{name}, {syncs} Syncs, {FILES} files, round {}", round + 1),
            "renders": renders, "wanted": readers, "seconds": rendered.map(|time| time.as_secs_f64()),
            "agent_cpu_seconds": cpu, "all_looked_seconds": seen.as_secs_f64()})
    );
    ensure!(renders == *readers, "{name}: {renders} renders, not {readers}");
    Ok(())
}

/// Tells one Sync to look at git.
async fn look(running: &Running) -> anyhow::Result<()> {
    let client = running.env.cluster.client().await?;
    let syncs: Api<Sync> = Api::namespaced(client, &namespace(MESSENGER));
    let now = Timestamp::now().to_string();
    let patch = json!({"metadata": {"annotations": {"holdfast.dev/reconcile-at": now}}});
    let name = format!("app-{MESSENGER}");
    syncs.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(())
}
