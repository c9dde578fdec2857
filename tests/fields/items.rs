//! Items of lists whose key is changed by hand, entries that are moved to another map, values that the API server does not store,
//! and maps that Git empties.
//! I/O: processes, network.

use holdfast_tests::eventually;
use holdfast_tests::shared::{SOON, Shared, run};
use serde_json::{Value, json};

use super::{edit, kubectl, plan};

async fn get(shared: &Shared, namespace: &str, object: &str) -> anyhow::Result<Value> {
    let text = shared.env.cluster.must(&["-n", namespace, "get", object, "-o", "json"]).await?;
    Ok(serde_json::from_str(&text)?)
}

/// Waits until a value of an object is as expected, and the plan is empty.
async fn becomes(
    shared: &Shared,
    namespace: &str,
    object: &str,
    path: &str,
    expected: &Value,
) -> anyhow::Result<()> {
    eventually(SOON, &format!("{object} {path}"), || async {
        let live = get(shared, namespace, object).await?;
        let found = live.pointer(path).unwrap_or(&Value::Null);
        anyhow::ensure!(found == expected, "{found}, not {expected}");
        Ok(true)
    })
    .await?;
    shared.env.ready(namespace, "app", None).await?;
    let (said, changes) = plan(shared, namespace).await?;
    assert!(changes.is_empty(), "{said} {changes:?}");
    Ok(())
}

#[test]
fn an_item_whose_key_is_changed_by_hand_is_put_back_and_not_added_beside() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "keys";
        let git = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 0,
            "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
            "volumes": [{"name": "v", "emptyDir": {}}],
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.example.com"]}],
            "topologySpreadConstraints": [{"topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1}],
            "containers": [{"name": "c", "image": "i:1", "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}},
                "env": [{"name": "E", "value": ""}], "volumeMounts": [{"name": "v", "mountPath": "/x"}]}]}}}});
        let more = json!({"health": {"wait": false}});
        shared.begin(namespace, &[("web.json", &git.to_string())], &more).await?;
        let (pod, container) = ("/spec/template/spec", "/spec/template/spec/containers/0");
        for (path, value) in [
            (format!("{container}/name"), "d"),
            (format!("{container}/env/0/name"), "F"),
            (format!("{container}/volumeMounts/0/mountPath"), "/y"),
            (format!("{pod}/hostAliases/0/ip"), "10.0.0.2"),
            (format!("{pod}/topologySpreadConstraints/0/whenUnsatisfiable"), "DoNotSchedule"),
        ] {
            let before = get(shared, namespace, "deployment/web").await?;
            let patch = json!([{"op": "replace", "path": path, "value": value}]);
            edit(shared, namespace, "deployment/web", &patch).await?;
            becomes(shared, namespace, "deployment/web", pod, &before["spec"]["template"]["spec"]).await?;
        }
        Ok(())
    })
}

#[test]
fn a_key_that_moves_between_data_and_binary_data_comes_back() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "binary";
        shared.begin(namespace, &[("a.yaml", &super::map("a", ""))], &json!({})).await?;
        let patch = json!([{"op": "remove", "path": "/data/key"}, {"op": "add", "path": "/binaryData", "value": {"key": "aGk="}}]);
        edit(shared, namespace, "configmap/a", &patch).await?;
        becomes(shared, namespace, "configmap/a", "/data", &json!({"key": "1"})).await?;
        becomes(shared, namespace, "configmap/a", "/binaryData", &Value::Null).await
    })
}

fn gizmo(spec: &Value) -> String {
    json!({"apiVersion": "items.example.com/v1", "kind": "Gizmo", "metadata": {"name": "g"}, "spec": spec})
        .to_string()
}

