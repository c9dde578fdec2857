//! The events are what kube-apiserver 1.36.3 sent for commands of kubectl, one a line.

use serde_json::{Value, json};

use super::*;

const EVENTS: &str = include_str!("events.json");

/// A bit after the last of the events.
fn now() -> Timestamp {
    time("2026-11-21T11:25:40Z")
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// The event of a verb on a configmap, the first one.
fn event(verb: &str) -> Value {
    let list: Value = serde_json::from_str(EVENTS).expect("JSON");
    let mut events = list["items"].as_array().expect("items").iter();
    let found = events.find(|event| event["verb"] == verb && event["objectRef"]["resource"] == "configmaps");
    found.expect("an event of that verb").clone()
}

/// The same event with other values at some paths.
fn with(mut event: Value, changes: &[(&str, Value)]) -> Value {
    for (path, value) in changes {
        let (parent, key) = path.rsplit_once('/').expect("a path");
        event.pointer_mut(parent).expect("a parent")[key] = value.clone();
    }
    event
}

fn batch(events: &[Value]) -> Vec<u8> {
    let list = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": events});
    list.to_string().into_bytes()
}

fn take(audit: &Audit, events: &[Value]) -> Vec<Change> {
    audit.take(&batch(events), now()).expect("a batch")
}

/// What was captured, taken.
fn captured() -> Audit {
    let audit = Audit::default();
    audit.take(EVENTS.as_bytes(), now()).expect("a batch");
    audit
}

fn config_map(name: &str) -> Object<'_> {
    Object { group: "", resource: "configmaps", namespace: "shop", name }
}

const WEB: Object<'_> = Object { group: "apps", resource: "deployments", namespace: "shop", name: "web" };

fn by<'a>(manager: &'a str, subresource: Option<&'a str>, at: &str) -> Write<'a> {
    Write { manager: Some(manager), subresource, at: Some(time(at)) }
}

fn name(user: Option<User>) -> Option<String> {
    user.map(|user| user.name.to_string())
}

#[test]
fn what_changed_objects_is_taken_and_nothing_else_is() {
    let changes = Audit::default().take(EVENTS.as_bytes(), now()).expect("a batch");
    let found: Vec<String> = changes
        .iter()
        .map(|change| {
            let Change { group, resource, namespace, name, subresource, deletes, manager, user, .. } = change;
            let name = name.as_deref().unwrap_or("*");
            let subresource = subresource.as_deref().unwrap_or("-");
            format!("{user} {manager} {deletes} {group}/{resource}/{namespace}/{name}/{subresource}")
        })
        .collect();
    // Left out: a write of the status, one without effect (dryRun), one that was refused.
    let expected = [
        "alice kubectl-create false /namespaces//shop/-",
        "alice kubectl-create false /configmaps/shop/one/-",
        "alice kubectl-create false apps/deployments/shop/web/-",
        "alice kubectl false apps/deployments/shop/web/scale",
        "alice kubectl-patch false apps/deployments/shop/web/-",
        "bob (impersonated by alice) kubectl-annotate false /configmaps/shop/one/-",
        "alice kubectl true apps/deployments/shop/web/-",
        "alice kubectl true apps/deployments/shop/web/-",
        "alice kubectl true /configmaps/shop/*/-",
        "alice kubectl true /configmaps/shop/one/-",
    ];
    assert_eq!(found, expected);
    assert_eq!(changes[0].began, time("2026-11-21T11:25:32.160384Z"));
    assert_eq!(changes[0].ended, time("2026-11-21T11:25:32.164702Z"));
}

#[test]
fn a_write_is_found_by_its_manager_subresource_and_time() {
    let audit = captured();
    let check = |object, write, expected: Option<&str>| {
        assert_eq!(name(audit.user(object, write)).as_deref(), expected, "{object:?} {write:?}");
    };
    let second = "2026-11-21T11:25:32Z";
    check(WEB, by("kubectl-patch", None, second), Some("alice"));
    check(WEB, by("kubectl", Some("scale"), second), Some("alice"));
    check(config_map("one"), by("kubectl-annotate", None, second), Some("bob (impersonated by alice)"));
    check(config_map("one"), by("kubectl-create", None, second), Some("alice"));
    // Without a time: the newest change, and no user if two come into question.
    check(config_map("one"), Write::default(), Some("bob (impersonated by alice)"));
    check(config_map("one"), Write { at: Some(time(second)), ..Write::default() }, None);
    check(WEB, by("kubectl-edit", None, second), None);
    check(WEB, by("kubectl-patch", Some("scale"), second), None);
    check(WEB, by("kubectl-patch", Some("status"), second), None);
    check(Object { group: "extensions", ..WEB }, by("kubectl-patch", None, second), None);
    check(Object { resource: "statefulsets", ..WEB }, by("kubectl-patch", None, second), None);
    check(Object { namespace: "other", ..WEB }, by("kubectl-patch", None, second), None);
    check(Object { name: "other", ..WEB }, by("kubectl-patch", None, second), None);
    let found = audit.user(WEB, by("kubectl-patch", None, second)).expect("alice");
    assert_eq!(&*found.agent, "kubectl/v1.36.3 (linux/amd64) kubernetes/$Format");
}

