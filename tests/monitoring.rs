//! What `manifests/monitoring` says of Holdfast is true: its rules and its dashboard, against promtool, a real agent and a
//! real Prometheus. And the parts of the harness that play what alerts are sent to. I/O: processes, network.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use holdfast_tests::receiver::{Behaviour, Receiver};
use holdfast_tests::services::{self, Service, need};
use holdfast_tests::shared::{self, SOON, Shared, run};
use holdfast_tests::watchdog::Folder;
use holdfast_tests::{eventually, root};
use serde_json::{Value, json};

/// Metrics that have no series, and so no line at all, until something happens that does not happen here, and what.
const LATER: &[(&str, &str)] = &[
    ("holdfast_alerts_total", "an alert was sent"),
    ("holdfast_registry_requests_total", "a registry was asked for tags"),
];

/// What `promtool test rules` checks.
const CASES: &str = include_str!("data/alerts.yaml");

fn read(path: &str) -> anyhow::Result<String> {
    let path = root().join("manifests/monitoring").join(path);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// The rules, in the form of Prometheus' own files.
fn spec() -> anyhow::Result<Value> {
    let resource: Value = serde_saphyr::from_str(&read("rules.yaml")?)?;
    Ok(resource["spec"].clone())
}

fn rules() -> anyhow::Result<Vec<Value>> {
    let spec = spec()?;
    let groups = spec["groups"].as_array().context("no groups")?;
    Ok(groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect())
}

/// The rules in a file for Prometheus, which takes JSON for the YAML that it is.
fn rule_file(folder: &Path) -> anyhow::Result<String> {
    let file = folder.join("rules.json");
    std::fs::write(&file, spec()?.to_string())?;
    Ok(file.display().to_string())
}

/// Every expression of the dashboard, with its panel.
fn panels() -> anyhow::Result<Vec<(String, String)>> {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")?)?;
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().context("no panels")? {
        for target in panel["targets"].as_array().context("a panel without targets")? {
            let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
            let title = text(&panel["title"]).context("a panel without a title")?;
            found.push((title, text(&target["expr"]).context("a target without an expression")?));
        }
    }
    Ok(found)
}

/// The expressions of the rules and of the dashboard, and the queries of its variables.
fn expressions() -> anyhow::Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")?)?;
    let variables = dashboard["templating"]["list"].as_array().context("no variables")?;
    let variables = variables.iter().filter_map(|variable| variable["definition"].as_str());
    let rules = rules()?;
    let rules = rules.iter().filter_map(|rule| rule["expr"].as_str());
    let panels = panels()?.into_iter().map(|(_, expression)| expression);
    Ok(rules.chain(variables).map(ToOwned::to_owned).chain(panels).collect())
}

/// The metrics in an expression.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
    words.filter(|word| word.starts_with("holdfast_") || word.starts_with("process_"))
}

/// Runs a program, which must succeed.
fn must(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "{program} {arguments:?}:\n{}", String::from_utf8_lossy(&said));
    Ok(())
}

#[test]
fn promtool_finds_every_rule_to_fire_when_it_must_and_only_then() -> anyhow::Result<()> {
    need("promtool", "prometheus")?;
    let folder = Folder::make("promtool")?;
    must("promtool", &["check", "rules", "--lint-fatal", &rule_file(folder.path())?])?;
    let cases = folder.path().join("alerts.yaml");
    std::fs::write(&cases, CASES)?;
    must("promtool", &["test", "rules", &cases.display().to_string()])
}

#[test]
fn every_rule_is_tested_and_says_what_to_do() -> anyhow::Result<()> {
    let cases: Value = serde_saphyr::from_str(CASES)?;
    let cases = cases["tests"].as_array().context("no tests")?.iter();
    let cases: Vec<&Value> = cases.filter_map(|case| case["alert_rule_test"].as_array()).flatten().collect();
    for rule in rules()? {
        let fires = |yes: bool| {
            cases
                .iter()
                .any(|case| case["alertname"] == rule["alert"] && yes != (case["exp_alerts"] == json!([])))
        };
        assert!(
            fires(true) && fires(false),
            "tests/data/alerts.yaml does not try both for {}",
            rule["alert"]
        );
        assert!(rule["alert"].as_str().is_some_and(|name| name.starts_with("Holdfast")), "{rule}");
        let severity = &rule["labels"]["severity"];
        assert!(["critical", "warning", "info"].iter().any(|known| severity == known), "{rule}");
        let text = |name: &str| rule["annotations"][name].as_str().unwrap_or_default().to_owned();
        let command = ["`holdfast ", "`kubectl "].iter().any(|start| text("description").contains(start));
        assert!(command && !text("summary").is_empty(), "no command to run: {rule}");
    }
    Ok(())
}

