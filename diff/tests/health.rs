//! Live objects and what is to be said of them.
//!
//! Each document in `tests/health/*.yaml` is an object with a key `expect` beside its own: the status and
//! the message, and `, does not block` where the next wave need not wait.

use holdfast_diff::health::{Status, health};
use holdfast_diff::yaml::read;

/// Judges every object of a file.
fn check(file: &str, text: &str) {
    let (documents, errors) = read(file, text.as_bytes());
    assert_eq!(errors, []);
    for document in documents {
        let mut object = document.value;
        let expected = object.as_object_mut().and_then(|fields| fields.remove("expect"));
        let health = health(&object);
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
check!(storage_services_and_extensions_are_judged_by_their_own_words, "cluster.yaml");

#[test]
fn what_is_no_object_is_unknown() {
    assert_eq!(health(&serde_json::json!("text")).status, Status::Unknown);
    assert_eq!(health(&serde_json::json!({"status": 1, "metadata": []})).status, Status::Current);
}
