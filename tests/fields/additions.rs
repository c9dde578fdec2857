//! What others add beside what Git has: it stays, is not drift, and does not keep Git from emptying or removing what is its own.
//! I/O: processes, network.

use holdfast_tests::eventually;
use holdfast_tests::shared::{SOON, Shared, run};
use serde_json::{Value, json};

use super::{edit, kubectl, map, plan};

/// Patches an object as a manager.
async fn patch(shared: &Shared, at: (&str, &str), manager: &str, patch: &Value) -> anyhow::Result<()> {
    let (namespace, object) = at;
    let kind = if object.starts_with("deployment/") { "--type=strategic" } else { "--type=merge" };
    let (manager, patch) = (format!("--field-manager={manager}"), patch.to_string());
    kubectl(shared, namespace, &["patch", object, kind, &manager, "-p", &patch], "").await
}

async fn get(shared: &Shared, namespace: &str, object: &str) -> anyhow::Result<Value> {
    let text = shared.env.cluster.must(&["-n", namespace, "get", object, "-o", "json"]).await?;
    Ok(serde_json::from_str(&text)?)
}

/// The names of the items of a list.
fn names<'v>(object: &'v Value, list: &str, key: &str) -> Vec<&'v str> {
    let items = object.pointer(list).and_then(Value::as_array);
    let mut names: Vec<&str> = items.into_iter().flatten().filter_map(|item| item[key].as_str()).collect();
    names.sort_unstable();
    names
}

fn web(env: &Value, mounts: &Value, volumes: &Value, containers: &[Value]) -> String {
    let mut all = vec![json!({"name": "c", "image": "i:1", "env": env, "volumeMounts": mounts})];
    all.extend(containers.iter().cloned());
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 0,
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"volumes": volumes, "containers": all}}}})
    .to_string()
}

#[test]
fn what_others_added_stays_when_git_adds_an_item_with_the_same_content() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let (namespace, deployment) = ("additions", "deployment/web");
        let (a, x) = (json!({"name": "A", "value": "1"}), json!({"name": "v", "mountPath": "/x"}));
        let v = json!({"name": "v", "emptyDir": {}});
        let before = web(&json!([a]), &json!([x]), &json!([v]), &[]);
        let spec = json!({"health": {"wait": false}});
        let repository = shared.begin(namespace, &[("web.json", &before)], &spec).await?;
        let by_person = json!({"spec": {"template": {"spec": {"containers": [{"name": "c",
            "env": [{"name": "DEBUG", "value": "true"}], "volumeMounts": [{"name": "v", "mountPath": "/debug"}]}]}}}});
        patch(shared, (namespace, deployment), "kubectl-patch", &by_person).await?;
        let by_injector = json!({"spec": {"template": {"spec": {"volumes": [{"name": "sv", "emptyDir": {}}],
            "containers": [{"name": "side", "image": "side", "volumeMounts": [{"name": "sv", "mountPath": "/s"}]}]}}}});
        patch(shared, (namespace, deployment), "vault-injector", &by_injector).await?;
        let (said, changes) = plan(shared, namespace).await?;
        assert!(changes.is_empty(), "{said} {changes:?}");

        let after = web(
            &json!([a, {"name": "VERBOSE", "value": "true"}]),
            &json!([x, {"name": "v", "mountPath": "/data"}]),
            &json!([v, {"name": "w", "emptyDir": {}}]),
            &[json!({"name": "plain", "image": "side"})],
        );
        let commit = repository.commit(&[("web.json", &after)], "Add items")?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let live = get(shared, namespace, deployment).await?;
        let pod = &live["spec"]["template"]["spec"];
        assert_eq!(names(pod, "/containers", "name"), ["c", "plain", "side"], "{pod:#}");
        assert_eq!(names(pod, "/volumes", "name"), ["sv", "v", "w"], "{pod:#}");
        let containers = pod["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let first = containers.iter().find(|container| container["name"] == "c").unwrap_or(&Value::Null);
        assert_eq!(names(first, "/env", "name"), ["A", "DEBUG", "VERBOSE"], "{pod:#}");
        assert_eq!(names(first, "/volumeMounts", "mountPath"), ["/data", "/debug", "/x"], "{pod:#}");
        Ok(())
    })
}

