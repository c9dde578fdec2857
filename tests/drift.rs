//! Drift on a real cluster: what others may write, what they add, who fights, and what is not missed. I/O: processes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use holdfast_tests::shared::{self, SOON, Shared, run};
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

/// The shared agent leaves one namespace to an agent of its own.
const AGENT: &[&str] = &["--namespaces", "ignored,unmanaged,fights,scaled,reported,twice,unmarked"];

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {tier: front}}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: \"web:1\"}]}
";

/// The objects of the open episode of drift.
async fn told(shared: &Shared, namespace: &str) -> anyhow::Result<Vec<Value>> {
    let sync = shared.env.read(namespace, "app").await?;
    Ok(sync["status"]["drift"]["objects"].as_array().cloned().unwrap_or_default())
}

async fn kubectl(shared: &Shared, namespace: &str, arguments: &[&str]) -> anyhow::Result<String> {
    shared.env.cluster.must(&[&["-n", namespace], arguments].concat()).await
}

/// Nothing happens for a time that corrections do not take.
async fn a_while() {
    tokio::time::sleep(Duration::from_secs(3)).await;
}

#[test]
fn what_others_may_write_is_left_to_them_by_plan_apply_and_drift() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let map =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {ours: \"1\", theirs: \"1\"}\n";
        let rules = json!({"drift": {"ignore": [
            {"target": {"kind": "Deployment", "labelSelector": "tier in (front)"}, "paths": ["/spec/replicas"]},
            {"target": {"kind": "ConfigMap", "name": "m*"}, "paths": ["/data/theirs"]},
            {"target": {"kind": "CronJob"}, "paths": ["/spec/suspend"]}]}});
        let files = [("web.yaml", DEPLOYMENT), ("m.yaml", map)];
        let repository = shared.begin("ignored", &files, &rules).await?;
        kubectl(shared, "ignored", &["scale", "deployment", "web", "--replicas=2"]).await?;
        shared.patch("ignored", "configmap/m", &json!({"data": {"theirs": "2"}})).await?;
        a_while().await;
        assert_eq!(shared.jsonpath("ignored", "deployment/web", "{.spec.replicas}").await?, "2");
        assert_eq!(told(shared, "ignored").await?, Vec::<Value>::new());
        // A commit that changes something else keeps what is live, and one that changes the field itself too.
        let newer = DEPLOYMENT.replace("web:1", "web:2").replace("replicas: 0", "replicas: 1");
        let commit = repository.commit(&[("web.yaml", &newer)], "Roll out")?;
        shared
            .patch(
                "ignored",
                "sync/app",
                &json!({"metadata": {"annotations": {"holdfast.dev/reconcile-at": "1"}}}),
            )
            .await?;
        shared
            .until("ignored", "deployment/web", "{.spec.template.spec.containers[0].image}", "web:2")
            .await?;
        shared.env.read("ignored", "app").await?;
        eventually(SOON, "the commit to be applied", || async {
            let applied = shared.jsonpath("ignored", "sync/app", "{.status.revision.applied}").await?;
            Ok(applied.ends_with(&commit))
        })
        .await?;
        assert_eq!(shared.jsonpath("ignored", "deployment/web", "{.spec.replicas}").await?, "2");
        assert_eq!(shared.jsonpath("ignored", "configmap/m", "{.data.theirs}").await?, "2");
        // What is ours is ours still.
        shared.patch("ignored", "configmap/m", &json!({"data": {"ours": "2"}})).await?;
        shared.until("ignored", "configmap/m", "{.data.ours}", "1").await?;
        let wrong = |path: &str| {
            json!({"spec": {"drift": {"ignore": [{"target": {}, "paths": [path]}]}}}).to_string()
        };
        let patch = |text: String| async move {
            let arguments = ["-n", "ignored", "patch", "sync", "app", "--type=merge", "-p", &text];
            shared.env.cluster.kubectl(&arguments).await
        };
        let refused = patch(wrong("spec.replicas")).await?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("must be JSON pointers (RFC 6901)"), "{said}");
        let warnings = shared.jsonpath("ignored", "sync/app", "{.status.warnings}").await?;
        assert!(warnings.contains("spec.drift.ignore[2] matches no object"), "{warnings}");
        assert!(!warnings.contains("ignore[0]") && !warnings.contains("ignore[1]"), "{warnings}");
        let events = kubectl(
            shared,
            "ignored",
            &["get", "events", "-o", "jsonpath={.items[?(@.reason==\"Mistake\")].message}"],
        )
        .await?;
        assert_eq!(events.matches("matches no object").count(), 1, "told once: {events}");
        assert!(patch(wrong("/a~2b")).await?.status.success());
        let said = shared.env.reason("ignored", "app", "IgnoreRuleInvalid").await?;
        assert!(said.message.contains("spec.drift.ignore[0].paths[0]"), "{}", said.message);
        // Without the rules everything is put back.
        shared.patch("ignored", "sync/app", &json!({"spec": {"drift": {"ignore": null}}})).await?;
        shared.until("ignored", "deployment/web", "{.spec.replicas}", "1").await?;
        shared.until("ignored", "configmap/m", "{.data.theirs}", "1").await
    })
}

