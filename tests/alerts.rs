//! Alerts on real parts: drift that is reported at once, attributed, and resolved; receivers that are rude or down; restarts.
//! I/O: processes, network.

#[path = "alerts/grouping.rs"]
mod grouping;

use std::time::Duration;

use anyhow::Context as _;
use holdfast_tests::agent::Agent;
use holdfast_tests::receiver::{Behaviour, Receiver};
use holdfast_tests::shared::{self, SOON, Shared, run};
use holdfast_tests::{eventually, services, sync};
use serde_json::{Value, json};

/// The shared agent leaves the namespaces of the other tests to agents of their own.
const AGENT: &[&str] =
    &["--namespaces", "told,many,manager,chat,rude,select,kinds,audience,mistake,base,leaving,storm"];

/// An Alert of the namespace that sends to a webhook, signed.
async fn alert(shared: &Shared, namespace: &str, url: &str, more: &Value) -> anyhow::Result<()> {
    shared.env.cluster.apply(&sync::secret(namespace, "hook", &[("token", "s3cret-token")])).await?;
    let mut alert = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Alert",
        "metadata": {"name": "on-call", "namespace": namespace},
        "spec": {"receiver": {"webhook": {"url": url, "secretRef": {"name": "hook"}}}}});
    for (name, value) in more.as_object().into_iter().flatten() {
        alert["spec"][name] = value.clone();
    }
    shared.env.cluster.apply(&alert.to_string()).await?;
    shared
        .until(namespace, "alert/on-call", "{.status.conditions[?(@.type==\"Ready\")].status}", "True")
        .await
}

fn is(notice: &Value, event: &str, status: &str) -> bool {
    notice["event"] == event && notice["status"] == status
}

#[test]
fn drift_is_reported_at_once_with_its_manager_and_ends_by_itself() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let receiver = Receiver::webhook(Some("s3cret-token")).await?;
        shared.begin("told", &[("a.yaml", &shared::config_map("a", "git"))], &json!({})).await?;
        alert(shared, "told", &receiver.url(), &json!({})).await?;
        shared.patch("told", "configmap/a", &json!({"data": {"key": "hand"}})).await?;
        let written = std::time::Instant::now();
        let notices =
            receiver.until("the onset", |all| all.iter().any(|one| is(one, "Drifted", "firing"))).await?;
        // Less than the interval of the Sync: it is the watch that shows the drift.
        assert!(written.elapsed() < Duration::from_secs(4), "told after {:?}", written.elapsed());
        let onset = notices.iter().find(|one| is(one, "Drifted", "firing")).context("no onset")?;
        let object = &onset["objects"][0];
        assert_eq!((&object["kind"], &object["name"]), (&json!("ConfigMap"), &json!("a")));
        let change = &object["changes"][0];
        assert_eq!(
            (&change["path"], &change["desired"], &change["live"], &change["manager"], &change["operation"]),
            (&json!("/data/key"), &json!("git"), &json!("hand"), &json!("kubectl-patch"), &json!("Update"))
        );
        shared.until("told", "configmap/a", "{.data.key}", "git").await?;
        let notices =
            receiver.until("the end", |all| all.iter().any(|one| is(one, "Drifted", "resolved"))).await?;
        let end = notices.iter().find(|one| is(one, "Drifted", "resolved")).context("no end")?;
        assert_eq!(end["startsAt"], onset["startsAt"]);
        eventually(SOON, "the episode to be closed", || async {
            Ok(shared.env.read("told", "app").await?["status"]["drift"].is_null())
        })
        .await
    })
}

/// What a receiver took of a Sync's drift: `firing` and `resolved` by turns, repetitions left out, with the names of objects.
fn story(notices: &[Value]) -> Vec<(String, String)> {
    let drift = notices.iter().filter(|notice| notice["event"] == "Drifted");
    let mut story: Vec<(String, String)> = drift
        .map(|notice| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (text(&notice["status"]), text(&notice["startsAt"]))
        })
        .collect();
    story.dedup();
    story
}

fn names(notice: &Value) -> Vec<&str> {
    notice["objects"].as_array().into_iter().flatten().filter_map(|object| object["name"].as_str()).collect()
}

