//! What becomes ours, what goes, and what stays, on hand-made objects.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::fields::text;

fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "v1", "time": "2026-01-01T00:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": fields})
}

#[test]
fn fields_of_tools_become_ours_in_one_entry() {
    let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
        entry("kubectl-client-side-apply", "Update", &json!({"f:data": {"f:a": {}}})),
        entry("kubectl-edit", "Update", &json!({"f:data": {"f:b": {}}})),
        entry("kube-controller-manager", "Update", &json!({"f:data": {"f:c": {}}})),
    ]}});
    let Takeover { managers, resource_version, managed_fields, gone: _, removes: _ } =
        takeover(&live, "v1").unwrap();
    assert_eq!(
        (managers.join(" "), &*resource_version),
        ("kubectl-client-side-apply kubectl-edit".to_owned(), "7")
    );
    let entries: Vec<(&str, &Value)> = managed_fields
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (text(entry, "manager").unwrap(), &entry["fieldsV1"]))
        .collect();
    assert_eq!(
        entries,
        [
            ("kube-controller-manager", &json!({"f:data": {"f:c": {}}})),
            ("holdfast", &json!({"f:data": {"f:a": {}, "f:b": {}}})),
        ]
    );
}

#[test]
fn what_is_ours_already_or_nobodys_is_not_taken_over() {
    let of = |entries: Value| json!({"metadata": {"resourceVersion": "7", "managedFields": entries}});
    let kubectl = entry("kubectl-edit", "Update", &json!({"f:data": {}}));
    let ours = entry("holdfast", "Apply", &json!({"f:data": {}}));
    assert_eq!(takeover(&of(json!([kubectl, ours])), "v1"), None);
    assert_eq!(takeover(&of(json!([])), "v1"), None);
}

fn leaving(live: &Value, predicted: &Value) -> (Owners, Leaving) {
    let owners = Owners::of(live, "v1");
    let leaving = owners.leaving(predicted);
    let scale = |path: &[String]| path == ["spec", "replicas"];
    let leaving =
        owners.decide(leaving, live, &Rules { ignored: &|_| false, handed: &scale, returned: &|_| false });
    (owners, leaving)
}

#[test]
fn what_leaves_git_goes_whoever_else_owns_it_but_a_controller() {
    let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [
        entry("holdfast", "Apply", &json!({"f:data": {"f:a": {}, "f:b": {}, "f:c": {}}, "f:spec": {"f:replicas": {}}})),
        entry("kubectl-patch", "Update", &json!({"f:data": {"f:b": {}, "f:d": {}}})),
        entry("some-operator", "Update", &json!({"f:data": {"f:c": {}}})),
    ]}, "data": {"a": "1", "b": "2", "c": "3", "d": "4"}, "spec": {"replicas": 4}});
    let mut predicted = live.clone();
    predicted["metadata"]["managedFields"][0]["fieldsV1"] = json!({"f:data": {"f:a": {}}});
    predicted["spec"]["replicas"] = json!(1);
    let (owners, leaving) = leaving(&live, &predicted);
    let Settled { takeover, handed, kept } = owners.settle(&live, &leaving, &Set::new(), None);
    assert_eq!((handed, kept), (vec!["/spec/replicas".to_owned()], vec!["/data/c".to_owned()]));
    let takeover = takeover.unwrap();
    assert_eq!(takeover.managers, ["kubectl-patch"]);
    let sets: Vec<&Value> =
        takeover.managed_fields.as_array().unwrap().iter().map(|entry| &entry["fieldsV1"]).collect();
    assert_eq!(
        sets,
        [
            &json!({"f:data": {"f:d": {}}}),
            &json!({"f:data": {"f:c": {}}}),
            &json!({"f:data": {"f:a": {}, "f:b": {}, "f:c": {}}})
        ]
    );
    let becomes = owners.without_leaving(&predicted, &live, &leaving, &Set::new()).unwrap();
    assert_eq!(becomes["data"], json!({"a": "1", "c": "3", "d": "4"}));
    assert_eq!(becomes["spec"]["replicas"], 4);
    assert_eq!(
        owners.with_kept(&json!({"data": {"a": "1"}}), &live, &leaving),
        json!({"data": {"a": "1", "c": "3"}})
    );
}