#[test]
fn what_others_add_is_told_and_left_as_it_is() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let more = json!({"drift": {"unmanagedFields": "Report"}});
        shared.begin("unmanaged", &[("web.yaml", DEPLOYMENT)], &more).await?;
        a_while().await;
        assert_eq!(
            told(shared, "unmanaged").await?,
            Vec::<Value>::new(),
            "what controllers and defaults add is managed"
        );
        kubectl(shared, "unmanaged", &["set", "env", "deployment/web", "DEBUG=1"]).await?;
        kubectl(shared, "unmanaged", &["label", "deployment", "web", "by=hand"]).await?;
        eventually(SOON, "both to be reported", || async {
            let told = told(shared, "unmanaged").await?.pop().context("nothing is reported")?;
            let paths: Vec<&str> = told["changes"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|one| one["path"].as_str())
                .collect();
            Ok(paths == ["/metadata/labels/by", "/spec/template/spec/containers/0/env"]
                || paths == ["/metadata/labels/by", "/spec/template/spec/containers/0/env/0"])
        })
        .await?;
        let found = told(shared, "unmanaged").await?;
        assert!(
            found[0]["changes"].as_array().into_iter().flatten().all(|one| one["unmanaged"] == true),
            "{found:#?}"
        );
        assert!(
            found[0]["ignore"].as_str().is_some_and(|rule| rule.contains("/metadata/labels/by")),
            "{found:#?}"
        );
        let drifted = shared.env.condition("unmanaged", "app", "Drifted").await?;
        assert_eq!((&*drifted.status, &*drifted.reason), ("True", "UnmanagedFieldsReported"));
        assert_eq!(shared.env.condition("unmanaged", "app", "Ready").await?.status, "True");
        assert_eq!(shared.jsonpath("unmanaged", "deployment/web", "{.metadata.labels.by}").await?, "hand");
        kubectl(shared, "unmanaged", &["label", "deployment", "web", "by-"]).await?;
        kubectl(shared, "unmanaged", &["set", "env", "deployment/web", "DEBUG-"]).await?;
        eventually(SOON, "nothing to be reported any more", || async {
            Ok(told(shared, "unmanaged").await?.is_empty())
        })
        .await
    })
}

#[test]
fn a_fight_backs_off_is_told_once_and_ends_when_the_other_stops() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        shared.begin("fights", &[("a.yaml", &shared::config_map("a", "git"))], &json!({})).await?;
        let started = Instant::now();
        let mut put_back = 0;
        // Another client writes it again whenever it is corrected.
        while started.elapsed() < Duration::from_secs(18) {
            if shared.jsonpath("fights", "configmap/a", "{.data.key}").await? == "git" {
                put_back += 1;
                shared.patch("fights", "configmap/a", &json!({"data": {"key": "hand"}})).await?;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Three at once, and one after ten seconds.
        assert!((4..=5).contains(&put_back), "{put_back}");
        let ready = shared.env.reason("fights", "app", "DriftFight").await?;
        for part in
            ["kubectl-patch", "/data/key", "remove the field from Git", "{target: {kind: ConfigMap, name: a"]
        {
            assert!(ready.message.contains(part), "{part}: {}", ready.message);
        }
        eventually(Duration::from_mins(1), "the fight to end", || async {
            Ok(shared.env.condition("fights", "app", "Ready").await?.status == "True"
                && shared.jsonpath("fights", "configmap/a", "{.data.key}").await? == "git"
                && told(shared, "fights").await?.is_empty())
        })
        .await
    })
}