#[test]
fn ten_objects_that_drift_in_a_second_are_one_alert_with_ten_objects() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let receiver = Receiver::webhook(Some("s3cret-token")).await?;
        let maps: Vec<(String, String)> =
            (0..10).map(|at| (format!("{at}.yaml"), shared::config_map(&format!("m-{at}"), "git"))).collect();
        let files: Vec<(&str, &str)> =
            maps.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        shared.begin("many", &files, &json!({})).await?;
        alert(shared, "many", &receiver.url(), &json!({})).await?;
        let changes = (0..10).map(|at| {
            let object = format!("configmap/m-{at}");
            async move { shared.patch("many", &object, &json!({"data": {"key": "hand"}})).await }
        });
        futures::future::try_join_all(changes).await?;
        let notices =
            receiver.until("the end", |all| all.iter().any(|one| is(one, "Drifted", "resolved"))).await?;
        assert_eq!(story(&notices).len(), 2, "one onset and one end: {:#?}", story(&notices));
        let end = notices.last().context("no notice was sent")?;
        let mut told = names(end);
        told.sort_unstable();
        assert_eq!(told, (0..10).map(|at| format!("m-{at}")).collect::<Vec<_>>());
        let firing = notices.iter().filter(|one| is(one, "Drifted", "firing")).count();
        assert!(firing <= 4, "{firing} updates");
        Ok(())
    })
}

#[test]
fn values_of_secrets_are_in_no_alert_and_every_event_is_sent() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let receiver = Receiver::webhook(Some("s3cret-token")).await?;
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n";
        let repository = shared
            .begin("kinds", &[("s.yaml", secret)], &json!({"interval": "5s", "approval": "Deletions"}))
            .await?;
        let on = json!({"on": ["Drifted", "Failed", "Unhealthy", "AwaitingApproval", "Stale", "Applied"]});
        alert(shared, "kinds", &receiver.url(), &on).await?;
        shared.patch("kinds", "secret/s", &json!({"stringData": {"password": "swordfish"}})).await?;
        let notices =
            receiver.until("the drift", |all| all.iter().any(|one| is(one, "Drifted", "resolved"))).await?;
        let text = serde_json::to_string(&notices)?;
        assert!(text.contains("/data/password") && text.contains("***"), "{text}");
        for value in ["hunter2", "swordfish", "aHVudGVyMg", "c3dvcmRmaXNo"] {
            assert!(!text.contains(value), "{text}");
        }
        repository.commit(&[("a.yaml", "kind: [\n")], "Break it")?;
        let notices =
            receiver.until("the failure", |all| all.iter().any(|one| is(one, "Failed", "firing"))).await?;
        let failed = notices.iter().find(|one| is(one, "Failed", "firing")).context("no failure")?;
        assert!(failed["summary"].as_str().is_some_and(|text| text.contains("a.yaml:")), "{failed:#}");
        assert!(
            failed["command"].as_str().is_some_and(|text| text.contains("holdfast status -n kinds app")),
            "{failed:#}"
        );
        let failing = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [{name: c, image: \"x:1\"}]}}}\n";
        repository.commit(&[("a.yaml", failing)], "Mend it")?;
        receiver
            .until("the end of the failure", |all| all.iter().any(|one| is(one, "Failed", "resolved")))
            .await?;
        let applied = receiver
            .until("what was applied", |all| all.iter().any(|one| is(one, "Applied", "firing")))
            .await?;
        assert!(applied.iter().all(|one| !is(one, "Applied", "resolved")));
        let commit =
            &applied.iter().find(|one| is(one, "Applied", "firing")).context("nothing applied")?["commit"];
        assert_eq!(commit["subject"], "Mend it");
        assert!(commit["author"].as_str().is_some_and(|author| author.contains('<')), "{commit}");
        repository.remove(&["a.yaml"], "Take it away")?;
        let notices = receiver
            .until("the approval", |all| all.iter().any(|one| is(one, "AwaitingApproval", "firing")))
            .await?;
        let waits =
            notices.iter().find(|one| is(one, "AwaitingApproval", "firing")).context("nothing waits")?;
        let plan = shared.jsonpath("kinds", "sync/app", "{.status.plan.id}").await?;
        assert!(waits["command"].as_str().is_some_and(|text| text.contains(&plan)), "{waits:#}");
        Ok(())
    })
}

