//! The engine on a real API server: the cluster is kept in sync with Git, whatever other clients write, and nothing more is done.
//! I/O: processes, network.

#[path = "engine/appeared.rs"]
mod appeared;
#[path = "engine/keep.rs"]
mod keep;
#[path = "engine/leaving.rs"]
mod leaving;
#[path = "engine/progress.rs"]
mod progress;
#[path = "hostile/servers.rs"]
#[expect(dead_code, reason = "the suite of tenants uses all of it")]
mod servers;

use anyhow::Context as _;
use holdfast_tests::shared::{self, SOON, run};
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

#[test]
fn what_leaves_git_is_pruned_and_what_is_kept_is_not() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let kept = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kept\n  annotations: {holdfast.dev/prune: Disabled}\n";
        let files = [
            ("a.yaml", &*shared::config_map("a", "1")),
            ("b.yaml", &*shared::config_map("b", "1")),
            ("kept.yaml", kept),
            ("c.yaml", &*shared::config_map("c", "1")),
        ];
        let repository = shared.begin("prune", &files, &json!({})).await?;
        let commit = repository.remove(&["b.yaml", "kept.yaml"], "Remove two")?;
        shared.env.ready("prune", "app", Some(&commit)).await?;
        shared.gone("prune", "configmap/b").await?;
        let label =
            shared.jsonpath("prune", "configmap/kept", "{.metadata.labels}{.metadata.annotations}").await?;
        assert!(!label.contains("applyset") && !label.contains("holdfast.dev/sync"), "{label}");
        Ok(())
    })
}

#[test]
fn more_than_half_of_a_set_waits_for_an_approval() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let maps: Vec<(String, String)> =
            (0..5).map(|at| (format!("{at}.yaml"), shared::config_map(&format!("m{at}"), "1"))).collect();
        let files: Vec<(&str, &str)> = maps.iter().map(|(name, map)| (&**name, &**map)).collect();
        let repository = shared.begin("half", &files, &json!({})).await?;
        repository.remove(&["0.yaml", "1.yaml", "2.yaml"], "Remove three of five")?;
        let said = shared.env.reason("half", "app", "AwaitingApproval").await?;
        assert!(said.message.contains("more than half"), "{}", said.message);
        shared.env.cluster.must(&["-n", "half", "get", "configmap", "m0", "m1", "m2"]).await?;
        Ok(())
    })
}

#[test]
fn a_change_by_hand_is_put_back_and_told() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        shared.begin("drift", &[("a.yaml", &shared::config_map("a", "git"))], &json!({})).await?;
        let kubectl = &shared.env.cluster;
        kubectl
            .must(&[
                "-n",
                "drift",
                "patch",
                "configmap",
                "a",
                "--type=merge",
                "-p",
                r#"{"data":{"key":"hand"}}"#,
            ])
            .await?;
        shared.until("drift", "configmap/a", "{.data.key}", "git").await?;
        kubectl.must(&["-n", "drift", "delete", "configmap", "a"]).await?;
        shared.until("drift", "configmap/a", "{.data.key}", "git").await?;
        kubectl.must(&["-n", "drift", "label", "configmap", "a", "applyset.kubernetes.io/part-of-"]).await?;
        shared
            .until("drift", "configmap/a", "{.metadata.annotations.holdfast\\.dev/sync}", "drift/app")
            .await?;
        eventually(SOON, "the label to be back", || async {
            Ok(shared.jsonpath("drift", "configmap/a", "{.metadata.labels}").await?.contains("part-of"))
        })
        .await?;
        let lines = shared.agent.lines()?;
        let line = lines.iter().find(|line| {
            line["message"] == "Corrected drift"
                && line["object"] == "ConfigMap drift/a"
                && line["manager"] == "kubectl-patch"
        });
        let line = line.ok_or_else(|| anyhow::anyhow!("no log line names object and manager"))?;
        assert!(
            line["fields"]
                .as_str()
                .is_some_and(|fields| fields.contains("/data/key is \"hand\", Git has \"git\"")),
            "{line}"
        );
        assert!(line["time"].as_str().is_some_and(|time| time.starts_with("20")), "{line}");
        eventually(SOON, "an Event that names the field and the manager", || async {
            let events = kubectl
                .must(&[
                    "-n",
                    "drift",
                    "get",
                    "events",
                    "-o",
                    "jsonpath={range .items[*]}{.message}{'\\n'}{end}",
                ])
                .await?;
            Ok(events.contains("ConfigMap drift/a was corrected: /data/key")
                && events.contains("kubectl-patch"))
        })
        .await
    })
}

