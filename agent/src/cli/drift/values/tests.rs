//! Live values and the manifest that they go to, as data. Pure.

use holdfast_diff::yaml::read;
use serde_json::json;

use super::*;

const GIT: &str = "apiVersion: v1
kind: KIND
metadata:
  labels: {team: a}
spec:
  replicas: 3
  size: ${SIZE}
  containers:
  - name: web
    image: web:1
  - name: log
    image: log:1
  args: [a, b]
  hosts:
  - one
stringData:
  password: old
data:
  token: b2xk
";

/// The output for one path, which is in the live object or not.
fn check(kind: &str, path: &str, there: bool, live: &Value, expected: &str) {
    let text = GIT.replace("KIND", kind);
    let (documents, mistakes) = read("a.yaml", text.as_bytes());
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let reported: DriftObject = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": kind, "name": "web", "state": "Drifted", "since": "2026-01-01T00:00:00Z", "changes": [],
    }))
    .expect("an object that drifted");
    let change = DriftChange {
        path: path.to_owned(),
        live: there.then_some(json!("cut")),
        desired: Some(json!("git's")),
        ..DriftChange::default()
    };
    let place = Located { file: 0, document: 0, path: String::new() };
    let git = Git { file: "a.yaml", document: &documents[0], place: &place, substituted: true };
    let found = match adopt(&reported, &change, live, git) {
        Ok(None) => "as it is".to_owned(),
        Ok(Some(adopted)) => adopted.shown,
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected);
}

#[test]
fn a_scalar_takes_the_live_value() {
    check("A", "/spec/replicas", true, &json!({"spec": {"replicas": 5}}), "a.yaml:6 /spec/replicas: 3 -> 5");
    check("A", "/spec/replicas", true, &json!({"spec": {"replicas": 3}}), "as it is");
    check(
        "A",
        "/metadata/labels/team",
        true,
        &json!({"metadata": {"labels": {"team": "b"}}}),
        r#"a.yaml:4 /metadata/labels/team: "a" -> "b""#,
    );
}

#[test]
fn items_are_those_of_the_same_name() {
    let live = json!({"spec": {"containers": [
        {"name": "new", "image": "new:1"}, {"name": "log", "image": "log:2"}, {"name": "web", "image": "web:1"},
    ]}});
    let of = |rest: &str| format!("/spec/containers/{rest}");
    check("A", &of("1/image"), true, &live, r#"a.yaml:12 /spec/containers/1/image: "log:1" -> "log:2""#);
    check("A", &of("2/image"), true, &live, "as it is");
    check(
        "A",
        &of("0/image"),
        true,
        &live,
        r#"a.yaml:9 /spec/containers/0/image: Git does not have the field; add it here, with the value "new:1""#,
    );
    // The item that is gone had the name of none that is there.
    check(
        "A",
        &of("0"),
        false,
        &live,
        r#"a.yaml:9 /spec/containers/0: the live object does not have it; remove "git's" here"#,
    );
}

#[test]
fn items_without_names_are_those_at_the_same_index_if_no_item_was_added() {
    check(
        "A",
        "/spec/args/1",
        true,
        &json!({"spec": {"args": ["a", "c"]}}),
        r#"a.yaml:13 /spec/args/1: "b" -> "c""#,
    );
    check(
        "A",
        "/spec/args/1",
        true,
        &json!({"spec": {"args": ["a", "c", "b"]}}),
        r#"a.yaml:13 /spec/args/1: it is in a list that has another length in the live object, so items cannot be matched; make the list ["a","c","b"] here"#,
    );
}

#[test]
fn what_needs_a_person_says_where_and_what() {
    check(
        "A",
        "/spec/paused",
        true,
        &json!({"spec": {"paused": true}}),
        "a.yaml:6 /spec/paused: Git does not have the field; add it here, with the value true",
    );
    check(
        "A",
        "/spec/hosts",
        true,
        &json!({"spec": {"hosts": ["one", "two"]}}),
        r#"a.yaml:15 /spec/hosts: it is more than one value; write ["one","two"] here"#,
    );
    check(
        "A",
        "/spec/replicas",
        false,
        &json!({"spec": {}}),
        r#"a.yaml:6 /spec/replicas: the live object does not have it; remove "git's" here"#,
    );
}

#[test]
fn a_variable_is_not_overwritten() {
    let live = json!({"spec": {"size": "big"}});
    let expected = r#"a.yaml:7 /spec/size: it contains a variable; set it, or the variable, to "big""#;
    check("A", "/spec/size", true, &live, expected);
}

#[test]
fn values_of_secrets_are_hidden_and_written_in_the_form_of_the_file() {
    let live = |value: &str| json!({"data": {"password": value, "token": value}});
    check("Secret", "/data/password", true, &live("bmV3"), "a.yaml:17 /stringData/password: *** -> ***");
    check("Secret", "/data/password", true, &live("b2xk"), "as it is");
    check("Secret", "/data/token", true, &live("bmV3"), "a.yaml:19 /data/token: *** -> ***");
    check(
        "Secret",
        "/data/more",
        true,
        &json!({"data": {"more": "bmV3"}}),
        "a.yaml:19 /data/more: Git does not have the field; add it here, with the value ***",
    );
    check(
        "Secret",
        "/data/password",
        true,
        &live("/w=="),
        "a.yaml:17 /data/password: the live value is not text; move the key from `stringData` to `data` and write it there",
    );
}
