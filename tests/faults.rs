//! What goes wrong between the agent and the API server, made by a proxy: what the user reads, and that the cluster is what
//! git says afterwards. Each test has an agent of its own, for its own namespaces. I/O: processes, network.

use std::collections::BTreeMap;
use std::time::Duration;

use holdfast_tests::agent::Agent;
use holdfast_tests::forge::Repository;
use holdfast_tests::proxy::{Action, Proxy, Rule};
use holdfast_tests::receiver::Receiver;
use holdfast_tests::shared::{self, SOON, Shared, config_map};
use holdfast_tests::webhook::Webhook;
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

/// The agent that all tests of other binaries share has nothing to do here.
fn run<F, Fut>(test: F) -> anyhow::Result<()>
where
    F: FnOnce(&'static Shared) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    shared::run(&["--namespaces", "nobody"], test)
}

/// An agent behind a proxy, for one namespace.
async fn behind(shared: &Shared, namespace: &str) -> anyhow::Result<(Proxy, Agent)> {
    let proxy = Proxy::start(&shared.env.cluster).await?;
    let agent = Agent::start(&proxy.kubeconfig(), &["--namespaces", namespace]).await?;
    Ok((proxy, agent))
}

/// A namespace, a Sync of many ConfigMaps in it, and its repository.
async fn many(shared: &Shared, namespace: &str, count: usize) -> anyhow::Result<(Repository, String)> {
    let files: Vec<(String, String)> =
        (0..count).map(|at| (format!("{at}.yaml"), config_map(&format!("map-{at}"), "1"))).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, map)| (&**name, &**map)).collect();
    shared.create(namespace, &files, &json!({})).await
}

/// Changes a ConfigMap by hand and waits until it is as git says.
async fn drift(shared: &Shared, namespace: &str, map: &str) -> anyhow::Result<()> {
    let object = format!("configmap/{map}");
    shared.patch(namespace, &object, &json!({"data": {"key": "by hand"}})).await?;
    shared.until(namespace, &object, "{.data.key}", "1").await
}

#[test]
fn writes_that_fail_or_whose_answer_is_lost_are_neither_lost_nor_repeated() -> anyhow::Result<()> {
    run(|shared| async move {
        let namespace = "writes";
        let (proxy, agent) = behind(shared, namespace).await?;
        let rule = |action| Rule::new(action).method("PATCH").part("/configmaps/").times(5);
        let faults = [
            Action::DropAfter,
            Action::Drop,
            Action::Status { code: 500, retry_after: None },
            Action::Status { code: 429, retry_after: Some(1) },
            Action::Delay(Duration::from_millis(500)),
        ];
        let faults = faults.map(|action| proxy.fault(rule(action)));
        let statuses = proxy.fault(Rule::new(Action::DropAfter).method("PATCH").part("/status").times(2));
        let (_, commit) = many(shared, namespace, 60).await?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        assert!(faults.iter().all(|fault| fault.hits() == 5) && statuses.hits() == 2);
        let mut made = BTreeMap::new();
        let created = shared.env.cluster.requests(|line| {
            line["objectRef"]["namespace"] == namespace
                && line["objectRef"]["resource"] == "configmaps"
                && line["responseStatus"]["code"] == 201
                && line["userAgent"].as_str().unwrap_or_default().starts_with("holdfast/")
        })?;
        for line in &created {
            *made.entry(line["objectRef"]["name"].to_string()).or_insert(0) += 1;
        }
        assert_eq!((made.len(), made.values().max()), (60, Some(&1)));
        let lines = agent.lines()?;
        assert!(lines.iter().all(|line| line["message"] != "Corrected drift"), "{lines:#?}");
        Ok(())
    })
}

