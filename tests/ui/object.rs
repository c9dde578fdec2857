//! The page of an object: both sides of its fields, its owners, its origin, its pods and their logs; no value of a Secret; and the
//! page of a plan. I/O: processes, network.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use holdfast_tests::eventually;
use holdfast_tests::shared::{SOON, config_map, run};
use serde_json::{Value, json};

use super::kit::{AGENT, HOSTILE, REPORT, account, people, workload};
use super::kubelet::serve_logs;
use super::visitor::{Visitor, address, proof};

/// The rows of a page, as standing, path, value in Git, live value and first owner.
fn rows(page: &Value) -> Vec<(String, String, Value, Value, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let all = page["rows"]["listed"].as_array().into_iter().flatten();
    all.map(|row| {
        let owner = row["owners"][0]["manager"].as_str().unwrap_or_default().to_owned();
        (text(row, "standing"), text(row, "path"), row["git"].clone(), row["live"].clone(), owner)
    })
    .collect()
}

async fn value(visitor: &Visitor, path: &str) -> anyhow::Result<Value> {
    let answer = visitor.json(path).await?;
    serde_json::from_str(&answer.text).with_context(|| format!("{path}: {answer:?}"))
}

#[test]
fn an_object_shows_both_sides_its_owners_where_it_comes_from_and_its_events() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-object";
        let more = json!({"drift": {"mode": REPORT}, "timeout": "10s"});
        let (repository, _) = shared.create(namespace, &[("a.yaml", &config_map("a", "1"))], &more).await?;
        let subject = format!("Add the web (#7) {HOSTILE}");
        let commit = repository.commit(&[("web.yaml", &workload("app:1"))], &subject)?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let reader = account(shared, namespace, "reader", "admin").await?;
        shared
            .env
            .cluster
            .must(&[
                "-n",
                namespace,
                "create",
                "rolebinding",
                "syncs",
                "--clusterrole=holdfast-view",
                "--serviceaccount=ui-object:reader",
            ])
            .await?;
        let few = account(shared, namespace, "few", "holdfast-view").await?;
        let base = address(&shared.agent)?;
        let (reader, few) = (Visitor::bearer(&base, &reader)?, Visitor::bearer(&base, &few)?);
        let path = "/syncs/ui-object/app/object?group=apps&kind=Deployment&namespace=ui-object&name=web";

        let page = value(&reader, path).await?;
        ensure!(page["origin"] == "web.yaml:1" && page["source"] == "Render", "{page}");
        ensure!(
            page["pullRequest"] == 7
                && page["commit"]["subject"].as_str().is_some_and(|said| said.contains("#7"))
        );
        ensure!(page["revision"].as_str().is_some_and(|revision| revision.contains(&commit)), "{page}");
        ensure!(page["health"]["status"] == "Current", "{}", page["health"]);
        let found = rows(&page);
        let row = |rows: &[(String, String, Value, Value, String)], path: &str| {
            rows.iter().find(|row| row.1 == path).cloned().with_context(|| format!("no row {path}: {rows:?}"))
        };
        let replicas = row(&found, "/spec/replicas")?;
        ensure!(replicas == ("Same".into(), "/spec/replicas".into(), json!(1), json!(1), "holdfast".into()));
        // Written differently, and the same to the API server: no difference.
        let cpu = row(&found, "/spec/template/spec/containers/0/resources/requests/cpu")?;
        ensure!((cpu.0.as_str(), &cpu.2, &cpu.3) == ("Equivalent", &json!("0.5"), &json!("500m")), "{cpu:?}");
        ensure!(found.iter().all(|row| !matches!(row.0.as_str(), "Differs" | "Missing")), "{found:?}");
        ensure!(row(&found, "/spec/revisionHistoryLimit")?.0 == "Default");
        eventually(SOON, "the pod, and what owns it", || async {
            let page = value(&reader, path).await?;
            let kinds: Vec<&str> = page["children"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|child| child["kind"].as_str())
                .collect();
            Ok(kinds == ["ReplicaSet", "Pod"]
                && page["pods"][0]["state"] == "Running"
                && page["events"]
                    .as_array()
                    .is_some_and(|events| events.iter().any(|event| event["reason"] == "ScalingReplicaSet")))
        })
        .await?;

        // Somebody scales it: the field, both values, and who did it.
        let scale = [
            "-n",
            namespace,
            "patch",
            "deployment/web",
            "--type=merge",
            "--field-manager=<b>scaler",
            "-p",
            "{\"spec\":{\"replicas\":2}}",
        ];
        shared.env.cluster.must(&scale).await?;
        eventually(SOON, "the drift on the page", || async {
            let page = value(&reader, path).await?;
            let replicas = row(&rows(&page), "/spec/replicas")?;
            Ok(replicas.0 == "Differs"
                && replicas.2 == 1
                && replicas.3 == 2
                && replicas.4 == "<b>scaler"
                && page["drift"]["changes"][0]["path"] == "/spec/replicas")
        })
        .await?;
        let page = reader.get(path).await?;
        page.is_guarded()?;
        for text in ["Different from Git", "&lt;b&gt;scaler", "web.yaml:1", "ScalingReplicaSet", "CPU"] {
            ensure!(text == "CPU" || page.text.contains(text), "{text}: {}", page.text);
        }
        ensure!(!page.text.contains("<img") && !page.text.contains("<b>scaler"), "{}", page.text);
        // Every place that names the object leads to it.
        for other in ["/syncs/ui-object/app", "/drift", "/syncs/ui-object/app/plan"] {
            let text = reader.get(other).await?.text;
            ensure!(
                text.contains("object?group=apps&amp;kind=Deployment&amp;namespace=ui-object&amp;name=web"),
                "{other}: {text}"
            );
        }

        // Who may read Syncs and no Deployments learns nothing that is not in the Sync.
        let none = few.get(&path.replace("name=web", "name=none")).await?;
        let hidden = few.get(path).await?;
        ensure!((hidden.status, &hidden.text) == (404, &none.text), "{hidden:?}");
        for path in [
            "/syncs/ui-object/app/object?kind=Deployment&name=web",
            "/syncs/ui-object/app/object?group=apps&kind=Nothing&namespace=ui-object&name=web",
            "/syncs/ui-object/app/object?kind=Node&namespace=ui-object&name=loopback",
            "/syncs/ui-object/app/object",
            "/syncs/ui-object/none/object?group=apps&kind=Deployment&namespace=ui-object&name=web",
        ] {
            ensure!(reader.get(path).await?.status == 404, "{path}");
        }
        Ok(())
    })
}

