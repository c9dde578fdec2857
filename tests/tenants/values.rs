//! Values that must not be shown, and characters that must not be obeyed: in the status, in plans, Events, logs, metrics,
//! alerts, and in what the command line prints. I/O: processes, network.

use holdfast_tests::agent::holdfast;
use holdfast_tests::receiver::Receiver;
use holdfast_tests::shared::SOON;
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

use crate::stage::{Stage, run};

/// What the Secret holds at first, and later.
const OLD: &str = "s3cr3t-Canary-old-71";
const NEW: &str = "s3cr3t-Canary-new-72";

/// A variable of a Secret in a ConfigMap, within a text, and in base64 out of a generator.
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n  annotations: {example.com/login: \"u:${canary}\"}\ndata:\n  url: postgres://u:${canary}@db/x\n  plain: visible\n";

/// Everything that the agent and the command line say of a Sync.
async fn said(stage: &Stage, namespace: &str, receiver: &Receiver) -> anyhow::Result<Vec<(String, String)>> {
    let admin = stage.env.cluster.kubeconfig();
    let mut all = Vec::new();
    for verb in [
        vec!["plan", "app"],
        vec!["plan", "app", "-o", "json"],
        vec!["status", "app"],
        vec!["status", "app", "-o", "json"],
        vec!["status"],
        vec!["drift", "app"],
        vec!["drift", "app", "-o", "json"],
    ] {
        let output = holdfast(&admin, &[&["-n", namespace], &*verb].concat()).await?;
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        all.push((verb.join(" "), text.concat()));
    }
    let events = ["-n", namespace, "get", "events.events.k8s.io", "-o", "json"];
    all.push(("Events".to_owned(), stage.env.cluster.must(&events).await?));
    all.push(("the log".to_owned(), stage.agent.output()?));
    all.push(("metrics".to_owned(), stage.agent.get("metrics").await?));
    let bodies = receiver.notices()?.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    all.push(("alerts".to_owned(), bodies));
    Ok(all)
}

/// Fails if a canary is in what is said, also in base64.
fn hides(said: &[(String, String)]) {
    for (whence, text) in said {
        for part in ["Canary", "Q2FuYXJ5", "NhbmFye", "DYW5hcn"] {
            assert!(!text.contains(part), "{whence} shows {part}: {text}");
        }
    }
}

/// An Alert on everything, to a webhook.
fn alert(namespace: &str, url: &str) -> String {
    json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Alert",
        "metadata": {"name": "all", "namespace": namespace},
        "spec": {"on": ["Drifted", "Failed", "Unhealthy", "AwaitingApproval", "Applied"], "receiver": {"webhook": {"url": url}}}})
    .to_string()
}

/// A value of a Secret is masked wherever it lands: when it is rotated, when another client changes it, and when a policy of the
/// cluster quotes it.
#[test]
fn what_came_from_a_secret_is_shown_nowhere() -> anyhow::Result<()> {
    run(|stage| async move {
        let (env, namespace) = (&stage.env, "masked");
        stage.tenant(namespace).await?;
        let receiver = Receiver::webhook(None).await?;
        let canary = |value: &str| sync::secret(namespace, "canary", &[("canary", value)]);
        env.cluster.apply(&canary(OLD)).await?;
        env.cluster.apply(&alert(namespace, &receiver.url())).await?;
        let repository = env.forge.repository(namespace).await?;
        let commit = repository.commit(&[("map.yaml", MAP)], "Begin")?;
        let render = json!({"substitute": {"from": [{"kind": "Secret", "name": "canary"}]}});
        let spec = |approval: &str, mode: &str| {
            let more = json!({"render": render, "approval": approval, "drift": {"mode": mode}});
            sync::sync(namespace, "app", &repository.https_url, &more)
        };
        env.cluster.apply(&spec("Never", "Correct")).await?;
        env.ready(namespace, "app", Some(&commit)).await?;
        let url = ["-n", namespace, "get", "configmap", "settings", "-o", "jsonpath={.data.url}"];
        assert!(env.cluster.must(&url).await?.contains(OLD), "the value is deployed");

        // Rotated: neither the value after nor the one before is shown.
        env.cluster.apply(&spec("Always", "Correct")).await?;
        env.cluster.apply(&canary(NEW)).await?;
        env.reason(namespace, "app", "AwaitingApproval").await?;
        let found = said(stage, namespace, &receiver).await?;
        hides(&found);
        assert!(found[0].1.contains("/data/url: \"*** (before)\" -> \"*** (after)\""), "{}", found[0].1);
        let wire = env.read(namespace, "app").await?["status"].to_string();
        assert!(wire.contains("***") && !wire.contains("Canary"), "{wire}");
        env.cluster.apply(&spec("Never", "Report")).await?;
        env.ready(namespace, "app", None).await?;

        // Changed by hand, and only reported.
        let hand = json!({"data": {"url": "by hand", "plain": "seen"}}).to_string();
        env.cluster
            .must(&["-n", namespace, "patch", "configmap", "settings", "--type=merge", "-p", &hand])
            .await?;
        env.reason(namespace, "app", "DriftReported").await?;
        eventually(SOON, "the alert", || async { Ok(!receiver.notices()?.is_empty()) }).await?;
        let found = said(stage, namespace, &receiver).await?;
        hides(&found);
        assert!(found[5].1.contains("visible"), "what is no secret is shown: {}", found[5].1);

        // Quoted by a policy of the cluster.
        env.cluster.apply(&policy(namespace)).await?;
        let probe = [
            "-n",
            namespace,
            "patch",
            "configmap",
            "settings",
            "--type=merge",
            "--dry-run=server",
            "-p",
            &hand,
        ];
        eventually(SOON, "the policy", || async { Ok(!env.cluster.kubectl(&probe).await?.status.success()) })
            .await?;
        env.cluster.apply(&spec("Never", "Correct")).await?;
        let denied = env.reason(namespace, "app", "Denied").await?;
        assert!(denied.message.contains("I do not like") && !denied.message.contains("Canary"), "{denied:?}");
        hides(&said(stage, namespace, &receiver).await?);
        env.cluster.must(&["delete", "validatingadmissionpolicybinding", "quotes"]).await?;
        Ok(())
    })
}