#[test]
fn a_time_may_be_five_seconds_away() {
    let audit = captured();
    for (at, expected) in [
        ("2026-11-21T11:25:26Z", None),
        // managedFields round down.
        ("2026-11-21T11:25:27Z", Some("alice")),
        ("2026-11-21T11:25:37.4Z", Some("alice")),
        ("2026-11-21T11:25:37.5Z", None),
    ] {
        assert_eq!(name(audit.user(WEB, by("kubectl-patch", None, at))).as_deref(), expected, "{at}");
    }
}

#[test]
fn the_closest_write_counts_and_none_if_two_people_wrote_at_once() {
    let write = |user: &str, at: &str| {
        let changes = [
            ("/user/username", json!(user)),
            ("/requestReceivedTimestamp", json!(at)),
            ("/stageTimestamp", json!(at)),
        ];
        with(event("create"), &changes)
    };
    let ask = |events: &[Value], at: &str| {
        let audit = Audit::default();
        take(&audit, events);
        name(audit.user(config_map("one"), by("kubectl-create", None, at)))
    };
    let alice = write("alice", "2026-11-21T11:25:30.5Z");
    let bob = write("bob", "2026-11-21T11:25:32.5Z");
    let events = [alice.clone(), bob];
    assert_eq!(ask(&events, "2026-11-21T11:25:30Z").as_deref(), Some("alice"));
    assert_eq!(ask(&events, "2026-11-21T11:25:32Z").as_deref(), Some("bob"));
    // Sent twice, or written twice: it is one user.
    assert_eq!(ask(&[alice.clone(), alice.clone()], "2026-11-21T11:25:30Z").as_deref(), Some("alice"));
    let eve = write("eve", "2026-11-21T11:25:30.9Z");
    assert_eq!(ask(&[alice, eve], "2026-11-21T11:25:30Z"), None);
}

#[test]
fn a_slow_request_covers_the_time_until_its_answer() {
    let audit = Audit::default();
    let slow = [
        ("/requestReceivedTimestamp", json!("2026-11-21T11:25:00Z")),
        ("/stageTimestamp", json!("2026-11-21T11:25:30Z")),
    ];
    take(&audit, &[with(event("create"), &slow)]);
    for (at, found) in [("2026-11-21T11:25:15Z", true), ("2026-11-21T11:24:50Z", false)] {
        assert_eq!(audit.user(config_map("one"), by("kubectl-create", None, at)).is_some(), found, "{at}");
    }
}

#[test]
fn a_deletion_has_the_user_that_named_the_object_or_deleted_all() {
    let audit = Audit::default();
    take(
        &audit,
        &[event("delete"), with(event("deletecollection"), &[("/user/username", json!("janitor"))])],
    );
    let seen = time("2026-11-21T11:25:33.1Z");
    let deleter = |object, seen| name(audit.deleter(object, seen));
    assert_eq!(deleter(config_map("one"), seen).as_deref(), Some("alice"));
    assert_eq!(deleter(config_map("two"), seen).as_deref(), Some("janitor"));
    assert_eq!(deleter(config_map("two"), seen + seconds(5)), None);
    assert_eq!(deleter(Object { namespace: "other", ..config_map("two") }, seen), None);
    assert_eq!(deleter(Object { resource: "secrets", ..config_map("two") }, seen), None);
    // Who deletes writes no field, and who writes deletes nothing.
    assert_eq!(audit.user(config_map("one"), Write::default()), None);
    let audit = Audit::default();
    take(&audit, &[event("create")]);
    assert_eq!(audit.deleter(config_map("one"), seen), None);
}

#[test]
fn requests_that_say_nothing_of_an_object_are_left_out() {
    let write = ("/requestURI", json!("/api/v1/namespaces/shop/configmaps/one?fieldManager=a"));
    let taken = take(&Audit::default(), &[with(event("patch"), std::slice::from_ref(&write))]);
    assert_eq!(taken.len(), 1, "the first patch is a dry run, but for its address");
    let check = |path: &str, value: Value| {
        let event = with(event("patch"), &[write.clone(), (path, value.clone())]);
        assert_eq!(take(&Audit::default(), &[event]), [], "{path} {value}");
    };
    check("/requestURI", json!("/api/v1/namespaces/shop/configmaps/one?fieldManager=a&dryRun=All"));
    for verb in ["get", "list", "watch", ""] {
        check("/verb", json!(verb));
    }
    for stage in ["RequestReceived", "ResponseStarted", "Panic"] {
        check("/stage", json!(stage));
    }
    for code in [101, 302, 403, 409, 500] {
        check("/responseStatus/code", json!(code));
    }
    check("/responseStatus", Value::Null);
    check("/objectRef", Value::Null);
    for subresource in ["status", "token", "eviction", "exec"] {
        check("/objectRef/subresource", json!(subresource));
    }
    check("/objectRef", json!({"apiGroup": "coordination.k8s.io", "resource": "leases", "name": "a"}));
    check("/objectRef/resource", json!("events"));
    check("/objectRef/name", json!(""));
    check("/objectRef/name", json!("n".repeat(600)));
    check("/user/username", json!(""));
    check("/userAgent", json!("holdfast/0.1.0"));
}