#[test]
fn watches_that_break_in_any_way_miss_nothing() -> anyhow::Result<()> {
    run(|shared| async move {
        let namespace = "watches";
        let (proxy, _agent) = behind(shared, namespace).await?;
        let (_, commit) = many(shared, namespace, 3).await?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        drift(shared, namespace, "map-0").await?;
        // The server ends them; connections break; the server has forgotten; the server is away.
        proxy.cut_watches();
        drift(shared, namespace, "map-1").await?;
        proxy.cut().await;
        drift(shared, namespace, "map-2").await?;
        let gone = proxy.fault(Rule::new(Action::Gone).watch(true).times(6));
        proxy.cut_watches();
        drift(shared, namespace, "map-0").await?;
        assert!(gone.hits() > 0);
        proxy.clear();
        proxy.down().await;
        shared.patch(namespace, "configmap/map-1", &json!({"data": {"key": "while it was away"}})).await?;
        shared.env.cluster.must(&["-n", namespace, "delete", "configmap", "map-2"]).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        proxy.up().await?;
        for map in ["configmap/map-1", "configmap/map-2"] {
            eventually(SOON * 2, &format!("{map} to be back"), || async {
                Ok(shared.jsonpath(namespace, map, "{.data.key}").await? == "1")
            })
            .await?;
        }
        shared.env.ready(namespace, "app", None).await
    })
}

#[test]
fn a_definition_that_is_deleted_and_comes_again_brings_its_objects_back() -> anyhow::Result<()> {
    run(|shared| async move {
        let namespace = "definition";
        let definition = include_str!("data/gates.yaml").replace("apply.example.com", "again.example.com");
        shared.env.cluster.apply(&definition).await?;
        let (_proxy, _agent) = behind(shared, namespace).await?;
        let gate = "apiVersion: again.example.com/v1\nkind: Gate\nmetadata: {name: g}\nspec: {doors: 2}\n";
        let files = [("g.yaml", gate), ("a.yaml", &*config_map("a", "1"))];
        let repository = shared.begin(namespace, &files, &json!({})).await?;
        shared.env.cluster.must(&["delete", "crd", "gates.again.example.com"]).await?;
        eventually(SOON, "the missing kind to be reported", || async {
            let ready = shared.env.condition(namespace, "app", "Ready").await?;
            anyhow::ensure!(ready.status == "False" && ready.message.contains("Gate"), "{ready:?}");
            Ok(true)
        })
        .await?;
        // The rest goes on.
        repository.commit(&[("a.yaml", &config_map("a", "2"))], "Change")?;
        shared.until(namespace, "configmap/a", "{.data.key}", "2").await?;
        shared.env.cluster.apply(&definition).await?;
        shared.env.ready(namespace, "app", None).await?;
        shared.until(namespace, "gates.again.example.com/g", "{.spec.doors}", "2").await
    })
}

#[test]
fn an_aggregated_api_that_is_down_stops_its_own_kinds_only() -> anyhow::Result<()> {
    run(|shared| async move {
        let namespace = "aggregated";
        let (_proxy, _agent) = behind(shared, namespace).await?;
        let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.down.example.com"},
            "spec": {"group": "down.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
                "insecureSkipTLSVerify": true, "service": {"namespace": "default", "name": "nobody"}}});
        shared.env.cluster.apply(&service.to_string()).await?;
        let lost = "apiVersion: down.example.com/v1\nkind: Thing\nmetadata: {name: t}\n";
        let (repository, _) = shared
            .create(
                namespace,
                &[
                    ("t.yaml", lost),
                    ("a.yaml", &config_map("a", "1")),
                    ("web.yaml", include_str!("data/web.yaml")),
                ],
                &json!({}),
            )
            .await?;
        shared.until(namespace, "configmap/a", "{.data.key}", "1").await?;
        shared.until(namespace, "deployment/web", "{.metadata.name}", "web").await?;
        eventually(SOON, "the kind to be reported", || async {
            let ready = shared.env.condition(namespace, "app", "Ready").await?;
            anyhow::ensure!(
                ready.status == "False"
                    && ready.message.contains("Thing")
                    && ready.message.contains("t.yaml:1"),
                "{ready:?}"
            );
            Ok(true)
        })
        .await?;
        drift(shared, namespace, "a").await?;
        shared.env.cluster.must(&["delete", "apiservice", "v1.down.example.com"]).await?;
        let commit = repository.remove(&["t.yaml"], "Give it up")?;
        shared.env.ready(namespace, "app", Some(&commit)).await
    })
}

