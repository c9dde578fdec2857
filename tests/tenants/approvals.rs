//! Approvals: who may create one, what git can approve (nothing), and that one lets its plan through once.
//! I/O: processes, network.

use std::path::Path;

use holdfast_tests::agent::{Agent, holdfast};
use holdfast_tests::shared::{SOON, config_map};
use holdfast_tests::{Env, eventually, sync};
use serde_json::{Value, json};

use crate::stage::{Stage, run};

/// An Approval as JSON, with more fields in its spec.
fn approval(namespace: &str, name: &str, plan: &str, approver: &str, more: &Value) -> String {
    let mut spec =
        json!({"sync": "app", "planId": plan, "decision": "Approve", "approver": approver, "reason": "x"});
    sync::merge(&mut spec, more);
    json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Approval",
        "metadata": {"namespace": namespace, "name": name}, "spec": spec})
    .to_string()
}

/// What is printed when this is created with a kubeconfig and flags of kubectl; empty if it was created.
async fn refused(env: &Env, kubeconfig: &Path, flags: &[&str], object: &str) -> anyhow::Result<String> {
    let arguments = [&["create", "-f", "-"], flags].concat();
    let made = env.cluster.kubectl_with(kubeconfig, &arguments, object).await?;
    let said = String::from_utf8_lossy(&made.stderr).into_owned();
    Ok(if made.status.success() { String::new() } else { said })
}

#[test]
fn users_approve_in_their_own_name_and_the_agent_cannot_approve() -> anyhow::Result<()> {
    run(|stage| async move {
        let (env, namespace) = (&stage.env, "approve-who");
        let tenant = stage.tenant(namespace).await?;
        let account = format!("system:serviceaccount:{namespace}:deployer");
        let grant = |name: &str, subject: &str| {
            let arguments =
                ["-n", namespace, "create", "rolebinding", name, "--clusterrole=holdfast-approve", subject];
            arguments.map(str::to_owned)
        };
        for (name, subject) in [
            ("person", format!("--user=person-{namespace}")),
            ("deployer", format!("--serviceaccount={namespace}:deployer")),
            ("agent", "--serviceaccount=holdfast-system:holdfast".to_owned()),
        ] {
            let arguments = grant(name, &subject);
            env.cluster.must(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        }
        let person = format!("person-{namespace}");
        let origin =
            json!({"origin": {"repository": "config", "pullRequest": 7, "comment": "1", "user": "alice"}});
        let admin = env.cluster.kubeconfig();
        let token = env.cluster.must(&["-n", "holdfast-system", "create", "token", "holdfast"]).await?;
        let agent = env.cluster.kubeconfig_for_token("approving-agent", token.trim())?;
        let make = |name: &str, approver: &str, more: &Value| approval(namespace, name, "0", approver, more);
        let none = json!({});

        let said = refused(env, &tenant.person, &[], &make("a", "alice", &none)).await?;
        assert!(said.contains(&format!("spec.approver must be {person}")), "{said}");
        let said = refused(env, &tenant.person, &[], &make("a", &person, &origin)).await?;
        assert!(said.contains("spec.origin is set by the agent alone"), "{said}");
        assert_eq!(refused(env, &tenant.person, &[], &make("a", &person, &none)).await?, "");

        let impersonated = [&format!("--as={account}"), "--as-user-extra=holdfast.dev/agent=true"];
        for (name, kubeconfig) in [("b", &agent), ("b", &admin)] {
            let said = refused(env, kubeconfig, &impersonated, &make(name, &account, &none)).await?;
            assert!(said.contains("creates no Approval in the name of another user"), "{said}");
        }
        let own = "system:serviceaccount:holdfast-system:holdfast";
        let said = refused(env, &agent, &[], &make("c", own, &none)).await?;
        assert!(said.contains("which spec.origin names"), "{said}");
        assert_eq!(refused(env, &agent, &[], &make("c", "alice", &origin)).await?, "");
        // Nothing of it can be changed afterwards.
        let changed =
            ["-n", namespace, "patch", "approval", "a", "--type=merge", "-p", r#"{"spec":{"planId":"1"}}"#];
        let changed = env.cluster.kubectl(&changed).await?;
        assert!(String::from_utf8_lossy(&changed.stderr).contains("cannot be changed"), "{changed:?}");
        Ok(())
    })
}

/// The Approval is refused with its place, in whatever form it is in git, and nothing of it is applied. What a Sync in git
/// renders is refused as well.
#[test]
fn git_approves_nothing() -> anyhow::Result<()> {
    run(|stage| async move {
        let (env, namespace) = (&stage.env, "approve-git");
        let tenant = stage.tenant(namespace).await?;
        let repository = env.forge.repository(namespace).await?;
        let inner = sync::sync(namespace, "inner", &repository.https_url, &json!({"path": "inner"}));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [
            serde_json::from_str::<Value>(&approval(namespace, "in-list", "0", "alice", &json!({})))?]});
        repository.commit(
            &[
                ("outer/sync.yaml", &inner),
                ("inner/list.yaml", &format!("# one\n---\n{list}\n")),
                (
                    "inner/plain.yaml",
                    &format!("{}\n", approval(namespace, "plain", "0", "alice", &json!({}))),
                ),
                ("inner/map.yaml", &config_map("never", "1")),
            ],
            "Approve it",
        )?;
        let outer = sync::sync(namespace, "outer", &repository.https_url, &json!({"path": "outer"}));
        env.cluster.apply(&outer).await?;
        // The tenant's deployer may not create Syncs, so an administrator creates the inner one.
        env.cluster.apply(&inner).await?;
        let said = env.reason(namespace, "inner", "RenderFailed").await?.message;
        for part in ["inner/list.yaml:3", "inner/plain.yaml:1", "must not be in Git"] {
            assert!(said.contains(part), "{part} is missing in: {said}");
        }
        let found = env.cluster.must(&["-n", namespace, "get", "approvals,configmaps", "-o", "name"]).await?;
        assert!(!found.contains("approval") && !found.contains("never"), "{found}");
        drop(tenant);
        Ok(())
    })
}