#[test]
fn an_entry_that_others_add_to_an_empty_map_is_no_drift() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "injected";
        let empty = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bundle}\ndata: {}\n";
        let all = format!("{empty}---\n{}", map("other", ""));
        shared.begin(namespace, &[("all.yaml", &all)], &json!({})).await?;
        let entry = json!({"metadata": {"annotations": {"a": "b"}}, "data": {"ca.crt": "x"}});
        patch(shared, (namespace, "configmap/bundle"), "kubectl-patch", &entry).await?;
        let added = get(shared, namespace, "configmap/bundle").await?;
        let (said, changes) = plan(shared, namespace).await?;
        assert!(changes.is_empty(), "{said} {changes:?}");
        // Drift that comes later is corrected; by then the entry was compared too.
        let drift = json!([{"op": "replace", "path": "/data/key", "value": "2"}]);
        edit(shared, namespace, "configmap/other", &drift).await?;
        shared.until(namespace, "configmap/other", "{.data.key}", "1").await?;
        eventually(SOON, "the event of the correction", || async {
            let events = shared.env.cluster.must(&["-n", namespace, "get", "events", "-o", "json"]).await?;
            assert!(!events.contains("bundle"), "{events}");
            Ok(events.contains("was corrected"))
        })
        .await?;
        let now = get(shared, namespace, "configmap/bundle").await?;
        assert_eq!(now["metadata"]["resourceVersion"], added["metadata"]["resourceVersion"], "{now:#}");
        Ok(())
    })
}

fn part(spec: &Value) -> String {
    json!({"apiVersion": "additions.example.com/v1", "kind": "Part", "metadata": {"name": "p"}, "spec": spec})
        .to_string()
}

#[test]
fn a_map_that_leaves_git_goes_without_the_entries_of_others() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
        let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let spec = json!({"type": "object", "properties": {"free": texts, "loose": open,
            "atom": {"type": "array", "items": open},
            "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
                "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "env": texts}}}}});
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "parts.additions.example.com"}, "spec": {"group": "additions.example.com",
            "scope": "Namespaced", "names": {"plural": "parts", "singular": "part", "kind": "Part", "listKind": "PartList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}});
        shared.env.cluster.apply(&definition.to_string()).await?;
        let one = json!({"id": "a", "env": {"x": "1"}});
        let two = json!({"id": "b", "env": {"y": "1"}});
        let added = json!({"spec": {"loose": {"a": {"c": 2}, "q": 1}}});
        for (namespace, before, added, after, expected) in [
            (
                "order",
                json!({"items": [one, two], "atom": [{"m": {"a": 1}}, {"m": {"b": 1}}]}),
                None,
                json!({"items": [two, {"id": "a", "env": {}}], "atom": [{"m": {"b": 1}}, {"m": {}}]}),
                None,
            ),
            (
                "beside",
                json!({"loose": {"a": {"b": 1}}, "free": {"a": "1"}}),
                Some(&added),
                json!({"loose": {}, "free": {}}),
                Some(json!({"loose": {"a": {"c": 2}, "q": 1}, "free": {}})),
            ),
            (
                "whole",
                json!({"loose": {"a": {"b": 1}}}),
                Some(&added),
                json!({"free": {"a": "1"}}),
                Some(json!({"loose": {"a": {"c": 2}, "q": 1}, "free": {"a": "1"}})),
            ),
        ] {
            let repository = shared.begin(namespace, &[("p.json", &part(&before))], &json!({})).await?;
            if let Some(added) = added {
                patch(shared, (namespace, "part/p"), "my-operator", added).await?;
            }
            let commit = repository.commit(&[("p.json", &part(&after))], "Empty it")?;
            shared.env.ready(namespace, "app", Some(&commit)).await?;
            let live = get(shared, namespace, "part/p").await?;
            let mut found = live["spec"].clone();
            let expected = expected.unwrap_or_else(|| after.clone());
            // The API server keeps the order of items that were there before.
            if let Some(items) = found.get_mut("items").and_then(Value::as_array_mut) {
                items.sort_by_key(|item| item["id"] != expected["items"][0]["id"]);
            }
            assert_eq!(found, expected, "{namespace} {live:#}");
            let (said, changes) = plan(shared, namespace).await?;
            assert!(changes.is_empty(), "{namespace} {said} {changes:?}");
        }
        Ok(())
    })
}
