//! The end of a Sync, and kinds that leave it: nothing that cannot be seen or removed holds it up for ever, and what stays is
//! told. I/O: processes, network.

use std::time::Duration;

use anyhow::ensure;
use holdfast_tests::shared::{self, Shared, run};
use holdfast_tests::{eventually, sync};
use serde_json::json;

/// How long what is expected may take on a machine that has a lot to do.
const SOON: Duration = Duration::from_secs(40);

const KINDS: &str = r"{.metadata.annotations.applyset\.kubernetes\.io/contains-group-kinds}";

/// Makes a ServiceAccount `deployer` that may do everything with these resources in its namespace.
async fn account(shared: &Shared, namespace: &str, resources: &[&str]) -> anyhow::Result<()> {
    let kubectl = &shared.env.cluster;
    kubectl.must(&["-n", namespace, "create", "serviceaccount", "deployer"]).await?;
    for resource in resources {
        let (name, _) = resource.split_once('.').unwrap_or((resource, ""));
        let resource = format!("--resource={resource}");
        kubectl.must(&["-n", namespace, "create", "role", name, "--verb=*", &resource]).await?;
        let (role, subject) = (format!("--role={name}"), format!("--serviceaccount={namespace}:deployer"));
        kubectl.must(&["-n", namespace, "create", "rolebinding", name, &role, &subject]).await?;
    }
    Ok(())
}

/// Waits until a Sync says this of Ready.
async fn says(shared: &Shared, namespace: &str, name: &str, parts: &[&str]) -> anyhow::Result<()> {
    eventually(SOON, &format!("{namespace}/{name} to say {parts:?}"), || async {
        let said = shared.env.condition(namespace, name, "Ready").await?;
        ensure!(parts.iter().all(|part| said.message.contains(part)), "{said:?}");
        Ok(true)
    })
    .await
}

async fn is_gone(shared: &Shared, namespace: &str, object: &str) -> anyhow::Result<()> {
    eventually(SOON, &format!("{object} to be gone"), || async {
        let found = shared.env.cluster.kubectl(&["-n", namespace, "get", object]).await?;
        Ok(String::from_utf8_lossy(&found.stderr).contains("NotFound"))
    })
    .await
}

async fn kinds(shared: &Shared, namespace: &str, expected: &str) -> anyhow::Result<()> {
    eventually(SOON, &format!("the kinds of the set to be {expected}"), || async {
        let kinds = shared.jsonpath(namespace, "sync/app", KINDS).await?;
        ensure!(kinds == expected, "{kinds}");
        Ok(true)
    })
    .await
}

#[test]
fn a_kind_that_is_not_stored_is_one_error_and_the_next_commit_heals() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let files = [("a.yaml", &*shared::config_map("a", "1")), ("b.yaml", &*shared::config_map("b", "1"))];
        let repository = shared.begin("unstored", &files, &json!({})).await?;
        let review = "apiVersion: authorization.k8s.io/v1\nkind: SelfSubjectAccessReview\nmetadata: {name: me}\nspec: {}\n";
        let binding = "apiVersion: v1\nkind: Binding\nmetadata: {name: bind}\ntarget: {name: node}\n";
        repository.commit(&[("review.yaml", review), ("binding.yaml", binding)], "Ask instead of say")?;
        let said = shared.env.reason("unstored", "app", "UnsupportedKind").await?;
        for part in
            ["SelfSubjectAccessReview.authorization.k8s.io", "review.yaml:1", "Binding", "remove it from Git"]
        {
            ensure!(said.message.contains(part), "{said:?}");
        }
        let commit = repository.remove(&["review.yaml", "binding.yaml", "b.yaml"], "Take them out")?;
        shared.env.ready("unstored", "app", Some(&commit)).await?;
        is_gone(shared, "unstored", "configmap/b").await?;
        kinds(shared, "unstored", "ConfigMap").await?;
        shared.env.cluster.must(&["-n", "unstored", "delete", "sync", "app", "--timeout=20s"]).await?;
        is_gone(shared, "unstored", "configmap/a").await
    })
}