/// 1 -> 2 is approved; back to 1, and 1 -> 2 again waits again.
#[test]
fn an_approval_is_used_up() -> anyhow::Result<()> {
    run(|stage| async move {
        let (env, namespace) = (&stage.env, "approve-once");
        stage.tenant(namespace).await?;
        let repository = env.forge.repository(namespace).await?;
        let always = sync::sync(namespace, "app", &repository.https_url, &json!({"approval": "Always"}));
        let mut plans = Vec::new();
        for value in ["1", "2", "1", "2"] {
            let commit = repository.commit(&[("map.yaml", &config_map("map", value))], value)?;
            env.cluster.apply(&always).await?;
            let plan = waiting(env, namespace, plans.last().map(String::as_str)).await?;
            approve(env, namespace, &plan).await?;
            env.ready(namespace, "app", Some(&commit)).await?;
            plans.push(plan);
        }
        // The same change has the same id, and waited for an approval of its own.
        assert_eq!(plans[1], plans[3]);
        eventually(SOON, "the approvals to be used up", || async {
            let shown = env.cluster.must(&["-n", namespace, "get", "approvals"]).await?;
            let header: Vec<&str> = shown.lines().next().unwrap_or_default().split_whitespace().collect();
            assert_eq!(header, ["NAME", "SYNC", "DECISION", "STATE", "APPROVER", "AGE"]);
            anyhow::ensure!(shown.matches("Used").count() == 4, "{shown}");
            let remaining =
                ["-n", namespace, "get", "approvals", "-o", "jsonpath={.items[*].status.remaining}"];
            Ok(env.cluster.must(&remaining).await?.is_empty())
        })
        .await?;
        let status = holdfast(&env.cluster.kubeconfig(), &["-n", namespace, "status", "app"]).await?;
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(status.contains(": Approve, Used"), "{status}");
        // An Approval of a plan that does not wait is kept for that plan, and its status says so.
        approve(env, namespace, "0123456789abcdef0123456789abcdef").await?;
        let shown = env.cluster.must(&["-n", namespace, "get", "approvals"]).await?;
        assert!(shown.contains("Pending"), "{shown}");
        Ok(())
    })
}