#[test]
fn a_conversion_webhook_that_is_down_stops_its_own_kind_only() -> anyhow::Result<()> {
    run(|shared| async move {
        let namespace = "conversion";
        let mut definition: Value = serde_json::from_str(
            &shared
                .env
                .cluster
                .must(&[
                    "create",
                    "--dry-run=client",
                    "-o",
                    "json",
                    "-f",
                    &holdfast_tests::root().join("tests/data/gates.yaml").display().to_string(),
                ])
                .await?,
        )?;
        definition["metadata"] = json!({"name": "gates.convert.example.com"});
        definition["spec"]["group"] = json!("convert.example.com");
        let mut second = definition["spec"]["versions"][0].clone();
        second["name"] = json!("v2");
        second["storage"] = json!(false);
        definition["spec"]["versions"] = json!([definition["spec"]["versions"][0], second]);
        shared.env.cluster.apply(&definition.to_string()).await?;
        shared
            .env
            .cluster
            .must(&["wait", "--for=condition=Established", "crd/gates.convert.example.com"])
            .await?;
        let (_proxy, _agent) = behind(shared, namespace).await?;
        let gate = |version: &str, doors: u32| {
            format!(
                "apiVersion: convert.example.com/{version}\nkind: Gate\nmetadata: {{name: g}}\nspec: {{doors: {doors}}}\n"
            )
        };
        let repository = shared
            .begin(namespace, &[("g.yaml", &gate("v1", 1)), ("a.yaml", &config_map("a", "1"))], &json!({}))
            .await?;
        let conversion = |conversion: Value| json!({"spec": {"conversion": conversion}});
        let webhook = json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:9/convert"}}});
        shared.patch(namespace, "crd/gates.convert.example.com", &conversion(webhook)).await?;
        repository
            .commit(&[("g.yaml", &gate("v2", 2)), ("a.yaml", &config_map("a", "2"))], "Another version")?;
        shared.until(namespace, "configmap/a", "{.data.key}", "2").await?;
        eventually(SOON * 2, "the kind to be reported", || async {
            let ready = shared.env.condition(namespace, "app", "Ready").await?;
            anyhow::ensure!(
                ready.status == "False" && ready.message.contains("Gate.convert.example.com"),
                "{ready:?}"
            );
            Ok(true)
        })
        .await?;
        shared
            .patch(
                namespace,
                "crd/gates.convert.example.com",
                &conversion(json!({"strategy": "None", "webhook": null})),
            )
            .await?;
        shared.env.ready(namespace, "app", None).await?;
        shared.until(namespace, "gates.v2.convert.example.com/g", "{.spec.doors}", "2").await
    })
}

#[test]
fn an_admission_webhook_that_times_out_is_named_and_the_rest_goes_on() -> anyhow::Result<()> {
    run(|shared| async move {
        let namespace = "hang";
        let (_proxy, _agent) = behind(shared, namespace).await?;
        let webhook = Webhook::start().await?;
        shared.env.cluster.apply(&webhook.configuration("hang", "", &["secrets"], 1)).await?;
        shared.env.namespace(namespace).await?;
        shared.env.cluster.must(&["label", "namespace", namespace, "webhook=hang"]).await?;
        let repository = shared.env.forge.repository(namespace).await?;
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
        repository.commit(&[("s.yaml", secret), ("a.yaml", &config_map("a", "1"))], "Begin")?;
        shared.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &json!({}))).await?;
        let said = shared.env.reason(namespace, "app", "WebhookFailed").await?;
        assert!(
            said.message.contains("hang.example.com") && said.message.contains("s.yaml:1"),
            "{}",
            said.message
        );
        shared.until(namespace, "configmap/a", "{.data.key}", "1").await?;
        shared.env.cluster.must(&["delete", "validatingwebhookconfiguration", "test-hang"]).await?;
        shared.env.ready(namespace, "app", None).await
    })
}

#[test]
fn credentials_that_end_and_a_slow_server_are_lived_through() -> anyhow::Result<()> {
    run(|shared| async move {
        let namespace = "expired";
        let (proxy, mut agent) = behind(shared, namespace).await?;
        let (repository, commit) = many(shared, namespace, 3).await?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        proxy.fault(Rule::new(Action::Status { code: 401, retry_after: None }));
        proxy.cut().await;
        let commit = repository.commit(&[("0.yaml", &config_map("map-0", "2"))], "Change")?;
        eventually(SOON, "the credentials to be named in the log", || async {
            Ok(agent.output()?.contains("does not accept the agent's credentials"))
        })
        .await?;
        agent.check()?;
        proxy.clear();
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        proxy.fault(Rule::new(Action::Delay(Duration::from_secs(1))).watch(false));
        let commit = repository.commit(&[("0.yaml", &config_map("map-0", "1"))], "Change it back")?;
        shared.env.ready(namespace, "app", Some(&commit)).await
    })
}

