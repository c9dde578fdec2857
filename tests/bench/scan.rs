//! Scan: what is asked of a registry for many images, and how long that takes; and a repository with very many tags. Fails
//! if one list too many is asked for, by the count of the agent or by the log of the registry. I/O: processes, network, disk.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_tests::agent::Agent;
use holdfast_tests::images::pretend_tags;
use holdfast_tests::tools::progress;
use serde_json::{Value, json};

use super::images::{LIMIT, Stage};

const UPDATES: usize = 5;
const EACH: usize = 100;
const REPOSITORIES: usize = 250;
const TAGS: usize = 200;
/// Between two scans.
const INTERVAL: Duration = Duration::from_secs(20);
const MANY: usize = 100_000;

/// Asks 250 repositories for 500 images, and one repository with 100,000 tags.
pub async fn scan() -> anyhow::Result<()> {
    many_repositories().await?;
    many_tags().await
}

/// The first scan, and the second one at its interval.
async fn many_repositories() -> anyhow::Result<()> {
    progress(&format!("scan: {} images in {REPOSITORIES} repositories", UPDATES * EACH));
    let stage = Stage::set().await?;
    for at in 0..REPOSITORIES {
        let tags = (0..TAGS).map(|number| format!("1.0.{number}"));
        pretend_tags(stage.registry.folder(), &format!("team/app-{at}"), tags)?;
    }
    let numbers = |update: usize| update * EACH..(update + 1) * EACH;
    let named = |at: usize| (format!("image-{at}"), format!("team/app-{}", at % REPOSITORIES));
    let (mut files, newest) = (Vec::new(), format!("1.0.{}", TAGS - 1));
    for update in 0..UPDATES {
        let lines = numbers(update)
            .map(named)
            .map(|(name, repository)| stage.line(&name, &name, &repository, &newest));
        files.push((format!("{update}/images.yaml"), lines.collect::<String>()));
    }
    let borrowed: Vec<(&str, &str)> =
        files.iter().map(|(file, text)| (file.as_str(), text.as_str())).collect();
    let head = stage.git.commit(&borrowed, "Begin")?;
    let raw_seconds = raw(&stage).await?;
    let started = Instant::now();
    for update in 0..UPDATES {
        let images: Vec<Value> =
            numbers(update).map(named).map(|(name, repository)| stage.image(&name, &repository)).collect();
        let more =
            json!({"interval": format!("{}s", INTERVAL.as_secs()), "git": {"path": update.to_string()}});
        stage.create(&format!("update-{update}"), &images, &more).await?;
    }
    let lists = until(&stage, REPOSITORIES, LIMIT).await?.duration_since(started).as_secs_f64();
    stage.ready(UPDATES).await?;
    let first = started.elapsed().as_secs_f64();
    let after_first = stage.counted().await?;
    same(&stage, "the first scan", after_first, REPOSITORIES)?;
    let begun = until(&stage, REPOSITORIES + 1, INTERVAL * 2).await?;
    let ended = until(&stage, REPOSITORIES * 2, LIMIT).await?;
    // Repeated requests within the interval would be made now.
    tokio::time::sleep(INTERVAL.saturating_sub(begun.elapsed() + Duration::from_secs(2))).await;
    let after_second = stage.counted().await?;
    println!(
        "{}",
        json!({"bench": "scan", "case": format!("{} images in {REPOSITORIES} repositories of {TAGS} tags", UPDATES * EACH),
            "requests": after_first, "again": after_second - after_first, "seconds": first, "lists_seconds": lists,
            "raw_seconds": raw_seconds, "ratio": first / raw_seconds,
            "again_seconds": ended.duration_since(begun).as_secs_f64(), "rss_mib": stage.agent.rss_mib()?})
    );
    same(&stage, "both scans", after_second, REPOSITORIES * 2)?;
    ensure!(
        std::fs::read_to_string(stage.branch()?)?.trim() == head,
        "there is a commit, and nothing to change"
    );
    Ok(())
}

