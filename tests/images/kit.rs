//! What the tests of the image loop share: a registry, ImageUpdates, and what people do to a repository. I/O: processes,
//! network.

use std::time::Duration;

use anyhow::{Context as _, bail};
use holdfast_tests::forge::Repository;
use holdfast_tests::images::Pusher;
use holdfast_tests::services::{self, Service};
use holdfast_tests::shared::{SOON, Shared};
use holdfast_tests::{Env, eventually, sync};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// A registry for all tests.
static REGISTRY: OnceCell<Service> = OnceCell::const_new();

/// One test's repository in git, and its images.
pub struct Stage {
    pub shared: &'static Shared,
    pub namespace: &'static str,
    pub git: Repository,
    pub pusher: Pusher,
}

/// A control plane, a forge and an agent for one test alone. The watchdog ends them with the binary.
pub async fn apart(arguments: &[&str]) -> anyhow::Result<&'static Shared> {
    let env = Env::start().await?;
    let agent = env.agent(arguments).await?;
    Ok(Box::leak(Box::new(Shared { env, agent })))
}

/// A Deployment whose image has a marker.
pub fn deployment(image: &str, marker: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: 0\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      containers:\n        - name: web\n          image: {image} # {{\"$imagepolicy\": \"{marker}\"}}\n"
    )
}

impl Stage {
    /// A namespace, an empty repository, and these tags of the image `NAMESPACE/web`.
    pub async fn set(
        shared: &'static Shared,
        namespace: &'static str,
        tags: &[&str],
    ) -> anyhow::Result<Self> {
        let registry = REGISTRY.get_or_try_init(services::registry).await?;
        Self::set_at(shared, namespace, tags, Pusher::new(&registry.url)).await
    }

    /// The same with a registry of one's own.
    pub async fn set_at(
        shared: &'static Shared,
        namespace: &'static str,
        tags: &[&str],
        pusher: Pusher,
    ) -> anyhow::Result<Self> {
        let git = shared.env.forge.repository(namespace).await?;
        shared.env.namespace(namespace).await?;
        let stage = Self { shared, namespace, git, pusher };
        for tag in tags {
            stage.image(tag).await?;
        }
        Ok(stage)
    }

    /// The repository of images: `127.0.0.1:5000/NAMESPACE/web`.
    pub fn repository(&self) -> String {
        format!("{}/{}/web", self.pusher.host(), self.namespace)
    }

    /// Pushes an image, and returns its digest.
    pub async fn image(&self, tag: &str) -> anyhow::Result<String> {
        let created = "2026-01-01T00:00:00Z";
        self.pusher.push(&format!("{}/web", self.namespace), tag, created, &["linux/amd64"]).await
    }

    /// Pushes an image of another name.
    pub async fn image_of(&self, name: &str, tag: &str) -> anyhow::Result<String> {
        let created = "2026-01-01T00:00:00Z";
        self.pusher.push(&format!("{}/{name}", self.namespace), tag, created, &["linux/amd64"]).await
    }

    /// An image of `spec.images`, whose repository is called as it is.
    pub fn named(&self, name: &str) -> Value {
        let repository = format!("{}/{}/{name}", self.pusher.host(), self.namespace);
        json!({"name": name, "repository": repository, "insecure": true, "policy": {"semver": {"range": ">=1.0.0"}}})
    }

    /// A line with an image and its marker, under a key.
    pub fn line(&self, name: &str, tag: &str) -> String {
        let (host, namespace) = (self.pusher.host(), self.namespace);
        format!("{name}: {host}/{namespace}/{name}:{tag} # {{\"$imagepolicy\": \"{namespace}:{name}\"}}\n")
    }

