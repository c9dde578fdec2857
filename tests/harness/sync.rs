//! Syncs in the tests: their YAML, and waiting for what they report. I/O: API, by kubectl.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::Env;
use crate::eventually;

/// How long a Sync may take to get where a test wants it.
const PATIENCE: Duration = Duration::from_secs(40);

/// A Secret as YAML.
pub fn secret(namespace: &str, name: &str, data: &[(&str, &str)]) -> String {
    let data: serde_json::Map<String, Value> =
        data.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": namespace, "name": name}, "stringData": data})
        .to_string()
}

/// A Sync of a repository as YAML, asked for every five seconds, with more fields in its spec.
pub fn sync(namespace: &str, name: &str, url: &str, more: &Value) -> String {
    let mut spec = json!({
        "source": {"git": {"url": url, "secretRef": {"name": "git"}}},
        "interval": "5s",
    });
    merge(&mut spec, more);
    json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync", "metadata": {"namespace": namespace, "name": name}, "spec": spec})
        .to_string()
}

/// Lays fields over others.
pub fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

/// One condition of a Sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    pub status: String,
    pub reason: String,
    pub message: String,
}

impl Env {
    /// A Sync as it is now.
    pub async fn read(&self, namespace: &str, name: &str) -> anyhow::Result<Value> {
        let text = self.cluster.must(&["-n", namespace, "get", "sync", name, "-o", "json"]).await?;
        serde_json::from_str(&text).context("kubectl printed no JSON")
    }

    /// A condition of a Sync, empty if it has none of this type.
    pub async fn condition(&self, namespace: &str, name: &str, kind: &str) -> anyhow::Result<Condition> {
        let sync = self.read(namespace, name).await?;
        let all = sync["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = all.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default();
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        Ok(Condition { status: text("status"), reason: text("reason"), message: text("message") })
    }

    /// Waits until a Sync is Ready, at this commit if one is named.
    pub async fn ready(&self, namespace: &str, name: &str, commit: Option<&str>) -> anyhow::Result<()> {
        eventually(PATIENCE, &format!("Sync {namespace}/{name} to be Ready"), || async {
            let sync = self.read(namespace, name).await?;
            let ready = self.condition(namespace, name, "Ready").await?;
            let applied = sync["status"]["revision"]["applied"].as_str().unwrap_or_default().to_owned();
            let current = sync["status"]["observedGeneration"] == sync["metadata"]["generation"];
            if ready.status != "True" || !current || !commit.is_none_or(|commit| applied.ends_with(commit)) {
                anyhow::bail!("{ready:?} at {applied}");
            }
            Ok(true)
        })
        .await
    }

    /// Waits until Ready has this reason, and returns it.
    pub async fn reason(&self, namespace: &str, name: &str, reason: &str) -> anyhow::Result<Condition> {
        eventually(PATIENCE, &format!("Sync {namespace}/{name} to say {reason}"), || async {
            let ready = self.condition(namespace, name, "Ready").await?;
            if ready.reason != reason {
                anyhow::bail!("{ready:?}");
            }
            Ok(true)
        })
        .await?;
        self.condition(namespace, name, "Ready").await
    }

    /// Waits until Ready has this reason and these words in its message. A run that takes long has the reason too.
    pub async fn says(&self, namespace: &str, name: &str, reason: &str, words: &str) -> anyhow::Result<()> {
        eventually(PATIENCE, &format!("Sync {namespace}/{name} to say {reason}: {words}"), || async {
            let ready = self.condition(namespace, name, "Ready").await?;
            anyhow::ensure!(ready.reason == reason && ready.message.contains(words), "{ready:?}");
            Ok(true)
        })
        .await
    }
}
