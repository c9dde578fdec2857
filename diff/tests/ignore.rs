//! Rules for what others may write, what they cover, and what is applied because of them.
//!
//! Each document in `tests/ignore/*.yaml` is a case with its rules, a live object, and what is expected.

use std::sync::Arc;

use holdfast_diff::compare::Difference;
use holdfast_diff::fields::Owner;
use holdfast_diff::ignore::{Ignored, Rule, Rules, suggest};
use holdfast_diff::object::{GroupKind, ObjectId};
use holdfast_diff::takeover::takeover;
use holdfast_diff::yaml::read;
use serde_json::{Value, json};

fn rules(rules: &Value) -> Vec<Rule> {
    serde_json::from_value(rules.clone()).expect("rules")
}

fn compiled(written: &Value) -> Rules {
    let (rules, errors) = Rules::compile(rules(written));
    assert_eq!(errors, Vec::<String>::new());
    rules
}

fn object(group: &str, kind: &str, namespace: &str, name: &str) -> ObjectId {
    ObjectId::new(Arc::new(GroupKind::new(group, kind)), namespace, name)
}

/// What rules without a target leave of the Deployment shop/web.
fn ignored(rules: &Value) -> Ignored {
    compiled(rules).of("apps/v1", &object("apps", "Deployment", "shop", "web"), None)
}

fn owner(manager: &str) -> Owner {
    Owner { manager: manager.to_owned(), operation: "Update".to_owned(), subresource: None, time: None }
}

/// Checks each case of a file: `found` makes of it what `expect` says.
fn cases(file: &str, text: &str, found: impl Fn(&Value) -> Value) {
    let (documents, errors) = read(file, text.as_bytes());
    assert_eq!(errors, []);
    for document in documents {
        let case = &document.value;
        assert_eq!(found(case), case["expect"], "{file}:{} {}", document.line, case["case"]);
    }
}

#[test]
fn what_is_applied_keeps_what_others_may_write() {
    cases("keep.yaml", include_str!("ignore/keep.yaml"), |case| {
        ignored(&case["rules"]).keep_live(&case["manifest"], &case["live"])
    });
}

