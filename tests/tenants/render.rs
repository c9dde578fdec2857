//! Renders that expand or take long: they end with a message, in processes of their own, and other tenants' go on. All but
//! the last test need no cluster. I/O: disk, processes, network.

use std::cell::Cell;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use holdfast::api::Render;
use holdfast::error::StageError as _;
use holdfast::render::Inputs;
use holdfast::render::ask::TreePlace;
use holdfast::render::order::{Attempt, Order};
use holdfast::render::worker::Workers;
use holdfast_diff::budget::Limits;
use holdfast_tests::agent::program;
use holdfast_tests::shared::config_map;
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

use super::hostile::repositories::{Bomb, bombs, slow};
use super::stage::{self, Stage, Tenant};

const MIB: u64 = 1024 * 1024;
/// A program that is not optimised, on a machine that has other work.
const SOON: Duration = Duration::from_mins(1);

/// A commit on disk.
struct Commit {
    _folder: tempfile::TempDir,
    place: TreePlace,
}

impl Commit {
    fn of(files: &[(String, String)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
            std::fs::write(path, text)?;
        }
        git(folder.path(), &["init", "-q"])?;
        git(folder.path(), &["add", "-A"])?;
        git(folder.path(), &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "Begin"])?;
        let commit = git(folder.path(), &["rev-parse", "HEAD"])?.trim().to_owned();
        let place = TreePlace { mirror: folder.path().join(".git"), commit, name: "main".to_owned() };
        Ok(Self { _folder: folder, place })
    }

    fn order(&self, render: &Value, time: Duration) -> anyhow::Result<Order> {
        let options: Render = match render {
            Value::Null => Render::default(),
            render => serde_json::from_value(render.clone())?,
        };
        let vars = options.substitute.as_ref().map(|substitute| substitute.vars.clone()).unwrap_or_default();
        Ok(Order {
            place: self.place.clone(),
            changed: Vec::new(),
            folder: String::new(),
            options,
            inputs: Arc::new(Inputs { vars, ..Inputs::default() }),
            limits: Limits::default(),
            time,
            charts: false,
            remotes: false,
        })
    }
}

fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output()?;
    ensure!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn small() -> anyhow::Result<Commit> {
    Commit::of(&[("a.yaml".to_owned(), config_map("a", "1"))])
}

async fn workers(memory: u64, count: usize) -> anyhow::Result<Workers> {
    Ok(Workers::new(program().await?.to_path_buf(), memory, count))
}

/// The name of what a render failed with, and what it says.
fn said(attempt: Attempt) -> (&'static str, String) {
    match attempt.end {
        Ok((output, _)) => ("", format!("{} objects", output.manifests.len())),
        Err(error) => (error.name(), error.to_string()),
    }
}

/// The workers that were started with so much memory.
fn processes(memory: u64) -> anyhow::Result<usize> {
    let wanted = format!("render-worker\0{memory}\0");
    let mut found = 0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        // A process may end meanwhile.
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        found += usize::from(String::from_utf8_lossy(&line).ends_with(&wanted));
    }
    Ok(found)
}

#[tokio::test]
async fn small_repositories_that_expand_end_soon_and_say_why() -> anyhow::Result<()> {
    let workers = workers(256 * MIB, 2).await?;
    for Bomb { name, files, render, says } in bombs() {
        let size: usize = files.iter().map(|(_, text)| text.len()).sum();
        ensure!(size < 500_000, "{name} has {size} bytes");
        let order = Commit::of(&files)?;
        let order = (order.order(&render, Duration::from_mins(5))?, order);
        let started = Instant::now();
        let (_, said) = said(workers.attempt(&order.0, &Vec::new(), "b").await);
        ensure!(says.iter().all(|part| said.contains(part)), "{name}: {said}");
        ensure!(started.elapsed() < SOON, "{name} took {:?}", started.elapsed());
    }
    Ok(())
}

#[tokio::test]
async fn a_render_that_needs_more_memory_than_it_may_is_ended_and_the_next_one_is_made() -> anyhow::Result<()>
{
    let workers = workers(16 * MIB, 1).await?;
    let all: String = (0..20_000).map(|at| config_map(&format!("m{at}"), "1") + "\n---\n").collect();
    let large = Commit::of(&[("all.yaml".to_owned(), all)])?;
    let (name, said) = said(workers.attempt(&large.order(&Value::Null, SOON)?, &Vec::new(), "b").await);
    ensure!(
        name == "RenderTooLarge" && said.contains("16 MiB") && said.contains("--render-memory"),
        "{name}: {said}"
    );
    let small = small()?;
    let (_, said) = self::said(workers.attempt(&small.order(&Value::Null, SOON)?, &Vec::new(), "b").await);
    ensure!(said == "1 objects", "{said}");
    Ok(())
}

#[tokio::test]
async fn a_render_that_is_given_up_ends_at_once_and_workers_end_when_there_is_nothing_to_do()
-> anyhow::Result<()> {
    // A number that no other test has, to find the processes by.
    let memory = 256 * MIB + 1;
    let workers = workers(memory, 2).await?;
    let slow = Commit::of(&slow())?;
    let order = slow.order(&Value::Null, Duration::from_mins(10))?;
    let given = Vec::new();
    let render = workers.attempt(&order, &given, "b");
    ensure!(tokio::time::timeout(Duration::from_secs(2), render).await.is_err(), "it is not slow");
    eventually(Duration::from_secs(2), "the worker to end", || async { Ok(processes(memory)? == 0) }).await?;
    let (name, said) =
        said(workers.attempt(&slow.order(&Value::Null, Duration::from_secs(1))?, &given, "b").await);
    ensure!(name == "RenderTimeout" && said.contains("spec.timeout"), "{name}: {said}");
    let small = small()?;
    workers.attempt(&small.order(&Value::Null, SOON)?, &given, "a").await;
    ensure!(processes(memory)? == 1, "the worker is kept for a while");
    let gone = || async { Ok(processes(memory)? == 0) };
    eventually(Duration::from_secs(20), "the worker to end when there is nothing to do", gone).await
}