#[test]
fn a_kind_that_may_not_be_listed_is_an_error_until_git_drops_it() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        shared.env.namespace("unlisted").await?;
        account(shared, "unlisted", &["configmaps", "secrets"]).await?;
        let repository = shared.env.forge.repository("unlisted").await?;
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
        let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}\n";
        repository.commit(
            &[("a.yaml", &shared::config_map("a", "1")), ("s.yaml", secret), ("job.yaml", job)],
            "Begin",
        )?;
        let spec = json!({"serviceAccountName": "deployer"});
        shared.env.cluster.apply(&sync::sync("unlisted", "app", &repository.https_url, &spec)).await?;
        let said = shared.env.reason("unlisted", "app", "Forbidden").await?;
        ensure!(
            said.message.contains("may not list jobs.batch") && said.message.contains("job.yaml:1"),
            "{said:?}"
        );
        kinds(shared, "unlisted", "ConfigMap,Secret").await?;
        // The last object of a kind takes its kind along.
        let commit = repository.remove(&["job.yaml", "s.yaml"], "Take it out")?;
        shared.env.ready("unlisted", "app", Some(&commit)).await?;
        is_gone(shared, "unlisted", "secret/s").await?;
        kinds(shared, "unlisted", "ConfigMap").await?;
        shared.env.cluster.must(&["-n", "unlisted", "delete", "sync", "app", "--timeout=20s"]).await?;
        Ok(())
    })
}

#[test]
fn what_may_not_be_removed_is_left_after_a_while_and_the_rest_is_not() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        shared.env.namespace("refused").await?;
        account(shared, "refused", &["configmaps", "cronjobs.batch"]).await?;
        let repository = shared.env.forge.repository("refused").await?;
        let job = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: j}\nspec: {schedule: '0 0 1 1 *', suspend: true, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}\n";
        repository.commit(&[("a.yaml", &shared::config_map("a", "1")), ("job.yaml", job)], "Begin")?;
        let spec = json!({"serviceAccountName": "deployer", "timeout": "8s"});
        shared.env.cluster.apply(&sync::sync("refused", "app", &repository.https_url, &spec)).await?;
        shared.env.ready("refused", "app", None).await?;
        shared.env.cluster.must(&["-n", "refused", "delete", "rolebinding", "cronjobs"]).await?;
        shared.env.cluster.must(&["-n", "refused", "delete", "sync", "app", "--wait=false"]).await?;
        says(
            shared,
            "refused",
            "app",
            &["may not delete cronjobs.batch", "deletion\":\"Orphan", "is retried until"],
        )
        .await?;
        is_gone(shared, "refused", "sync/app").await?;
        is_gone(shared, "refused", "configmap/a").await?;
        shared.env.cluster.must(&["-n", "refused", "get", "cronjob", "j"]).await?;
        let lines = shared.agent.lines()?;
        let told = lines.iter().find(|line| {
            line["message"] == "Sync removed; its objects stay" && line["sync"] == "refused/app"
        });
        let left = told.map(|line| line["left"].to_string()).unwrap_or_default();
        ensure!(left.contains("CronJob.batch refused/j") && !left.contains("ConfigMap"), "{left}");
        Ok(())
    })
}

#[test]
fn a_sync_whose_account_is_gone_says_so_and_can_be_let_go() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        shared.env.namespace("accountless").await?;
        account(shared, "accountless", &["configmaps"]).await?;
        let repository = shared.env.forge.repository("accountless").await?;
        repository.commit(&[("a.yaml", &shared::config_map("a", "1"))], "Begin")?;
        let spec = json!({"serviceAccountName": "deployer"});
        shared.env.cluster.apply(&sync::sync("accountless", "app", &repository.https_url, &spec)).await?;
        shared.env.ready("accountless", "app", None).await?;
        let gone = ["-n", "accountless", "delete", "rolebinding/configmaps", "serviceaccount/deployer"];
        shared.env.cluster.must(&gone).await?;
        shared.env.cluster.must(&["-n", "accountless", "delete", "sync", "app", "--wait=false"]).await?;
        says(
            shared,
            "accountless",
            "app",
            &["ServiceAccount accountless/deployer", "does not exist", "Orphan"],
        )
        .await?;
        shared.patch("accountless", "sync/app", &json!({"spec": {"deletion": "Orphan"}})).await?;
        is_gone(shared, "accountless", "sync/app").await?;
        shared.env.cluster.must(&["-n", "accountless", "get", "configmap", "a"]).await?;
        Ok(())
    })
}

