//! Nothing of a tenant runs with the agent's rights: what a Sync names, where its objects go, whose Secrets and Syncs it refers
//! to. I/O: processes, network.

use anyhow::ensure;
use holdfast_tests::sync;
use serde_json::json;

use crate::stage::{Stage, Tenant, run};

/// Objects that the ServiceAccount of a tenant may not write, each with a word of the refusal.
const FORBIDDEN: [(&str, &str, &str, &str); 6] = [
    (
        "foreign",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted, namespace: identity-b}\n",
        "in namespace identity-b",
        "-n identity-b get configmap planted",
    ),
    (
        "namespace",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: identity-planted}\n",
        "namespaces",
        "get namespace identity-planted",
    ),
    (
        "clusterrole",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: identity-planted}\nrules: []\n",
        "clusterroles",
        "get clusterrole identity-planted",
    ),
    (
        "admin",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: identity-planted}\n\
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n\
         subjects: [{kind: ServiceAccount, name: deployer, namespace: identity-a}]\n",
        "clusterrolebindings",
        "get clusterrolebinding identity-planted",
    ),
    (
        "escalation",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: planted}\n\
         roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n\
         subjects: [{kind: ServiceAccount, name: deployer, namespace: identity-a}]\n",
        "attempting to grant RBAC permissions not currently held",
        "-n identity-a get rolebinding planted",
    ),
    (
        "policy",
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: identity-planted}\n\
         spec: {policyName: holdfast-approver, validationActions: [Audit]}\n",
        "validatingadmissionpolicybindings",
        "get validatingadmissionpolicybinding identity-planted",
    ),
];

/// Applies a Sync as the person of a tenant, and returns what the API server says against it.
async fn apply(stage: &Stage, tenant: &Tenant, sync: &str) -> anyhow::Result<Option<String>> {
    let made = stage.env.cluster.kubectl_with(&tenant.person, &["apply", "-f", "-"], sync).await?;
    Ok((!made.status.success()).then(|| String::from_utf8_lossy(&made.stderr).into_owned()))
}

#[test]
fn a_sync_may_do_what_the_service_account_of_its_namespace_may_and_nothing_else() -> anyhow::Result<()> {
    run(|stage| async move {
        let env = &stage.env;
        let (evil, _victim) = (stage.tenant("identity-a").await?, stage.tenant("identity-b").await?);
        let repository = env.forge.repository("identity").await?;
        let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: own-{name}}}\n");
        let mut files: Vec<(String, String)> = FORBIDDEN
            .iter()
            .map(|(name, text, ..)| (format!("{name}/a.yaml"), format!("{text}---\n{}", map(name))))
            .collect();
        files.push(("target/a.yaml".to_owned(), map("target")));
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        repository.commit(&files, "Try")?;
        for (name, ..) in FORBIDDEN {
            let text = sync::sync("identity-a", name, &repository.https_url, &json!({"path": name}));
            ensure!(apply(stage, &evil, &text).await?.is_none(), "a tenant may create Syncs");
        }
        let more = json!({"path": "target", "targetNamespace": "identity-b"});
        apply(stage, &evil, &sync::sync("identity-a", "target", &repository.https_url, &more)).await?;
        for (name, _, word, lookup) in FORBIDDEN {
            let said = refused(stage, name).await?;
            ensure!(said.contains(word), "{name}: {word} is missing in: {said}");
            let own = format!("own-{name}");
            env.cluster.must(&["-n", "identity-a", "get", "configmap", &own]).await?;
            let lookup: Vec<&str> = lookup.split(' ').collect();
            let found = env.cluster.kubectl_with(&env.cluster.kubeconfig(), &lookup, "").await?;
            ensure!(!found.status.success(), "{name}: the object was created");
        }
        let said = refused(stage, "target").await?;
        ensure!(said.contains("configmaps in namespace identity-b"), "{said}");
        let lookup = ["-n", "identity-b", "get", "configmap", "own-target"];
        let found = env.cluster.kubectl_with(&env.cluster.kubeconfig(), &lookup, "").await?;
        ensure!(!found.status.success(), "targetNamespace of another tenant was written to");
        Ok(())
    })
}

