//! The real parts that all histories of a run share: a control plane, an agent, requests to the API server, and the count of
//! the agent's own. I/O: processes, network, disk.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use holdfast_tests::agent::Agent;
use holdfast_tests::controlplane::{ControlPlane, Options};
use holdfast_tests::watchdog::Folder;
use holdfast_tests::{root, tools};
use http::{Method, Request};
use kube::Client;
use serde_json::Value;
use tokio::sync::Mutex;

use super::canary::Canary;
use super::kinds;

/// The namespace in which manifests are tried.
pub const TRIAL: &str = "trial";

pub struct Stage {
    pub cluster: ControlPlane,
    client: Client,
    agent: Mutex<Option<Agent>>,
    pub folder: Folder,
    audit: Mutex<Audit>,
    canary: Mutex<Canary>,
}

/// How the API server refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: u16,
    pub message: String,
}

/// A request: what it is called with, beside its path.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    pub method: Method,
    /// With its query.
    pub path: String,
    pub content: &'a str,
    pub body: Value,
}

const ARGUMENTS: &[&str] = &["--allow-file-sources"];

impl Stage {
    pub async fn start() -> anyhow::Result<Self> {
        let tools = tools().await?;
        let cluster = ControlPlane::start(&tools, Options::default()).await?;
        let definitions = root().join("manifests/base/crds.yaml").display().to_string();
        cluster.must(&["apply", "--server-side", "-f", &definitions]).await?;
        cluster.apply(kinds::DEFINITIONS).await?;
        cluster.must(&["wait", "--for=condition=Established", "--timeout=60s", "crd", "--all"]).await?;
        for namespace in [TRIAL, "elsewhere", "canary"] {
            cluster.must(&["create", "namespace", namespace]).await?;
        }
        let client = cluster.client().await?;
        let agent = Mutex::new(Some(Agent::start(&cluster.kubeconfig(), ARGUMENTS).await?));
        let folder = Folder::make("histories")?;
        let canary = Mutex::new(Canary::start(folder.path().join("canary")).await?);
        Ok(Self { cluster, client, agent, folder, audit: Mutex::default(), canary })
    }

    /// Waits until the agent has done what takes it a moment, however long that is.
    pub async fn beat(&self) -> anyhow::Result<()> {
        self.canary.lock().await.beat(self).await
    }

    /// Kills the agent and starts it again with the same cache.
    pub async fn kill(&self) -> anyhow::Result<()> {
        let mut slot = self.agent.lock().await;
        let agent = slot.take().context("the agent did not start again")?;
        *slot = Some(agent.restart(&self.cluster.kubeconfig(), ARGUMENTS).await?);
        Ok(())
    }

    /// Fails if the agent has ended by itself.
    pub async fn check(&self) -> anyhow::Result<()> {
        self.agent.lock().await.as_mut().context("the agent did not start again")?.check()
    }

    /// What the agent has logged of a Sync since it was started.
    pub async fn logged(&self, sync: &str) -> anyhow::Result<Vec<String>> {
        let slot = self.agent.lock().await;
        let text = slot.as_ref().context("the agent did not start again")?.output()?;
        Ok(text.lines().filter(|line| line.contains(sync)).map(str::to_owned).collect())
    }

    /// Calls the API server.
    pub async fn call(&self, call: Call<'_>) -> anyhow::Result<Result<Value, Refusal>> {
        let Call { method, path, content, body } = call;
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(&body)? };
        let request =
            Request::builder().method(method).uri(&path).header("Content-Type", content).body(body)?;
        match self.client.request::<Value>(request).await {
            Ok(value) => Ok(Ok(value)),
            Err(kube::Error::Api(status)) => {
                Ok(Err(Refusal { code: status.code, message: status.message.clone() }))
            }
            Err(error) => Err(anyhow::Error::new(error).context(path)),
        }
    }

    /// Reads an object, if it is there.
    pub async fn read(&self, path: &str) -> anyhow::Result<Option<Value>> {
        let call = Call {
            method: Method::GET,
            path: path.to_owned(),
            content: "application/json",
            body: Value::Null,
        };
        match self.call(call).await? {
            Ok(object) => Ok(Some(object)),
            Err(Refusal { code: 404, .. }) => Ok(None),
            Err(Refusal { code, message }) => bail!("{path}: {code} {message}"),
        }
    }

    /// Requests of the agent for objects of a namespace so far: all of them, and those that write objects.
    pub async fn requests(&self, namespace: &str) -> anyhow::Result<Requests> {
        let mut audit = self.audit.lock().await;
        audit.read(&self.cluster.audit_log())?;
        Ok(audit.counts.get(namespace).copied().unwrap_or_default())
    }
}

/// Requests of the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    pub all: u64,
    /// Writes of objects that are no Events and no status of a Sync, but for dry runs.
    pub writes: u64,
}

/// The audit log, as far as it has been read.
#[derive(Default)]
struct Audit {
    offset: u64,
    counts: HashMap<String, Requests>,
}

impl Audit {
    fn read(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut reader = BufReader::new(file);
        let mut line = String::new();
        loop {
            line.clear();
            let read = reader.read_line(&mut line)?;
            // The last line may be half written.
            if read == 0 || !line.ends_with('\n') {
                return Ok(());
            }
            self.offset += u64::try_from(read)?;
            if line.contains("\"userAgent\":\"holdfast/") {
                self.count(&serde_json::from_str(&line)?);
            }
        }
    }

    fn count(&mut self, event: &Value) {
        let (object, verb) = (&event["objectRef"], event["verb"].as_str().unwrap_or_default());
        let Some(namespace) = object["namespace"].as_str() else { return };
        let counts = self.counts.entry(namespace.to_owned()).or_default();
        counts.all += 1;
        let resource = object["resource"].as_str().unwrap_or_default();
        let reads = ["get", "list", "watch"].contains(&verb);
        let dry = event["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun"));
        if !reads && !dry && !["events", "syncs", "leases"].contains(&resource) {
            counts.writes += 1;
        }
    }
}

/// Runs git in a folder.
pub async fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Alice")
            .env(format!("GIT_{role}_EMAIL"), "alice@example.com");
    }
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    if !output.status.success() {
        bail!("git: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
