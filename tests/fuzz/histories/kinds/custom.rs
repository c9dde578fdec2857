//! Custom kinds, with a schema and without one. Pure.

use serde_json::{Value, json};

use super::{Aspect, Kind, spec};

/// What the control plane must know before a history begins.
pub const DEFINITIONS: &str = include_str!("definitions.yaml");

pub fn kinds() -> Vec<Kind> {
    vec![widget(), blob()]
}

/// A kind with defaults, a union by a rule, a keyed list, a set, a whole list and a scale, in two versions.
fn widget() -> Kind {
    let listener = |part: Value| spec(json!({"listeners": [part]}));
    let aspects = vec![
        Aspect::new(
            "version",
            "apiVersion",
            vec![
                json!({"apiVersion": "histories.example.com/v1"}),
                json!({"apiVersion": "histories.example.com/v1beta1"}),
            ],
        ),
        Aspect::new(
            "replicas",
            "spec/replicas",
            vec![json!({}), spec(json!({"replicas": 1})), spec(json!({"replicas": 3}))],
        ),
        Aspect::new(
            "handler",
            "spec/handler",
            vec![
                json!({}),
                spec(json!({"handler": {"http": {"port": 80}}})),
                spec(json!({"handler": {"exec": {"command": ["a"]}}})),
                spec(json!({"handler": {"http": {"port": 81, "path": "/x"}}})),
            ],
        ),
        Aspect::new(
            "size",
            "spec/size",
            vec![json!({}), spec(json!({"size": 5})), spec(json!({"size": 3})), spec(json!({"size": 0}))],
        ),
        Aspect::new(
            "listeners",
            "spec/listeners",
            vec![
                json!({}),
                listener(json!({"name": "a", "port": 80})),
                listener(json!({"name": "a", "port": 81, "protocol": "UDP"})),
                spec(json!({"listeners": [{"name": "b", "port": 80}, {"name": "a", "port": 80}]})),
            ],
        ),
        Aspect::new(
            "tags",
            "spec/tags",
            vec![
                json!({}),
                spec(json!({"tags": ["a"]})),
                spec(json!({"tags": ["a", "b"]})),
                spec(json!({"tags": ["c"]})),
            ],
        ),
        Aspect::new(
            "steps",
            "spec/steps",
            vec![
                json!({}),
                spec(json!({"steps": [{"name": "a", "run": "x"}]})),
                spec(json!({"steps": [{"name": "b", "run": "x"}, {"name": "a"}]})),
            ],
        ),
        Aspect::new(
            "limit",
            "spec/limit",
            vec![json!({}), spec(json!({"limit": 1})), spec(json!({"limit": "50%"}))],
        ),
        Aspect::new(
            "free",
            "spec/free",
            vec![
                json!({}),
                spec(json!({"free": {"a": {"b": 1}}})),
                spec(json!({"free": {"a": {"c": [1, 2]}, "d": "x"}})),
                spec(json!({"free": {}})),
            ],
        ),
        Aspect::new(
            "class",
            "spec/class",
            vec![json!({}), spec(json!({"class": "gold"})), spec(json!({"class": "silver"}))],
        )
        .fixed(),
    ];
    Kind::new(
        "widget",
        "widgets",
        json!({"apiVersion": "histories.example.com/v1", "kind": "Widget", "spec": {"title": "t"}}),
        aspects,
    )
    .scaled()
    .custom()
}

/// A kind of which the API server knows nothing.
fn blob() -> Kind {
    let aspects = vec![
        Aspect::new(
            "map",
            "spec/map",
            vec![
                json!({}),
                spec(json!({"map": {"a": 1}})),
                spec(json!({"map": {"a": 2, "b": {"c": true}}})),
                spec(json!({"map": {"b": {"d": false}}})),
            ],
        ),
        Aspect::new(
            "steps",
            "spec/steps",
            vec![
                json!({}),
                spec(json!({"steps": [{"name": "a", "x": 1}]})),
                spec(json!({"steps": [{"name": "b"}, {"name": "a", "x": 2}]})),
            ],
        ),
        Aspect::new("text", "text", vec![json!({}), json!({"text": "a"}), json!({"text": ""})]),
        Aspect::new(
            "number",
            "spec/number",
            vec![
                json!({}),
                spec(json!({"number": 0})),
                spec(json!({"number": 1.5})),
                spec(json!({"number": 100_000_000_000_i64})),
            ],
        ),
    ];
    Kind::new(
        "blob",
        "blobs",
        json!({"apiVersion": "histories.example.com/v1", "kind": "Blob", "spec": {"title": "t"}}),
        aspects,
    )
    .custom()
}