/// Refuses every change of the ConfigMap, and quotes it.
fn policy(namespace: &str) -> String {
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "quotes"},
        "spec": {"matchConstraints": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]}]},
            "validations": [{"expression": "false", "messageExpression": "'I do not like ' + object.data.url"}]}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "quotes"}, "spec": {"policyName": "quotes", "validationActions": ["Deny"]}});
    format!("{policy}\n---\n{binding}")
}

/// True if the output has characters that control a terminal, or that are invisible.
fn is_obeyed(character: char) -> bool {
    character != '\n' && holdfast_diff::visible::is_hidden(character)
}

#[test]
fn what_a_terminal_obeys_is_shown_and_not_sent() -> anyhow::Result<()> {
    run(|stage| async move {
        let (env, namespace) = (&stage.env, "obeyed");
        stage.tenant(namespace).await?;
        let receiver = Receiver::webhook(None).await?;
        let repository = env.forge.repository(namespace).await?;
        let hostile = "\u{1b}[1A\u{1b}[2K\u{202e}gnihton\u{2066}\u{200b}\r\u{2028}\u{feff}\u{e0041}";
        let of = |value: &str| {
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "map",
                "annotations": {"example.com/a": value}}, "data": {"key": value, "lines": format!("a\n{value}\nb")}});
            holdfast_diff::visible::json(&map.to_string()).into_owned()
        };
        repository.commit(&[("map.json", &of("calm"))], "Begin")?;
        env.cluster.apply(&alert(namespace, &receiver.url())).await?;
        env.cluster
            .apply(&sync::sync(namespace, "app", &repository.https_url, &json!({"approval": "Always"})))
            .await?;
        env.reason(namespace, "app", "AwaitingApproval").await?;
        env.cluster
            .apply(&sync::sync(namespace, "app", &repository.https_url, &json!({"approval": "Never"})))
            .await?;
        env.ready(namespace, "app", None).await?;
        env.cluster
            .apply(&sync::sync(namespace, "app", &repository.https_url, &json!({"approval": "Always"})))
            .await?;
        repository.commit(&[("map.json", &of(hostile))], "Hide\u{1b}[2K\u{202e}")?;
        env.reason(namespace, "app", "AwaitingApproval").await?;
        let found = said(stage, namespace, &receiver).await?;
        for (whence, text) in &found[..7] {
            assert!(!text.contains(is_obeyed), "{whence}: {text:?}");
        }
        assert!(found[0].1.contains("\\u{202e}") && found[0].1.contains("\\u001b[1A"), "{}", found[0].1);
        let log = &found[8].1;
        assert!(!log.contains(is_obeyed), "the log obeys");
        for kind in ["Ready", "AwaitingApproval"] {
            let message = env.condition(namespace, "app", kind).await?.message;
            assert!(!message.contains(is_obeyed), "{message:?}");
        }
        let folder = repository.clone.display().to_string();
        let rendered = holdfast(&env.cluster.kubeconfig(), &["render", &folder]).await?;
        let rendered = String::from_utf8_lossy(&rendered.stdout).into_owned();
        assert!(!rendered.contains(is_obeyed) && rendered.contains("\\u202E"), "{rendered}");
        Ok(())
    })
}