#[test]
fn an_alertmanager_that_is_down_for_a_while_gets_all_alerts_afterwards() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let mut manager = services::alertmanager().await?;
        shared
            .begin(
                "manager",
                &[("a.yaml", &shared::config_map("a", "git"))],
                &json!({"drift": {"mode": "Report"}}),
            )
            .await?;
        manager.stop()?;
        let more = json!({"receiver": {"alertmanager": {"url": manager.url}}});
        alert(shared, "manager", "", &more).await?;
        shared.patch("manager", "configmap/a", &json!({"data": {"key": "hand"}})).await?;
        let path = "{.status.conditions[?(@.type==\"Ready\")].message}";
        eventually(SOON, "the Alert to report that the receiver does not answer", || async {
            let said = shared.jsonpath("manager", "alert/on-call", path).await?;
            Ok(said.contains("alertmanager") && said.contains("cannot connect"))
        })
        .await?;
        manager.start().await?;
        let read = || async {
            let all = services::alerts(&manager).await?;
            anyhow::Ok(all.into_iter().find(|one| one["labels"]["namespace"] == "manager"))
        };
        eventually(Duration::from_secs(40), "the alert to be there", || async {
            Ok(read().await?.is_some())
        })
        .await?;
        let alert = read().await?.context("gone")?;
        let labels: Vec<&String> = alert["labels"].as_object().context("no labels")?.keys().collect();
        assert_eq!(labels, ["alertname", "cluster", "namespace", "severity", "sync"]);
        assert_eq!(alert["labels"]["alertname"], "HoldfastDrifted");
        assert!(
            alert["annotations"]["description"].as_str().is_some_and(|text| text.contains("/data/key")),
            "{alert:#}"
        );
        let at =
            |name: &str| anyhow::Ok(alert[name].as_str().context("no time")?.parse::<jiff::Timestamp>()?);
        assert!(at("endsAt")? > jiff::Timestamp::now() + jiff::SignedDuration::from_mins(2), "{alert:#}");
        shared
            .until("manager", "alert/on-call", "{.status.conditions[?(@.type==\"Ready\")].status}", "True")
            .await?;
        shared.patch("manager", "configmap/a", &json!({"data": {"key": "git"}})).await?;
        eventually(Duration::from_mins(1), "the alert to be resolved", || async {
            Ok(read().await?.is_none())
        })
        .await
    })
}

#[test]
fn slack_accepts_the_notices() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let receiver = Receiver::slack("xoxb-token").await?;
        shared.begin("chat", &[("a.yaml", &shared::config_map("a", "git"))], &json!({})).await?;
        let url = format!("{}/api", receiver.url());
        let secret =
            sync::secret("chat", "slack", &[("url", &url), ("token", "xoxb-token"), ("channel", "C1")]);
        shared.env.cluster.apply(&secret).await?;
        alert(shared, "chat", "", &json!({"receiver": {"slack": {"secretRef": {"name": "slack"}}}})).await?;
        shared.patch("chat", "configmap/a", &json!({"data": {"key": "<!channel> & more"}})).await?;
        let ended = |all: &[holdfast_tests::receiver::Received]| {
            all.iter().any(|one| {
                one.accepted
                    && one.path.ends_with("chat.update")
                    && String::from_utf8_lossy(&one.body).contains("Resolved")
            })
        };
        eventually(SOON, "the message and its end", || async { Ok(ended(&receiver.requests())) }).await?;
        let all = receiver.requests();
        assert_eq!(all.iter().filter(|one| one.path.ends_with("chat.postMessage")).count(), 1);
        assert!(all.iter().all(|one| one.accepted), "{all:#?}");
        assert!(!all.iter().any(|one| String::from_utf8_lossy(&one.body).contains("<!channel>")));
        Ok(())
    })
}