#[test]
fn drift_is_only_told_where_the_policy_says_so() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        shared
            .begin(
                "report",
                &[("a.yaml", &shared::config_map("a", "git"))],
                &json!({"drift": {"mode": "Report"}}),
            )
            .await?;
        let patch = ["-n", "report", "patch", "configmap", "a", "--type=merge", "-p"];
        shared.env.cluster.must(&[&patch[..], &[r#"{"data":{"key":"hand"}}"#]].concat()).await?;
        let said = shared.env.reason("report", "app", "DriftReported").await?;
        assert!(said.message.contains("/data/key is \"hand\", Git has \"git\""), "{}", said.message);
        assert_eq!(shared.env.condition("report", "app", "Drifted").await?.status, "True");
        assert_eq!(shared.jsonpath("report", "configmap/a", "{.data.key}").await?, "hand");
        shared.env.cluster.must(&[&patch[..], &[r#"{"data":{"key":"git"}}"#]].concat()).await?;
        shared.env.ready("report", "app", None).await?;
        assert_eq!(shared.env.condition("report", "app", "Drifted").await?.status, "False");
        Ok(())
    })
}

#[test]
fn an_object_that_moves_between_syncs_is_not_deleted() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let moved = shared::config_map("moved", "1");
        let files = [
            ("one/a.yaml", &*shared::config_map("a", "1")),
            ("one/moved.yaml", &*moved),
            ("two/b.yaml", &*shared::config_map("b", "1")),
        ];
        let repository = shared.begin("move", &files, &json!({"path": "one"})).await?;
        let two = sync::sync("move", "two", &repository.https_url, &json!({"path": "two"}));
        shared.env.cluster.apply(&two).await?;
        shared.env.ready("move", "two", None).await?;
        let uid = shared.jsonpath("move", "configmap/moved", "{.metadata.uid}").await?;
        for turn in 0..2 {
            let (from, to, name) = if turn % 2 == 0 { ("one", "two", "two") } else { ("two", "one", "app") };
            repository.git(&["mv", &format!("{from}/moved.yaml"), &format!("{to}/moved.yaml")])?;
            let commit = repository.push_all("Move it")?;
            shared.env.ready("move", "app", Some(&commit)).await?;
            shared.env.ready("move", "two", Some(&commit)).await?;
            let (owner, new) = ("{.metadata.annotations.holdfast\\.dev/sync}", format!("move/{name}"));
            shared.until("move", "configmap/moved", owner, &new).await?;
            let now = shared.jsonpath("move", "configmap/moved", "{.metadata.uid}").await?;
            assert_eq!(now, uid, "deleted and created again by move {turn}");
        }
        Ok(())
    })
}

#[test]
fn what_exists_already_is_adopted() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        shared.env.namespace("adopt").await?;
        shared
            .env
            .cluster
            .must(&[
                "-n",
                "adopt",
                "create",
                "configmap",
                "a",
                "--from-literal=key=old",
                "--from-literal=other=stays",
            ])
            .await?;
        let uid = shared.jsonpath("adopt", "configmap/a", "{.metadata.uid}").await?;
        let repository = shared.env.forge.repository("adopt").await?;
        repository.commit(&[("a.yaml", &shared::config_map("a", "new"))], "Begin")?;
        shared.env.cluster.apply(&sync::sync("adopt", "app", &repository.https_url, &json!({}))).await?;
        shared.env.ready("adopt", "app", None).await?;
        assert_eq!(
            shared.jsonpath("adopt", "configmap/a", "{.data.key} {.data.other} {.metadata.uid}").await?,
            format!("new stays {uid}")
        );
        let plan = shared.env.read("adopt", "app").await?["status"]["plan"].clone();
        assert_eq!((&plan["summary"]["adopt"], &plan["summary"]["create"]), (&json!(1), &json!(0)), "{plan}");
        Ok(())
    })
}

