//! Plans on a real API server: what they say, what is no difference, who loses which fields, and what they refuse.
//! I/O: processes, network.

#[path = "plan/preview.rs"]
mod preview;

use std::time::Duration;

use anyhow::Context as _;
use holdfast_tests::agent::{holdfast, program};
use holdfast_tests::shared::{SOON, Shared, config_map, run};
use holdfast_tests::webhook::Webhook;
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

const DEPLOYMENT: &str = include_str!("data/web.yaml");

/// `holdfast plan` of the Sync `app`, as JSON.
async fn plan(shared: &Shared, namespace: &str, more: &[&str]) -> anyhow::Result<Value> {
    let arguments = [&["plan", "app", "-n", namespace, "-o", "json"], more].concat();
    let output = holdfast(&shared.env.cluster.kubeconfig(), &arguments).await?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("no JSON: {output:?}"))
}

/// Events about the Sync `app`, by reason and note.
async fn told(shared: &Shared, namespace: &str, reason: &str) -> anyhow::Result<String> {
    let text = shared.env.cluster.must(&["-n", namespace, "get", "events", "-o", "json"]).await?;
    let all: Value = serde_json::from_str(&text)?;
    let all = all["items"].as_array().cloned().unwrap_or_default();
    let notes =
        all.iter().filter(|event| event["reason"] == reason).filter_map(|event| event["message"].as_str());
    Ok(notes.collect::<Vec<_>>().join("\n"))
}

#[test]
fn what_kubectl_applied_is_taken_over_and_does_not_come_back() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "takeover";
        shared.env.namespace(namespace).await?;
        let kubectl = |map: &'static str| async move {
            let kubeconfig = shared.env.cluster.kubeconfig();
            let output = shared
                .env
                .cluster
                .kubectl_with(&kubeconfig, &["-n", "takeover", "apply", "-f", "-"], map)
                .await?;
            anyhow::ensure!(output.status.success(), "{output:?}");
            Ok(())
        };
        kubectl("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {old: tool}}\ndata: {key: old, gone: \"1\"}\n").await?;
        shared.env.cluster.must(&["-n", namespace, "label", "configmap", "a", "by=hand"]).await?;
        let repository = shared.env.forge.repository(namespace).await?;
        repository.commit(&[("a.yaml", &config_map("a", "new"))], "Begin")?;
        let said = sync::sync(
            namespace,
            "app",
            &repository.https_url,
            &json!({"suspend": {"reason": "look first"}}),
        );
        shared.env.cluster.apply(&said).await?;

        let found = plan(shared, namespace, &[]).await?;
        let change = &found["changes"][0];
        assert_eq!(change["operation"], "Adopt", "{found:#}");
        let field = |path: &str| {
            let fields = change["fields"].as_array().cloned().unwrap_or_default();
            fields.into_iter().find(|field| field["path"] == path).unwrap_or_default()
        };
        assert_eq!(field("/data/gone")["before"], "1");
        assert_eq!(field("/data/gone")["after"], Value::Null);
        assert_eq!(field("/data/key")["owners"][0]["manager"], "kubectl-client-side-apply", "{found:#}");
        assert_eq!(change["origin"]["file"], "a.yaml");

        shared.patch(namespace, "sync/app", &json!({"spec": {"suspend": null}})).await?;
        shared.env.ready(namespace, "app", None).await?;
        let map = shared
            .jsonpath(namespace, "configmap/a", "{.data}{.metadata.labels.old}{.metadata.labels.by}")
            .await?;
        assert_eq!(map, r#"{"key":"new"}hand"#);
        let annotations = shared.jsonpath(namespace, "configmap/a", "{.metadata.annotations}").await?;
        assert!(!annotations.contains("last-applied"), "{annotations}");
        eventually(SOON, "an Event that names the manager", || async {
            Ok(told(shared, namespace, "FieldsTakenOver")
                .await?
                .contains("kubectl-client-side-apply (Update) lost"))
        })
        .await?;
        // A user applies the old file again: the state of Git is restored, and stays.
        kubectl("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {key: older}\n").await?;
        shared.until(namespace, "configmap/a", "{.data.key}", "new").await?;
        shared.env.ready(namespace, "app", None).await
    })
}