#[test]
fn a_manager_is_read_from_the_address_or_the_name_of_the_program() {
    let check = |uri: &str, agent: &str, expected: &str| {
        let event = with(event("create"), &[("/requestURI", json!(uri)), ("/userAgent", json!(agent))]);
        assert_eq!(&*take(&Audit::default(), &[event])[0].manager, expected, "{uri} {agent}");
    };
    check("/a?x=1&fieldManager=kubectl-edit", "kubectl/v1", "kubectl-edit");
    check("/a?fieldManager=my+own%2Ftool", "kubectl/v1", "my own/tool");
    check("/a?fieldManager=", "terraform/1.2 (x)", "terraform");
    check("/a", "Mozilla/5.0 (X11)", "Mozilla");
    check("/a", "curl", "curl");
}

#[test]
fn a_long_name_of_a_program_is_cut() {
    let taken = take(&Audit::default(), &[with(event("create"), &[("/userAgent", json!("a".repeat(1024)))])]);
    assert!(taken[0].agent.len() < 300, "{}", taken[0].agent.len());
}

#[test]
fn a_batch_of_the_usual_size_shares_its_strings() {
    let events: Vec<Value> = (0..400)
        .map(|number| with(event("create"), &[("/objectRef/name", json!(format!("map-{number}")))]))
        .collect();
    let audit = Audit::default();
    assert_eq!(take(&audit, &events).len(), 400);
    // The 400 names; "", configmaps, shop, kubectl-create, alice, kubectl/….
    assert_eq!(audit.record().words.0.len(), 406);
    let found = audit.user(config_map("map-399"), by("kubectl-create", None, "2026-11-21T11:25:32Z"));
    assert_eq!(name(found).as_deref(), Some("alice"));
}

#[test]
fn the_record_forgets_what_is_too_much_and_what_is_too_old() {
    let named = |number: usize| with(event("create"), &[("/objectRef/name", json!(format!("map-{number}")))]);
    let knows = |audit: &Audit, name: &str| audit.user(config_map(name), Write::default()).is_some();
    let audit = Audit::default();
    let events: Vec<Value> = (0..LIMIT + 10).map(named).collect();
    // All changes are sent, also those that are forgotten at once.
    assert_eq!(take(&audit, &events).len(), LIMIT + 10);
    assert_eq!(audit.record().changes.len(), LIMIT);
    assert!(!knows(&audit, "map-9") && knows(&audit, "map-10"));

    audit.take(&batch(&[named(1)]), now() + AGE).expect("a batch");
    assert_eq!(audit.record().changes.len(), LIMIT);
    audit.take(&batch(&[named(2)]), now() + AGE + seconds(1)).expect("a batch");
    assert!(knows(&audit, "map-1") && knows(&audit, "map-2") && !knows(&audit, "map-500"));
    assert_eq!(audit.record().changes.len(), 2);
    audit.take(&batch(&[]), now() + AGE + AGE + seconds(2)).expect("a batch");
    assert_eq!(audit.record().changes.len(), 0);
    audit.take(&batch(&[]), now() + AGE + AGE + seconds(2)).expect("a batch");
    assert_eq!(audit.record().words.0.len(), 0);
}

#[test]
fn what_is_no_list_of_audit_events_is_refused_in_a_sentence() {
    let check = |body: &str, expected: &str| {
        let error = Audit::default().take(body.as_bytes(), now()).expect_err(body).to_string();
        assert_eq!(error, expected, "{body}");
    };
    let must = "it must be what the API server's audit webhook sends";
    check("", &format!("the body is not a list of audit events at line 1, column 0; {must}"));
    let mistyped =
        r#"{"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": [{"user": "hunter2"}]}"#;
    let error = Audit::default().take(mistyped.as_bytes(), now()).expect_err("mistyped").to_string();
    assert!(!error.contains("hunter2") && error.contains("line 1, column"), "{error}");
    for (kind, version) in [("EventList", "audit.k8s.io/v1beta1"), ("Event", "audit.k8s.io/v1"), ("", "")] {
        check(
            &json!({"kind": kind, "apiVersion": version, "items": []}).to_string(),
            &format!("the body is a {kind:?} of {version:?}, and must be an EventList of audit.k8s.io/v1"),
        );
    }
    for items in [Value::Null, json!([]), json!([{}]), json!([{"more": {"of": ["this"]}}])] {
        let body = json!({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": items, "more": 1});
        assert_eq!(Audit::default().take(body.to_string().as_bytes(), now()).expect("a list"), []);
    }
}
