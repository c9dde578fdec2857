//! What installs the agent, against the real API server: it applies with strict validation, it is not stale, and the
//! agent works with exactly the rights that it grants. The Helm chart is in `chart`, `holdfast install` and `holdfast doctor` are in `install`. I/O: processes, network.

#[path = "manifests/chart.rs"]
mod chart;
#[path = "manifests/install.rs"]
mod install;

use holdfast::cli::crd;
use holdfast_tests::agent::{Agent, holdfast};
use holdfast_tests::{Env, root, sync};
use serde_json::json;

/// A file that no kustomization names is installed by nothing.
#[test]
fn every_file_is_in_a_kustomization() -> anyhow::Result<()> {
    for folder in ["manifests", "manifests/base", "manifests/tenants", "manifests/aggregate"] {
        let text = std::fs::read_to_string(root().join(folder).join("kustomization.yaml"))?;
        for entry in std::fs::read_dir(root().join(folder))? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_yaml = path.extension().is_some_and(|extension| extension == "yaml");
            let known = name == "kustomization.yaml" || !is_yaml || text.contains(&name);
            assert!(known, "{folder}/{name} is in no kustomization");
        }
    }
    Ok(())
}

#[test]
fn definitions_are_those_of_the_types() -> anyhow::Result<()> {
    let written = std::fs::read_to_string(root().join("manifests/base/crds.yaml"))?;
    assert!(
        written == crd::yaml()?,
        "manifests/base/crds.yaml is stale; run: cargo run -p holdfast -- crd > manifests/base/crds.yaml"
    );
    Ok(())
}

/// Applies the manifests, runs the agent as its ServiceAccount, and lets it do the main job.
#[tokio::test(flavor = "multi_thread")]
async fn the_agent_works_with_the_rights_that_are_granted() -> anyhow::Result<()> {
    let env = Env::start().await?;
    let manifests = root().join("manifests").display().to_string();
    let applied = env
        .cluster
        .must(&["apply", "--server-side", "--validate=strict", "--force-conflicts", "-k", &manifests])
        .await?;
    assert!(applied.contains("deployment.apps/holdfast serverside-applied"), "{applied}");
    let token = env.cluster.must(&["-n", "holdfast-system", "create", "token", "holdfast"]).await?;
    let account = env.cluster.kubeconfig_for_token("holdfast", token.trim())?;

    let repository = env.forge.repository("rights").await?;
    let objects = "apiVersion: v1\nkind: Namespace\nmetadata: {name: granted}\n---\n\
        apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: granted}\ndata: {a: b}\n";
    let commit = repository.commit(&[("all.yaml", objects)], "Begin")?;
    env.namespace("rights").await?;
    env.cluster.apply(&sync::sync("rights", "all", &repository.https_url, &json!({}))).await?;
    let agent = Agent::start(&account, &["--leader-elect", "-n", "holdfast-system"]).await?;
    env.ready("rights", "all", Some(&commit)).await?;

    // With the binding gone, the message says what is missing, and nothing else breaks.
    env.cluster.must(&["delete", "clusterrolebinding", "holdfast-cluster-admin"]).await?;
    repository.commit(&[("all.yaml", &objects.replace("a: b", "a: c"))], "Change")?;
    let said = env.reason("rights", "all", "Forbidden").await?;
    for word in ["configmaps", "granted", "system:serviceaccount:holdfast-system:holdfast", "grant the verb"]
    {
        assert!(said.message.contains(word), "{word} is missing in: {}", said.message);
    }
    let lines = agent.lines()?;
    assert!(lines.iter().all(|line| line["message"] != "Defect: a task panicked"), "{lines:?}");
    Ok(())
}

