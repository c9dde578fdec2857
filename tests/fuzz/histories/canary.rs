//! Time as the agent has it: on a busy machine seconds say nothing. A Sync beside all histories is given a commit, and it is
//! waited for until the agent has applied it. What the agent has not done of a history after some of these, it does not do.
//! I/O: network, processes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use http::Method;
use serde_json::{Value, json};

use super::stage::{Call, Stage, git};

const PATH: &str = "/apis/holdfast.dev/v1alpha1/namespaces/canary/syncs";
/// How long the agent may take for one commit on the busiest machine.
const LIMIT: Duration = Duration::from_mins(5);

/// The Sync, and what it is given.
pub struct Canary {
    folder: PathBuf,
    beats: u64,
}

impl Canary {
    /// Makes the repository; the Sync is made with the first commit.
    pub async fn start(folder: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        git(&folder, &["init", "--quiet", "-b", "main"]).await?;
        Ok(Self { folder, beats: 0 })
    }

    /// Makes a commit, and waits until the agent has applied it.
    pub async fn beat(&mut self, stage: &Stage) -> anyhow::Result<()> {
        self.beats += 1;
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "beat"}, "data": {"beat": self.beats.to_string()}});
        std::fs::write(self.folder.join("beat.json"), object.to_string())?;
        git(&self.folder, &["add", "--all"]).await?;
        git(&self.folder, &["commit", "--quiet", "-m", "Beat"]).await?;
        let commit = git(&self.folder, &["rev-parse", "HEAD"]).await?;
        if self.beats == 1 {
            let url = format!("file://{}", self.folder.join(".git").display());
            let sync = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"name": "canary"},
                "spec": {"source": {"git": {"url": url}}, "interval": "1h"}});
            call(stage, Method::POST, PATH.to_owned(), sync).await?;
        } else {
            let patch = json!({"metadata": {"annotations": {"holdfast.dev/reconcile-at": commit}}});
            call(stage, Method::PATCH, format!("{PATH}/canary"), patch).await?;
        }
        let started = Instant::now();
        loop {
            let sync = stage.read(&format!("{PATH}/canary")).await?.unwrap_or_default();
            let applied = sync["status"]["revision"]["applied"].as_str().unwrap_or_default();
            if applied.ends_with(&commit) {
                return Ok(());
            }
            if started.elapsed() > LIMIT {
                bail!("the agent has not applied a commit within {LIMIT:?}: {}", sync["status"]);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn call(stage: &Stage, method: Method, path: String, body: Value) -> anyhow::Result<()> {
    let content = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let answer = stage.call(Call { method, path, content, body }).await?;
    answer.map(drop).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))
}
