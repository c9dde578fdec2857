//! The order of removal, and what stops it, against a server that answers by object name.

use std::convert::Infallible;
use std::sync::Arc;

use holdfast_diff::object::{GroupKind, ObjectId};
use holdfast_diff::order::Stage;
use holdfast_diff::plan::removed;
use http::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::*;
use crate::cluster::marks::Marks;
use crate::identity::Identity;

/// The requests in their order: `DELETE b`.
type Log = Arc<Mutex<Vec<String>>>;

/// Requests that a server answers: objects named `held` stay with a finalizer, those named `denied` are refused.
fn server() -> (Requests, Log) {
    let log = Log::default();
    let heard = log.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        heard.lock().push(format!("{} {name}", request.method()));
        let (code, body) = match name.as_str() {
            "held" => (200, json!({"metadata": {"name": name, "deletionTimestamp": "2026-01-01T00:00:00Z"}})),
            "denied" => (
                403,
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "not allowed", "reason": "Forbidden", "code": 403}),
            ),
            _ => (200, json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})),
        };
        async move {
            let mut response = Response::new(Body::from(body.to_string().into_bytes()));
            *response.status_mut() = StatusCode::from_u16(code).expect("a code");
            Ok::<_, Infallible>(response)
        }
    });
    (Requests::new(Client::new(service, "shop"), Identity::Agent), log)
}

/// The removal of ConfigMaps, each in a wave of its own, in the order of removal.
fn removals(names: &[&str]) -> (Vec<Change>, Kinds) {
    let kind = Arc::new(GroupKind::new("", "ConfigMap"));
    let served = Arc::new(ResourceType {
        kind: kind.clone(),
        version: "v1".to_owned(),
        plural: "configmaps".to_owned(),
        namespaced: true,
    });
    let (mut changes, mut kinds) = (Vec::new(), Kinds::new());
    for (wave, name) in (0..).zip(names.iter().rev()) {
        let object = ObjectId::new(kind.clone(), "shop", name);
        let stage = Stage { wave, ..Stage::default() };
        kinds.insert(object.clone(), served.clone());
        changes.insert(0, removed(object, "v1".to_owned(), "uid".to_owned(), stage, None));
    }
    (changes, kinds)
}

fn view() -> View {
    let marks = Marks::own("cluster", &Zeroizing::new([1; 32])).expect("any 32 bytes are a seed");
    View::new(marks, {
        let (wake, woken) = mpsc::unbounded_channel();
        std::mem::forget(woken);
        wake
    })
}

/// Removes objects, and checks which requests were made and what the rest waits for.
async fn check(names: &[&str], expected: &[&str], waits: Option<&str>, errors: usize) {
    let ((requests, log), (changes, kinds)) = (server(), removals(names));
    let (mut outcome, progress) = (Outcome::default(), Progress::default());
    prune(&view(), &requests, (changes, &[]), &kinds, &mut outcome, (|| None, &progress)).await;
    assert_eq!(*log.lock(), expected, "{names:?}");
    let said = outcome.waits.unwrap_or_default();
    assert!(waits.map_or(said.is_empty(), |waits| said.contains(waits)), "{names:?}: {said}");
    assert_eq!(outcome.errors.len(), errors, "{names:?}: {:?}", outcome.errors);
}

#[tokio::test]
async fn waves_are_removed_one_after_the_other() {
    check(&["c", "b", "a"], &["DELETE c", "DELETE b", "DELETE a"], None, 0).await;
}

#[tokio::test]
async fn an_object_that_a_finalizer_holds_delays_the_waves_after_it() {
    check(
        &["c", "held", "a"],
        &["DELETE c", "DELETE held"],
        Some("waits for the removal of ConfigMap shop/held"),
        0,
    )
    .await;
    check(&["c", "held"], &["DELETE c", "DELETE held"], None, 0).await;
}

#[tokio::test]
async fn an_object_that_cannot_be_removed_stops_the_waves_after_it() {
    check(&["denied", "a"], &["DELETE denied"], Some("after the errors are resolved"), 1).await;
}

#[tokio::test]
async fn no_removal_begins_after_the_end_of_the_run() {
    let ((requests, log), (changes, kinds)) = (server(), removals(&["b", "a"]));
    let (mut outcome, progress) = (Outcome::default(), Progress::default());
    let ended = || Some("the Sync has changed".to_owned());
    prune(&view(), &requests, (changes, &[]), &kinds, &mut outcome, (ended, &progress)).await;
    assert!(log.lock().is_empty() && outcome.done.is_empty());
    assert_eq!((outcome.waits, outcome.again), (Some("the Sync has changed".to_owned()), true));
}
