//! Images: how long it takes from a registry to git and to the cluster, and what is asked for it. Fails if one request too
//! many or one commit too few is seen; times are told, and judged by who reads them.
//!
//! Leaves the race for a branch to `race`. I/O: processes, network, disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use holdfast::api::{ImageUpdate, conditions};
use holdfast_tests::agent::Agent;
use holdfast_tests::forge::Repository;
use holdfast_tests::images::{Pusher, pretend_tags};
use holdfast_tests::services::{self, Service};
use holdfast_tests::tools::progress;
use holdfast_tests::{Env, sync};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{ListParams, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::fixture::{Requests, asked, sorted};

/// The namespace of the ImageUpdates.
pub const IMAGES: &str = "images";
/// The namespace of the Sync and of what it applies: by it the audit log tells who asked.
const APP: &str = "app";
/// What is asked for at the most because of one new image, beside what the Sync asks.
const ASKED: usize = 5;
const ROUNDS: usize = 5;

const UPDATES: usize = 5;
const EACH: usize = 100;
const REPOSITORIES: usize = 250;
const TAGS: usize = 200;
/// Between two scans.
const INTERVAL: Duration = Duration::from_secs(20);
const MANY: usize = 100_000;
/// How long anything may take before it is given up.
const LIMIT: Duration = Duration::from_mins(1);

/// A cluster, a forge with one repository, a registry and an agent.
pub struct Stage {
    pub env: Env,
    pub registry: Service,
    pub pusher: Pusher,
    pub git: Repository,
    pub agent: Agent,
    pub client: Client,
}

impl Stage {
    pub async fn set() -> anyhow::Result<Self> {
        let (env, registry) = tokio::try_join!(Env::start(), services::registry())?;
        for namespace in [IMAGES, APP] {
            env.namespace(namespace).await?;
        }
        let token = sync::secret(IMAGES, "hook", &[("token", "0123456789abcdef0123")]);
        env.cluster.apply(&token).await?;
        let git = env.forge.repository("bench").await?;
        let (agent, client) = (env.agent(&[]).await?, env.cluster.client().await?);
        let pusher = Pusher::new(&registry.url);
        // The API server holds back the first objects of a definition that is younger than two seconds.
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(Self { env, registry, pusher, git, agent, client })
    }

    /// An image as the ImageUpdate names it: the newest version is taken.
    pub fn image(&self, name: &str, repository: &str) -> Value {
        let repository = format!("{}/{repository}", self.pusher.host());
        json!({"name": name, "repository": repository, "insecure": true, "policy": {"semver": {"range": ">=1.0.0"}}})
    }

    /// A line of a file that names an image under a key, with its marker.
    pub fn line(&self, key: &str, name: &str, repository: &str, tag: &str) -> String {
        let host = self.pusher.host();
        format!("{key}: {host}/{repository}:{tag} # {{\"$imagepolicy\": \"{IMAGES}:{name}\"}}\n")
    }

    /// Creates an ImageUpdate that edits below `path`.
    pub async fn create(&self, name: &str, images: &[Value], more: &Value) -> anyhow::Result<()> {
        let mut spec =
            json!({"git": {"url": self.git.https_url, "secretRef": {"name": "git"}}, "images": images});
        sync::merge(&mut spec, more);
        let update = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "ImageUpdate",
            "metadata": {"name": name, "namespace": IMAGES}, "spec": spec});
        self.updates().create(&PostParams::default(), &serde_json::from_value(update)?).await?;
        Ok(())
    }

    fn updates(&self) -> Api<ImageUpdate> {
        Api::namespaced(self.client.clone(), IMAGES)
    }

    /// Waits until so many ImageUpdates are Ready.
    pub async fn ready(&self, count: usize) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let all = self.updates().list(&ListParams::default()).await?.items;
            let known = all.iter().filter_map(|update| update.status.as_ref());
            let ready = known.filter(|status| conditions::is_true(&status.conditions, conditions::READY));
            if ready.count() == count {
                return Ok(());
            }
            if started.elapsed() > LIMIT {
                let told: Vec<_> =
                    all.into_iter().map(|update| update.status.map(|it| it.conditions)).collect();
                bail!("not every ImageUpdate is Ready after {LIMIT:?}: {told:?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Where the agent takes calls for an ImageUpdate.
    pub async fn hook(&self, name: &str) -> anyhow::Result<String> {
        let status = self.updates().get(name).await?.status.unwrap_or_default();
        let path = status.webhook_path.context("the ImageUpdate names no path for calls")?;
        Ok(format!("http://{}{path}", self.agent.address()))
    }

    /// How often the agent says that it asked registries.
    async fn counted(&self) -> anyhow::Result<usize> {
        let text = self.agent.get("metrics").await?;
        let lines = text.lines().filter(|line| line.starts_with("holdfast_registry_requests_total{"));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum())
    }

    /// How often the registry says that the agent asked it.
    fn served(&self) -> anyhow::Result<usize> {
        let log = std::fs::read_to_string(self.registry.folder().join("log"))?;
        Ok(log.lines().filter(|line| line.contains("HTTP/1.1\" ") && line.contains("\"holdfast/")).count())
    }

    /// Waits until the agent has asked registries so often. Returns when it had not asked as often at the latest.
    async fn until(&self, count: usize, limit: Duration) -> anyhow::Result<Instant> {
        let started = Instant::now();
        loop {
            let (asked, now) = (Instant::now(), self.counted().await?);
            if now >= count {
                return Ok(asked);
            }
            if started.elapsed() > limit {
                bail!("{now} requests to the registry after {limit:?}, of which {count} were waited for");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Fails unless the agent and the registry count the same.
    fn same(&self, what: &str, counted: usize, wanted: usize) -> anyhow::Result<()> {
        let served = self.served()?;
        ensure!(
            counted == wanted && served == wanted,
            "{what}: the agent counts {counted} requests, the registry {served}; {wanted} were to be made"
        );
        Ok(())
    }
}

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
    let lists = stage.until(REPOSITORIES, LIMIT).await?.duration_since(started).as_secs_f64();
    stage.ready(UPDATES).await?;
    let first = started.elapsed().as_secs_f64();
    let after_first = stage.counted().await?;
    stage.same("the first scan", after_first, REPOSITORIES)?;
    let begun = stage.until(REPOSITORIES + 1, INTERVAL * 2).await?;
    let ended = stage.until(REPOSITORIES * 2, LIMIT).await?;
    // Whoever asks again within the interval does it now.
    tokio::time::sleep(INTERVAL.saturating_sub(begun.elapsed() + Duration::from_secs(2))).await;
    let after_second = stage.counted().await?;
    println!(
        "{}",
        json!({"bench": "scan", "case": format!("{} images in {REPOSITORIES} repositories of {TAGS} tags", UPDATES * EACH),
            "requests": after_first, "again": after_second - after_first, "seconds": first, "lists_seconds": lists,
            "raw_seconds": raw_seconds, "ratio": first / raw_seconds,
            "again_seconds": ended.duration_since(begun).as_secs_f64(), "rss_mib": stage.agent.rss_mib()?})
    );
    stage.same("both scans", after_second, REPOSITORIES * 2)?;
    ensure!(
        std::fs::read_to_string(branch(&stage)?)?.trim() == head,
        "there is a commit, and nothing to change"
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
    let text =
        stage.line("few", "few", "team/few", "1.0.199") + &stage.line("many", "many", "team/many", &newest);
    stage.git.commit(&[("images.yaml", &text)], "Begin")?;
    // What any first one needs is there before anything is measured.
    stage.create("few", &[stage.image("few", "team/few")], &json!({"interval": "1h"})).await?;
    stage.ready(1).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let raw = Instant::now();
    let found = list(&stage, &reqwest::Client::new(), "team/many".to_owned()).await?;
    ensure!(found == MANY, "the registry lists {found} tags");
    let raw_seconds = raw.elapsed().as_secs_f64();
    let (before, started) = (Memory::begin(&stage.agent)?, Instant::now());
    stage.create("many", &[stage.image("many", "team/many")], &json!({"interval": "1h"})).await?;
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
    stage.same("one list each", stage.counted().await?, 2)
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

/// The file in which the forge keeps its branch: reading it disturbs nobody.
fn branch(stage: &Stage) -> anyhow::Result<PathBuf> {
    let file = stage.env.forge.bare(&stage.git).join("refs/heads/main");
    ensure!(file.is_file(), "the forge has no file {}", file.display());
    Ok(file)
}

/// From the end of the push of an image, with the call of its registry, to the commit, and to the Deployment.
pub async fn update() -> anyhow::Result<()> {
    progress(&format!("update: {ROUNDS} new images"));
    let stage = Stage::set().await?;
    stage.pusher.push("team/web", "1.0.0", "2026-01-01T00:00:00Z", &["linux/amd64"]).await?;
    let image = stage.line("image", "web", "team/web", "1.0.0");
    let web = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: 0\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      containers:\n        - name: web\n          {image}"
    );
    stage.git.commit(&[("app/web.yaml", &web)], "Begin")?;
    // Nothing is found by chance: nobody looks by himself.
    let sync = sync::sync(APP, "app", &stage.git.https_url, &json!({"path": "app", "interval": "1h"}));
    stage.env.cluster.apply(&sync).await?;
    stage.env.ready(APP, "app", None).await?;
    let webhook = json!({"interval": "1h", "webhook": {"provider": "Quay", "secretRef": {"name": "hook"}}});
    stage.create("web", &[stage.image("web", "team/web")], &webhook).await?;
    stage.ready(1).await?;
    let hook = stage.hook("web").await?;
    // What is told late of the beginning is told by then.
    tokio::time::sleep(Duration::from_secs(20)).await;
    for round in 1..=ROUNDS {
        one_update(&stage, &hook, round).await?;
    }
    let commits = stage.git.git(&["ls-remote", "--quiet", &stage.git.push_url, "main"])?;
    stage.git.git(&["fetch", "--quiet", &stage.git.push_url, "main"])?;
    let log = stage.git.git(&["log", "--format=%s", "FETCH_HEAD"])?;
    let ours = log.lines().filter(|subject| subject.starts_with("Update web to ")).count();
    ensure!(ours == ROUNDS, "{ours} commits, not {ROUNDS}, up to {commits}:\n{log}");
    Ok(())
}

async fn one_update(stage: &Stage, hook: &str, round: usize) -> anyhow::Result<()> {
    let file = branch(stage)?;
    let (tag, head) = (format!("1.0.{round}"), std::fs::read_to_string(&file)?);
    let client = reqwest::Client::new();
    let (before, stages) = (stage.counted().await?, stages(&stage.agent).await?);
    let deployments = Api::<Deployment>::namespaced(stage.client.clone(), APP);
    let mut deployed =
        std::pin::pin!(watcher::watcher(deployments, watcher::Config::default()).applied_objects());
    deployed.try_next().await?.context("there is a Deployment")?;
    stage.pusher.push("team/web", &tag, "2026-01-01T00:00:00Z", &["linux/amd64"]).await?;
    let (since, started) = (Timestamp::now(), Instant::now());
    let called = async {
        let answer = client.post(hook).body("{}").send().await?;
        ensure!(answer.status().is_success(), "the call is answered with {}", answer.status());
        Ok(started.elapsed().as_secs_f64())
    };
    let committed = async {
        while std::fs::read_to_string(&file)? == head {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(started.elapsed().as_secs_f64())
    };
    let applied = async {
        loop {
            let found = deployed.try_next().await?.context("the watch ended")?;
            let pod = found.spec.and_then(|spec| spec.template.spec).unwrap_or_default();
            let image = pod.containers.first().and_then(|container| container.image.as_deref());
            if image.is_some_and(|image| image.ends_with(&format!(":{tag}"))) {
                return Ok(started.elapsed().as_secs_f64());
            }
        }
    };
    let all = async { tokio::try_join!(called, committed, applied) };
    let (called, committed, applied) =
        tokio::time::timeout(LIMIT, all).await.context("no commit, or no new image in the Deployment")??;
    // What is told of it, too.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let lists = stage.counted().await? - before;
    let (of_update, of_sync): (Vec<Value>, Vec<Value>) =
        asked(&stage.env, since)?.into_iter().partition(|line| line["objectRef"]["namespace"] == IMAGES);
    let Requests { count, sorts } = sorted(&of_update, since)?;
    let Requests { count: others, sorts: other_sorts } = sorted(&of_sync, since)?;
    let now = self::stages(&stage.agent).await?;
    let spent: serde_json::Map<String, Value> = stages
        .iter()
        .zip(&now)
        .map(|((name, before), (_, now))| ((*name).to_owned(), json!(now - before)))
        .collect();
    println!(
        "{}",
        json!({"bench": "update", "case": format!("round {round}"), "called_seconds": called, "commit_seconds": committed,
            "deployment_seconds": applied, "requests": count, "sorts": sorts, "sync_requests": others,
            "sync_sorts": other_sorts, "registry_requests": lists, "stages": spent})
    );
    ensure!((1..=ASKED).contains(&count), "{count} requests for one update: at most {ASKED}, and a status");
    ensure!(lists == 1, "{lists} requests to the registry for one new image");
    Ok(())
}

/// Seconds that the agent spent in each stage.
async fn stages(agent: &Agent) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let mut all = Vec::new();
    for name in ["scan", "publish", "source", "render", "observe", "plan", "gate", "apply", "report"] {
        all.push((name, agent.metric(&format!("holdfast_stage_seconds_sum{{stage=\"{name}\"}}")).await?));
    }
    Ok(all)
}