#[test]
fn replicas_in_git_beside_an_autoscaler_are_a_mistake_that_is_told_once() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let scaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec:\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  maxReplicas: 3\n";
        shared
            .begin(
                "scaled",
                &[("web.yaml", DEPLOYMENT), ("scaler.yaml", scaler)],
                &json!({"health": {"wait": false}}),
            )
            .await?;
        let warnings = shared.jsonpath("scaled", "sync/app", "{.status.warnings}").await?;
        assert!(
            warnings.contains("web.yaml:1 sets spec.replicas of Deployment.apps scaled/web"),
            "{warnings}"
        );
        assert!(
            warnings.contains("scaler.yaml:1") && warnings.contains("remove spec.replicas from Git"),
            "{warnings}"
        );
        Ok(())
    })
}

#[test]
fn reported_drift_stays_visible_over_other_commits_until_git_catches_up() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let files =
            [("a.yaml", &*shared::config_map("a", "git")), ("b.yaml", &*shared::config_map("b", "1"))];
        let more = json!({"drift": {"mode": "Report"}, "interval": "5s"});
        let repository = shared.begin("reported", &files, &more).await?;
        shared.patch("reported", "configmap/a", &json!({"data": {"key": "hand"}})).await?;
        kubectl(shared, "reported", &["delete", "configmap", "b"]).await?;
        eventually(SOON, "both to be reported", || async { Ok(told(shared, "reported").await?.len() == 2) })
            .await?;
        let found = told(shared, "reported").await?;
        assert!(found.iter().any(|one| one["name"] == "b" && one["deleted"] == true), "{found:#?}");
        repository.commit(&[("c.yaml", &shared::config_map("c", "1"))], "Add c")?;
        shared.until("reported", "configmap/c", "{.data.key}", "1").await?;
        assert_eq!(shared.jsonpath("reported", "configmap/a", "{.data.key}").await?, "hand");
        assert_eq!(told(shared, "reported").await?.len(), 2);
        let commit = repository.commit(&[("a.yaml", &shared::config_map("a", "hand"))], "Catch up")?;
        eventually(SOON, "a to be no drift any more", || async {
            let names: Vec<Value> =
                told(shared, "reported").await?.iter().map(|one| one["name"].clone()).collect();
            Ok(names == [json!("b")])
        })
        .await?;
        shared.patch("reported", "sync/app", &json!({"spec": {"drift": {"mode": "Correct"}}})).await?;
        shared.env.ready("reported", "app", Some(&commit)).await?;
        shared.until("reported", "configmap/b", "{.data.key}", "1").await
    })
}

#[test]
fn an_object_that_is_replaced_without_its_marks_is_reported_until_it_is_put_back() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let namespace = "unmarked";
        let files = [("a.yaml", &*shared::config_map("a", "git"))];
        shared.begin(namespace, &files, &json!({"drift": {"mode": "Report"}})).await?;
        let hand = shared::config_map("a", "hand");
        let cluster = &shared.env.cluster;
        let replace = ["-n", namespace, "replace", "-f", "-"];
        let replaced = cluster.kubectl_with(&cluster.kubeconfig(), &replace, &hand).await?;
        assert!(replaced.status.success(), "{replaced:?}");
        let said = shared.env.reason(namespace, "app", "DriftReported").await?;
        assert!(said.message.contains("/data/key is \"hand\""), "{}", said.message);
        assert_eq!(shared.env.condition(namespace, "app", "Drifted").await?.status, "True");
        assert_eq!(shared.jsonpath(namespace, "configmap/a", "{.data.key}").await?, "hand");
        shared.patch(namespace, "sync/app", &json!({"spec": {"drift": {"mode": "Correct"}}})).await?;
        shared.until(namespace, "configmap/a", "{.data.key}", "git").await?;
        shared.env.ready(namespace, "app", None).await?;
        assert_eq!(shared.env.condition(namespace, "app", "Drifted").await?.status, "False");
        Ok(())
    })
}