#[test]
fn a_rude_receiver_delays_no_other_one_and_is_named_in_its_alert() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let (rude, kind) = (Receiver::webhook(Some("s3cret-token")).await?, Receiver::webhook(None).await?);
        shared.begin("rude", &[("a.yaml", &shared::config_map("a", "git"))], &json!({})).await?;
        alert(shared, "rude", &rude.url(), &json!({})).await?;
        let other = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Alert", "metadata": {"name": "other", "namespace": "rude"},
            "spec": {"receiver": {"webhook": {"url": kind.url()}}}});
        shared.env.cluster.apply(&other.to_string()).await?;
        let elsewhere = Receiver::webhook(None).await?;
        let path = "{.status.conditions[?(@.type==\"Ready\")].message}";
        let ways = [
            (Behaviour::Status(401, None), "401"),
            (Behaviour::Status(500, None), "500"),
            (Behaviour::Status(429, Some(1)), "429"),
            (Behaviour::Redirect(elsewhere.url()), "redirects are not followed"),
            (Behaviour::CloseEarly, "connection broke"),
        ];
        for (round, (behaviour, said)) in ways.into_iter().enumerate() {
            rude.behave(behaviour);
            let value = format!("hand-{round}");
            shared.patch("rude", "configmap/a", &json!({"data": {"key": value}})).await?;
            kind.until("the one that is not rude", |all| {
                all.iter().any(|one| one["objects"][0]["changes"][0]["live"] == *value)
            })
            .await?;
            eventually(Duration::from_mins(1), said, || async {
                let message = shared.jsonpath("rude", "alert/on-call", path).await?;
                if message.contains(said) { Ok(true) } else { anyhow::bail!("it says {message}") }
            })
            .await?;
        }
        assert!(elsewhere.requests().is_empty(), "a redirect was followed");
        rude.behave(Behaviour::Ok);
        eventually(Duration::from_mins(1), "the notices arrive when it works again", || async {
            Ok(rude.notices()?.iter().any(|one| is(one, "Drifted", "firing")))
        })
        .await?;
        shared
            .until("rude", "alert/on-call", "{.status.conditions[?(@.type==\"Ready\")].status}", "True")
            .await?;
        assert!(rude.requests().iter().filter(|one| one.accepted).all(|one| one.is_signed("s3cret-token")));
        Ok(())
    })
}

#[test]
fn what_is_wrong_with_an_alert_is_said_in_its_status() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let receiver = Receiver::webhook(Some("new-token")).await?;
        shared.begin("select", &[("a.yaml", &shared::config_map("a", "git"))], &json!({})).await?;
        let ready = "{.status.conditions[?(@.type==\"Ready\")]}";
        let says = |receiver: Value, syncs: Value, said: &'static str| async move {
            let alert = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Alert", "metadata": {"name": "wrong", "namespace": "select"},
                "spec": {"receiver": receiver, "syncs": syncs}});
            shared.env.cluster.apply(&alert.to_string()).await?;
            eventually(SOON, said, || async {
                let condition = shared.jsonpath("select", "alert/wrong", ready).await?;
                if condition.contains(said) && condition.contains("\"False\"") {
                    Ok(true)
                } else {
                    anyhow::bail!("it says {condition}")
                }
            })
            .await
        };
        let url = receiver.url();
        let all = || json!({});
        let hook = |name: &str| json!({"webhook": {"url": url, "secretRef": {"name": name}}});
        says(hook("missing"), all(), "Secret select/missing does not exist").await?;
        shared.env.cluster.apply(&sync::secret("select", "empty", &[("other", "x")])).await?;
        says(hook("empty"), all(), "token").await?;
        shared
            .env
            .cluster
            .apply(&sync::secret("select", "bad", &[("token", "t"), ("headers", "no colon here")]))
            .await?;
        says(hook("bad"), all(), "line 1 of the key headers").await?;
        says(json!({"webhook": {"url": "ftp://example.com"}}), all(), "webhook").await?;
        says(
            json!({"alertmanager": {"url": "http://169.254.169.254/latest"}}),
            all(),
            "--allow-destinations",
        )
        .await?;
        shared.env.cluster.apply(&sync::secret("select", "slack", &[("token", "x")])).await?;
        says(json!({"slack": {"secretRef": {"name": "slack"}}}), all(), "channel").await?;
        shared.env.cluster.apply(&sync::secret("select", "hook", &[("token", "old-token")])).await?;
        says(hook("hook"), json!({"names": ["nobody"]}), "selects no Sync").await?;
        // A rotated Secret counts at once.
        let alert = json!({"spec": {"syncs": null}});
        shared.patch("select", "alert/wrong", &alert).await?;
        shared.patch("select", "configmap/a", &json!({"data": {"key": "hand"}})).await?;
        eventually(SOON, "the old token to be refused", || async {
            Ok(shared.jsonpath("select", "alert/wrong", ready).await?.contains("401"))
        })
        .await?;
        shared.env.cluster.apply(&sync::secret("select", "hook", &[("token", "new-token")])).await?;
        receiver
            .until("the new token to be taken", |all| all.iter().any(|one| is(one, "Drifted", "firing")))
            .await?;
        Ok(())
    })
}

