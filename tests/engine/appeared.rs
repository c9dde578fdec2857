//! The names that exist are listed once for many objects, and an object may appear, or lose its marks, after the list was made.
//! I/O: processes, network.

use anyhow::ensure;
use holdfast_tests::eventually;
use holdfast_tests::shared::{SOON, run};
use serde_json::{Value, json};

/// A Service whose only port is 80, with a protocol or the default one.
fn service(name: &str, protocol: Option<&str>) -> String {
    let mut ports = json!([{"name": "http", "port": 80}]);
    if let Some(protocol) = protocol {
        ports[0]["protocol"] = protocol.into();
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports}})
        .to_string()
}

/// A CronJob with a time zone or `null`.
fn cron_job(name: &str, zone: &Value) -> Value {
    let pod = json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "example.com/a:1"}]});
    json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": {"schedule": "0 0 1 1 *",
        "timeZone": zone, "suspend": true, "jobTemplate": {"spec": {"template": {"spec": pod}}}}})
}

#[test]
fn an_object_that_appears_after_the_list_of_names_is_adopted_although_its_creation_is_refused()
-> anyhow::Result<()> {
    run(&[], |shared| async move {
        let (one, two) = (service("one", None), service("two", None));
        let repository =
            shared.begin("appears", &[("one.json", &one), ("two.json", &two)], &json!({})).await?;
        let cluster = &shared.env.cluster;
        let applied = cluster
            .kubectl_with(
                &cluster.kubeconfig(),
                &["-n", "appears", "apply", "--server-side", "--field-manager=helm", "-f", "-"],
                &service("three", Some("UDP")),
            )
            .await?;
        ensure!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
        let commit = repository.commit(&[("three.json", &service("three", None))], "Add a third one")?;
        shared.env.ready("appears", "app", Some(&commit)).await?;
        let path = "{.spec.ports[*].name}/{.spec.ports[*].protocol}";
        shared.until("appears", "service/three", path, "http/TCP").await
    })
}

#[test]
fn an_object_that_lost_its_marks_is_not_taken_for_a_deleted_one() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let files = ["one", "two"].map(|name| cron_job(name, &Value::Null).to_string());
        let files = [("one.json", &*files[0]), ("two.json", &*files[1])];
        shared.begin("unmarked", &files, &json!({})).await?;
        let cluster = &shared.env.cluster;
        let uid = shared.jsonpath("unmarked", "cronjob/one", "{.metadata.uid}").await?;
        let replacement = cron_job("one", &json!("Etc/UTC")).to_string();
        let replaced = cluster
            .kubectl_with(&cluster.kubeconfig(), &["-n", "unmarked", "replace", "-f", "-"], &replacement)
            .await?;
        ensure!(replaced.status.success(), "{}", String::from_utf8_lossy(&replaced.stderr));
        eventually(SOON, "the time zone to go and the marks to come back", || async {
            let path = "{.spec.timeZone}{.metadata.annotations.holdfast\\.dev/sync}";
            Ok(shared.jsonpath("unmarked", "cronjob/one", path).await? == "unmarked/app")
        })
        .await?;
        ensure!(shared.jsonpath("unmarked", "cronjob/one", "{.metadata.uid}").await? == uid);
        let drifted = shared.env.condition("unmarked", "app", "Drifted").await?;
        ensure!(!drifted.message.contains("deleted"), "{}", drifted.message);
        Ok(())
    })
}