#[test]
fn what_is_taken_over_before_the_apply_is_ours_to_keep() {
    let mut live = json!({"spec": {"replicas": 5}, "metadata": {"resourceVersion": "7", "managedFields": [
        {"manager": "kubectl-edit", "operation": "Update", "apiVersion": "apps/v1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]}});
    let manifest = json!({"spec": {"replicas": 3}});
    let ignored = ignored(&json!([{"paths": ["/spec/replicas"]}]));
    assert_eq!(ignored.keep_live(&manifest, &live), json!({"spec": {}}));
    let takeover = takeover(&live, "apps/v1").expect("kubectl is taken over from");
    live["metadata"]["managedFields"] = takeover.managed_fields;
    assert_eq!(ignored.keep_live(&manifest, &live), json!({"spec": {"replicas": 5}}));
}

#[test]
fn a_difference_is_told_without_what_others_may_write() {
    cases("strip.yaml", include_str!("ignore/strip.yaml"), |case| {
        let path = case["path"].as_str().unwrap_or_default().to_owned();
        let side = |name: &str| case.get(name).cloned();
        let difference = Difference { path: path.clone(), before: side("before"), after: side("after") };
        match ignored(&case["rules"]).strip(difference, &case["live"]) {
            None => Value::Null,
            Some(Difference { path: same, before, after }) => {
                assert_eq!(same, path);
                let sides = [("before", before), ("after", after)].into_iter();
                sides.filter_map(|(name, side)| Some((name.to_owned(), side?))).collect()
            }
        }
    });
}

#[test]
fn a_mistake_is_a_sentence_with_its_place() {
    let check = |rule: &Value, expected: &[&str]| {
        let good = json!({"paths": ["/spec/replicas"]});
        let (rules, errors) = Rules::compile(rules(&json!([good, rule])));
        assert_eq!(errors, expected);
        let holding = rules.of("v1", &object("", "Service", "shop", "web"), None);
        assert_eq!(holding.rules().collect::<Vec<_>>(), [0], "a rule with a mistake holds for nothing");
    };
    check(&json!({}), &["spec.drift.ignore[1]: must have paths, or managers, or both"]);
    check(
        &json!({"paths": ["spec/replicas", "/a~2b"]}),
        &[
            "spec.drift.ignore[1].paths[0]: `spec/replicas` is not a JSON pointer (RFC 6901): write /spec/replicas",
            "spec.drift.ignore[1].paths[1]: `/a~2b` has a ~ without 0 or 1 behind it: write ~0 for ~, and ~1 for /",
        ],
    );
    check(
        &json!({"target": {"name": ""}, "managers": ["keda", ""]}),
        &[
            "spec.drift.ignore[1].target.name: is empty and matches nothing: write a name or a glob, or leave it out",
            "spec.drift.ignore[1].managers[1]: is empty and matches nothing: write a name or a glob, or leave it out",
        ],
    );
    check(
        &json!({"target": {"labelSelector": "app=web,a b"}, "managers": ["keda"]}),
        &["spec.drift.ignore[1].target.labelSelector: `a b` is not a label selector: write a=b, a!=b, \
           a in (x, y), a notin (x, y), a or !a, with commas between them"],
    );
}

#[test]
fn a_rule_holds_where_all_of_its_target_does() {
    let labels = json!({"app": "web"});
    let check = |target: Value, expected: bool| {
        let rules = compiled(&json!([{"paths": ["/x"]}, {"target": target, "paths": ["/spec/replicas"]}]));
        let found = rules.of("apps/v1", &object("apps", "Deployment", "shop", "web"), labels.as_object());
        let expected: &[usize] = if expected { &[0, 1] } else { &[0] };
        assert_eq!(found.rules().collect::<Vec<_>>(), expected, "{target}");
    };
    check(json!({}), true);
    check(
        json!({"group": "apps", "version": "v1", "kind": "Deployment", "name": "w?b", "namespace": "s*"}),
        true,
    );
    check(json!({"group": "apps", "kind": "StatefulSet"}), false);
    check(json!({"group": "extensions"}), false);
    check(json!({"group": ""}), false);
    check(json!({"version": "v2"}), false);
    check(json!({"namespace": "shop-*"}), false);
    check(json!({"name": "api"}), false);
    check(json!({"labelSelector": "app in (web, api)"}), true);
    check(json!({"labelSelector": "app!=web"}), false);
}

#[test]
fn empty_text_as_group_is_the_core_group() {
    let rules = compiled(&json!([{"target": {"group": ""}, "managers": ["*"]}]));
    assert!(!rules.of("v1", &object("", "Service", "shop", "web"), None).is_empty());
    assert!(rules.of("apps/v1", &object("apps", "Deployment", "shop", "web"), None).is_empty());
}

#[test]
fn a_path_is_covered_by_its_rule_and_its_owner() {
    let check = |rule: Value, path: &str, managers: &[&str], expected: bool| {
        let owners: Vec<Owner> = managers.iter().map(|manager| owner(manager)).collect();
        assert_eq!(ignored(&json!([rule])).covers(path, &owners), expected, "{rule} {path} {managers:?}");
    };
    let replicas = json!({"paths": ["/spec/replicas"]});
    check(replicas.clone(), "/spec/replicas", &[], true);
    check(replicas.clone(), "/spec/replicas", &["holdfast"], true);
    check(replicas.clone(), "/spec", &[], false);
    let by_keda = json!({"paths": ["/spec/replicas"], "managers": ["keda*"]});
    check(by_keda.clone(), "/spec/replicas", &["kubectl-edit", "keda-operator"], true);
    check(by_keda.clone(), "/spec/replicas", &["kubectl-edit"], false);
    check(by_keda.clone(), "/spec/replicas", &[], false);
    check(by_keda, "/spec/paused", &["keda"], false);
    let everything = json!({"managers": ["*"]});
    check(everything.clone(), "/spec/paused", &["keda"], true);
    check(everything.clone(), "/spec/paused", &["holdfast"], false);
    check(everything, "/spec/paused", &[], false);
    let images = json!({"paths": ["/spec/template/spec/containers/*/image"]});
    check(images.clone(), "/spec/template/spec/containers/3/image", &[], true);
    check(images, "/spec/template/spec/containers/3/imagePullPolicy", &[], false);
}

#[test]
fn what_makes_an_object_ours_is_never_covered() {
    let all = ignored(&json!([{"paths": ["/metadata", "/kind", "/apiVersion"]}]));
    for path in [
        "/apiVersion",
        "/kind",
        "/metadata/name",
        "/metadata/namespace",
        "/metadata/labels/applyset.kubernetes.io~1part-of",
        "/metadata/annotations/holdfast.dev~1sync",
    ] {
        assert!(!all.covers(path, &[]), "{path}");
    }
    assert!(all.covers("/metadata/labels/app", &[]));
}

#[test]
fn no_rules_cover_nothing() {
    let none = Rules::default();
    assert!(none.is_empty());
    let ignored = none.of("v1", &object("", "Service", "shop", "web"), None);
    assert!(ignored.is_empty() && !ignored.covers("/spec", &[owner("keda")]));
}

/// A suggestion must be a rule for this object that covers these paths, and not what is beside or above them.
fn suggested(object: &ObjectId, paths: &[&str], expected: &str) {
    let text = suggest(object, paths);
    assert_eq!(text, expected);
    let list = format!("- {text}\n");
    let (documents, errors) = read("suggestion", list.as_bytes());
    assert_eq!(errors, [], "{text}");
    let rules = compiled(&documents[0].value);
    let version = format!("{}/v1", object.kind.group);
    let ignored = rules.of(&version, object, None);
    for path in paths {
        assert!(ignored.covers(path, &[]), "{text} and {path}");
        assert!(!ignored.covers(&format!("{path}X"), &[]), "{text} and {path}X");
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        assert!(!ignored.covers(above, &[]), "{text} and {above}");
    }
    let beside = ObjectId { name: format!("{}X", object.name).into(), ..object.clone() };
    assert!(rules.of(&version, &beside, None).is_empty(), "{text}");
    let elsewhere = ObjectId { namespace: "elsewhere".into(), ..object.clone() };
    assert_eq!(rules.of(&version, &elsewhere, None).is_empty(), !object.namespace.is_empty(), "{text}");
}

#[test]
fn a_suggestion_can_be_pasted() {
    suggested(
        &object("apps", "Deployment", "shop", "web"),
        &["/spec/replicas"],
        "{target: {group: apps, kind: Deployment, name: web, namespace: shop}, paths: [/spec/replicas]}",
    );
    suggested(
        &object("", "Namespace", "", "shop"),
        &["/metadata/labels/a~1b", "/metadata/annotations/x y"],
        "{target: {kind: Namespace, name: shop}, paths: [/metadata/labels/a~1b, \"/metadata/annotations/x y\"]}",
    );
}

#[test]
fn a_suggestion_quotes_what_yaml_would_not_read_as_text() {
    for (name, written) in [
        ("true", "\"true\""),
        ("On", "\"On\""),
        ("123", "\"123\""),
        ("1e3", "\"1e3\""),
        ("2026-01-01", "\"2026-01-01\""),
        ("system:node", "\"system:node\""),
        ("a#b", "\"a#b\""),
        ("a, b]", "\"a, b]\""),
        ("web.v1", "web.v1"),
        ("*", r#""\\*""#),
        (r#"a\"?"#, r#""a\\\\\"\\?""#),
        ("a\u{85}\u{feff}\tb", r#""a\u0085\uFEFF\u0009b""#),
        ("über", "\"über\""),
    ] {
        suggested(
            &object("", "ConfigMap", "a", name),
            &["/data/x", "/data/a: \"b\""],
            &format!(
                "{{target: {{kind: ConfigMap, name: {written}, namespace: a}}, paths: [/data/x, \"/data/a: \\\"b\\\"\"]}}"
            ),
        );
    }
}
