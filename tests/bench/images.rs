//! What the benches of images share, and one of them: from a new image to the commit and to the cluster, and what is asked
//! for it. Fails if one request too many or one commit too few is seen; times are told, and judged by who reads them.
//!
//! Leaves registries to `scan`, and others who push to `race`. I/O: processes, network, disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures::TryStreamExt as _;
use holdfast::api::{ImageUpdate, conditions};
use holdfast_tests::agent::Agent;
use holdfast_tests::forge::Repository;
use holdfast_tests::images::Pusher;
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
/// How long anything may take before it is given up.
pub const LIMIT: Duration = Duration::from_mins(1);

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

    /// The file in which the forge keeps its branch: reading it causes no request.
    pub fn branch(&self) -> anyhow::Result<PathBuf> {
        let file = self.env.forge.bare(&self.git).join("refs/heads/main");
        ensure!(file.is_file(), "the forge has no file {}", file.display());
        Ok(file)
    }

    /// Where the agent takes calls for an ImageUpdate.
    pub async fn hook(&self, name: &str) -> anyhow::Result<String> {
        let status = self.updates().get(name).await?.status.unwrap_or_default();
        let path = status.webhook_path.context("the ImageUpdate names no path for calls")?;
        Ok(format!("http://{}{path}", self.agent.address()))
    }

    /// How often the agent says that it asked registries.
    pub async fn counted(&self) -> anyhow::Result<usize> {
        let text = self.agent.get("metrics").await?;
        let lines = text.lines().filter(|line| line.starts_with("holdfast_registry_requests_total{"));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum())
    }
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
    // The agent does not poll in this time, so nothing is found by chance.
    let sync = sync::sync(APP, "app", &stage.git.https_url, &json!({"path": "app", "interval": "1h"}));
    stage.env.cluster.apply(&sync).await?;
    stage.env.ready(APP, "app", None).await?;
    let webhook = json!({"interval": "1h", "webhook": {"provider": "Quay", "secretRef": {"name": "hook"}}});
    stage.create("web", &[stage.image("web", "team/web")], &webhook).await?;
    stage.ready(1).await?;
    let hook = stage.hook("web").await?;
    // What is told late of the beginning is told by then.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let other = stage.env.forge.repository("raw").await?;
    other.commit(&[("app/web.yaml", &web)], "Begin")?;
    for round in 1..=ROUNDS {
        let raw_seconds = raw_push(&other, round)?;
        one_update(&stage, &hook, round, raw_seconds).await?;
    }
    let commits = stage.git.git(&["ls-remote", "--quiet", &stage.git.push_url, "main"])?;
    stage.git.git(&["fetch", "--quiet", &stage.git.push_url, "main"])?;
    let log = stage.git.git(&["log", "--format=%s", "FETCH_HEAD"])?;
    let ours = log.lines().filter(|subject| subject.starts_with("Update web to ")).count();
    ensure!(ours == ROUNDS, "{ours} commits, not {ROUNDS}, up to {commits}:\n{log}");
    Ok(())
}

/// What git itself needs to learn where the branch is and to push a commit that is made already. Returns the seconds.
fn raw_push(git: &Repository, round: usize) -> anyhow::Result<f64> {
    std::fs::write(git.clone.join("app/web.yaml"), format!("# {round}\n"))?;
    git.git(&["commit", "--quiet", "--all", "-m", "Update web"])?;
    let started = Instant::now();
    git.git(&["ls-remote", "--quiet", &git.push_url, "main"])?;
    git.push("main")?;
    Ok(started.elapsed().as_secs_f64())
}

async fn one_update(stage: &Stage, hook: &str, round: usize, raw_seconds: f64) -> anyhow::Result<()> {
    let file = stage.branch()?;
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
            "deployment_seconds": applied, "raw_seconds": raw_seconds, "ratio": committed / raw_seconds, "requests": count, "sorts": sorts, "sync_requests": others,
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