#[test]
fn a_definition_and_its_objects_come_in_one_commit() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let definition = include_str!("data/definition.yaml");
        let queue =
            "apiVersion: engine.example.com/v1\nkind: Queue\nmetadata: {name: mail}\nspec: {every: 8760h}\n";
        let repository = shared
            .begin("crd", &[("queue.yaml", queue), ("definition.yaml", definition)], &json!({}))
            .await?;
        assert_eq!(shared.jsonpath("crd", "queue/mail", "{.spec.size} {.spec.every}").await?, "3 8760h");
        // The API server serves a kind some time after it has established the definition. That is no failure.
        for turn in 0..6 {
            let (plural, kind) = (format!("turn{turn}s"), format!("Turn{turn}"));
            let definition = definition
                .replace("queues", &plural)
                .replace("QueueList", &format!("{kind}List"))
                .replace("Queue", &kind)
                .replace("queue", &format!("turn{turn}"));
            let object = queue.replace("Queue", &kind);
            let files = [("turn.yaml", &*object), ("turns.yaml", &*definition)];
            let files = files.map(|(name, text)| (format!("{turn}-{name}"), text));
            let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, *text)).collect();
            let commit = repository.commit(&files, "Add a kind")?;
            shared.env.ready("crd", "app", Some(&commit)).await?;
        }
        let lines = shared.agent.lines()?;
        let failed = lines.iter().find(|line| line["message"] == "Sync failed" && line["sync"] == "crd/app");
        assert_eq!(failed, None);
        // Deleting the definition would delete every Queue of the cluster.
        repository.remove(&["queue.yaml", "definition.yaml"], "Remove both")?;
        repository.commit(&[("a.yaml", &shared::config_map("a", "1"))], "Keep one")?;
        let said = shared.env.reason("crd", "app", "AwaitingApproval").await?;
        assert!(
            said.message
                .contains("delete CustomResourceDefinition.apiextensions.k8s.io queues.engine.example.com"),
            "{}",
            said.message
        );
        shared.gone("crd", "queue/mail").await?;
        shared.env.cluster.must(&["get", "crd", "queues.engine.example.com"]).await?;
        Ok(())
    })
}

#[test]
fn a_wave_waits_until_the_one_before_is_healthy() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let web = |image: &str| {
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: 1\n  selector: {{matchLabels: {{app: web}}}}\n  \
                 template:\n    metadata: {{labels: {{app: web}}}}\n    spec: {{containers: [{{name: web, image: {image}}}]}}\n"
            )
        };
        let later = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: later\n  annotations: {argocd.argoproj.io/sync-wave: \"1\"}\n";
        let repository = shared.env.forge.repository("waves").await?;
        repository
            .commit(&[("web.yaml", &web("broken")), ("later.yaml", later)], "Begin with a broken image")?;
        shared.env.namespace("waves").await?;
        shared.env.cluster.apply(&sync::sync("waves", "app", &repository.https_url, &json!({}))).await?;
        let said = shared.env.reason("waves", "app", "Progressing").await?;
        eventually(SOON, "the wait to name the Deployment", || async {
            Ok(shared
                .env
                .condition("waves", "app", "Ready")
                .await?
                .message
                .contains("Deployment.apps waves/web"))
        })
        .await?;
        let found = shared.env.cluster.kubectl(&["-n", "waves", "get", "configmap", "later"]).await?;
        assert!(!found.status.success(), "wave 1 did not wait; {said:?}");
        let commit = repository.commit(&[("web.yaml", &web("fine"))], "Mend the image")?;
        shared.env.ready("waves", "app", Some(&commit)).await?;
        shared.env.cluster.must(&["-n", "waves", "get", "configmap", "later"]).await?;
        Ok(())
    })
}