    /// Applies an ImageUpdate of the image `web`, with more fields in its spec, and of its image.
    pub async fn update(&self, more: &Value, image: &Value) -> anyhow::Result<()> {
        let mut web = json!({"name": "web", "repository": self.repository(), "insecure": true, "policy": {"semver": {"range": ">=1.0.0"}}});
        sync::merge(&mut web, image);
        let mut spec = json!({"interval": "5s", "git": {"url": self.git.https_url, "secretRef": {"name": "git"}}, "images": [web]});
        sync::merge(&mut spec, more);
        let update = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "ImageUpdate",
            "metadata": {"name": "web", "namespace": self.namespace}, "spec": spec});
        self.shared.env.cluster.apply(&update.to_string()).await.map(drop)
    }

    /// Applies a Sync of the repository, and waits until it is Ready.
    pub async fn sync(&self, more: &Value) -> anyhow::Result<()> {
        let sync = sync::sync(self.namespace, "app", &self.git.https_url, more);
        self.shared.env.cluster.apply(&sync).await?;
        self.shared.env.ready(self.namespace, "app", None).await
    }

    /// A path of the ImageUpdate.
    pub async fn says(&self, path: &str) -> anyhow::Result<String> {
        self.shared.jsonpath(self.namespace, "imageupdate/web", path).await
    }

    /// Asks for a pass, and waits until Ready has this reason, with these parts in its message.
    pub async fn ready(&self, reason: &str, parts: &[&str]) -> anyhow::Result<()> {
        self.ask().await?;
        let what = format!("ImageUpdate {} to say {reason}", self.namespace);
        eventually(SOON, &what, || async {
            let ready = self.says("{.status.conditions[?(@.type==\"Ready\")]}").await?;
            let told: Value = serde_json::from_str(&ready).unwrap_or_default();
            let message = told["message"].as_str().unwrap_or_default();
            if told["reason"] != reason || !parts.iter().all(|part| message.contains(part)) {
                bail!("{ready}");
            }
            Ok(true)
        })
        .await
    }

    /// Waits until a file has a text on a branch of the server.
    pub async fn has(&self, branch: &str, file: &str, text: &str) -> anyhow::Result<()> {
        eventually(SOON, &format!("{file} on {branch} to have {text}"), || async {
            self.fetch(branch)?;
            let found = self.git.git(&["show", &format!("FETCH_HEAD:{file}")])?;
            if !found.contains(text) {
                bail!("{found}\n{}", self.says("{.status}").await?);
            }
            Ok(true)
        })
        .await
    }

    pub fn fetch(&self, branch: &str) -> anyhow::Result<()> {
        self.git.git(&["fetch", "--quiet", &self.git.push_url, branch]).map(drop)
    }

    /// Makes the clone what a branch is on the server.
    pub fn pull(&self, branch: &str) -> anyhow::Result<()> {
        self.fetch(branch)?;
        self.git.git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]).map(drop)
    }

    /// The commits of a branch, newest first: what `git log` prints in this format.
    pub fn log(&self, branch: &str, format: &str) -> anyhow::Result<Vec<String>> {
        self.fetch(branch)?;
        let log = self.git.git(&["log", &format!("--format={format}"), "FETCH_HEAD"])?;
        Ok(log.lines().map(ToOwned::to_owned).collect())
    }

    /// Asks for a pass now.
    pub async fn ask(&self) -> anyhow::Result<()> {
        let now = jiff::Timestamp::now().to_string();
        let patch = json!({"metadata": {"annotations": {"holdfast.dev/reconcile-at": now}}});
        self.shared.patch(self.namespace, "imageupdate/web", &patch).await.map(drop)
    }

    /// Waits, asks for two passes, and makes sure that the head did not move.
    pub async fn stays(&self, branch: &str) -> anyhow::Result<()> {
        let head = self.log(branch, "%H")?.first().cloned().context("a branch has a commit")?;
        for _ in 0..2 {
            self.ask().await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        let now = self.log(branch, "%H %an %s")?.first().cloned().unwrap_or_default();
        anyhow::ensure!(now.starts_with(&head), "{branch} moved to {now}");
        Ok(())
    }
}