/// A silent API server refuses nothing and closes nothing: it is told from one at which nothing happens by its bookmarks.
#[test]
fn a_silent_api_server_is_told_as_stale_and_the_agent_ends_all_the_same() -> anyhow::Result<()> {
    run(|shared| async move {
        let namespace = "silent";
        let (proxy, mut agent) = behind(shared, namespace).await?;
        let receiver = Receiver::webhook(None).await?;
        let alert = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Alert", "metadata": {"name": "all", "namespace": namespace},
            "spec": {"receiver": {"webhook": {"url": receiver.url()}}}});
        shared.begin(namespace, &[("a.yaml", &*config_map("a", "1"))], &json!({})).await?;
        shared.env.cluster.apply(&alert.to_string()).await?;
        shared.env.cluster.must(&["-n", namespace, "wait", "--for=condition=Ready", "alert/all"]).await?;
        let told = |status: &'static str| {
            let receiver = &receiver;
            move || async move {
                let notices = receiver.notices()?;
                Ok(notices.iter().any(|notice| notice["event"] == "Stale" && notice["status"] == status))
            }
        };
        proxy.dark(true);
        eventually(Duration::from_secs(100), "the silence to be told", told("firing")).await?;
        agent.get("healthz").await?;
        agent.get("metrics").await?;
        proxy.dark(false);
        eventually(Duration::from_mins(2), "the end of the silence to be told", told("resolved")).await?;
        drift(shared, namespace, "a").await?;
        proxy.dark(true);
        let (status, took) = agent.terminate(Duration::from_secs(5))?;
        assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
        Ok(())
    })
}

#[test]
fn two_agents_at_once_delete_nothing_and_come_to_rest() -> anyhow::Result<()> {
    run(|shared| async move {
        let namespace = "twice";
        let arguments = ["--namespaces", namespace];
        let kubeconfig = shared.env.cluster.kubeconfig();
        let one = Agent::start(&kubeconfig, &arguments).await?;
        let other = Agent::start(&kubeconfig, &arguments).await?;
        let files = [
            ("one/a.yaml", &*config_map("a", "1")),
            ("one/moves.yaml", &*config_map("moves", "1")),
            ("one/goes.yaml", &*config_map("goes", "1")),
            ("two/b.yaml", &*config_map("b", "1")),
        ];
        let repository = shared.begin(namespace, &files, &json!({"path": "one"})).await?;
        shared
            .env
            .cluster
            .apply(&sync::sync(namespace, "two", &repository.https_url, &json!({"path": "two"})))
            .await?;
        shared.env.ready(namespace, "two", None).await?;
        let uid = shared.jsonpath(namespace, "configmap/moves", "{.metadata.uid}").await?;
        repository.git(&["mv", "one/moves.yaml", "two/moves.yaml"])?;
        repository.git(&["rm", "-q", "one/goes.yaml"])?;
        std::fs::write(repository.clone.join("one/a.yaml"), config_map("a", "2"))?;
        let commit = repository.push_all("Change, move and remove")?;
        for name in ["app", "two"] {
            shared.env.ready(namespace, name, Some(&commit)).await?;
        }
        shared.gone(namespace, "configmap/goes").await?;
        shared.until(namespace, "configmap/a", "{.data.key}", "2").await?;
        shared
            .until(namespace, "configmap/moves", "{.metadata.annotations.holdfast\\.dev/sync}", "twice/two")
            .await?;
        assert_eq!(shared.jsonpath(namespace, "configmap/moves", "{.metadata.uid}").await?, uid);
        tokio::time::sleep(Duration::from_secs(6)).await;
        let since = jiff::Timestamp::now().to_string();
        for agent in [&one, &other] {
            agent.at_work_for(Duration::from_secs(6)).await?;
        }
        let writes = shared.env.cluster.requests(|line| {
            let text = |field: &str| line[field].as_str().unwrap_or_default();
            line["objectRef"]["namespace"] == namespace
                && text("userAgent").starts_with("holdfast/")
                && ["patch", "create", "delete", "update"].contains(&text("verb"))
                && line["objectRef"]["resource"] != "events"
                && *text("requestReceivedTimestamp") > *since
        })?;
        assert_eq!(writes, Vec::<Value>::new());
        Ok(())
    })
}