#[tokio::test]
async fn a_tenant_with_many_slow_renders_delays_no_other_tenant() -> anyhow::Result<()> {
    let workers = workers(256 * MIB, 2).await?;
    let slow = slow();
    let mut busy = Vec::new();
    for _ in 0..6 {
        let (workers, slow) = (workers.clone(), Commit::of(&slow)?);
        busy.push(tokio::spawn(async move {
            let order = slow.order(&Value::Null, Duration::from_mins(10))?;
            anyhow::Ok(said(workers.attempt(&order, &Vec::new(), "b").await))
        }));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let small = small()?;
    let order = small.order(&Value::Null, SOON)?;
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let started = Instant::now();
        let (_, said) = said(workers.attempt(&order, &Vec::new(), "a").await);
        ensure!(said == "1 objects", "{said}");
        slowest = slowest.max(started.elapsed());
    }
    ensure!(slowest < Duration::from_secs(5), "a render of the other tenant took {slowest:?}");
    ensure!(busy.iter().all(|render| !render.is_finished()), "the others are not slow");
    busy.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(())
}

#[tokio::test]
async fn a_warm_worker_costs_little() -> anyhow::Result<()> {
    let workers = workers(256 * MIB, 2).await?;
    let small = small()?;
    let order = small.order(&Value::Null, SOON)?;
    let mut times = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        workers.attempt(&order, &Vec::new(), "a").await;
        times.push(started.elapsed());
    }
    let first = times.first().copied().unwrap_or_default();
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    ensure!(median < Duration::from_millis(100), "the first took {first:?}, the median {median:?}");
    Ok(())
}

/// The memory of the agent and of all that it started.
fn resident_mib(pid: u32) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else { continue };
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let is_it = field("Pid:") == Some(&pid.to_string()) || field("PPid:") == Some(&pid.to_string());
        let kib = field("VmRSS:").and_then(|rss| rss.split(' ').next()?.parse::<f64>().ok());
        sum += kib.filter(|_| is_it).unwrap_or(0.0) / 1024.0;
    }
    Ok(sum)
}

async fn bomb(stage: &Stage, tenant: &Tenant, bomb: &Bomb) -> anyhow::Result<()> {
    let repository = stage.env.forge.repository(&format!("bomb-{}", bomb.name)).await?;
    let files: Vec<(&str, &str)> =
        bomb.files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    repository.commit(&files, "Begin")?;
    let more = match &bomb.render {
        Value::Null => json!({"interval": "5s"}),
        render => json!({"interval": "5s", "render": render}),
    };
    let sync = sync::sync(&tenant.namespace, bomb.name, &repository.https_url, &more);
    let made = stage.env.cluster.kubectl_with(&tenant.person, &["apply", "-f", "-"], &sync).await?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

#[test]
fn one_tenant_s_bombs_disturb_no_other_tenant() -> anyhow::Result<()> {
    stage::run(|stage| async move {
        let good = stage.tenant("bombs-a").await?;
        let bad = stage.tenant("bombs-b").await?;
        let repository = stage.env.forge.repository("bombs-a").await?;
        let commit = repository.commit(&[("a.yaml", &config_map("a", "0"))], "Begin")?;
        let sync = sync::sync(&good.namespace, "app", &repository.https_url, &json!({"interval": "5s"}));
        stage.env.cluster.apply(&sync).await?;
        stage.env.ready(&good.namespace, "app", Some(&commit)).await?;
        let mut all = bombs();
        all.push(Bomb { name: "slow", files: slow(), render: Value::Null, says: &[] });
        for one in &all {
            bomb(stage, &bad, one).await?;
        }
        let pid = stage.agent.pid();
        let most = Cell::new(0.0_f64);
        for number in 1..=5 {
            let commit = repository.commit(&[("a.yaml", &config_map("a", &number.to_string()))], "Next")?;
            let started = Instant::now();
            stage.env.ready(&good.namespace, "app", Some(&commit)).await?;
            // The interval is 5 s.
            ensure!(started.elapsed() < Duration::from_secs(20), "a commit took {:?}", started.elapsed());
            most.set(most.get().max(resident_mib(pid)?));
        }
        for Bomb { name, says, .. } in all.iter().filter(|one| !one.says.is_empty()) {
            let message = || async {
                let ready = stage.env.condition(&bad.namespace, name, "Ready").await;
                most.set(most.get().max(resident_mib(pid)?));
                Ok(ready.is_ok_and(|ready| says.iter().all(|part| ready.message.contains(part))))
            };
            // They take turns, and some use up their time.
            eventually(Duration::from_mins(4), name, message).await?;
        }
        let most = most.get();
        ensure!(most < 600.0, "the agent and its workers had {most:.0} MiB");
        stage.env.cluster.must(&["-n", &bad.namespace, "delete", "syncs", "--all", "--wait=false"]).await?;
        let idle = || async {
            let before = processor(pid)?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(processor(pid)?.saturating_sub(before) < 50)
        };
        eventually(Duration::from_secs(15), "the processor to be idle", idle).await
    })
}

/// Ticks of a processor that the agent and its workers have used so far.
fn processor(pid: u32) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((head, fields)) = stat.rsplit_once(')') else { continue };
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        if head.starts_with(&format!("{pid} (")) || number(1) == u64::from(pid) {
            sum += number(11) + number(12);
        }
    }
    Ok(sum)
}
