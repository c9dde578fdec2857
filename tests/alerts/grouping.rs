//! What a person must do changes, several Syncs fail by one cause, an Alert goes while it fires: the receiver hears of each once.
//! I/O: processes, network.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use holdfast_tests::receiver::Receiver;
use holdfast_tests::shared::{self, SOON, run};
use holdfast_tests::{eventually, sync};
use serde_json::{Value, json};

use super::{AGENT, alert, is};

fn summary(notice: &Value) -> &str {
    notice["summary"].as_str().unwrap_or_default()
}

#[test]
fn another_mistake_in_place_of_the_first_updates_the_alert() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let receiver = Receiver::webhook(Some("s3cret-token")).await?;
        let good = shared::config_map("a", "1");
        let more = json!({"interval": "5s"});
        let repository = shared.begin("mistake", &[("a.yaml", &good)], &more).await?;
        alert(shared, "mistake", &receiver.url(), &json!({})).await?;
        repository.commit(&[("a.yaml", "kind: ConfigMap\n")], "Make a mistake")?;
        let says = |text: &'static str| {
            move |all: &[Value]| {
                all.iter().any(|one| is(one, "Failed", "firing") && summary(one).contains(text))
            }
        };
        receiver.until("the first mistake", says("a.yaml")).await?;
        repository.commit(&[("a.yaml", &good), ("b.yaml", "kind: [\n")], "Make another one")?;
        let notices = receiver.until("the second mistake", says("b.yaml")).await?;
        let begun: BTreeSet<String> = notices.iter().map(|one| one["startsAt"].to_string()).collect();
        ensure!(begun.len() == 1, "it is one alert: {notices:#?}");
        let last = notices.last().context("no notice")?;
        ensure!(last["object"] == json!({"kind": "Sync", "namespace": "mistake", "name": "app"}), "{last:#}");
        repository.remove(&["b.yaml"], "Mend it")?;
        receiver.until("the end", |all| all.iter().any(|one| is(one, "Failed", "resolved"))).await?;
        Ok(())
    })
}

#[test]
fn syncs_that_fail_by_one_base_are_one_alert_and_who_waits_for_them_is_none() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let receiver = Receiver::webhook(Some("s3cret-token")).await?;
        let repository = shared.env.forge.repository("base").await?;
        let overlay = |name: &str| format!("resources: [../base]\nnameSuffix: -{name}\n");
        let files: Vec<(String, String)> =
            ["a", "b", "c"].map(|name| (format!("{name}/kustomization.yaml"), overlay(name))).to_vec();
        let mut files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
        let (good, dependant) = (shared::config_map("web", "1"), shared::config_map("d", "1"));
        files.extend([
            ("base/kustomization.yaml", "resources: [web.yaml]\n"),
            ("base/web.yaml", &good),
            ("d/d.yaml", &dependant),
        ]);
        repository.commit(&files, "Begin")?;
        shared.env.namespace("base").await?;
        for name in ["a", "b", "c", "d"] {
            let depends = if name == "d" { json!([{"name": "a"}]) } else { json!([]) };
            let more = json!({"path": name, "interval": "5s", "dependsOn": depends});
            shared.env.cluster.apply(&sync::sync("base", name, &repository.https_url, &more)).await?;
        }
        for name in ["a", "b", "c", "d"] {
            shared.env.ready("base", name, None).await?;
        }
        alert(shared, "base", &receiver.url(), &json!({})).await?;
        repository.commit(&[("base/web.yaml", "kind: [\n"), ("d/e.yaml", &good)], "Break the base")?;
        let all = |notices: &[Value]| {
            notices.iter().any(|one| is(one, "Failed", "firing") && one["syncs"] == json!(["a", "b", "c"]))
        };
        eventually(SOON, "one alert that lists all", || async { Ok(all(&receiver.notices()?)) }).await?;
        repository.commit(&[("base/web.yaml", &good)], "Mend it")?;
        let notices =
            receiver.until("the end", |all| all.iter().any(|one| is(one, "Failed", "resolved"))).await?;
        for name in ["a", "b", "c", "d"] {
            shared.env.ready("base", name, None).await?;
        }
        let about: BTreeSet<String> = notices.iter().map(|one| one["object"]["name"].to_string()).collect();
        ensure!(about.len() == 1 && !about.contains("\"d\""), "{about:?}");
        let ends = receiver.notices()?.iter().filter(|one| one["status"] == "resolved").count();
        ensure!(ends == 1, "{ends} ends");
        Ok(())
    })
}

