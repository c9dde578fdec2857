//! One control plane, one forge and one agent for all tests of a binary. Tests keep apart by their namespaces.
//!
//! Statics are not dropped: the watchdog ends everything when the binary ends. I/O: processes.

use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::agent::Agent;
use crate::forge::Repository;
use crate::{Env, eventually, sync};

/// What the tests of one binary share.
pub struct Shared {
    pub env: Env,
    pub agent: Agent,
}

/// What goes on beside the tests lives as long as the binary, so it cannot be on the runtime of one test.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a runtime needs nothing but threads"));
static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// Runs one test on what all share; the first one starts it, with these arguments of the agent.
pub fn run<F, Fut>(arguments: &'static [&'static str], test: F) -> anyhow::Result<()>
where
    F: FnOnce(&'static Shared) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    RUNTIME.block_on(async {
        let shared = SHARED
            .get_or_try_init(|| async {
                let env = Env::start().await?;
                let agent = env.agent(arguments).await?;
                anyhow::Ok(Shared { env, agent })
            })
            .await?;
        test(shared).await?;
        shared.agent.get("healthz").await.context("the agent does not live")?;
        shared.agent.check_words()?;
        shared.env.cluster.check_words().await
    })
}

/// What the cluster may take to become what a test waits for.
pub const SOON: Duration = Duration::from_mins(1);

/// A ConfigMap with one key, as YAML.
pub fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: \"{value}\"}}\n")
}

impl Shared {
    /// A namespace with the Sync `app` of a new repository that has these files. Returns the commit too.
    pub async fn create(
        &self,
        namespace: &str,
        files: &[(&str, &str)],
        more: &Value,
    ) -> anyhow::Result<(Repository, String)> {
        let repository = self.env.forge.repository(namespace).await?;
        let commit = repository.commit(files, "Begin")?;
        self.env.namespace(namespace).await?;
        self.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, more)).await?;
        Ok((repository, commit))
    }

    /// The same, and Ready.
    pub async fn begin(
        &self,
        namespace: &str,
        files: &[(&str, &str)],
        more: &Value,
    ) -> anyhow::Result<Repository> {
        let (repository, commit) = self.create(namespace, files, more).await?;
        self.env.ready(namespace, "app", Some(&commit)).await?;
        Ok(repository)
    }

    /// What kubectl says of a path of an object.
    pub async fn jsonpath(&self, namespace: &str, object: &str, path: &str) -> anyhow::Result<String> {
        self.env.cluster.must(&["-n", namespace, "get", object, "-o", &format!("jsonpath={path}")]).await
    }

    /// Waits until a path of an object has a value.
    pub async fn until(&self, namespace: &str, object: &str, path: &str, value: &str) -> anyhow::Result<()> {
        eventually(SOON, &format!("{path} of {object} to be {value}"), || async {
            let found = self.jsonpath(namespace, object, path).await?;
            if found != value {
                bail!("it is {found}");
            }
            Ok(true)
        })
        .await
    }

    /// Waits until an object does not exist.
    pub async fn gone(&self, namespace: &str, object: &str) -> anyhow::Result<()> {
        eventually(SOON, &format!("{object} to be gone"), || async {
            let found = self.env.cluster.kubectl(&["-n", namespace, "get", object]).await?;
            Ok(String::from_utf8_lossy(&found.stderr).contains("NotFound"))
        })
        .await
    }

    /// Changes an object by a merge patch, as kubectl does by hand.
    pub async fn patch(&self, namespace: &str, object: &str, patch: &Value) -> anyhow::Result<String> {
        let patch = patch.to_string();
        self.env.cluster.must(&["-n", namespace, "patch", object, "--type=merge", "-p", &patch]).await
    }
}