#[test]
fn what_only_a_former_tool_said_goes_at_the_first_apply() {
    let live = json!({"metadata": {"annotations": {"by-hand": "1"}, "managedFields": [
        entry("kubectl-client-side-apply", "Update", &json!({
            "f:data": {".": {}, "f:a": {}, "f:b": {}},
            "f:list": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}}}})),
        entry("kubectl-annotate", "Update", &json!({"f:metadata": {"f:annotations": {"f:by-hand": {}}}})),
    ]}, "data": {"a": "1", "b": "2"}, "list": [{"name": "x"}]});
    let mut predicted = live.clone();
    let entries = predicted["metadata"]["managedFields"].as_array_mut().unwrap();
    entries.push(entry("holdfast", "Apply", &json!({"f:data": {"f:a": {}}})));
    let (owners, leaving) = leaving(&live, &predicted);
    let becomes = owners.without_leaving(&predicted, &live, &leaving, &Set::new()).unwrap();
    assert_eq!(becomes["data"], json!({"a": "1"}));
    assert_eq!(becomes["list"], json!([]));
    assert_eq!(becomes["metadata"]["annotations"], json!({"by-hand": "1"}));
}

#[test]
fn a_computed_apply_removes_what_only_we_own_and_git_does_not_have() {
    let live = json!({"metadata": {"managedFields": [entry("holdfast", "Apply", &json!({
            "f:policy": {}, "f:value": {}, "f:data": {".": {}, "f:a": {}, "f:b": {}},
            "f:list": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}}, "k:{\"name\":\"y\"}": {".": {}, "f:name": {}}}}))]},
        "policy": "Never", "value": 10, "data": {"a": "1", "b": "2"}, "list": [{"name": "x"}, {"name": "y"}]});
    let manifest = json!({"value": 10, "data": {"a": "1"}, "list": [{"name": "y"}]});
    let owners = Owners::of(&live, "v1");
    let mut merged = applied_to(&owners, &live, &manifest, &owners.unsaid(&manifest));
    merged.as_object_mut().unwrap().remove("metadata");
    assert_eq!(merged, manifest);
}