#[test]
fn no_value_of_a_secret_is_on_any_page() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-secret";
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: hunter2-old, more: only-in-git-1}\n";
        let repository =
            shared.begin(namespace, &[("a.yaml", secret)], &json!({"drift": {"mode": REPORT}})).await?;
        // The live value differs, with copies in annotations, as kubectl and other tools leave them.
        let data = json!({"password": "aHVudGVyMi1uZXc=", "more": "b25seS1pbi1naXQtMQ=="});
        let copy = json!({"apiVersion": "v1", "kind": "Secret", "data": data}).to_string();
        let patch = json!({"data": data, "metadata": {"annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": copy, "other.example.com/copy": copy, "note": "it is hunter2-new"}}});
        shared.patch(namespace, "secret/a", &patch).await?;
        repository.commit(&[("b.yaml", &config_map("b", "1"))], "Go on")?;
        let admin = account(shared, namespace, "admin", "cluster-admin").await?;
        let admin = Visitor::bearer(&address(&shared.agent)?, &admin)?;
        let path = "/syncs/ui-secret/app/object?kind=Secret&namespace=ui-secret&name=a";
        eventually(SOON, "the drift of the Secret", || async {
            Ok(value(&admin, path).await?["drift"]["state"] == "Drifted")
        })
        .await?;
        let json = admin.json(path).await?.text;
        ensure!(json.contains("/data/password") && json.contains("*** (live)"), "{json}");
        for path in [path, "/syncs/ui-secret/app", "/syncs/ui-secret/app/plan", "/drift", "/"] {
            for text in [admin.get(path).await?.text, admin.json(path).await?.text] {
                for value in ["hunter2", "aHVudGVyMi", "only-in-git", "b25seS1pbi"] {
                    ensure!(!text.contains(value), "{path} has {value}: {text}");
                }
            }
        }
        Ok(())
    })
}

#[test]
fn the_whole_plan_that_waits_is_shown_field_by_field_and_approved_there() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-plan";
        let names: Vec<String> = (0..60).map(|at| format!("m{at:02}")).collect();
        let files = |value: &str| -> Vec<(String, String)> {
            names.iter().map(|name| (format!("{name}.yaml"), config_map(name, value))).collect()
        };
        fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
        }
        let repository = shared.begin(namespace, &borrowed(&files("one")), &json!({})).await?;
        shared.patch(namespace, "sync/app", &json!({"spec": {"approval": "Always"}})).await?;
        repository.commit(&borrowed(&files("two")), "Change all")?;
        shared.until(namespace, "sync/app", "{.status.plan.state}", "AwaitingApproval").await?;
        let approver = account(shared, namespace, "approver", "holdfast-approve").await?;
        let view = [
            "-n",
            namespace,
            "create",
            "rolebinding",
            "view",
            "--clusterrole=view",
            "--serviceaccount=ui-plan:approver",
        ];
        shared.env.cluster.must(&view).await?;
        let few = account(shared, namespace, "few", "holdfast-view").await?;
        let base = address(&shared.agent)?;
        let approver = Visitor::sign_in(&base, &approver).await?;
        eventually(SOON, "all objects of the plan", || async {
            Ok(value(&approver, "/syncs/ui-plan/app/plan").await?["total"] == 60)
        })
        .await?;
        let (first, second) = (
            approver.get("/syncs/ui-plan/app/plan").await?,
            approver.get("/syncs/ui-plan/app/plan?page=2").await?,
        );
        first.is_guarded()?;
        ensure!(first.text.contains("m00") && first.text.contains("m49") && !first.text.contains("m50"));
        ensure!(
            second.text.contains("m50")
                && second.text.contains("m59")
                && second.text.contains("rel=\"prev\"")
        );
        ensure!(first.text.contains("\"two\"") || first.text.contains("&quot;two&quot;"), "{}", first.text);
        let hidden = Visitor::bearer(&base, &few)?.get("/syncs/ui-plan/app/plan").await?;
        ensure!(hidden.status == 200 && !hidden.text.contains("m00.yaml"), "{}", hidden.text);
        let plan = shared.jsonpath(namespace, "sync/app", "{.status.plan.id}").await?;
        let proof = proof(&first.text)?;
        let form = [
            ("proof", proof.as_str()),
            ("plan", plan.as_str()),
            ("decision", "Approve"),
            ("reason", "agreed"),
        ];
        ensure!(approver.post("/syncs/ui-plan/app/decide", &form).await?.status == 303);
        shared.until(namespace, "configmap/m59", "{.data.key}", "two").await
    })
}