#[test]
fn a_map_that_git_empties_becomes_empty() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "empty";
        let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
        let spec = json!({"type": "object", "properties": {
            "open": open, "texts": texts, "any": {"x-kubernetes-preserve-unknown-fields": true},
            "nullable": {"type": "object", "nullable": true, "additionalProperties": {"type": "string"}},
            "typed": {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "integer"}}}}},
            "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "env": texts}}}}});
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "gizmos.items.example.com"}, "spec": {"group": "items.example.com", "scope": "Namespaced",
            "names": {"plural": "gizmos", "singular": "gizmo", "kind": "Gizmo", "listKind": "GizmoList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}});
        shared.env.cluster.apply(&definition.to_string()).await?;
        let full = json!({"open": {"a": {"b": 1}}, "texts": {"a": "b"}, "any": {"a": {"b": 1}}, "nullable": {"a": "b"},
            "typed": {"a": {"b": 1}}, "list": [{"name": "x", "env": {"a": "b"}}, {"name": "y", "env": {"a": "b"}}]});
        let repository = shared.begin(namespace, &[("g.yaml", &gizmo(&full))], &json!({})).await?;
        // The same fields are a person's too.
        kubectl(shared, namespace, &["apply", "-f", "-"], &gizmo(&full)).await?;
        for empty in [
            json!({"open": {}, "texts": {}, "any": {}, "nullable": {}, "typed": {}, "list": [{"name": "x", "env": {}}]}),
            json!({"open": {"a": {}}, "texts": {"a": "b"}, "any": {"a": {}}, "nullable": {"c": "d"}, "typed": {"a": {}},
                "list": [{"name": "x", "env": {"a": "b"}}, {"name": "y", "env": {}}]}),
        ] {
            let commit = repository.commit(&[("g.yaml", &gizmo(&empty))], "Empty the maps")?;
            shared.env.ready(namespace, "app", Some(&commit)).await?;
            becomes(shared, namespace, "gizmo/g", "/spec", &empty).await?;
            let commit = repository.commit(&[("g.yaml", &gizmo(&full))], "Fill them")?;
            shared.env.ready(namespace, "app", Some(&commit)).await?;
            becomes(shared, namespace, "gizmo/g", "/spec", &full).await?;
        }
        Ok(())
    })
}

#[test]
fn a_value_that_the_server_does_not_store_is_put_back_when_somebody_sets_another() -> anyhow::Result<()> {
    run(&[], |shared| async move {
        let namespace = "zeros";
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 0,
            "paused": false, "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"hostNetwork": false, "tolerations": [], "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{"name": "c", "image": "i:1", "args": [], "stdin": false, "volumeMounts": [
                {"name": "v", "mountPath": "/ro", "readOnly": true}, {"name": "v", "mountPath": "/rw", "readOnly": false}]}]}}}});
        let policy = json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "deny"},
            "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}});
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "none"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}, "subjects": []});
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": {"clusterIP": "None", "selector": {}, "publishNotReadyAddresses": false, "ports": []}});
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}, "imagePullSecrets": []});
        let all = json!({"apiVersion": "v1", "kind": "List", "items": [deployment, policy, binding, service, account]});
        shared
            .begin(namespace, &[("all.json", &all.to_string())], &json!({"health": {"wait": false}}))
            .await?;
        let user = json!([{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]);
        for (object, path, value) in [
            ("networkpolicy/deny", "/spec/ingress", json!([{}])),
            ("rolebinding/none", "/subjects", user),
            ("service/s", "/spec/publishNotReadyAddresses", json!(true)),
            ("serviceaccount/robot", "/imagePullSecrets", json!([{"name": "x"}])),
            ("deployment/web", "/spec/paused", json!(true)),
            ("deployment/web", "/spec/template/spec/hostNetwork", json!(true)),
            ("deployment/web", "/spec/template/spec/containers/0/args", json!(["evil"])),
            ("deployment/web", "/spec/template/spec/containers/0/stdin", json!(true)),
            ("deployment/web", "/spec/template/spec/containers/0/volumeMounts/1/readOnly", json!(true)),
            (
                "deployment/web",
                "/spec/template/spec/tolerations",
                json!([{"key": "q", "operator": "Exists"}]),
            ),
        ] {
            edit(shared, namespace, object, &json!([{"op": "add", "path": path, "value": value}])).await?;
            becomes(shared, namespace, object, path, &Value::Null).await?;
        }
        Ok(())
    })
}