/// Waits until the agent has asked registries so often. Returns when that was, to a few hundredths of a second.
async fn until(stage: &Stage, count: usize, limit: Duration) -> anyhow::Result<Instant> {
    let started = Instant::now();
    loop {
        let now = stage.counted().await?;
        if now >= count {
            return Ok(Instant::now());
        }
        if started.elapsed() > limit {
            bail!("{now} requests to the registry after {limit:?}, of which {count} were waited for");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Fails unless the agent and the log of the registry count what was to be asked.
fn same(stage: &Stage, what: &str, counted: usize, wanted: usize) -> anyhow::Result<()> {
    let log = std::fs::read_to_string(stage.registry.folder().join("log"))?;
    let is_ours = |line: &&str| line.contains("HTTP/1.1\" ") && line.contains("\"holdfast/");
    let served = log.lines().filter(is_ours).count();
    ensure!(
        counted == wanted && served == wanted,
        "{what}: the agent counts {counted} requests, the registry {served}; {wanted} were to be made"
    );
    Ok(())
}

/// The same lists with nothing but requests. Returns the seconds.
async fn raw(stage: &Stage) -> anyhow::Result<f64> {
    let (client, started) = (reqwest::Client::new(), Instant::now());
    let lists = stream::iter(0..REPOSITORIES).map(|at| list(stage, &client, format!("team/app-{at}")));
    let found: Vec<usize> = lists.buffer_unordered(8).try_collect().await?;
    ensure!(found.iter().all(|tags| *tags == TAGS), "the registry lists other tags than it has");
    Ok(started.elapsed().as_secs_f64())
}

/// How many tags a repository has.
async fn list(stage: &Stage, client: &reqwest::Client, repository: String) -> anyhow::Result<usize> {
    let url = format!("{}/v2/{repository}/tags/list", stage.registry.url);
    let answer: Value = serde_json::from_slice(&client.get(url).send().await?.bytes().await?)?;
    Ok(answer["tags"].as_array().map_or(0, Vec::len))
}

/// One repository with very many tags: the time, and what the agent keeps of it.
async fn many_tags() -> anyhow::Result<()> {
    progress(&format!("scan: {MANY} tags"));
    let stage = Stage::set().await?;
    pretend_tags(stage.registry.folder(), "team/few", (0..TAGS).map(|number| format!("1.0.{number}")))?;
    let tags = (0..MANY).map(|number| format!("1.{}.{}", number / 1000, number % 1000));
    pretend_tags(stage.registry.folder(), "team/many", tags)?;
    let newest = format!("1.{}.999", MANY / 1000 - 1);
    let few = stage.line("few", "few", "team/few", "1.0.199");
    let many = stage.line("many", "many", "team/many", &newest);
    stage.git.commit(&[("few/images.yaml", &few), ("many/images.yaml", &many)], "Begin")?;
    // What any first one needs is there before anything is measured.
    stage
        .create("few", &[stage.image("few", "team/few")], &json!({"interval": "1h", "git": {"path": "few"}}))
        .await?;
    stage.ready(1).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let raw = Instant::now();
    let found = list(&stage, &reqwest::Client::new(), "team/many".to_owned()).await?;
    ensure!(found == MANY, "the registry lists {found} tags");
    let raw_seconds = raw.elapsed().as_secs_f64();
    let (before, started) = (Memory::begin(&stage.agent)?, Instant::now());
    stage
        .create(
            "many",
            &[stage.image("many", "team/many")],
            &json!({"interval": "1h", "git": {"path": "many"}}),
        )
        .await?;
    stage.ready(2).await?;
    let seconds = started.elapsed().as_secs_f64();
    let peak = before.peak(&stage.agent)?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let kept = stage.agent.rss_mib()? - before.0;
    println!(
        "{}",
        json!({"bench": "scan", "case": format!("{MANY} tags in one repository"), "seconds": seconds, "raw_seconds": raw_seconds,
            "ratio": seconds / raw_seconds, "requests": stage.counted().await? - 1, "more_mib": kept, "peak_mib": peak, "rss_mib": before.0})
    );
    same(&stage, "one list each", stage.counted().await?, 2)
}

/// Resident memory at a moment, in MiB. From then on the kernel notes the most.
struct Memory(f64);

impl Memory {
    fn begin(agent: &Agent) -> anyhow::Result<Self> {
        std::fs::write(format!("/proc/{}/clear_refs", agent.pid()), "5")?;
        Ok(Self(agent.rss_mib()?))
    }

    /// How much more there was at the most.
    fn peak(&self, agent: &Agent) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", agent.pid()))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM in /proc")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number in VmHWM")?.parse()?;
        Ok(kib / 1024.0 - self.0)
    }
}