#[test]
fn admission_that_writes_at_every_update_is_no_drift() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "inject";
        let webhook = Webhook::start().await?;
        let configuration = webhook.configuration("inject", "apps", &["deployments"], 10);
        shared.env.cluster.apply(&configuration).await?;
        shared.env.namespace(namespace).await?;
        shared.env.cluster.must(&["label", "namespace", namespace, "webhook=inject"]).await?;
        let repository = shared.env.forge.repository(namespace).await?;
        repository.commit(&[("web.yaml", DEPLOYMENT)], "Begin")?;
        shared.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &json!({}))).await?;
        shared.env.ready(namespace, "app", None).await?;
        let names =
            shared.jsonpath(namespace, "deployment/web", "{.spec.template.spec.containers[*].name}").await?;
        assert_eq!(names, "sidecar web");
        // The plan is made anew, by a dry run that the webhook changes too.
        let found = plan(shared, namespace, &[]).await?;
        assert_eq!(found["changes"], json!([]), "{found:#}");
        let since = jiff::Timestamp::now().to_string();
        let annotate = ["-n", namespace, "annotate", "deployment", "web", "seen-at=never", "--overwrite"];
        shared.env.cluster.must(&annotate).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let writes = shared.env.cluster.requests(|line| {
            let text = |field: &str| line[field].as_str().unwrap_or_default();
            text("userAgent").starts_with("holdfast/")
                && line["objectRef"]["resource"] == "deployments"
                && line["objectRef"]["namespace"] == namespace
                && text("verb") == "patch"
                && !text("requestURI").contains("dryRun")
                && *text("requestReceivedTimestamp") > *since
        })?;
        assert_eq!(writes, Vec::<Value>::new());
        shared.env.ready(namespace, "app", None).await?;
        shared.env.cluster.must(&["delete", "mutatingwebhookconfiguration", "test-inject"]).await?;
        Ok(())
    })
}

#[test]
fn replicas_that_an_autoscaler_sets_are_not_ours_unless_git_says_so() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "scaled";
        let scaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec:\n  minReplicas: 1\n  maxReplicas: 5\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  metrics:\n  - {type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 80}}}\n  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}\n";
        shared.begin(namespace, &[("web.yaml", DEPLOYMENT), ("hpa.yaml", scaler)], &json!({})).await?;
        // As the autoscaler does it: by the subresource.
        shared.env.cluster.must(&["-n", namespace, "scale", "deployment", "web", "--replicas=3"]).await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(shared.jsonpath(namespace, "deployment/web", "{.spec.replicas}").await?, "3");
        shared.env.ready(namespace, "app", None).await?;
        let found = plan(shared, namespace, &[]).await?;
        assert_eq!(found["changes"], json!([]), "{found:#}");
        Ok(())
    })
}

#[test]
fn a_field_that_the_api_does_not_have_is_an_error_with_its_place_and_no_drift() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "unknown-field";
        let wrong = DEPLOYMENT
            .replace("        image: web:1", "        image: web:1\n        imagePullPolice: Always");
        assert_ne!(wrong, DEPLOYMENT);
        shared
            .create(namespace, &[("a.yaml", &config_map("a", "1")), ("web.yaml", &wrong)], &json!({}))
            .await?;
        let said = shared.env.reason(namespace, "app", "Invalid").await?;
        assert!(
            said.message.contains("imagePullPolice") && said.message.contains("web.yaml:1"),
            "{}",
            said.message
        );
        assert_ne!(shared.env.condition(namespace, "app", "Drifted").await?.status, "True");
        shared.until(namespace, "configmap/a", "{.data.key}", "1").await
    })
}

#[test]
fn a_plan_reports_objects_that_the_server_would_not_create() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "uncreated";
        let repository = shared.begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({})).await?;
        shared
            .patch(namespace, "sync/app", &json!({"spec": {"suspend": {"reason": "to see the plan"}}}))
            .await?;
        let service =
            "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 99999}]}\n";
        let inside = "apiVersion: v1\nkind: Namespace\nmetadata: {name: uncreated-two}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: in, namespace: uncreated-two}\n";
        repository.commit(
            &[("web.yaml", service), ("b.yaml", &config_map("b", "1")), ("in.yaml", inside)],
            "Add some",
        )?;
        let output = holdfast(&shared.env.cluster.kubeconfig(), &["plan", "app", "-n", namespace]).await?;
        let (plan, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{plan}{said}");
        for part in ["web.yaml:1", "99999", "1 of the objects cannot be planned"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        // What can be created is in the plan, also what is in a namespace that the plan creates.
        for part in ["uncreated/b", "uncreated-two/in"] {
            assert!(plan.contains(part), "{part}: {plan}");
        }
        assert!(!plan.contains("uncreated/web"), "{plan}");
        Ok(())
    })
}

#[test]
fn a_dry_run_that_fails_is_an_error_of_its_object_and_never_in_sync() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "denied";
        let files = [("a.yaml", &*config_map("a", "1")), ("b.yaml", &*config_map("b", "1"))];
        let repository = shared.begin(namespace, &files, &json!({})).await?;
        let webhook = Webhook::start().await?;
        shared.env.cluster.apply(&webhook.configuration("deny", "", &["configmaps"], 10)).await?;
        shared.env.cluster.must(&["label", "namespace", namespace, "webhook=deny"]).await?;
        let late =
            "apiVersion: v1\nkind: Secret\nmetadata: {name: late, annotations: {holdfast.dev/wave: \"1\"}}\n";
        let files = [("a.yaml", &*config_map("a", "2")), ("late.yaml", late)];
        let commit = repository.commit(&files, "Change one, and add one of a later wave")?;
        let said = shared.env.reason(namespace, "app", "Denied").await?;
        shared.gone(namespace, "secret/late").await?;
        assert!(
            said.message.contains("wants none of it") && said.message.contains("a.yaml:1"),
            "{}",
            said.message
        );
        let output = holdfast(&shared.env.cluster.kubeconfig(), &["plan", "app", "-n", namespace]).await?;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        shared.env.cluster.must(&["delete", "validatingwebhookconfiguration", "test-deny"]).await?;
        shared.env.ready(namespace, "app", Some(&commit)).await
    })
}