#[test]
fn every_metric_of_the_rules_and_the_dashboard_is_served() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        drift(shared, "served").await?;
        let text = shared.agent.get("metrics").await?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let served: BTreeSet<&str> = lines.filter_map(|line| line.split(['{', ' ']).next()).collect();
        let expressions = expressions()?;
        let named: BTreeSet<&str> = expressions.iter().flat_map(|expression| names(expression)).collect();
        assert!(named.len() > 12, "{named:?}");
        for name in &named {
            let later = LATER.iter().any(|(later, _)| later == name);
            assert!(served.contains(name) || later, "{name} is not in {served:?}");
        }
        for (later, what) in LATER {
            assert!(named.contains(later), "take {later} ({what}) out of LATER: nothing names it");
        }
        Ok(())
    })
}

/// What is there for Prometheus and Grafana renders, and the dashboard arrives whole.
#[test]
fn the_kustomization_renders() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let folder = root().join("manifests/monitoring").display().to_string();
        let rendered = shared.env.cluster.must(&["kustomize", &folder]).await?;
        let mut kinds = Vec::new();
        for document in rendered.split("\n---\n") {
            let object: Value = serde_saphyr::from_str(document)?;
            assert_eq!(object["metadata"]["namespace"], "holdfast-system", "{document}");
            kinds.push(object["kind"].as_str().unwrap_or_default().to_owned());
            if object["kind"] == "ConfigMap" {
                assert_eq!(object["metadata"]["labels"]["grafana_dashboard"], "1");
                assert_eq!(object["data"]["holdfast.json"], read("dashboard.json")?);
            }
            if object["kind"] == "ServiceMonitor" {
                monitors_the_service(&object)?;
            }
        }
        assert_eq!(kinds, ["ConfigMap", "PrometheusRule", "ServiceMonitor"]);
        Ok(())
    })
}

/// The monitor selects `manifests/base/service.yaml`, and a port that it has.
fn monitors_the_service(monitor: &Value) -> anyhow::Result<()> {
    let service: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(root().join("manifests/base/service.yaml"))?)?;
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], service["metadata"]["labels"]);
    assert_eq!(monitor["spec"]["endpoints"][0]["port"], service["spec"]["ports"][0]["name"]);
    Ok(())
}

/// A Sync that reports drift, and drift.
async fn drift(shared: &Shared, namespace: &str) -> anyhow::Result<()> {
    let files = [("a.yaml", &*shared::config_map("a", "1"))];
    shared.begin(namespace, &files, &json!({"drift": {"mode": "Report"}})).await?;
    shared.patch(namespace, "configmap/a", &json!({"data": {"key": "by hand"}})).await?;
    shared.until(namespace, "sync/app", "{.status.conditions[?(@.type=='Drifted')].status}", "True").await
}

/// The rules as they are, on what a real agent says to a real Prometheus; then every panel of the dashboard.
#[test]
fn prometheus_tells_of_drift_and_of_what_waits_and_the_dashboard_has_data() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        drift(shared, "drifted").await?;
        let held = [("a.yaml", &*shared::config_map("a", "1"))];
        shared.create("held", &held, &json!({"approval": "Always"})).await?;
        shared.env.reason("held", "app", "AwaitingApproval").await?;
        let folder = Folder::make("rules")?;
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [rule_file(folder.path())?],
            "scrape_configs": [{"job_name": "any", "honor_labels": true,
                "static_configs": [{"targets": [shared.agent.address()]}]}],
        });
        let prometheus = services::prometheus(&config.to_string()).await?;
        let drifted = firing(&prometheus, "HoldfastDrifted", "drifted").await?;
        let labels = json!({"alertname": "HoldfastDrifted", "severity": "warning", "job": "any",
            "namespace": "drifted", "sync": "app"});
        assert_eq!(drifted["labels"], labels);
        assert_eq!(drifted["annotations"]["summary"], "Sync drifted/app has drifted");
        let waiting = firing(&prometheus, "HoldfastAwaitingApproval", "held").await?;
        let description = waiting["annotations"]["description"].as_str().unwrap_or_default();
        assert!(description.contains("`holdfast approve app -n held --reason R`"), "{description}");

        shared.patch("drifted", "configmap/a", &json!({"data": {"key": "1"}})).await?;
        eventually(SOON, "the alert of drift to end", || async {
            let alerts = services::rule_alerts(&prometheus).await?;
            let of_drift = |alert: &&Value| {
                alert["labels"]["alertname"] == "HoldfastDrifted" && alert["labels"]["namespace"] == "drifted"
            };
            Ok(alerts.iter().find(of_drift).is_none())
        })
        .await?;
        // No alert is needed for an agent that runs.
        let alerts = services::rule_alerts(&prometheus).await?;
        assert!(alerts.iter().all(|alert| alert["labels"]["alertname"] != "HoldfastDown"), "{alerts:#?}");
        has_data(&prometheus).await
    })
}