/// An agent of its own for a namespace, with a Sync in sync and an Alert.
async fn own(shared: &Shared, namespace: &str, receiver: &Receiver, more: &Value) -> anyhow::Result<Agent> {
    let repository = shared.env.forge.repository(namespace).await?;
    let commit = repository.commit(&[("a.yaml", &shared::config_map("a", "git"))], "Begin")?;
    shared.env.namespace(namespace).await?;
    shared.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, more)).await?;
    let agent = shared.env.agent(&["--namespaces", namespace]).await?;
    shared.env.ready(namespace, "app", Some(&commit)).await?;
    alert(shared, namespace, &receiver.url(), &json!({})).await?;
    Ok(agent)
}

#[test]
fn a_kill_between_the_onset_and_its_delivery_loses_nothing() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let receiver = Receiver::webhook(Some("s3cret-token")).await?;
        let mut agent = own(shared, "killed", &receiver, &json!({})).await?;
        for round in 0..5_u64 {
            let before = receiver.notices()?.len();
            receiver.behave(Behaviour::Status(503, None));
            let value = format!("hand-{round}");
            shared.patch("killed", "configmap/a", &json!({"data": {"key": value}})).await?;
            // At another instant each time: before, while and after it is put back.
            tokio::time::sleep(Duration::from_millis(round * round * 40)).await;
            agent.kill()?;
            receiver.behave(Behaviour::Ok);
            agent = agent.restart(&shared.env.cluster.kubeconfig(), &["--namespaces", "killed"]).await?;
            shared.until("killed", "configmap/a", "{.data.key}", "git").await?;
            let notices = receiver
                .until("onset and end", |all| {
                    all.len() > before && all.last().is_some_and(|one| is(one, "Drifted", "resolved"))
                })
                .await?;
            let story = story(&notices[before..]);
            assert_eq!(story.len(), 2, "round {round}: {story:#?}");
            let text = serde_json::to_string(&notices[before..])?;
            assert!(text.contains(&value) && text.contains("kubectl-patch"), "round {round}: {text}");
        }
        Ok(())
    })
}

#[test]
fn alerts_that_fired_before_a_restart_do_not_fire_again_and_those_that_ended_meanwhile_are_resolved()
-> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let receiver = Receiver::webhook(Some("s3cret-token")).await?;
        let agent = own(shared, "again", &receiver, &json!({"drift": {"mode": "Report"}})).await?;
        shared.patch("again", "configmap/a", &json!({"data": {"key": "hand"}})).await?;
        receiver.until("the onset", |all| all.iter().any(|one| is(one, "Drifted", "firing"))).await?;
        eventually(SOON, "it to be written down", || async {
            Ok(shared.jsonpath("again", "alert/on-call", "{.status.firing}").await?.contains("Drifted"))
        })
        .await?;
        let arguments = ["--namespaces", "again"];
        let mut agent = agent.restart(&shared.env.cluster.kubeconfig(), &arguments).await?;
        agent.at_work_for(Duration::from_secs(8)).await?;
        assert_eq!(receiver.notices()?.len(), 1, "{:#?}", receiver.notices()?);
        agent.kill()?;
        shared.patch("again", "configmap/a", &json!({"data": {"key": "git"}})).await?;
        let _agent = agent.restart(&shared.env.cluster.kubeconfig(), &arguments).await?;
        let notices =
            receiver.until("the end", |all| all.iter().any(|one| is(one, "Drifted", "resolved"))).await?;
        assert_eq!(notices.len(), 2, "{notices:#?}");
        Ok(())
    })
}