#[test]
fn what_another_version_names_counts_as_far_as_the_object_has_it() {
    let kubectl = json!({"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1beta1",
        "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {"f:a": {}}, "f:gone": {}}});
    let live = json!({"metadata": {"resourceVersion": "7", "managedFields": [kubectl]}, "data": {"a": "1"}});
    let takeover = takeover(&live, "v1").unwrap();
    let ours = &takeover.managed_fields[0];
    assert_eq!((&ours["apiVersion"], &ours["fieldsV1"]), (&json!("v1"), &json!({"f:data": {"f:a": {}}})));
}

/// A HorizontalPodAutoscaler that was applied in `autoscaling/v2` with three metrics and a behavior, read in `autoscaling/v1`.
fn autoscaler(manager: &str, operation: &str) -> Value {
    let sets = json!({"f:spec": {"f:maxReplicas": {}, "f:metrics": {}, "f:behavior": {"f:scaleDown": {}},
        "f:scaleTargetRef": {"f:kind": {}, "f:name": {}}}});
    let mut entry = entry(manager, operation, &sets);
    entry["apiVersion"] = json!("autoscaling/v2");
    json!({"metadata": {"resourceVersion": "7", "managedFields": [entry], "annotations": {
            "autoscaling.alpha.kubernetes.io/metrics": "[...]",
            "autoscaling.alpha.kubernetes.io/behavior": "{...}", "other": "stays"}},
        "spec": {"maxReplicas": 5, "targetCPUUtilizationPercentage": 40, "scaleTargetRef": {"kind": "a", "name": "b"}}})
}

#[test]
fn metrics_that_leave_git_with_their_version_go_from_the_annotations_of_the_older_version() {
    let live = autoscaler("holdfast", "Apply");
    let mut predicted = live.clone();
    let after = json!({"f:spec": {"f:maxReplicas": {}, "f:scaleTargetRef": {}}});
    predicted["metadata"]["managedFields"] = json!([entry("holdfast", "Apply", &after)]);
    let owners = Owners::of(&live, "autoscaling/v1");
    let leaving = owners.leaving(&predicted);
    let nobody = Rules { ignored: &|_| false, handed: &|_| false, returned: &|_| false };
    let leaving = owners.decide(leaving, &live, &nobody);
    let becomes = owners.without_leaving(&predicted, &live, &leaving, &Set::new()).unwrap();
    assert_eq!(becomes["metadata"]["annotations"], json!({"other": "stays"}));
    assert_eq!(becomes["spec"], json!({"maxReplicas": 5, "scaleTargetRef": {"kind": "a", "name": "b"}}));
    let takeover = owners.settle(&live, &leaving, &Set::new(), None).takeover.unwrap();
    let ours = &takeover.managed_fields[0];
    assert_eq!(ours["apiVersion"], "autoscaling/v1");
    assert_eq!(
        ours["fieldsV1"]["f:metadata"]["f:annotations"],
        json!({"f:autoscaling.alpha.kubernetes.io/metrics": {}, "f:autoscaling.alpha.kubernetes.io/behavior": {}})
    );
    assert_eq!(takeover.managers, Vec::<String>::new());
    // In the version in which the fields are written, nothing is translated.
    assert_eq!(Owners::of(&live, "autoscaling/v2").leaving(&live), Leaving::default());
}

#[test]
fn metrics_of_a_tool_in_the_newer_version_are_taken_over_in_the_older_one() {
    let live = autoscaler("kubectl-client-side-apply", "Update");
    let ours = takeover(&live, "autoscaling/v1").unwrap().managed_fields[0].clone();
    assert_eq!(ours["apiVersion"], "autoscaling/v1");
    assert_eq!(ours["fieldsV1"]["f:spec"]["f:targetCPUUtilizationPercentage"], json!({}));
    assert!(
        ours.pointer("/fieldsV1/f:metadata/f:annotations")
            .is_some_and(|set| set.as_object().unwrap().len() == 2)
    );
}

/// The extra values of a live object that kubectl changed, compared with its manifest, with their distance from a field.
fn near(mut live: Value, manifest: &Value, sets: &Value, field: &str) -> Vec<(String, Option<usize>)> {
    live["metadata"] = json!({"managedFields": [entry("kubectl-edit", "Update", sets)]});
    let owners = Owners::of(&live, "v1");
    let owners = Owners { former: Vec::new(), ..owners };
    let merged = applied_to(&owners, &live, manifest, &Leaving::default());
    let found = extras(&owners, &merged, manifest, None);
    found.iter().map(|extra| (extra.path.join("/"), extra.nearness(field))).collect()
}

#[test]
fn what_stands_beside_what_git_says_is_found_with_its_distance() {
    let ports = "k:{\"port\":81,\"protocol\":\"TCP\"}";
    assert_eq!(
        near(
            json!({"spec": {"ports": [{"port": 81, "protocol": "TCP", "name": "http"}], "type": "ClusterIP"}}),
            &json!({"spec": {"ports": [{"port": 80, "name": "http"}]}}),
            &json!({"f:spec": {"f:ports": {ports: {".": {}, "f:port": {}, "f:name": {}}}}}),
            "spec.ports[1].name",
        ),
        [("spec/ports/0".to_owned(), Some(0)), ("spec/type".to_owned(), Some(3))]
    );
    assert_eq!(
        near(
            json!({"spec": {"env": [{"name": "A", "value": "1"}]}}),
            &json!({"spec": {"env": [{"name": "A", "valueFrom": {}}]}}),
            &json!({"f:spec": {"f:env": {"k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}}}}),
            "spec.env[0].valueFrom",
        ),
        [("spec/env/0/value".to_owned(), Some(1))]
    );
    assert_eq!(
        near(
            json!({"spec": {"minAvailable": 1}}),
            &json!({"spec": {"maxUnavailable": 1}}),
            &json!({}),
            "spec"
        ),
        [("spec/minAvailable".to_owned(), Some(0))]
    );
    assert_eq!(
        near(
            json!({"data": {"a": "1"}, "binaryData": {"k": "aGk=", "l": "aGk="}}),
            &json!({"data": {"k": "v"}}),
            &json!({}),
            "data[k]"
        ),
        [
            ("binaryData/k".to_owned(), Some(2)),
            ("binaryData/l".to_owned(), None),
            ("data/a".to_owned(), Some(1))
        ]
    );
}

#[test]
fn an_item_of_git_under_another_key_was_renamed() {
    let check = |live: &Value, manifest: &Value, expected: bool| {
        let object = json!({"metadata": {"managedFields": [entry("kubectl-edit", "Update",
            &json!({"f:list": {"k:{\"name\":\"b\"}": {".": {}, "f:name": {}}}}))]}, "list": live});
        let owners = Owners { former: Vec::new(), ..Owners::of(&object, "v1") };
        let found = extras(&owners, &object, &json!({"list": manifest}), None);
        assert_eq!(found.iter().any(|extra| extra.renamed), expected, "{found:?}");
    };
    check(&json!([{"name": "b", "image": "x", "more": 1}]), &json!([{"name": "a", "image": "x"}]), true);
    check(&json!([{"name": "b", "image": "y"}]), &json!([{"name": "a", "image": "x"}]), false);
    check(
        &json!([{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]),
        &json!([{"name": "a", "image": "x"}]),
        false,
    );
}

#[test]
fn a_renamed_item_is_recognised_in_the_form_that_the_server_gives_it() {
    let check = |live: &Value, manifest: &Value, applied: &Value, key: &str, expected: bool| {
        let object = json!({"metadata": {"managedFields": [entry("kubectl-edit", "Update",
            &json!({"f:list": {key: {".": {}}}}))]}, "list": live});
        let owners = Owners { former: Vec::new(), ..Owners::of(&object, "v1") };
        let found = extras(&owners, &object, &json!({"list": manifest}), Some(&json!({"list": applied})));
        assert_eq!(found.iter().any(|extra| extra.renamed), expected, "{found:?}");
    };
    let (git, live) =
        (json!([{"name": "a", "cpu": "1000m", "value": ""}]), json!([{"name": "b", "cpu": "1"}]));
    let applied = json!([{"name": "b", "cpu": "1"}, {"name": "a", "cpu": "1"}]);
    check(&live, &git, &applied, "k:{\"name\":\"b\"}", true);
    check(&json!([{"name": "b", "cpu": "2"}]), &git, &applied, "k:{\"name\":\"b\"}", false);
    let (git, live) = (json!([{"path": "/x", "name": "v"}]), json!([{"path": "/y", "name": "v"}]));
    let applied = json!([live[0], git[0]]);
    check(&live, &git, &applied, "k:{\"path\":\"/y\"}", true);
    let live = json!([{"path": "/y", "name": "w"}]);
    check(&live, &git, &json!([live[0], git[0]]), "k:{\"path\":\"/y\"}", false);
}

#[test]
fn null_asks_for_the_removal_of_all_but_what_is_handed_over() {
    let live = json!({"spec": {"replicas": 3, "paused": true, "other": 1}});
    let manifest = json!({"spec": {"replicas": null, "paused": null, "gone": null}});
    let handed = [["spec", "replicas"].map(str::to_owned).to_vec()];
    let found = nulled(&Owners::of(&live, "v1"), &live, &manifest, &handed);
    assert_eq!(Value::Object(found), json!({"f:spec": {"f:paused": {}}}));
}