/// Waits until a Sync of the first tenant is not ready for a missing right, and returns the message.
async fn refused(stage: &Stage, name: &str) -> anyhow::Result<String> {
    // The API server itself refuses what would grant more than one holds.
    let reason = if name == "escalation" { "Denied" } else { "Forbidden" };
    Ok(stage.env.reason("identity-a", name, reason).await?.message)
}

#[test]
fn a_service_account_is_a_name_in_the_namespace_of_the_sync_and_exists() -> anyhow::Result<()> {
    run(|stage| async move {
        let tenant = stage.tenant("identity-names").await?;
        let repository = stage.env.forge.repository("identity-names").await?;
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n";
        repository.commit(&[("a.yaml", map)], "Begin")?;
        let named = |name: &str| {
            let more = json!({"serviceAccountName": name});
            sync::sync("identity-names", "app", &repository.https_url, &more)
        };
        for name in
            ["a:b", "../deployer", "system:admin", "kube-system/default", "", "Deployer", "a..b", "a\nb"]
        {
            let said = apply(stage, &tenant, &named(name)).await?.unwrap_or_default();
            ensure!(said.contains("must be the name of a ServiceAccount"), "{name}: {said}");
        }
        ensure!(apply(stage, &tenant, &named("late")).await?.is_none());
        let said = stage.env.reason("identity-names", "app", "ServiceAccountNotFound").await?;
        for word in ["ServiceAccount identity-names/late", "does not exist", "spec.serviceAccountName"] {
            ensure!(said.message.contains(word), "{word} is missing in: {}", said.message);
        }
        let cluster = &stage.env.cluster;
        cluster.must(&["-n", "identity-names", "create", "serviceaccount", "late"]).await?;
        let account = "--serviceaccount=identity-names:late";
        let bind = ["-n", "identity-names", "create", "rolebinding", "late", "--clusterrole=edit", account];
        cluster.must(&bind).await?;
        stage.env.ready("identity-names", "app", None).await
    })
}

#[test]
fn references_do_not_leave_a_namespace_and_say_nothing_of_what_is_there() -> anyhow::Result<()> {
    run(|stage| async move {
        let (evil, victim) = (stage.tenant("identity-refs").await?, stage.tenant("identity-other").await?);
        let repository = stage.env.forge.repository("identity-refs").await?;
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\ndata: {loot: \"${loot}\"}\n";
        repository.commit(&[("a.yaml", map)], "Begin")?;
        let there = sync::sync("identity-other", "there", &repository.https_url, &json!({}));
        apply(stage, &victim, &there).await?;
        stage.env.cluster.apply(&sync::secret("identity-other", "loot", &[("loot", "gold")])).await?;
        for name in ["there", "absent"] {
            let more = json!({"dependsOn": [{"name": name, "namespace": "identity-other"}]});
            apply(stage, &evil, &sync::sync("identity-refs", name, &repository.https_url, &more)).await?;
        }
        let mut said = Vec::new();
        for name in ["there", "absent"] {
            let message = stage.env.reason("identity-refs", name, "CrossNamespaceRefused").await?.message;
            said.push(message.replace(name, "NAME"));
            let stalled = stage.env.condition("identity-refs", name, "Stalled").await?;
            ensure!(stalled.status == "True", "{stalled:?}");
        }
        ensure!(said[0] == said[1], "it tells which Sync exists: {said:?}");
        for (at, name) in ["identity-other/loot", "../identity-other/secrets/loot", "loot"].iter().enumerate()
        {
            let more = json!({"render": {"substitute": {"from": [{"kind": "Secret", "name": name}]}}});
            let sync = sync::sync("identity-refs", &format!("loot-{at}"), &repository.https_url, &more);
            if apply(stage, &evil, &sync).await?.is_none() {
                let said =
                    stage.env.reason("identity-refs", &format!("loot-{at}"), "InputUnreadable").await?;
                ensure!(!said.message.contains("gold"), "{}", said.message);
            }
        }
        Ok(())
    })
}
