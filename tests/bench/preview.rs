//! Pull requests to a large repository on a real forge: 20,000 files, 300 Syncs, 50 open pull requests.
//!
//! A push to a pull request changes one object of one Sync. Measured: the time from the end of the push to the comment, the requests
//! to the API server and to the forge for it, the requests of both while nothing changes, and the memory. Each figure is printed with
//! its bound, and the bench fails if one is missed. I/O: processes, network, disk.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use holdfast::api::{Repository, Sync, conditions};
use holdfast_tests::agent::Agent;
use holdfast_tests::forge::{self, USER};
use holdfast_tests::tools::progress;
use holdfast_tests::{Env, eventually, sync};
use jiff::Timestamp;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use reqwest::Method;
use serde_json::{Value, json};

use super::drift::percentile;
use super::fixture::{Fleet, Requests, app, config_map, requests, unread};

const NAMESPACE: &str = "reviewed";
const FLEET: Fleet = Fleet { syncs: 300, objects: app };
const FILES: usize = 20_000;
const PULLS: usize = 50;
/// Pushes to each pull request.
const ROUNDS: usize = 2;
const TOKEN: &str = "0123456789abcdef0123";
/// The interval of the Repository while nothing changes.
const INTERVAL: Duration = Duration::from_mins(1);
/// Maximum time for anything before the bench fails.
const LIMIT: Duration = Duration::from_mins(5);
/// The pause in which late writes and webhooks of a preview arrive.
const PAUSE: Duration = Duration::from_secs(2);

/// Seconds from a push to the comment, 99 of 100.
const SECONDS: f64 = 2.0;
/// Requests to the API server for a preview of one changed object.
const REQUESTS: usize = 3;
/// MiB that previews add.
const MEMORY: f64 = 10.0;

/// A cluster, a forge with one repository and an agent.
struct Stage {
    env: Env,
    git: forge::Repository,
    agent: Agent,
    client: Client,
}

/// An open pull request, whose comment is known.
struct Pull {
    number: i64,
    comment: String,
}

/// What one push cost.
struct Cost {
    seconds: f64,
    api: usize,
    forge: usize,
}

pub async fn preview() -> anyhow::Result<()> {
    progress(&format!("preview: {FILES} files, {} Syncs, {PULLS} pull requests", FLEET.syncs));
    let stage = Stage::set().await?;
    // The allocator has returned by then what the first syncs needed.
    tokio::time::sleep(Duration::from_secs(20)).await;
    let before = stage.agent.rss_mib()?;
    let began = Instant::now();
    let pulls = stage.open().await?;
    progress(&format!("preview: {PULLS} previews after {:.1} s", began.elapsed().as_secs_f64()));
    tokio::time::sleep(PAUSE * 5).await;
    let mut costs = Vec::new();
    for round in 1..=ROUNDS {
        for (at, pull) in pulls.iter().enumerate() {
            costs.push(stage.push(at, pull, round).await?);
        }
    }
    let (api, forge) = stage.unchanged().await?;
    let more = stage.agent.rss_mib()? - before;
    let mut seconds: Vec<f64> = costs.iter().map(|cost| cost.seconds).collect();
    let most = |of: fn(&Cost) -> usize| costs.iter().map(of).max().unwrap_or_default();
    let (p50, p99) = (percentile(&mut seconds, 0.5), percentile(&mut seconds, 0.99));
    let (api_most, forge_most) = (most(|cost| cost.api), most(|cost| cost.forge));
    let name = format!("{FILES} files, {} Syncs, {PULLS} pull requests", FLEET.syncs);
    println!(
        "{}",
        json!({"bench": "preview", "case": name, "pushes": costs.len(), "p50_seconds": p50,
            "p99_seconds": p99, "p99_bound": SECONDS, "api_requests": api_most, "api_bound": REQUESTS, "forge_requests": forge_most,
            "idle_api_requests": api, "idle_api_bound": 0, "idle_forge_requests": forge.len(), "idle_forge_bound": 1,
            "memory_mib": more, "memory_bound": MEMORY, "rss_mib": before + more})
    );
    ensure!(api == 0, "{api} requests to the API server while nothing changed");
    ensure!(forge.len() <= 1, "{} requests to the forge in one interval: {}", forge.len(), forge.join("\n"));
    ensure!(api_most <= REQUESTS, "{api_most} requests to the API server for one changed object");
    ensure!(p99 <= SECONDS, "{p99} s from a push to the comment");
    ensure!(more <= MEMORY, "{more} MiB more");
    Ok(())
}