#[test]
fn an_immutable_field_waits_for_an_approval_or_an_annotation() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let map = |value: &str, annotation: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations: {{{annotation}}}\nimmutable: true\ndata: {{key: \"{value}\"}}\n"
            )
        };
        let repository = shared.begin("immutable", &[("a.yaml", &map("1", ""))], &json!({})).await?;
        repository.commit(&[("a.yaml", &map("2", ""))], "Change what cannot change")?;
        let said = shared.env.reason("immutable", "app", "AwaitingApproval").await?;
        assert!(said.message.contains("recreate ConfigMap immutable/a"), "{}", said.message);
        assert_eq!(shared.jsonpath("immutable", "configmap/a", "{.data.key}").await?, "1");
        let commit =
            repository.commit(&[("a.yaml", &map("2", "holdfast.dev/recreate: Allowed"))], "Allow it")?;
        shared.env.ready("immutable", "app", Some(&commit)).await?;
        assert_eq!(shared.jsonpath("immutable", "configmap/a", "{.data.key}").await?, "2");
        Ok(())
    })
}

#[test]
fn a_sync_that_goes_takes_its_objects_along_unless_it_is_told_not_to() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        for (namespace, more, stays) in [("end", json!({}), false), ("leave", json!({"prune": false}), true)]
        {
            let secret =
                "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n";
            shared
                .begin(namespace, &[("a.yaml", &shared::config_map("a", "1")), ("s.yaml", secret)], &more)
                .await?;
            shared.env.cluster.must(&["-n", namespace, "delete", "sync", "app", "--timeout=20s"]).await?;
            let found =
                shared.env.cluster.kubectl(&["-n", namespace, "get", "configmap/a", "secret/s"]).await?;
            assert_eq!(found.status.success(), stays, "{namespace}: {found:?}");
            if stays {
                let labels = shared.jsonpath(namespace, "configmap/a", "{.metadata.labels}").await?;
                assert!(!labels.contains("part-of"), "{labels}");
            }
        }
        assert!(!shared.agent.output()?.contains("hunter2"), "the value of a Secret is in the log");
        Ok(())
    })
}

#[test]
fn a_suspended_sync_changes_nothing_and_goes_on_at_its_time() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let repository =
            shared.begin("suspend", &[("a.yaml", &shared::config_map("a", "1"))], &json!({})).await?;
        let until_then = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8);
        let patch = json!({"spec": {"suspend": {"reason": "incident 42", "until": until_then}}}).to_string();
        shared
            .env
            .cluster
            .must(&["-n", "suspend", "patch", "sync", "app", "--type=merge", "-p", &patch])
            .await?;
        let said = shared.env.reason("suspend", "app", "Suspended").await?;
        assert!(said.message.contains("incident 42"), "{}", said.message);
        let commit = repository.commit(&[("a.yaml", &shared::config_map("a", "2"))], "Change")?;
        shared.env.ready("suspend", "app", Some(&commit)).await?;
        assert!(jiff::Timestamp::now() >= until_then, "the commit was applied while the Sync was suspended");
        let managed = shared.jsonpath("suspend", "configmap/a", "{.metadata.managedFields}").await?;
        let managed: Vec<Value> = serde_json::from_str(&managed)?;
        let ours = managed.iter().find(|entry| entry["manager"] == "holdfast").context("no entry of ours")?;
        let written: jiff::Timestamp = ours["time"].as_str().context("no time")?.parse()?;
        let second = jiff::SignedDuration::from_secs(1);
        assert!(written + second >= until_then, "the object was written at {written}, before {until_then}");
        shared.until("suspend", "configmap/a", "{.data.key}", "2").await
    })
}

#[test]
fn a_sync_waits_for_those_it_depends_on() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let repository = shared.env.forge.repository("depends").await?;
        repository.commit(
            &[("one/a.yaml", &shared::config_map("a", "1")), ("two/b.yaml", &shared::config_map("b", "1"))],
            "Begin",
        )?;
        shared.env.namespace("depends").await?;
        let two = json!({"path": "two", "dependsOn": [{"name": "one"}]});
        shared.env.cluster.apply(&sync::sync("depends", "two", &repository.https_url, &two)).await?;
        let said = shared.env.reason("depends", "two", "DependencyNotFound").await?;
        assert!(said.message.contains("Sync depends/one, which does not exist"), "{}", said.message);
        shared
            .env
            .cluster
            .apply(&sync::sync("depends", "one", &repository.https_url, &json!({"path": "one"})))
            .await?;
        shared.env.ready("depends", "two", None).await
    })
}
