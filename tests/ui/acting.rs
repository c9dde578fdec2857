//! Who does what, with which rights. I/O: processes, network.

use anyhow::ensure;
use holdfast_tests::eventually;
use holdfast_tests::shared::{SOON, Shared, config_map, run};
use serde_json::json;

use super::kit::{AGENT, HOSTILE, REPORT, account, people};
use super::visitor::{Visitor, address, proof};

#[test]
fn a_user_who_signs_in_acts_with_the_own_rights_and_no_other_site_can() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-act";
        shared
            .begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({"drift": {"mode": REPORT}}))
            .await?;
        let editor = account(shared, namespace, "editor", "holdfast-edit").await?;
        let reader = account(shared, namespace, "reader", "holdfast-view").await?;
        let base = address(&shared.agent)?;
        let form = Visitor::anonymous(&base)?.get("/login").await?;
        ensure!(form.status == 200 && form.text.contains("name=\"token\""));
        let wrong = Visitor::anonymous(&base)?.post("/login", &[("token", "wrong")]).await?;
        ensure!(wrong.status == 401 && wrong.header("set-cookie").is_empty());
        let signed = Visitor::sign_in(&base, &editor).await?;
        let page = signed.get("/syncs/ui-act/app").await?;
        let proof = proof(&page.text)?;
        let act = "/syncs/ui-act/app/suspend";
        let fields = [("reason", HOSTILE), ("for", "1h")];
        let with = |proof: &'static str| [("proof", proof), fields[0], fields[1]];
        for answer in [
            signed.post(act, &fields).await?,
            signed.post(act, &with("00")).await?,
            signed.of_site(act, &[("proof", &proof), fields[0], fields[1]], "cross-site").await?,
            Visitor::sign_in(&base, &reader)
                .await?
                .post(act, &[("proof", &proof), fields[0], fields[1]])
                .await?,
            Visitor::bearer(&base, &reader)?.post(act, &fields).await?,
        ] {
            ensure!(answer.status == 403, "{answer:?}");
        }
        ensure!(shared.jsonpath(namespace, "sync/app", "{.spec.suspend}").await?.is_empty());
        let done = signed.post(act, &[("proof", &proof), fields[0], fields[1]]).await?;
        ensure!(
            (done.status, done.header("location").as_str()) == (303, "/syncs/ui-act/app?done=suspend"),
            "{done:?}"
        );
        ensure!(shared.jsonpath(namespace, "sync/app", "{.spec.suspend.reason}").await? == HOSTILE);
        eventually(SOON, "the page to show the suspension", || async {
            let page = signed.get("/syncs/ui-act/app?done=suspend").await?.text;
            Ok(page.contains("The Sync is suspended.") && page.contains("Resume") && !page.contains("<img"))
        })
        .await?;
        for (deed, fields) in [("resume", vec![]), ("reconcile", vec![])] {
            let fields = [vec![("proof", proof.as_str())], fields].concat();
            ensure!(
                signed.post(&format!("/syncs/ui-act/app/{deed}"), &fields).await?.status == 303,
                "{deed}"
            );
        }
        ensure!(shared.jsonpath(namespace, "sync/app", "{.spec.suspend}").await?.is_empty());
        // Drift, which only the list of objects of the status names, is snoozed and no longer snoozed.
        shared.patch(namespace, "configmap/a", &json!({"data": {"key": "other"}})).await?;
        eventually(SOON, "the page to show the drift", || async {
            Ok(signed.get("/drift").await?.text.contains("ConfigMap ui-act/a"))
        })
        .await?;
        let object = [
            ("proof", proof.as_str()),
            ("kind", "ConfigMap"),
            ("group", ""),
            ("namespace", namespace),
            ("name", "a"),
        ];
        let snooze = [&object[..], &[("reason", "tests"), ("for", "1h")]].concat();
        ensure!(signed.post("/syncs/ui-act/app/snooze", &snooze).await?.status == 303);
        ensure!(shared.jsonpath(namespace, "sync/app", "{.spec.drift.snooze[0].name}").await? == "a");
        ensure!(signed.post("/syncs/ui-act/app/unsnooze", &object).await?.status == 303);
        ensure!(shared.jsonpath(namespace, "sync/app", "{.spec.drift.snooze}").await?.is_empty());
        ensure!(signed.post("/logout", &[("proof", &proof)]).await?.status == 303);
        ensure!(signed.get("/").await?.header("location").starts_with("/login"), "the session has ended");
        Ok(())
    })
}

#[test]
fn an_approval_is_made_as_the_user_and_for_the_plan_that_the_page_shows() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-decide";
        // The first plan waits too.
        shared
            .create(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({"approval": "Always"}))
            .await?;
        let plan = eventually_plan(shared, namespace).await?;
        let approver = account(shared, namespace, "approver", "holdfast-approve").await?;
        let reader = account(shared, namespace, "reader", "holdfast-view").await?;
        let base = address(&shared.agent)?;
        let page = Visitor::bearer(&base, &approver)?.get("/syncs/ui-decide/app").await?;
        ensure!(page.text.contains("Approve this plan") && page.text.contains(&plan), "{}", page.text);
        ensure!(!page.text.contains("Reconcile now"), "who may approve and nothing else gets no other form");
        let read = Visitor::bearer(&base, &reader)?;
        ensure!(!read.get("/syncs/ui-decide/app").await?.text.contains("Approve this plan"));
        let form = [("plan", plan.as_str()), ("decision", "Approve"), ("reason", "agreed")];
        let act = "/syncs/ui-decide/app/decide";
        ensure!(read.post(act, &form).await?.status == 403);
        let other = Visitor::bearer(&base, &approver)?;
        let stale = [("plan", "00000000000000000000000000000000"), form[1], form[2]];
        ensure!(other.post(act, &stale).await?.status == 409);
        let signed = Visitor::sign_in(&base, &approver).await?;
        let proof = proof(&signed.get("/syncs/ui-decide/app").await?.text)?;
        let done = signed.post(act, &[&[("proof", proof.as_str())], &form[..]].concat()).await?;
        ensure!(done.status == 303, "{done:?}");
        let approver = shared
            .env
            .cluster
            .must(&["-n", namespace, "get", "approvals", "-o", "jsonpath={.items[*].spec.approver}"])
            .await?;
        ensure!(approver == "system:serviceaccount:ui-decide:approver", "{approver}");
        shared.env.ready(namespace, "app", None).await
    })
}

/// The id of the plan that waits.
async fn eventually_plan(shared: &Shared, namespace: &str) -> anyhow::Result<String> {
    shared.until(namespace, "sync/app", "{.status.plan.state}", "AwaitingApproval").await?;
    shared.jsonpath(namespace, "sync/app", "{.status.plan.id}").await
}