impl Stage {
    /// All Syncs are Ready.
    async fn set() -> anyhow::Result<Self> {
        let env = Env::start().await?;
        env.namespace(NAMESPACE).await?;
        let git = env.forge.repository("bench").await?;
        write(&git.clone)?;
        git.push_all("Begin")?;
        let (agent, client) = (env.agent(&[]).await?, env.cluster.client().await?);
        // The API server holds back the first objects of a definition that is younger than two seconds.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let stage = Self { env, git, agent, client };
        let more = |at: usize| json!({"path": at.to_string(), "interval": "1h", "health": {"wait": false}});
        let syncs: Api<Sync> = Api::namespaced(stage.client.clone(), NAMESPACE);
        for at in 0..FLEET.syncs {
            let name = format!("app-{at}");
            let text = sync::sync(NAMESPACE, &name, &stage.git.https_url, &more(at));
            syncs.create(&PostParams::default(), &serde_json::from_str(&text)?).await?;
        }
        eventually(LIMIT, "the Syncs to be Ready", || async {
            let all = syncs.list(&ListParams::default()).await?.items;
            let known = all.iter().filter_map(|sync| sync.status.as_ref());
            let ready = known.filter(|status| conditions::is_true(&status.conditions, conditions::READY));
            Ok(ready.count() == FLEET.syncs)
        })
        .await?;
        Ok(stage)
    }

    /// Opens the pull requests, and waits for their previews.
    async fn open(&self) -> anyhow::Result<Vec<Pull>> {
        let mut numbers = Vec::new();
        for at in 0..PULLS {
            self.change(at, 0)?;
            let body = json!({"head": branch(at), "base": "main", "title": format!("Change {at}")});
            let pull = self.call(Method::POST, "pulls", &body).await?;
            numbers.push(pull["number"].as_i64().context("a pull request has a number")?);
        }
        self.begin_reviews().await?;
        let repositories: Api<Repository> = Api::namespaced(self.client.clone(), NAMESPACE);
        let found = async || {
            let status = repositories.get("config").await?.status.unwrap_or_default();
            let of = |number: &i64| {
                let record = status.pull_requests.iter().find(|one| one.number == *number)?;
                Some(Pull { number: *number, comment: record.comment.clone()? })
            };
            anyhow::Ok(numbers.iter().filter_map(of).collect::<Vec<Pull>>())
        };
        eventually(LIMIT, "the previews", || async { Ok(found().await?.len() == PULLS) }).await?;
        found().await
    }