/// Waits until an alert is firing for the Sync of a namespace.
async fn firing(prometheus: &Service, name: &str, namespace: &str) -> anyhow::Result<Value> {
    let started = Instant::now();
    loop {
        let alerts = services::rule_alerts(prometheus).await?;
        let found = alerts.iter().find(|alert| {
            let labels = &alert["labels"];
            labels["alertname"] == name && labels["namespace"] == namespace && alert["state"] == "firing"
        });
        if let Some(found) = found {
            return Ok(found.clone());
        }
        if started.elapsed() > SOON {
            bail!("{name} does not fire for {namespace} after {SOON:?}; there is {alerts:#?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Prometheus takes every expression of the dashboard, and each shows something unless its metric comes later.
async fn has_data(prometheus: &Service) -> anyhow::Result<()> {
    for (title, expression) in panels()? {
        let asked =
            expression.replace("$namespace", ".*").replace("$sync", ".*").replace("$__rate_interval", "10s");
        assert!(!asked.contains('$'), "a variable that this test does not know: {asked}");
        let later = names(&expression).any(|name| LATER.iter().any(|(later, _)| *later == name));
        // A rate needs two scrapes.
        eventually(SOON, &format!("{title} to show something: {asked}"), || async {
            Ok(!services::query(prometheus, &asked).await?.is_empty() || later)
        })
        .await?;
    }
    Ok(())
}

/// A client that trusts the receiver, follows nothing, and does not wait long.
fn client(receiver: &Receiver) -> anyhow::Result<reqwest::Client> {
    let ca = reqwest::Certificate::from_pem(receiver.ca().as_bytes())?;
    let client = reqwest::Client::builder().tls_certs_only([ca]).redirect(reqwest::redirect::Policy::none());
    Ok(client.timeout(Duration::from_secs(2)).build()?)
}

#[tokio::test]
async fn a_receiver_behaves_as_it_is_told_to_and_records_everything() -> anyhow::Result<()> {
    let receiver = Receiver::webhook(None).await?;
    let (client, https) = (client(&receiver)?, receiver.https_url());
    let send = |body: &'static str| client.post(format!("{https}/hook")).body(body).send();
    assert_eq!(send("{\"number\": 1}").await?.status(), 200);
    receiver.behave(Behaviour::Status(429, Some(7)));
    let busy = send("2").await?;
    assert_eq!((busy.status().as_u16(), &busy.headers()["retry-after"]), (429, &"7".parse()?));
    receiver.behave(Behaviour::Redirect("http://127.0.0.1:1/".to_owned()));
    let moved = send("3").await?;
    assert_eq!(
        (moved.status().as_u16(), &moved.headers()["location"]),
        (307, &"http://127.0.0.1:1/".parse()?)
    );
    receiver.behave(Behaviour::Hang);
    assert!(send("4").await.is_err_and(|error| error.is_timeout()));
    receiver.behave(Behaviour::CloseEarly);
    assert!(send("5").await.is_err_and(|error| !error.is_timeout() && !error.is_connect()));
    receiver.behave(Behaviour::BadCertificate);
    let error = send("6").await.err().context("the certificate was taken")?;
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
    assert_eq!(client.post(receiver.url()).body("7").send().await?.status(), 400);
    receiver.behave(Behaviour::Ok);
    assert_eq!(send("{\"number\": 8}").await?.status(), 200);
    assert_eq!(client.post(receiver.url()).body("no JSON").send().await?.status(), 400);

    let statuses: Vec<_> = receiver.requests().iter().map(|request| request.status).collect();
    let expected =
        [200, 429, 307, 0, 0, 400, 200, 400].map(|status| Some(status).filter(|status| *status != 0));
    assert_eq!(statuses, expected);
    assert_eq!(receiver.notices()?, [json!({"number": 1}), json!({"number": 8})]);
    let first = receiver.requests().into_iter().next().context("no request")?;
    assert_eq!(
        (first.method.as_str(), first.path.as_str(), first.body.as_ref()),
        ("POST", "/hook", &b"{\"number\": 1}"[..])
    );
    Ok(())
}

/// The signature is one that openssl made: `printf '{}' | openssl dgst -sha256 -hmac secret`.
#[tokio::test]
async fn a_receiver_with_a_token_takes_what_is_signed_with_it() -> anyhow::Result<()> {
    let receiver = Receiver::webhook(Some("secret")).await?;
    let signature = "sha256=77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13";
    for (signature, body, status) in [(signature, "{}", 200), (signature, "{ }", 401), ("", "{}", 401)] {
        let request = client(&receiver)?.post(receiver.url()).header("x-signature-256", signature).body(body);
        assert_eq!(request.send().await?.status(), status, "{signature} {body}");
    }
    assert_eq!(receiver.notices()?, [json!({})]);
    let requests = receiver.requests();
    assert!(requests[0].is_signed("secret") && !requests[0].is_signed("other"));
    Ok(())
}

#[tokio::test]
async fn slack_answers_and_keeps_what_it_took() -> anyhow::Result<()> {
    let slack = Receiver::slack("xoxb-1").await?;
    let call = async |method: &str, message: Value| -> anyhow::Result<Value> {
        let request = client(&slack)?.post(format!("{}/api/chat.{method}", slack.https_url()));
        Ok(request.bearer_auth("xoxb-1").json(&message).send().await?.error_for_status()?.json().await?)
    };
    let posted = call("postMessage", json!({"channel": "#ops", "text": "drift"})).await?;
    assert_eq!(posted, json!({"ok": true, "ts": "1.000001", "channel": "C1"}));
    let refused =
        call("postMessage", json!({"channel": "#ops", "blocks": vec![json!({"type": "divider"}); 51]}))
            .await?;
    assert_eq!((&refused["ok"], &refused["error"]), (&json!(false), &json!("invalid_blocks")));
    let over = json!({"channel": posted["channel"], "ts": posted["ts"], "text": "over"});
    assert_eq!(call("update", over).await?["ok"], true);
    let notices = slack.until("both messages", |notices| notices.len() == 2).await?;
    assert_eq!((&notices[0]["text"], &notices[1]["text"]), (&json!("drift"), &json!("over")));
    Ok(())
}

/// An Alertmanager tells a webhook, and forgets its alerts when it is down for a while: they must be sent again.
#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_tells_a_webhook_and_comes_back_without_its_alerts() -> anyhow::Result<()> {
    let receiver = Receiver::webhook(None).await?;
    let mut alertmanager = services::alertmanager_with(&format!("{}/hook", receiver.url())).await?;
    let url = format!("{}/api/v2/alerts", alertmanager.url);
    let alert = |ends: jiff::Timestamp| json!([{"labels": {"alertname": "HoldfastDrifted", "namespace": "a", "sync": "b"}, "endsAt": ends}]);
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(5);
    reqwest::Client::new().post(&url).json(&alert(later)).send().await?.error_for_status()?;
    assert_eq!(services::alerts(&alertmanager).await?[0]["labels"]["sync"], "b");
    let is = |status: &'static str| {
        move |notices: &[Value]| notices.iter().any(|notice| notice["status"] == status)
    };
    receiver.until("the beginning", is("firing")).await?;
    alertmanager.stop()?;
    assert!(reqwest::get(&url).await.is_err_and(|error| error.is_connect()));
    alertmanager.start().await?;
    assert!(services::alerts(&alertmanager).await?.is_empty());
    reqwest::Client::new().post(&url).json(&alert(later)).send().await?.error_for_status()?;
    reqwest::Client::new()
        .post(&url)
        .json(&alert(jiff::Timestamp::now()))
        .send()
        .await?
        .error_for_status()?;
    receiver.until("the end", is("resolved")).await?;
    Ok(())
}
