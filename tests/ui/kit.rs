//! What the tests of the web UI share: users with rights, and the agents. I/O: processes, network.

use holdfast_tests::root;
use holdfast_tests::shared::Shared;

/// The shared agent has the namespaces of the tests of tokens; the others have agents of their own.
pub const AGENT: &[&str] = &[
    "--ui-auth=token",
    "--ui-listen=127.0.0.1:0",
    "--namespaces",
    "ui-a,ui-b,ui-act,ui-decide,ui-hostile,ui-live,ui-own",
];
pub const REPORT: &str = "Report";
pub const HOSTILE: &str = "\"><img src=x onerror=alert(1)><script>alert(1)</script>";

/// A ServiceAccount of a namespace with a ClusterRole there. Returns its token.
pub async fn account(shared: &Shared, namespace: &str, name: &str, role: &str) -> anyhow::Result<String> {
    let cluster = &shared.env.cluster;
    cluster.must(&["-n", namespace, "create", "serviceaccount", name]).await?;
    if !role.is_empty() {
        let (role, account) =
            (format!("--clusterrole={role}"), format!("--serviceaccount={namespace}:{name}"));
        cluster.must(&["-n", namespace, "create", "rolebinding", name, &role, &account]).await?;
    }
    Ok(cluster.must(&["-n", namespace, "create", "token", name]).await?.trim().to_owned())
}

/// The roles for people, and the policy for Approvals.
pub async fn people(shared: &Shared) -> anyhow::Result<()> {
    for file in ["people.yaml", "admission.yaml"] {
        let file = root().join("manifests/base").join(file).display().to_string();
        shared.env.cluster.must(&["apply", "--server-side", "-f", &file]).await?;
    }
    Ok(())
}