/// A change while the agent is down is found, attributed and put back when it is up again.
#[test]
fn a_change_while_the_agent_is_down_is_not_missed() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let repository = shared.env.forge.repository("down").await?;
        let commit = repository.commit(&[("a.yaml", &shared::config_map("a", "git"))], "Begin")?;
        shared.env.namespace("down").await?;
        shared.env.cluster.apply(&sync::sync("down", "app", &repository.https_url, &json!({}))).await?;
        let arguments = ["--namespaces", "down"];
        let mut agent = shared.env.agent(&arguments).await?;
        shared.env.ready("down", "app", Some(&commit)).await?;
        agent.kill()?;
        shared.patch("down", "configmap/a", &json!({"data": {"key": "hand"}})).await?;
        let agent = agent.restart(&shared.env.cluster.kubeconfig(), &arguments).await?;
        shared.until("down", "configmap/a", "{.data.key}", "git").await?;
        eventually(SOON, "the correction to be reported", || async {
            let lines = agent.lines()?;
            Ok(lines
                .iter()
                .any(|line| line["message"] == "Corrected drift" && line["manager"] == "kubectl-patch"))
        })
        .await
    })
}

/// Another client writes one object again and again, as fast as the API server accepts it: every value is reported, also
/// one that the agent overwrites between a plan and its apply.
#[test]
fn values_that_the_agent_overwrites_between_plan_and_apply_are_reported() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        shared.begin("twice", &[("a.yaml", &shared::config_map("a", "git"))], &json!({})).await?;
        let client = shared.env.cluster.client().await?;
        let maps = kube::Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(client, "twice");
        let params = kube::api::PatchParams {
            field_manager: Some("unknown-tool".to_owned()),
            ..kube::api::PatchParams::default()
        };
        // Few enough that it is no fight.
        for number in 0..3 {
            let value = format!("hand-{number}");
            maps.patch("a", &params, &kube::api::Patch::Merge(&json!({"data": {"key": value}}))).await?;
            tokio::time::sleep(Duration::from_millis(6)).await;
        }
        shared.until("twice", "configmap/a", "{.data.key}", "git").await?;
        // What the agent overwrote is reported; what the other manager overwrote itself need not be.
        eventually(SOON, "the report of the last value", || async {
            let lines = shared.agent.lines()?;
            let of_it = lines
                .iter()
                .filter(|line| line["message"] == "Corrected drift" && line["object"] == "ConfigMap twice/a");
            let reported: Vec<&str> = of_it.filter_map(|line| line["fields"].as_str()).collect();
            ensure!(reported.iter().any(|fields| fields.contains("\"hand-2\"")), "reported: {reported:#?}");
            Ok(true)
        })
        .await
    })
}

/// A Sync that is suspended, or whose login is gone, waits for its interval.
#[test]
fn a_run_that_does_not_come_as_far_as_git_is_not_repeated_at_once() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let repository = shared.env.forge.repository("calm").await?;
        let commit = repository.commit(&[("a.yaml", &shared::config_map("a", "git"))], "Begin")?;
        shared.env.namespace("calm").await?;
        let more = json!({"interval": "5s"});
        shared.env.cluster.apply(&sync::sync("calm", "app", &repository.https_url, &more)).await?;
        let agent = shared.env.agent(&["--namespaces", "calm"]).await?;
        shared.env.ready("calm", "app", Some(&commit)).await?;
        let runs = async |seconds: u64| {
            let before = agent.metric("holdfast_reconciles_total").await?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            anyhow::Ok(agent.metric("holdfast_reconciles_total").await? - before)
        };
        shared.patch("calm", "sync/app", &json!({"spec": {"suspend": {"reason": "a test"}}})).await?;
        let suspended = runs(12).await?;
        assert!((1.0..=5.0).contains(&suspended), "{suspended} runs while suspended");
        shared.patch("calm", "sync/app", &json!({"spec": {"suspend": null}})).await?;
        shared.env.ready("calm", "app", None).await?;
        kubectl(shared, "calm", &["delete", "secret", "git"]).await?;
        shared.env.reason("calm", "app", "SecretUnreadable").await?;
        let without = runs(12).await?;
        assert!((1.0..=5.0).contains(&without), "{without} runs without a login");
        Ok(())
    })
}
