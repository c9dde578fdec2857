//! The web UI through HTTP and a browser: who sees what, who does what, live updates, and hostile texts in every field that
//! Git and the cluster can fill. I/O: processes, network.

#[path = "ui/browser.rs"]
mod browser;
#[path = "ui/visitor.rs"]
mod visitor;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use holdfast_tests::agent::program;
use holdfast_tests::shared::{SOON, Shared, config_map, run};
use holdfast_tests::watchdog::{Folder, Process};
use holdfast_tests::{eventually, root};
use serde_json::{Value, json};

use visitor::{Answer, Visitor, address, proof};

/// The shared agent has the namespaces of the tests of tokens; the others have agents of their own.
const AGENT: &[&str] = &[
    "--ui-auth=token",
    "--ui-listen=127.0.0.1:0",
    "--namespaces",
    "ui-a,ui-b,ui-act,ui-decide,ui-hostile,ui-live,ui-own",
];
const REPORT: &str = "Report";
const HOSTILE: &str = "\"><img src=x onerror=alert(1)><script>alert(1)</script>";

/// A ServiceAccount of a namespace with a ClusterRole there. Returns its token.
async fn account(shared: &Shared, namespace: &str, name: &str, role: &str) -> anyhow::Result<String> {
    let cluster = &shared.env.cluster;
    cluster.must(&["-n", namespace, "create", "serviceaccount", name]).await?;
    if !role.is_empty() {
        let (role, account) =
            (format!("--clusterrole={role}"), format!("--serviceaccount={namespace}:{name}"));
        cluster.must(&["-n", namespace, "create", "rolebinding", name, &role, &account]).await?;
    }
    Ok(cluster.must(&["-n", namespace, "create", "token", name]).await?.trim().to_owned())
}

/// The roles for people, and the policy for Approvals.
async fn people(shared: &Shared) -> anyhow::Result<()> {
    for file in ["people.yaml", "admission.yaml"] {
        let file = root().join("manifests/base").join(file).display().to_string();
        shared.env.cluster.must(&["apply", "--server-side", "-f", &file]).await?;
    }
    Ok(())
}

#[test]
fn a_user_sees_the_namespaces_that_the_user_may_list_and_not_the_name_of_another() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        for namespace in ["ui-a", "ui-b"] {
            shared.begin(namespace, &[("a.yaml", &config_map("of-this", "1"))], &json!({})).await?;
        }
        let reader = account(shared, "ui-a", "reader", "view").await?;
        let stranger = account(shared, "ui-a", "stranger", "").await?;
        let syncs_only = account(shared, "ui-a", "syncs-only", "holdfast-view").await?;
        let base = address(&shared.agent)?;
        let reader = Visitor::bearer(&base, &reader)?;
        for path in
            ["/", "/drift", "/images", "/?namespace=ui-b", "/?q=ui-b", "/syncs/ui-b/app", "/syncs/ui-b/none"]
        {
            let page = reader.get(path).await?;
            page.is_guarded()?;
            let shown = page.text.replace("value=\"ui-b\"", "");
            ensure!(!shown.contains("ui-b/") && !shown.contains(">ui-b"), "{path} names ui-b: {shown}");
        }
        ensure!(reader.get("/").await?.text.contains("ui-a/app"));
        let page = reader.get("/syncs/ui-a/app").await?;
        ensure!(page.status == 200 && page.text.contains("ConfigMap ui-a/of-this"), "{}", page.text);
        ensure!(!page.text.contains("Reconcile now"), "a reader gets no form");
        let (other, none) = (reader.get("/syncs/ui-b/app").await?, reader.get("/syncs/ui-b/none").await?);
        ensure!(
            (other.status, &other.text) == (404, &none.text),
            "what may not be read is as what is not there"
        );
        // Objects of a kind that the user may not list are not listed; the status of the Sync, which the user may read, is as it is.
        let page = Visitor::bearer(&base, &syncs_only)?.json("/syncs/ui-a/app").await?;
        let value: Value = serde_json::from_str(&page.text)?;
        ensure!(
            value["sync"]["kind"] == "Sync" && value["objects"] == json!({"listed": [], "more": 0}),
            "{value}"
        );
        let stranger = Visitor::bearer(&base, &stranger)?;
        ensure!(!stranger.get("/").await?.text.contains("ui-a/app"));
        ensure!(stranger.get("/syncs/ui-a/app").await?.status == 404);
        // The value of a page, as the command line prints it.
        let home: Value = serde_json::from_str(&reader.json("/").await?.text)?;
        ensure!(home["syncs"][0]["metadata"]["name"] == "app" && home["total"] == 1, "{home}");
        let sync: Value = serde_json::from_str(&reader.json("/syncs/ui-a/app").await?.text)?;
        ensure!(
            sync["sync"]["kind"] == "Sync" && sync["objects"]["listed"][0]["name"] == "of-this",
            "{sync}"
        );
        // Nobody, and somebody with a wrong token.
        let nobody = Visitor::nobody(&base)?;
        let home = nobody.get("/").await?;
        ensure!((home.status, home.header("location")) == (303, "/login?next=%2F".to_owned()), "{home:?}");
        ensure!(nobody.json("/").await?.status == 401);
        ensure!(Visitor::bearer(&base, "wrong-token")?.get("/").await?.status == 401);
        Ok(())
    })
}

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
        let form = Visitor::nobody(&base)?.get("/login").await?;
        ensure!(form.status == 200 && form.text.contains("name=\"token\""));
        let wrong = Visitor::nobody(&base)?.post("/login", &[("token", "wrong")]).await?;
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

