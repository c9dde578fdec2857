//! The stage: a cluster with `manifests/tenants` applied, and the agent running as its ServiceAccount. One for
//! all tests of the binary; each test makes its own pair of namespaces. I/O: processes, network.

use std::future::Future;
use std::path::PathBuf;
use std::sync::LazyLock;

use holdfast_tests::agent::Agent;
use holdfast_tests::{Env, root};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// The flags of an agent that serves several tenants, as `manifests/tenants` has them.
pub const FLAGS: [&str; 6] = [
    "--leader-elect",
    "-n",
    "holdfast-system",
    "--default-service-account=deployer",
    // Everything of a test is on this machine.
    "--allow-destinations=127.0.0.0/8",
    "--allow-remote-bases",
];

/// A cluster, a forge and an agent that serves tenants.
pub struct Stage {
    pub env: Env,
    pub agent: Agent,
}

/// One tenant: a namespace, the ServiceAccount `deployer` in it, and a person, both `admin` in that namespace only.
pub struct Tenant {
    pub namespace: String,
    /// The kubeconfig of the person.
    pub person: PathBuf,
}

/// Lives as long as the binary.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a runtime needs nothing but threads"));
static STAGE: OnceCell<Stage> = OnceCell::const_new();

/// Runs one test on the stage.
pub fn run<F, Fut>(test: F) -> anyhow::Result<()>
where
    F: FnOnce(&'static Stage) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    RUNTIME.block_on(async { test(STAGE.get_or_try_init(|| Stage::start(&FLAGS)).await?).await })
}

impl Stage {
    /// Starts everything, with these flags of the agent.
    pub async fn start(flags: &[&str]) -> anyhow::Result<Self> {
        let env = Env::start().await?;
        let manifests = root().join("manifests/tenants").display().to_string();
        env.cluster.must(&["apply", "--server-side", "--force-conflicts", "-k", &manifests]).await?;
        let token = env.cluster.must(&["-n", "holdfast-system", "create", "token", "holdfast"]).await?;
        let account = env.cluster.kubeconfig_for_token("holdfast", token.trim())?;
        let agent = Agent::start(&account, flags).await?;
        Ok(Self { env, agent })
    }

    /// Makes a tenant that the agent is bound to serve, with the Secret `git`, which logs in to the forge.
    pub async fn tenant(&self, namespace: &str) -> anyhow::Result<Tenant> {
        self.env.namespace(namespace).await?;
        let person = format!("person-{namespace}");
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "deployer", "namespace": namespace}});
        let admin = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "tenant-admin", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
            "subjects": [
                {"kind": "ServiceAccount", "name": "deployer", "namespace": namespace},
                {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": person}]});
        let edit = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "tenant-syncs", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "holdfast-edit"},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": person}]});
        let agent = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "holdfast", "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "holdfast-tenant"},
            "subjects": [{"kind": "ServiceAccount", "name": "holdfast", "namespace": "holdfast-system"}]});
        for object in [account, admin, edit, agent] {
            self.env.cluster.apply(&object.to_string()).await?;
        }
        let person = self.env.cluster.kubeconfig_for_user(&person)?;
        Ok(Tenant { namespace: namespace.to_owned(), person })
    }
}

/// The stage itself works: a tenant's Sync deploys into its own namespace.
#[test]
fn a_tenant_deploys_into_its_own_namespace() -> anyhow::Result<()> {
    run(|stage| async move {
        let tenant = stage.tenant("stage-a").await?;
        let repository = stage.env.forge.repository("stage-a").await?;
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        let commit = repository.commit(&[("a.yaml", map)], "Begin")?;
        let sync = holdfast_tests::sync::sync(&tenant.namespace, "app", &repository.https_url, &json!({}));
        let made = stage.env.cluster.kubectl_with(&tenant.person, &["apply", "-f", "-"], &sync).await?;
        anyhow::ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        stage.env.ready(&tenant.namespace, "app", Some(&commit)).await?;
        let lines = stage.agent.lines()?;
        let of_ours = lines.iter().filter(|line| line["sync"] == "stage-a/app");
        let errors: Vec<_> = of_ours.filter(|line| line["level"] == "ERROR").collect();
        anyhow::ensure!(errors.is_empty(), "{errors:?}");
        Ok(())
    })
}