/// The overlay for several teams: the agent works with exactly the rights that it grants, in the namespaces that it is bound in,
/// and says what is missing in the others.
#[tokio::test(flavor = "multi_thread")]
async fn several_teams_are_served_without_rights_on_workloads() -> anyhow::Result<()> {
    let env = Env::start().await?;
    let manifests = root().join("manifests/tenants").display().to_string();
    let apply = ["apply", "--server-side", "--validate=strict", "--force-conflicts", "-k", &manifests];
    let applied = env.cluster.must(&apply).await?;
    assert!(!applied.contains("cluster-admin"), "{applied}");
    let token = env.cluster.must(&["-n", "holdfast-system", "create", "token", "holdfast"]).await?;
    let account = env.cluster.kubeconfig_for_token("holdfast", token.trim())?;
    let may = |verb: &'static str, resource: &'static str, place: &'static str| {
        let user = "--as=system:serviceaccount:holdfast-system:holdfast";
        let env = &env;
        async move {
            let asked = ["auth", "can-i", verb, resource, place, user];
            let output = env.cluster.kubectl_with(&env.cluster.kubeconfig(), &asked, "").await?;
            anyhow::Ok(String::from_utf8_lossy(&output.stdout).trim() == "yes")
        }
    };
    for (verb, resource) in [
        ("get", "secrets"),
        ("list", "configmaps"),
        ("impersonate", "serviceaccounts"),
        ("impersonate", "users"),
        ("patch", "deployments"),
        ("create", "approvals.holdfast.dev"),
        ("create", "localsubjectaccessreviews.authorization.k8s.io"),
        ("list", "pods"),
    ] {
        assert!(!may(verb, resource, "-A").await?, "the agent may {verb} {resource} in the whole cluster");
    }
    assert!(may("list", "syncs.holdfast.dev", "-A").await?);
    assert!(may("list", "repositories.holdfast.dev", "-A").await?);

    let repository = env.forge.repository("teams").await?;
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n";
    let commit = repository.commit(&[("map.yaml", map)], "Begin")?;
    for team in ["team-a", "team-b", "team-c"] {
        env.namespace(team).await?;
        env.cluster.must(&["-n", team, "create", "serviceaccount", "deployer"]).await?;
        let admin = format!("--serviceaccount={team}:deployer");
        env.cluster
            .must(&["-n", team, "create", "rolebinding", "deployer", "--clusterrole=admin", &admin])
            .await?;
        env.cluster.apply(&sync::sync(team, "app", &repository.https_url, &json!({}))).await?;
    }
    let bind = |team: &'static str| {
        let env = &env;
        async move {
            let role = "--clusterrole=holdfast-tenant";
            let agent = "--serviceaccount=holdfast-system:holdfast";
            env.cluster.must(&["-n", team, "create", "rolebinding", "holdfast", role, agent]).await
        }
    };
    bind("team-a").await?;
    bind("team-b").await?;
    // Decisions out of pull requests are taken where the agent is bound, and nowhere else.
    for resource in ["approvals.holdfast.dev", "localsubjectaccessreviews.authorization.k8s.io"] {
        assert!(may("create", resource, "--namespace=team-a").await?, "create {resource}");
        assert!(
            !may("create", resource, "--namespace=team-c").await?,
            "create {resource} where it is not bound"
        );
    }
    let flags = ["--leader-elect", "-n", "holdfast-system", "--default-service-account=deployer"];
    let agent = Agent::start(&account, &flags).await?;
    env.ready("team-a", "app", Some(&commit)).await?;
    env.ready("team-b", "app", Some(&commit)).await?;
    let said = env.reason("team-c", "app", "SecretUnreadable").await?;
    for word in ["Secret team-c/git", "--clusterrole=holdfast-tenant", "kubectl -n team-c create rolebinding"]
    {
        assert!(said.message.contains(word), "{word} is missing in: {}", said.message);
    }
    bind("team-c").await?;
    env.ready("team-c", "app", Some(&commit)).await?;
    let lines = agent.lines()?;
    assert!(lines.iter().all(|line| line["message"] != "Defect: a task panicked"), "{lines:?}");
    Ok(())
}

/// RBAC separates the right to configure from the right to approve, and no user can approve in the name of another one.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_approve_and_who_may_not() -> anyhow::Result<()> {
    let env = Env::start().await?;
    let manifests = root().join("manifests").display().to_string();
    env.cluster.must(&["apply", "--server-side", "--force-conflicts", "-k", &manifests]).await?;
    let repository = env.forge.repository("approve").await?;
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: precious}\n";
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    repository.commit(&[("namespace.yaml", namespace), ("map.yaml", map)], "Begin")?;
    env.namespace("approve").await?;
    env.cluster.apply(&sync::sync("approve", "shop", &repository.https_url, &json!({}))).await?;
    let _agent = env.agent(&[]).await?;
    env.ready("approve", "shop", None).await?;

    let commit = repository.remove(&["namespace.yaml"], "Drop the namespace")?;
    let waiting = env.reason("approve", "shop", "AwaitingApproval").await?;
    assert!(waiting.message.contains("delete Namespace precious"), "{}", waiting.message);
    env.cluster.must(&["get", "namespace", "precious"]).await?;
    let plan =
        env.read("approve", "shop").await?["status"]["plan"]["id"].as_str().unwrap_or_default().to_owned();

    for (user, role) in [("editor", "holdfast-edit"), ("approver", "holdfast-approve")] {
        let binding = [&format!("--clusterrole={role}"), &format!("--user={user}")].map(String::clone);
        env.cluster.must(&["-n", "approve", "create", "rolebinding", user, &binding[0], &binding[1]]).await?;
    }
    let editor = env.cluster.kubeconfig_for_user("editor")?;
    let approve = ["-n", "approve", "approve", "shop", plan.as_str(), "--reason", "agreed"];
    let refused = holdfast(&editor, &approve).await?;
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("cannot create resource \"approvals\""),
        "{refused:?}"
    );

    let approver = env.cluster.kubeconfig_for_user("approver")?;
    let forged = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Approval", "metadata": {"name": "forged", "namespace": "approve"},
        "spec": {"sync": "shop", "planId": plan, "decision": "Approve", "approver": "alice", "reason": "x"}});
    let forged = env.cluster.kubectl_with(&approver, &["create", "-f", "-"], &forged.to_string()).await?;
    assert!(String::from_utf8_lossy(&forged.stderr).contains("spec.approver must be approver"), "{forged:?}");

    let approved = holdfast(&approver, &approve).await?;
    assert!(approved.status.success(), "{approved:?}");
    env.ready("approve", "shop", Some(&commit)).await?;
    Ok(())
}