#[test]
fn texts_of_git_and_the_cluster_stay_texts() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-hostile";
        let files = [("<img src=x onerror=alert(1)>.yaml", config_map("a", "1"))];
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let repository = shared.begin(namespace, &files, &json!({"drift": {"mode": REPORT}})).await?;
        let commit = repository.commit(&[("b.yaml", &config_map("b", "1"))], HOSTILE)?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let patch = json!({"data": {"key": HOSTILE, "<script>alert(2)</script>": "\u{202e}x"}}).to_string();
        let patch = [
            "-n",
            namespace,
            "patch",
            "configmap/a",
            "--type=merge",
            "--field-manager=<script>alert(3)</script>",
            "-p",
            &patch,
        ];
        // The API server refuses such a key; the value stays hostile.
        if !shared.env.cluster.kubectl(&patch).await?.status.success() {
            let patch = json!({"data": {"key": HOSTILE}}).to_string();
            let manager = "--field-manager=<script>alert(3)</script>";
            shared
                .env
                .cluster
                .must(&["-n", namespace, "patch", "configmap/a", "--type=merge", manager, "-p", &patch])
                .await?;
        }
        let reader = account(shared, namespace, "reader", "view").await?;
        let reader = Visitor::bearer(&address(&shared.agent)?, &reader)?;
        eventually(SOON, "the drift to be shown", || async {
            Ok(reader.get("/drift").await?.text.contains("&lt;script&gt;alert(3)"))
        })
        .await?;
        for path in [
            "/",
            "/drift",
            "/syncs/ui-hostile/app",
            "/?q=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
            "/%3Cscript%3Ealert(1)",
            "/login?next=%22%3E%3Cscript%3E",
        ] {
            let page = reader.get(path).await?;
            page.is_guarded()?;
            ensure!(
                !page.text.contains("<script>alert")
                    && !page.text.contains("<img")
                    && !page.text.contains('\u{202e}'),
                "{path}: {}",
                page.text
            );
        }
        ensure!(
            reader.get("/syncs/ui-hostile/app").await?.text.contains("&lt;img src=x onerror=alert(1)&gt;")
        );
        Ok(())
    })
}

#[test]
fn a_change_is_told_at_once_to_those_who_may_read_it() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-live";
        shared.begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({})).await?;
        let (reader, stranger) = (
            account(shared, namespace, "reader", "view").await?,
            account(shared, namespace, "stranger", "").await?,
        );
        let base = address(&shared.agent)?;
        let mut seen = Visitor::bearer(&base, &reader)?.stream("/events", None).await?;
        let mut unseen = Visitor::bearer(&base, &stranger)?.stream("/events", None).await?;
        // The first beat of a process is about everything that is there.
        seen.until("data: ui-live/app", SOON).await?;
        let started = std::time::Instant::now();
        shared.patch(namespace, "sync/app", &json!({"metadata": {"annotations": {"a": "b"}}})).await?;
        seen.until("data: ui-live/app", SOON).await?;
        ensure!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        ensure!(!unseen.so_far(Duration::from_millis(300)).await?.contains("ui-live"));
        // Who comes back with the last id gets what came since, and who comes with another one everything.
        let again = Visitor::bearer(&base, &reader)?;
        let mut after = again.stream("/events", Some("another-1")).await?;
        after.until("data: *", SOON).await?;
        Ok(())
    })
}

#[test]
fn on_loopback_everybody_reads_nobody_writes_and_reading_asks_nothing() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        let namespace = "ui-loopback";
        let agent = shared
            .env
            .agent(&["--ui-auth=loopback", "--ui-listen=127.0.0.1:0", "--namespaces", namespace])
            .await?;
        shared.begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({})).await?;
        let nobody = Visitor::nobody(&address(&agent)?)?;
        let page = nobody.get("/syncs/ui-loopback/app").await?;
        ensure!(
            page.status == 200
                && page.text.contains("ConfigMap ui-loopback/a")
                && page.text.contains("read only"),
            "{}",
            page.text
        );
        for deed in ["reconcile", "suspend", "decide"] {
            let answer = nobody.post(&format!("/syncs/ui-loopback/app/{deed}"), &[("reason", "x")]).await?;
            ensure!((400..500).contains(&answer.status), "{deed}: {answer:?}");
        }
        ensure!(
            nobody.as_host("/", "ui.example.com").await?.status == 403,
            "a name of another site is refused"
        );
        let requests = || async { agent.metric("holdfast_api_requests_total").await };
        let before = requests().await?;
        for path in ["/", "/drift", "/images", "/syncs/ui-loopback/app"] {
            for _ in 0..20 {
                ensure!(nobody.get(path).await?.status == 200, "{path}");
            }
        }
        ensure!((requests().await? - before).abs() < 3.0, "the pages cost requests");
        browser::look(&address(&agent)?, namespace).await
    })
}