/// A plan of which a part failed goes on under its used approval after a kill, and then the approval is used up.
#[test]
fn an_approved_plan_goes_on_after_a_kill() -> anyhow::Result<()> {
    run(|_| async move {
        let flags = ["-n", "holdfast-system", "--default-service-account=deployer"];
        let Stage { env, agent } = Stage::start(&flags).await?;
        let namespace = "approve-kill";
        let stage = Stage { env, agent };
        stage.tenant(namespace).await?;
        let env = &stage.env;
        let repository = env.forge.repository(namespace).await?;
        let files = [
            ("a.yaml", &*config_map("a", "1")),
            ("b.yaml", &config_map("b", "1")),
            ("c.yaml", &config_map("c", "1")),
        ];
        let first = repository.commit(&files, "Begin")?;
        let deletions = json!({"approval": "Deletions"});
        env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &deletions)).await?;
        env.ready(namespace, "app", Some(&first)).await?;
        // b cannot be deleted for now.
        env.cluster.apply(&guard(namespace)).await?;
        let commit = repository.remove(&["a.yaml", "b.yaml"], "Remove two")?;
        let plan = waiting(env, namespace, None).await?;
        approve(env, namespace, &plan).await?;
        eventually(SOON, "one of the two to be left", || async {
            let left = ["-n", namespace, "get", "approvals", "-o", "jsonpath={.items[0].status}"];
            let left: Value = serde_json::from_str(&env.cluster.must(&left).await?)?;
            anyhow::ensure!(left["remaining"].as_array().is_some_and(|left| left.len() == 1), "{left}");
            anyhow::ensure!(left["revision"].as_str().is_some_and(|at| at.ends_with(&commit)), "{left}");
            Ok(left["state"] == "Used" && left["usedAt"].is_string())
        })
        .await?;
        let token = env.cluster.must(&["-n", "holdfast-system", "create", "token", "holdfast"]).await?;
        let account = env.cluster.kubeconfig_for_token("killed", token.trim())?;
        let agent = stage.agent.restart(&account, &flags).await?;
        env.cluster.must(&["delete", "validatingadmissionpolicybinding", "keep-b"]).await?;
        env.ready(namespace, "app", Some(&commit)).await?;
        let left = env.cluster.must(&["-n", namespace, "get", "configmaps", "-o", "name"]).await?;
        assert!(!left.contains("configmap/a\n") && !left.contains("configmap/b\n"), "{left}");
        // The same change again is another one.
        let back = repository.commit(&files, "Back")?;
        env.ready(namespace, "app", Some(&back)).await?;
        repository.remove(&["a.yaml", "b.yaml"], "Remove two again")?;
        waiting(env, namespace, None).await?;
        drop::<Agent>(agent);
        Ok(())
    })
}

/// Refuses to delete the ConfigMap b.
fn guard(namespace: &str) -> String {
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "keep-b"},
        "spec": {"matchConstraints": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["configmaps"]}]},
            "validations": [{"expression": "oldObject.metadata.name != 'b'", "message": "b stays"}]}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "keep-b"}, "spec": {"policyName": "keep-b", "validationActions": ["Deny"]}});
    format!("{policy}\n---\n{binding}")
}

/// Waits until a plan waits that is another than the one before, and returns its id.
async fn waiting(env: &Env, namespace: &str, before: Option<&str>) -> anyhow::Result<String> {
    eventually(SOON, "a plan to wait", || async {
        let plan = env.read(namespace, "app").await?["status"]["plan"].clone();
        let waits = plan["state"] == "AwaitingApproval" && plan["id"].as_str() != before;
        anyhow::ensure!(waits, "{plan}");
        Ok(true)
    })
    .await?;
    Ok(env.read(namespace, "app").await?["status"]["plan"]["id"].as_str().unwrap_or_default().to_owned())
}

async fn approve(env: &Env, namespace: &str, plan: &str) -> anyhow::Result<()> {
    let arguments = ["-n", namespace, "approve", "app", plan, "--reason", "agreed"];
    let approved = holdfast(&env.cluster.kubeconfig(), &arguments).await?;
    anyhow::ensure!(approved.status.success(), "{approved:?}");
    Ok(())
}
