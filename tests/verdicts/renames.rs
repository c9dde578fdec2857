//! Objects under another name that want what the old one has until it is removed: it goes first where that is approved, and
//! nothing goes where more than that stands against the new one.

use anyhow::ensure;
use holdfast_tests::eventually;
use holdfast_tests::shared::{self, SOON, run};
use serde_json::json;

fn service(name: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{more}, selector: {{app: a}}}}\n"
    )
}

fn port(name: &str, number: u16) -> String {
    service(name, &format!("type: NodePort, ports: [{{name: http, port: 80, nodePort: {number}}}]"))
}

#[test]
fn what_a_renamed_object_wants_is_set_free_by_the_old_one() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "renames";
        let address = |name: &str| service(name, "clusterIP: 10.0.0.77, ports: [{name: http, port: 80}]");
        let files = [
            ("port.yaml", port("port-old", 31201)),
            ("address.yaml", address("address-old")),
            ("a.yaml", shared::config_map("a", "1")),
            ("b.yaml", shared::config_map("b", "1")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, &**text)).collect();
        let repository = shared.begin(namespace, &files, &json!({})).await?;
        let files = [("port.yaml", port("port-new", 31201)), ("address.yaml", address("address-new"))];
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, &**text)).collect();
        let commit = repository.commit(&files, "Rename")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        for old in ["service/port-old", "service/address-old"] {
            shared.gone(namespace, old).await?;
        }
        let found = shared.jsonpath(namespace, "service/port-new", "{.spec.ports[0].nodePort}").await?;
        ensure!(found == "31201", "{found}");
        let found = shared.jsonpath(namespace, "service/address-new", "{.spec.clusterIP}").await?;
        ensure!(found == "10.0.0.77", "{found}");
        let sync = shared.env.read(namespace, "app").await?;
        let outcomes = sync["status"]["history"].to_string();
        ensure!(!outcomes.contains("Failed"), "{outcomes}");
        Ok(())
    })
}

#[test]
fn what_is_wrong_with_a_renamed_object_removes_nothing() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "misnamed";
        let files = [
            ("map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"),
            ("port.yaml", &*port("old", 31202)),
        ];
        let repository = shared.begin(namespace, &files, &json!({"approval": "Deletions"})).await?;
        // A deletion that waits is not made for another object either, and the message says what has the port.
        repository.commit(&[("port.yaml", &port("new", 31202))], "Rename")?;
        eventually(SOON, "the message to name what has the port", || async {
            let ready = shared.env.condition(namespace, "app", "Ready").await?;
            ensure!(
                ready.message.contains("31202")
                    && ready.message.contains("Service misnamed/old, which is no longer in Git"),
                "{ready:?}"
            );
            ensure!(ready.message.contains("approve its removal"), "{ready:?}");
            Ok(true)
        })
        .await?;
        shared.env.cluster.must(&["-n", namespace, "get", "service", "old"]).await?;
        // Another fault beside the port: the old one stays, whatever the policy.
        shared.patch(namespace, "sync/app", &json!({"spec": {"approval": "Never"}})).await?;
        shared.env.ready(namespace, "app", None).await?;
        let wrong = port("newest", 31202).replace("port: 80,", "port: 80, targetPort: \"not a port\",");
        repository.commit(&[("port.yaml", &wrong)], "Rename with a fault")?;
        let said = shared.env.reason(namespace, "app", "Invalid").await?;
        ensure!(said.message.contains("targetPort"), "{said:?}");
        shared.env.cluster.must(&["-n", namespace, "get", "service", "new"]).await?;
        Ok(())
    })
}

#[test]
fn what_controllers_have_not_made_yet_is_waited_for_in_silence() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let mut files = Vec::new();
        for at in 0..8 {
            let name = format!("early-{at}");
            let pod = "restartPolicy: Never, containers: [{name: a, image: \"a:1\", resources: {requests: {cpu: 10m}, limits: {cpu: 10m}}}]";
            files.push((
                format!("{name}.yaml"),
                format!(
                    "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n---\n\
                     apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: q, namespace: {name}}}\nspec: {{hard: {{pods: 2, limits.cpu: 1}}}}\n---\n\
                     apiVersion: v1\nkind: LimitRange\nmetadata: {{name: l, namespace: {name}}}\nspec: {{limits: [{{type: Container, max: {{cpu: 1}}}}]}}\n---\n\
                     apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: {name}, annotations: {{a: b}}}}\nspec: {{{pod}}}\n---\n\
                     apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: default, namespace: {name}, annotations: {{a: b}}}}\n"
                ),
            ));
        }
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
        shared.begin("early", &files, &json!({"health": {"wait": false}})).await?;
        let lines = shared.agent.lines()?;
        let told: Vec<_> = lines
            .iter()
            .filter(|line| {
                line["sync"] == "early/app" && (line["level"] == "WARN" || line["level"] == "ERROR")
            })
            .collect();
        ensure!(told.is_empty(), "{told:#?}");
        Ok(())
    })
}