#[test]
fn a_proxy_names_users_and_what_the_agent_does_for_them_is_recorded() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-proxy";
        let flags = [
            "--ui-auth=proxy",
            "--ui-listen=127.0.0.1:0",
            "--ui-proxy-from=127.0.0.1",
            "--namespaces",
            namespace,
        ];
        let agent = shared.env.agent(&flags).await?;
        shared.begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({})).await?;
        for (name, role, subject) in [
            ("edit", "holdfast-edit", "--user=alice@example.com"),
            ("view", "holdfast-view", "--group=readers"),
        ] {
            let role = format!("--clusterrole={role}");
            shared
                .env
                .cluster
                .must(&["-n", namespace, "create", "rolebinding", name, &role, subject])
                .await?;
        }
        let base = address(&agent)?;
        let alice = Visitor::proxied(&base, "alice@example.com", "")?;
        let page = alice.get("/syncs/ui-proxy/app").await?;
        ensure!(
            page.text.contains("alice@example.com") && page.text.contains("Reconcile now"),
            "{}",
            page.text
        );
        let proof = proof(&page.text)?;
        let act = "/syncs/ui-proxy/app/suspend";
        let fields = [("proof", proof.as_str()), ("reason", "incident"), ("for", "1h")];
        let bob = Visitor::proxied(&base, "bob@example.com", "readers, system:masters")?;
        ensure!(bob.get("/syncs/ui-proxy/app").await?.status == 200);
        for visitor in [
            bob,
            Visitor::proxied(&base, "system:admin", "")?,
            Visitor::proxied(&base, "carol", "system:masters")?,
            Visitor::nobody(&base)?,
        ] {
            let answer = visitor.post(act, &fields).await?;
            ensure!(matches!(answer.status, 403 | 404), "{answer:?}");
        }
        ensure!(alice.post(act, &fields).await?.status == 303);
        ensure!(shared.jsonpath(namespace, "sync/app", "{.spec.suspend.reason}").await? == "incident");
        eventually(SOON, "an Event that names the user", || async {
            let events = shared
                .env
                .cluster
                .must(&["-n", namespace, "get", "events", "-o", "jsonpath={.items[*].message}"])
                .await?;
            Ok(events.contains("alice@example.com suspended the Sync"))
        })
        .await
    })
}

/// `holdfast ui` as a user of the cluster.
async fn serve(kubeconfig: PathBuf, arguments: &[&str]) -> anyhow::Result<(Process, Folder, String)> {
    let folder = Folder::make("ui")?;
    let log = folder.path().join("log");
    let mut command = std::process::Command::new(program().await?);
    command.args(["ui", "--listen", "127.0.0.1:0"]).args(arguments).env("KUBECONFIG", kubeconfig);
    let process = Process::start("holdfast-ui", &mut command, &log)?;
    let mut url = String::new();
    for _ in 0..400 {
        let text = std::fs::read_to_string(&log)?;
        if let Some(found) = text.lines().find(|line| line.starts_with("http://")) {
            found.clone_into(&mut url);
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(!url.is_empty(), "{}", std::fs::read_to_string(&log)?);
    Ok((process, folder, url))
}

#[test]
fn the_ui_of_the_command_line_has_the_rights_of_its_kubeconfig() -> anyhow::Result<()> {
    run(AGENT, |shared| async move {
        people(shared).await?;
        let namespace = "ui-own";
        let kubeconfig = shared.env.cluster.kubeconfig_for_user("ui-dora")?;
        let cluster = &shared.env.cluster;
        shared.begin(namespace, &[("a.yaml", &config_map("a", "1"))], &json!({})).await?;
        cluster
            .must(&[
                "-n",
                namespace,
                "create",
                "rolebinding",
                "dora",
                "--clusterrole=holdfast-view",
                "--user=ui-dora",
            ])
            .await?;
        let (_process, _folder, url) = serve(kubeconfig, &["-n", namespace]).await?;
        let (base, _) = url.split_once("/open").context("no key")?;
        ensure!(
            Visitor::nobody(base)?.get("/").await?.status == 403,
            "who does not know the key sees nothing"
        );
        let opened = Visitor::nobody(base)?.get(&url[base.len()..]).await?;
        let dora = Visitor::with_cookie(base, &opened.header("set-cookie"))?;
        eventually(SOON, "the page to show the Sync", || async {
            let home: Answer = dora.get("/").await?;
            Ok(home.text.contains("ui-own/app") && home.text.contains("ui-dora"))
        })
        .await?;
        let page = dora.get("/syncs/ui-own/app").await?;
        page.is_guarded()?;
        let refused = dora.post("/syncs/ui-own/app/reconcile", &[("proof", &proof(&page.text)?)]).await?;
        ensure!(refused.status == 403 && refused.text.contains("ui-dora"), "{refused:?}");
        ensure!(dora.as_host("/", "evil.example.com").await?.status == 403);
        Ok(())
    })
}
