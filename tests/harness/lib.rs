//! The real parts that the suites run against: a Kubernetes control plane, a forge, a registry, an Alertmanager, and the
//! agent itself, all on loopback, all gone at the end.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let env = holdfast_tests::Env::start().await?;
//! let repository = env.forge.repository("shop").await?;
//! repository.commit(&[("web.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n")], "Add web")?;
//! let agent = env.agent(&[]).await?;
//! # Ok(()) }
//! ```

pub mod agent;
pub mod controlplane;
pub mod corpus;
pub mod disk;
pub mod forge;
pub mod images;
pub mod installed;
pub mod kubelet;
pub mod objects;
pub mod pki;
pub mod ports;
pub mod proxy;
pub mod random;
pub mod receiver;
pub mod schema;
pub mod services;
pub mod shared;
pub mod sync;
pub mod tools;
pub mod watchdog;
pub mod webhook;
pub mod words;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;

use agent::Agent;
use controlplane::{ControlPlane, Options};
use forge::Forge;
use tools::Tools;

/// A control plane with Holdfast's definitions in it, and a forge.
pub struct Env {
    pub cluster: ControlPlane,
    pub forge: Forge,
}

impl Env {
    /// Starts both, in a few seconds once their programs are built.
    pub async fn start() -> anyhow::Result<Self> {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> anyhow::Result<Self> {
        let tools = tools().await?;
        let (cluster, forge) = tokio::try_join!(ControlPlane::start(&tools, options), Forge::start(&tools))?;
        let env = Self { cluster, forge };
        env.install().await?;
        Ok(env)
    }

    /// Installs the definitions of `manifests/`.
    async fn install(&self) -> anyhow::Result<()> {
        let definitions = root().join("manifests/base/crds.yaml");
        let definitions = definitions.display().to_string();
        self.cluster.must(&["apply", "--server-side", "-f", &definitions]).await?;
        self.cluster
            .must(&["wait", "--for=condition=Established", "--timeout=30s", "-f", &definitions])
            .await?;
        Ok(())
    }

    /// Starts an agent as the cluster's administrator.
    pub async fn agent(&self, arguments: &[&str]) -> anyhow::Result<Agent> {
        Agent::start(&self.cluster.kubeconfig(), arguments).await
    }

    /// Makes a namespace with the Secret `git` that logs in to the forge.
    pub async fn namespace(&self, name: &str) -> anyhow::Result<()> {
        self.cluster.must(&["create", "namespace", name]).await?;
        let secret = sync::secret(
            name,
            "git",
            &[("username", forge::USER), ("password", forge::PASSWORD), ("ca.crt", self.forge.ca())],
        );
        self.cluster.apply(&secret).await?;
        Ok(())
    }
}

/// The programs of the real parts, built if they are not.
pub async fn tools() -> anyhow::Result<Tools> {
    tokio::task::spawn_blocking(tools::build).await?
}

/// The root of the repository.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// Asks again until the answer is true, and fails after a time, saying what was waited for and what went wrong last.
pub async fn eventually<F, Fut>(limit: Duration, what: &str, mut ask: F) -> anyhow::Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<bool>>,
{
    let started = Instant::now();
    let mut last = "nothing was asked".to_owned();
    while started.elapsed() < limit {
        match ask().await {
            Ok(true) => return Ok(()),
            Ok(false) => "not yet".clone_into(&mut last),
            Err(error) => last = format!("{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("waited {limit:?} in vain for {what}; at last: {last}")
}
