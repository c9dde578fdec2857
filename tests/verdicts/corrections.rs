//! Drift that the API server does not let the agent put back is drift: in the condition, the status and the metric.

use holdfast_tests::agent::holdfast;
use holdfast_tests::shared::{SOON, Shared, config_map, run};
use holdfast_tests::{eventually, sync::Condition};
use serde_json::{Value, json};

/// A policy that refuses ConfigMaps in a namespace whose key has a value, so that the value can be left and not come back.
fn policy(namespace: &str, value: &str) -> String {
    let name = format!("no-{namespace}.example.com");
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                "resources": ["configmaps"]}]},
            "validations": [{"expression": format!("!has(object.data) || object.data.key != '{value}'"),
                "message": format!("{value} is frozen")}]}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}}});
    json!({"apiVersion": "v1", "kind": "List", "items": [policy, binding]}).to_string()
}

async fn freeze(shared: &Shared, namespace: &str) -> anyhow::Result<()> {
    shared.env.cluster.apply(&policy(namespace, "git")).await?;
    let (kubeconfig, map) = (shared.env.cluster.kubeconfig(), config_map("probe", "git"));
    let probe = ["-n", namespace, "create", "--dry-run=server", "-f", "-"];
    eventually(SOON, "the policy to be in force", || async {
        let probed = shared.env.cluster.kubectl_with(&kubeconfig, &probe, &map).await?;
        Ok(String::from_utf8_lossy(&probed.stderr).contains("git is frozen"))
    })
    .await
}

async fn thaw(shared: &Shared, namespace: &str) -> anyhow::Result<()> {
    let name = format!("no-{namespace}.example.com");
    let both = ["validatingadmissionpolicybinding", "validatingadmissionpolicy"];
    for kind in both {
        shared.env.cluster.must(&["delete", kind, &name]).await?;
    }
    Ok(())
}

/// The condition `Drifted`, when it has a reason.
async fn drifted(shared: &Shared, namespace: &str, reason: &str) -> anyhow::Result<Condition> {
    eventually(SOON, &format!("Drifted to say {reason}"), || async {
        let said = shared.env.condition(namespace, "app", "Drifted").await?;
        if said.reason != reason {
            anyhow::bail!("{said:?}");
        }
        Ok(true)
    })
    .await?;
    shared.env.condition(namespace, "app", "Drifted").await
}

async fn metric(shared: &Shared, namespace: &str) -> anyhow::Result<f64> {
    shared.agent.metric(&format!("holdfast_sync_drifted{{namespace=\"{namespace}\"")).await
}

#[test]
fn a_correction_that_is_refused_is_drift_until_it_is_not() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "frozen";
        shared.begin(namespace, &[("a.yaml", &config_map("a", "git"))], &json!({})).await?;
        freeze(shared, namespace).await?;
        shared.patch(namespace, "configmap/a", &json!({"data": {"key": "hand"}})).await?;
        let said = drifted(shared, namespace, "CorrectionRefused").await?;
        assert_eq!(said.status, "True");
        for part in ["/data/key is \"hand\", Git has \"git\"", "kubectl-patch", "git is frozen"] {
            assert!(said.message.contains(part), "{part} is missing in {}", said.message);
        }
        let ready = shared.env.condition(namespace, "app", "Ready").await?;
        assert!(ready.reason == "Denied" && ready.message.contains("git is frozen"), "{ready:?}");
        let status = shared.env.read(namespace, "app").await?["status"]["drift"].clone();
        let told = &status["objects"][0];
        assert_eq!((&told["name"], &told["state"]), (&json!("a"), &json!("Drifted")), "{status}");
        assert_eq!(told["changes"][0]["manager"], "kubectl-patch", "{status}");
        assert!(told["refusal"].as_str().is_some_and(|why| why.contains("git is frozen")), "{status}");
        assert!(metric(shared, namespace).await? > 0.0);
        let kubeconfig = shared.env.cluster.kubeconfig();
        let plan = holdfast(&kubeconfig, &["plan", "-n", namespace, "app", "-o", "json"]).await?;
        let plan: Value = serde_json::from_slice(&plan.stdout)?;
        assert_eq!(
            (&plan["drift"], &plan["refused"][0]["changes"][0]["path"]),
            (&json!(true), &json!("/data/key")),
            "{plan}"
        );
        let plan = holdfast(&kubeconfig, &["plan", "-n", namespace, "app"]).await?;
        let text = String::from_utf8_lossy(&plan.stdout).into_owned();
        assert!(
            text.contains("cannot be corrected: ConfigMap frozen/a: /data/key")
                && !text.contains("nothing to do"),
            "{text}"
        );

        // One that is deleted cannot come back either.
        shared.env.cluster.must(&["-n", namespace, "delete", "configmap", "a"]).await?;
        eventually(SOON, "the deletion to be told", || async {
            let said = shared.env.condition(namespace, "app", "Drifted").await?;
            Ok(said.status == "True"
                && said.message.contains("was deleted")
                && said.message.contains("git is frozen"))
        })
        .await?;
        thaw(shared, namespace).await?;
        shared.env.ready(namespace, "app", None).await?;
        assert_eq!(shared.env.condition(namespace, "app", "Drifted").await?.status, "False");
        assert!(metric(shared, namespace).await? < 1.0);
        Ok(())
    })
}