    /// Creates the Repository and the webhook at the forge.
    async fn begin_reviews(&self) -> anyhow::Result<()> {
        let scopes = ["write:repository", "write:issue", "read:user"];
        let token = json!({"name": "reviews", "scopes": scopes});
        let token = self.env.forge.api(Method::POST, &format!("users/{USER}/tokens"), &token).await?;
        let token = token["sha1"].as_str().context("the forge gave no token")?;
        let login = [("token", token), ("ca.crt", self.env.forge.ca())];
        self.env.cluster.apply(&sync::secret(NAMESPACE, "forge", &login)).await?;
        self.env.cluster.apply(&sync::secret(NAMESPACE, "hook", &[("token", TOKEN)])).await?;
        let repository = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Repository",
            "metadata": {"name": "config", "namespace": NAMESPACE},
            "spec": {"url": self.git.https_url, "provider": "Gitea", "secretRef": {"name": "forge"},
                "interval": format!("{}s", INTERVAL.as_secs()),
                "webhook": {"provider": "Gitea", "secretRef": {"name": "hook"}}}});
        let repositories: Api<Repository> = Api::namespaced(self.client.clone(), NAMESPACE);
        repositories.create(&PostParams::default(), &serde_json::from_value(repository)?).await?;
        let path = async || {
            let status = repositories.get("config").await?.status;
            anyhow::Ok(status.and_then(|status| status.webhook_path))
        };
        eventually(LIMIT, "the path for webhooks", || async { Ok(path().await?.is_some()) }).await?;
        let path = path().await?.context("the status names no path")?;
        let config = json!({"url": format!("http://{}{path}", self.agent.address()),
            "content_type": "json", "secret": TOKEN});
        let events = ["pull_request", "pull_request_sync", "pull_request_comment", "issue_comment"];
        let hook = json!({"type": "gitea", "active": true, "events": events, "config": config});
        self.call(Method::POST, "hooks", &hook).await.map(drop)
    }

    /// Pushes to a pull request, and waits for the comment.
    async fn push(&self, at: usize, pull: &Pull, round: usize) -> anyhow::Result<Cost> {
        let (since, asked) = (Timestamp::now(), self.env.forge.requests()?.len());
        let number = self.change(at, round)?;
        let started = Instant::now();
        let path = format!("issues/comments/{}", pull.comment);
        let wanted = format!("\"{number}\"");
        let seconds = loop {
            let comment = self.call(Method::GET, &path, &Value::Null).await?;
            if comment["body"].as_str().is_some_and(|text| text.contains(&wanted)) {
                break started.elapsed().as_secs_f64();
            }
            ensure!(started.elapsed() < LIMIT, "no preview in #{}: {comment}", pull.number);
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        tokio::time::sleep(PAUSE).await;
        let Requests { count, sorts } = requests(&self.env, since)?;
        let forge = self.env.forge.requests()?.split_off(asked);
        if at == 0 || count > REQUESTS || seconds > SECONDS {
            let case = format!("#{}, round {round}", pull.number);
            println!(
                "{}",
                json!({"bench": "preview", "case": case, "seconds": seconds, "requests": count, "sorts": sorts, "forge": forge})
            );
        }
        Ok(Cost { seconds, api: count, forge: forge.len() })
    }

    /// The requests to the API server, and those to the forge, in one interval without a change.
    async fn unchanged(&self) -> anyhow::Result<(usize, Vec<String>)> {
        // The first interval is over by then.
        tokio::time::sleep(INTERVAL + PAUSE).await;
        let (since, asked) = (Timestamp::now(), self.env.forge.requests()?.len());
        tokio::time::sleep(INTERVAL).await;
        let Requests { count, .. } = requests(&self.env, since)?;
        Ok((count, self.env.forge.requests()?.split_off(asked)))
    }

    /// Commits another number on the branch of a pull request, and pushes it. Returns the number.
    fn change(&self, at: usize, round: usize) -> anyhow::Result<usize> {
        let (branch, number) = (branch(at), 100_000 + at * 100 + round);
        self.git.git(&["checkout", "--quiet", "-B", &branch, "main"])?;
        std::fs::write(
            self.git.clone.join(format!("{at}/1.json")),
            config_map(&format!("app-{at}"), number).to_string(),
        )?;
        self.git.git(&["commit", "--quiet", "--all", "-m", &format!("Change {at}")])?;
        self.git.push(&branch)?;
        Ok(number)
    }

    async fn call(&self, method: Method, rest: &str, body: &Value) -> anyhow::Result<Value> {
        let path = format!("repos/{USER}/{}/{rest}", self.git.name);
        self.env.forge.api(method, &path, body).await
    }
}

fn branch(at: usize) -> String {
    format!("change-{at}")
}

/// A folder for each Sync, and files that no Sync reads.
fn write(folder: &Path) -> anyhow::Result<()> {
    for at in 0..FLEET.syncs {
        let place = folder.join(at.to_string());
        std::fs::create_dir_all(&place)?;
        for (number, object) in (FLEET.objects)(at).iter().enumerate() {
            std::fs::write(place.join(format!("{number}.json")), object.to_string())?;
        }
    }
    unread(folder, FILES - FLEET.total())
}
