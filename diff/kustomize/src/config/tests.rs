//! Merging of configurations. What they do is tested against kubectl in `tests/kustomize_filters.rs`.

use serde_json::{Value, json};

use super::crds::from_definitions;
use super::*;
use crate::defaults;

fn config(value: Value) -> TransformerConfig {
    serde_json::from_value(value).expect("a configuration")
}

#[test]
fn a_spec_that_is_in_another_one_is_not_added() {
    let own = json!({"images": [{"path": "spec/a"}, {"path": "spec/b", "kind": "Foo"}]});
    for (added, expected) in [
        (json!([{"path": "spec/a"}]), 2),
        // The other way round it is: for some kind, where there is one for all.
        (json!([{"path": "spec/a", "kind": "Foo"}]), 3),
        (json!([{"path": "spec/b"}]), 2),
        (json!([{"path": "spec/b", "group": "g"}]), 3),
        (json!([{"path": "spec/c"}, {"path": "spec/c"}]), 3),
    ] {
        let merged = config(own.clone()).merge(&config(json!({"images": added})));
        assert_eq!(merged.map(|merged| merged.images.len()), Ok(expected), "{added}");
    }
}

#[test]
fn specs_that_do_not_agree_are_a_mistake() {
    let other = config(json!({"replicas": [{"path": "spec/replicas", "kind": "Deployment"}]}));
    let error = TransformerConfig::with_files([other]).expect_err("a conflict");
    assert_eq!(
        error.message,
        "replicas: the field spec of spec/replicas for Deployment.[noVer].[noGrp] has create: false, and another one has a different value: make them agree"
    );
}

#[test]
fn references_to_one_kind_come_together() {
    let other = json!({"nameReference": [
        {"kind": "Secret", "version": "v1", "fieldSpecs": [{"path": "spec/x", "kind": "Foo"}]},
        {"kind": "Foo", "fieldSpecs": [{"path": "spec/y", "kind": "Bar"}]},
    ]});
    let merged = TransformerConfig::with_files([config(other)]).expect("no conflict");
    let built_in = defaults::built_in();
    let count = |config: &TransformerConfig, kind: &str| {
        let all = config.name_reference.iter().filter(|reference| reference.kind == kind);
        all.map(|reference| reference.field_specs.len()).sum::<usize>()
    };
    assert_eq!(count(&merged, "Secret"), count(built_in, "Secret") + 1);
    assert_eq!(merged.name_reference.len(), built_in.name_reference.len() + 1);
    let kinds: Vec<&str> =
        merged.name_reference.iter().map(|reference| reference.kind.as_str()).take(3).collect();
    assert_eq!(kinds, ["StorageClass", "ServiceAccount", "Role"], "in the order of the original");
}

#[test]
fn unknown_tables_are_a_mistake() {
    assert!(serde_json::from_value::<TransformerConfig>(json!({"nameReferences": []})).is_err());
}

#[test]
fn definitions_that_never_end_are_a_mistake() {
    let property = |reference: &str| json!({"$ref": reference});
    let definition = |reference: &str| {
        json!({"Schema": {"properties": {
            "apiVersion": {}, "kind": {}, "metadata": {}, "spec": property(reference), "more": property(reference),
        }}})
    };
    for file in [
        json!({"a.Foo": definition("a.Foo")}),
        json!({"a.Foo": definition("a.Bar"), "a.Bar": definition("a.Foo")}),
        json!({"a.Foo": {"Schema": []}}),
        json!([]),
    ] {
        assert!(from_definitions(&file).is_err(), "{file}");
    }
    assert_eq!(from_definitions(&json!({"a.Foo": definition("unknown")})), Ok(TransformerConfig::default()));
}
