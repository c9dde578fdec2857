//! Syncs for the tests of the UI. Pure.

use serde_json::{Value, json};

use crate::api::Sync;

pub const NOW: &str = "2026-01-01T12:00:00Z";

/// A Sync with these conditions: type, status, reason.
pub fn sync(namespace: &str, name: &str, conditions: &[(&str, &str, &str)]) -> Sync {
    let condition = |(kind, status, reason): &(&str, &str, &str)| {
        json!({"type": kind, "status": status, "reason": reason, "message": "all good", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T10:00:00Z"})
    };
    let conditions: Vec<Value> = conditions.iter().map(condition).collect();
    serde_json::from_value(json!({
        "apiVersion": "holdfast.dev/v1alpha1",
        "kind": "Sync",
        "metadata": {"namespace": namespace, "name": name, "generation": 1, "resourceVersion": "7"},
        "spec": {"source": {"git": {"url": "https://git.example.com/org/config.git"}}, "path": "./shop"},
        "status": {"observedGeneration": 1, "conditions": conditions},
    }))
    .expect("a Sync")
}

/// The same with a plan that waits.
pub fn with_plan(sync: Sync) -> Sync {
    let mut whole = serde_json::to_value(sync).expect("a Sync is JSON");
    whole["status"]["plan"] = json!({
        "id": "0123456789abcdef0123456789abcdef",
        "state": "AwaitingApproval",
        "since": "2026-01-01T11:00:00Z",
        "summary": {"create": 0, "update": 1, "delete": 1, "recreate": 0, "adopt": 0, "move": 0, "orphan": 0},
        "changes": [
            {"operation": "update", "object": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"},
             "reason": "1 field", "origin": "web.yaml:3",
             "fields": [{"path": "/spec/replicas", "before": "3", "after": "5", "manager": "kubectl-edit (Update, 2026-01-01T00:00:00Z)"}]},
            {"operation": "delete", "object": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "old"},
             "reason": "not in Git"},
        ],
        "omitted": 3,
    });
    serde_json::from_value(whole).expect("a Sync")
}
