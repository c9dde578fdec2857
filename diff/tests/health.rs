//! Live objects and what is to be said of them.
//!
//! Each document in `tests/health/*.yaml` is an object with a key `expect` beside its own: the status and
//! the message, and `, does not block` where the next wave need not wait. A key `check` has the expressions
//! of a user's check for its kind.

use holdfast_diff::health::{Check, Checks, Health, Status, health, health_with};
use holdfast_diff::yaml::read;
use serde_json::{Value, json};

/// Judges every object of a file.
fn check(file: &str, text: &str) {
    let (documents, errors) = read(file, text.as_bytes());
    assert_eq!(errors, []);
    for document in documents {
        let mut object = document.value;
        let expected = object.as_object_mut().and_then(|fields| fields.remove("expect"));
        let health = match object.as_object_mut().and_then(|fields| fields.remove("check")) {
            Some(check) => checked(&object, &check),
            None => health(&object),
        };
        let passes = health.status != Status::Current && !health.blocks_wave();
        let suffix = if passes { ", does not block" } else { "" };
        let found = format!("{}: {}{suffix}", health.status, health.message);
        assert_eq!(
            Some(found.as_str()),
            expected.as_ref().and_then(|e| e.as_str()),
            "{file}:{}",
            document.line
        );
    }
}

/// Judges an object by a user's check for its kind.
fn checked(object: &Value, check: &Value) -> Health {
    let text = |key: &str| check[key].as_str();
    let check = Check::compile(text("current").unwrap_or_default(), text("failed"), text("inProgress"));
    let mut checks = Checks::default();
    let (api_version, kind) = (object["apiVersion"].as_str().unwrap_or_default(), &object["kind"]);
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    checks.insert(group, kind.as_str().unwrap_or_default(), check.expect("the check compiles"));
    health_with(object, &checks)
}

/// What is wrong with an expression.
fn refused(current: &str) -> String {
    Check::compile(current, None, None).err().map_or_else(|| "nothing".into(), |error| error.to_string())
}

macro_rules! check {
    ($name:ident, $file:literal) => {
        #[test]
        fn $name() {
            check($file, include_str!(concat!("health/", $file)));
        }
    };
}

check!(rules_of_every_kind_come_first, "generic.yaml");
check!(workloads_are_current_when_all_replicas_are_new_and_available, "workloads.yaml");
check!(pods_and_jobs_say_what_they_wait_for, "pods.yaml");
check!(kinds_of_well_known_operators_are_judged_by_shipped_checks, "operators.yaml");
check!(custom_kinds_are_judged_by_the_checks_of_their_users, "checks.yaml");
check!(storage_services_and_extensions_are_judged_by_their_own_words, "cluster.yaml");

#[test]
fn what_is_no_object_is_unknown() {
    assert_eq!(health(&json!("text")).status, Status::Unknown);
    assert_eq!(health(&json!({"status": 1, "metadata": []})).status, Status::Current);
}

#[test]
fn what_is_no_object_has_no_health_by_a_check() {
    let check = Check::compile("true", None, None).expect("it compiles");
    assert_eq!(check.judge(&json!(["text"])).status, Status::Unknown);
}

#[test]
fn a_kind_without_a_check_is_judged_as_ever() {
    let queue = json!({"apiVersion": "example.com/v1", "kind": "Queue"});
    let mut checks = Checks::default();
    assert!(checks.is_empty());
    checks.insert("example.org", "Queue", Check::compile("false", None, None).expect("it compiles"));
    assert_eq!(health_with(&queue, &checks), health(&queue));
    assert!(checks.get("example.org", "Queue").is_some() && checks.get("example.com", "Queue").is_none());
}

#[test]
fn a_mistake_in_an_expression_is_named_with_its_place() {
    let of = |what: &str| format!("the expression `current` {what}");
    let cases = [
        ("  ", "is empty: write a condition, or leave it out where it is optional"),
        ("status.phase = 'Done'", "has a mistake at 1:14: '=' is not known here"),
        ("status.phase ==", "has a mistake at 1:16: unexpected end"),
        ("status.ready &&\n  (spec.on", "has a mistake at 2:11: missing ')' at end"),
        ("status.ready)", "has a mistake at 1:13: unexpected ')'"),
        ("status.ready ? true", "has a mistake at 1:1: `? :` needs a value for both cases"),
        ("has(status)", "has a mistake at 1:5: invalid argument to has() macro"),
        (
            "status.phase == 'Done",
            "has a mistake at 1:17: this text does not end: close its quotes on the same line",
        ),
        (r"status.phase == 'a\'b'", "has a mistake at 1:17: a backslash is not supported in a text"),
        ("true // always", "has a mistake at 1:6: a comment is not supported"),
        ("status.phase.matches('D.*')", "calls `matches`, which is not a function here"),
        ("status.conditions.any(c, c.ready)", "calls `any`, which is not a function here"),
    ];
    for (expression, what) in cases {
        assert_eq!(refused(expression), of(what), "{expression}");
    }
    let failed = Check::compile("true", Some("("), None).err().map(|error| error.expression);
    let in_progress = Check::compile("true", None, Some("(")).err().map(|error| error.expression);
    assert_eq!((failed, in_progress), (Some("failed"), Some("inProgress")));
}

#[test]
fn an_expression_may_be_long_and_deep_within_limits() {
    let around = |open: &str, count: usize, close: &str| open.repeat(count) + "true" + &close.repeat(count);
    let cases = [
        (format!("'{}' != ''", "a".repeat(4088)), "nothing"),
        (format!("'{}' != ''", "ä".repeat(4089)), "has 4097 characters: 4096 are allowed"),
        (around("(", 64, ")"), "nothing"),
        (around("(", 65, ")"), "nests brackets more than 64 deep: flatten it"),
        (around("(", 2000, ")"), "nests brackets more than 64 deep: flatten it"),
        (around("[", 30, "]"), "nothing"),
        (around("[", 64, "]"), "is nested more than 32 deep: split it or flatten it"),
        (around("(')' + ", 80, ")"), "nests brackets more than 64 deep: flatten it"),
        (around("-(", 64, ")"), "is nested more than 32 deep: split it or flatten it"),
        (around("size([", 32, "])"), "is nested more than 32 deep: split it or flatten it"),
        (around("!", 3000, ""), "nothing"),
        (around("1 + ", 1000, ""), "is nested more than 32 deep: split it or flatten it"),
        (format!("a{}", "[0]".repeat(1300)), "is nested more than 32 deep: split it or flatten it"),
        (format!("a{}", ".a".repeat(2000)), "is nested more than 32 deep: split it or flatten it"),
        (format!("true{}", " && true".repeat(500)), "nothing"),
    ];
    for (expression, what) in cases {
        let found = refused(&expression);
        assert_eq!(found.trim_start_matches("the expression `current` "), what, "{expression}");
    }
}

#[test]
fn the_deepest_expression_is_evaluated_on_a_small_stack() {
    let sum = format!("1{} == 20", " + 1".repeat(14));
    let all = format!("{}true{}", "[0].all(a, ".repeat(10), ")".repeat(10));
    let nested = format!("{}0{} != []", "[".repeat(30), "]".repeat(30));
    let object = json!({"apiVersion": "example.com/v1", "kind": "Queue"});
    for (expression, status) in [(sum, Status::InProgress), (all, Status::Current), (nested, Status::Current)]
    {
        let check = Check::compile(&expression, None, None).expect("it is within the limits");
        assert_eq!(check.judge(&object).status, status, "{expression}");
    }
}