#[test]
fn a_status_holds_a_bounded_part_of_a_plan_and_the_command_line_all_of_it() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "bounded";
        let long = "x".repeat(3000);
        let files: Vec<(String, String)> =
            (0..150).map(|at| (format!("{at}.yaml"), config_map(&format!("map-{at}"), &long))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, map)| (&**name, &**map)).collect();
        shared.create(namespace, &files, &json!({"approval": "Always"})).await?;
        let said = shared.env.reason(namespace, "app", "AwaitingApproval").await?;
        assert!(
            said.message.contains("the right to create approvals.holdfast.dev in namespace bounded"),
            "{}",
            said.message
        );
        let status = shared.env.read(namespace, "app").await?["status"]["plan"].clone();
        let size = status.to_string().len();
        assert!(size <= 20 * 1024, "{size} bytes");
        let listed = status["changes"].as_array().map_or(0, Vec::len);
        assert_eq!(status["omitted"], json!(150 - listed), "{listed} are listed");
        assert!(status["since"].is_string() && listed > 10);
        let found = plan(shared, namespace, &[]).await?;
        assert_eq!(found["changes"].as_array().map(Vec::len), Some(150));
        assert_eq!(found["id"], status["id"]);
        Ok(())
    })
}

#[test]
fn a_plan_reads_well_and_shows_no_secret() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "readable";
        let secret = |password: &str| {
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{password: {password}, same: always}}\n"
            )
        };
        let text = |middle: &str| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: text}}\ndata:\n  file: |\n    one\n    {middle}\n    three\n"
            )
        };
        let files = [
            ("s.yaml", &*secret("hunter2")),
            ("t.yaml", &*text("two")),
            ("gone.yaml", &*config_map("gone", "1")),
        ];
        let repository = shared.begin(namespace, &files, &json!({})).await?;
        shared.patch(namespace, "sync/app", &json!({"spec": {"suspend": {"reason": "look first"}}})).await?;
        repository.commit(
            &[("s.yaml", &secret("hunter3")), ("t.yaml", &text("2")), ("new.yaml", &config_map("new", "1"))],
            "Change",
        )?;
        repository.remove(&["gone.yaml"], "Remove")?;
        let output =
            holdfast(&shared.env.cluster.kubeconfig(), &["plan", "app", "-n", namespace, "--exit-code"])
                .await?;
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!shown.contains("hunter"), "{shown}");
        let lines: Vec<&str> = shown.lines().filter(|line| !line.is_empty()).collect();
        assert!(lines[0].ends_with("1 to create, 2 to update, 1 to delete"), "{shown}");
        let at = |start: &str| {
            lines.iter().position(|line| line.starts_with(start)).with_context(|| format!("{start}: {shown}"))
        };
        assert!(
            at("+ create ConfigMap readable/new  new.yaml:1")? < at("~ update Secret readable/s  s.yaml:1")?,
            "{shown}"
        );
        assert!(at("~ update Secret readable/s")? < at("~ update ConfigMap readable/text")?, "{shown}");
        assert!(at("~ update ConfigMap readable/text")? < at("- delete ConfigMap readable/gone")?, "{shown}");
        assert!(
            shown.contains("/data/password: \"*** (before)\" -> \"*** (after)\"")
                && !shown.contains("/data/same"),
            "{shown}"
        );
        assert!(shown.contains("      - two\n      + 2\n"), "{shown}");
        Ok(())
    })
}

#[test]
fn a_watched_tree_is_planned_again_at_every_save() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        use tokio::io::{AsyncBufReadExt as _, BufReader};
        let namespace = "watched";
        shared.begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({})).await?;
        let folder = holdfast_tests::watchdog::Folder::make("tree")?;
        let file = folder.path().join("a.yaml");
        std::fs::write(&file, config_map("a", "1"))?;
        let mut command = tokio::process::Command::new(program().await?);
        command.args(["plan", "app", "-n", namespace, "--watch", "--tree"]).arg(folder.path());
        command
            .env("KUBECONFIG", shared.env.cluster.kubeconfig())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut until = async |word: &str| -> anyhow::Result<()> {
            while let Some(line) =
                tokio::time::timeout(SOON, lines.next_line()).await.with_context(|| word.to_owned())??
            {
                if line.contains(word) {
                    return Ok(());
                }
            }
            anyhow::bail!("the program ended before it said {word}")
        };
        until("nothing to do").await?;
        let mut best = Duration::MAX;
        for round in 2..7 {
            std::fs::write(&file, config_map("a", &round.to_string()))?;
            let saved = std::time::Instant::now();
            until(&format!("/data/key: \"1\" -> \"{round}\"")).await?;
            best = best.min(saved.elapsed());
        }
        // The time is that of a debug build on whatever machine; what a person waits for is printed.
        holdfast_tests::tools::progress(&format!("planned {best:?} after the save"));
        Ok(())
    })
}