#[test]
fn a_workload_shows_its_pods_and_their_logs_with_the_rights_of_the_user() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        serve_logs(shared).await?;
        let namespace = "ui-pods";
        shared.create(namespace, &[("web.yaml", &workload("broken:1"))], &json!({"timeout": "5s"})).await?;
        let editor = account(shared, namespace, "editor", "admin").await?;
        let viewer = account(shared, namespace, "viewer", "holdfast-view").await?;
        for (name, role, account) in [
            ("syncs", "holdfast-view", "ui-pods:editor"),
            ("pods", "system:aggregate-to-view", "ui-pods:viewer"),
        ] {
            let (role, account) = (format!("--clusterrole={role}"), format!("--serviceaccount={account}"));
            shared
                .env
                .cluster
                .must(&["-n", namespace, "create", "rolebinding", name, &role, &account])
                .await?;
        }
        let no_logs = json!([{"op": "replace", "path": "/rules", "value": [{"apiGroups": ["", "apps"], "resources": ["pods", "deployments", "replicasets"], "verbs": ["get", "list"]}]}]).to_string();
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "pods", "namespace": namespace}, "rules": []});
        shared.env.cluster.apply(&role.to_string()).await?;
        shared
            .env
            .cluster
            .must(&["-n", namespace, "patch", "role/pods", "--type=json", "-p", &no_logs])
            .await?;
        shared.env.cluster.must(&["-n", namespace, "delete", "rolebinding", "pods"]).await?;
        shared
            .env
            .cluster
            .must(&[
                "-n",
                namespace,
                "create",
                "rolebinding",
                "pods",
                "--role=pods",
                "--serviceaccount=ui-pods:viewer",
            ])
            .await?;
        let base = address(&shared.agent)?;
        let (editor, viewer) = (Visitor::bearer(&base, &editor)?, Visitor::bearer(&base, &viewer)?);
        let path = "/syncs/ui-pods/app/object?group=apps&kind=Deployment&namespace=ui-pods&name=web";
        eventually(SOON, "the pod that cannot start", || async {
            let page = value(&editor, path).await?;
            Ok(page["pods"][0]["state"] == "ImagePullBackOff")
        })
        .await?;
        let page = value(&editor, path).await?;
        let pod = page["pods"][0]["name"].as_str().context("no pod")?.to_owned();
        ensure!(
            page["pods"][0]["containers"][0]["state"] == "ImagePullBackOff: a stand-in has no images",
            "{page}"
        );
        ensure!(page["pods"][0]["isWell"] == false && page["health"]["status"] != "Current", "{page}");
        // The viewer sees the pod, and why there are no Events.
        let page = viewer.get(path).await?;
        ensure!(page.text.contains(&pod) && page.text.contains("you may not list events"), "{}", page.text);

        let log = format!("/syncs/ui-pods/app/log?namespace=ui-pods&pod={pod}&container=app&lines=7");
        let shown = editor.get(&log).await?;
        shown.is_guarded()?;
        ensure!(
            shown.status == 200
                && shown.text.contains("line 2")
                && shown.text.contains("tailLines=7")
                && shown.text.contains("&lt;script&gt;alert(1)")
                && shown.text.contains("\\x1b[31mred"),
            "{}",
            shown.text
        );
        ensure!(viewer.get(&log).await?.status == 404, "logs are read as the user");
        for wrong in ["pod=../secrets/a", "pod=a%2Fb", "pod="] {
            let path = format!("/syncs/ui-pods/app/log?namespace=ui-pods&container=app&{wrong}");
            ensure!(editor.get(&path).await?.status == 400, "{wrong}");
        }
        let mut following = editor.stream(&log.replace("/log?", "/log/follow?"), None).await?;
        following.until("line 20", Duration::from_secs(30)).await
    })
}