#[test]
fn what_depends_on_a_sync_goes_before_it() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let held =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/hold]}\n";
        let files = [("one/a.yaml", &*shared::config_map("a", "1")), ("two/held.yaml", held)];
        let spec = json!({"path": "one", "approval": "Never"});
        let repository = shared.begin("reverse", &files, &spec).await?;
        let two = json!({"path": "two", "dependsOn": [{"name": "app"}], "approval": "Never"});
        shared.env.cluster.apply(&sync::sync("reverse", "two", &repository.https_url, &two)).await?;
        shared.env.ready("reverse", "two", None).await?;
        shared.env.cluster.must(&["-n", "reverse", "delete", "sync", "app", "two", "--wait=false"]).await?;
        says(
            shared,
            "reverse",
            "app",
            &["waits for the removal of Sync reverse/two, which depends on this Sync"],
        )
        .await?;
        says(shared, "reverse", "two", &["ConfigMap reverse/held"]).await?;
        // Longer than those are waited for that are not being deleted.
        tokio::time::sleep(Duration::from_secs(6)).await;
        shared.env.cluster.must(&["-n", "reverse", "get", "configmap", "a"]).await?;
        shared.patch("reverse", "configmap/held", &json!({"metadata": {"finalizers": null}})).await?;
        is_gone(shared, "reverse", "sync/two").await?;
        is_gone(shared, "reverse", "sync/app").await?;
        is_gone(shared, "reverse", "configmap/a").await
    })
}

#[test]
fn a_namespace_that_is_deleted_with_its_sync_waits_for_no_approval_that_cannot_be_created()
-> anyhow::Result<()> {
    run(&[], |shared| async move {
        // Of one Sync, what waits is deleted since its person says so; of the other, it is left after a while. Both have their
        // own namespace in git, which ends with them.
        for (namespace, timeout) in [("owner-a", "5m"), ("owner-b", "8s")] {
            let space = |name: &str| format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n");
            let other = format!("{namespace}-other");
            let files = [
                ("own.yaml", &*space(namespace)),
                ("other.yaml", &*space(&other)),
                ("a.yaml", &*shared::config_map("a", "1")),
            ];
            shared.begin(namespace, &files, &json!({"timeout": timeout})).await?;
            shared.env.cluster.must(&["delete", "namespace", namespace, "--wait=false"]).await?;
            says(
                shared,
                namespace,
                "app",
                &[&format!("delete Namespace {other}"), "takes no new Approval", "deletion\":\"Orphan"],
            )
            .await?;
            if namespace == "owner-a" {
                shared.patch(namespace, "sync/app", &json!({"spec": {"approval": "Never"}})).await?;
            }
            is_gone(shared, namespace, &format!("namespace/{namespace}")).await?;
            let found = shared.env.cluster.kubectl(&["get", "namespace", &other]).await?;
            ensure!(found.status.success() == (namespace == "owner-b"), "{other}: {found:?}");
        }
        let labels = shared.jsonpath("default", "namespace/owner-b-other", "{.metadata.labels}").await?;
        ensure!(!labels.contains("part-of"), "{labels}");
        Ok(())
    })
}

#[test]
fn what_becomes_of_the_objects_of_a_deleted_sync_is_said_apart_from_prune() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let cases = [
            ("stay", json!({"deletion": "Orphan", "approval": "Always"}), true),
            ("go", json!({"prune": false, "deletion": "Prune"}), false),
        ];
        for (namespace, spec, stays) in cases {
            let approval = json!({"spec": {"approval": spec.get("approval")}});
            let mut begun = spec.clone();
            sync::merge(&mut begun, &json!({"approval": "Never"}));
            shared.begin(namespace, &[("a.yaml", &shared::config_map("a", "1"))], &begun).await?;
            shared.patch(namespace, "sync/app", &approval).await?;
            shared.env.cluster.must(&["-n", namespace, "delete", "sync", "app", "--timeout=20s"]).await?;
            let found = shared.env.cluster.kubectl(&["-n", namespace, "get", "configmap", "a"]).await?;
            ensure!(found.status.success() == stays, "{namespace}: {found:?}");
        }
        let marks =
            shared.jsonpath("stay", "configmap/a", "{.metadata.labels}{.metadata.annotations}").await?;
        ensure!(!marks.contains("holdfast.dev") && !marks.contains("part-of"), "{marks}");
        Ok(())
    })
}