#[test]
fn an_alert_that_moves_to_another_receiver_or_is_deleted_ends_where_it_fired() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let token = Some("s3cret-token");
        let (one, two) = (Receiver::webhook(token).await?, Receiver::webhook(token).await?);
        let report = json!({"drift": {"mode": "Report"}});
        shared.begin("leaving", &[("a.yaml", &shared::config_map("a", "git"))], &report).await?;
        alert(shared, "leaving", &one.url(), &json!({})).await?;
        shared.patch("leaving", "configmap/a", &json!({"data": {"key": "hand"}})).await?;
        let fires = |all: &[Value]| all.iter().any(|one| is(one, "Drifted", "firing"));
        let ended = |all: &[Value]| all.iter().any(|one| is(one, "Drifted", "resolved"));
        one.until("the onset", fires).await?;
        shared
            .patch(
                "leaving",
                "alert/on-call",
                &json!({"spec": {"receiver": {"webhook": {"url": two.url()}}}}),
            )
            .await?;
        one.until("the end at the first receiver", ended).await?;
        two.until("the onset at the second one", fires).await?;
        shared.patch("leaving", "alert/on-call", &json!({"spec": {"syncs": {"names": ["another"]}}})).await?;
        two.until("the end of what is not selected", ended).await?;
        shared.patch("leaving", "alert/on-call", &json!({"spec": {"syncs": null}})).await?;
        let again = |all: &[Value]| all.last().is_some_and(|one| is(one, "Drifted", "firing"));
        two.until("the onset again", again).await?;
        shared.env.cluster.must(&["-n", "leaving", "delete", "alert", "on-call"]).await?;
        two.until("the end of what is deleted", |all| {
            all.last().is_some_and(|one| is(one, "Drifted", "resolved"))
        })
        .await?;
        shared.gone("leaving", "alert/on-call").await
    })
}

#[test]
fn a_message_of_an_incoming_webhook_is_corrected_when_the_storm_is_over() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let receiver = Receiver::webhook(None).await?;
        let maps: Vec<(String, String)> =
            (0..6).map(|at| (format!("{at}.yaml"), shared::config_map(&format!("m-{at}"), "git"))).collect();
        let files: Vec<(&str, &str)> = maps.iter().map(|(name, text)| (&**name, &**text)).collect();
        shared.begin("storm", &files, &json!({"drift": {"mode": "Report"}})).await?;
        let secret = sync::secret("storm", "slack", &[("url", &receiver.url())]);
        shared.env.cluster.apply(&secret).await?;
        alert(shared, "storm", "", &json!({"receiver": {"slack": {"secretRef": {"name": "slack"}}}})).await?;
        let messages = || -> Vec<String> {
            let all = receiver.requests();
            all.iter().map(|one| String::from_utf8_lossy(&one.body).into_owned()).collect()
        };
        shared.patch("storm", "configmap/m-0", &json!({"data": {"key": "hand"}})).await?;
        eventually(SOON, "the onset", || async { Ok(!messages().is_empty()) }).await?;
        for at in 1..6 {
            let object = format!("configmap/m-{at}");
            shared.patch("storm", &object, &json!({"data": {"key": "hand"}})).await?;
        }
        eventually(Duration::from_secs(40), "the correction", || async {
            Ok(messages().iter().any(|text| text.contains("Update: ") && text.contains("6 objects")))
        })
        .await?;
        ensure!(messages().len() <= 3, "{:#?}", messages());
        Ok(())
    })
}
