//! Refusals that pass within seconds: a controller has not created what an object needs, or another client wrote the object at
//! the same time. Such a request is repeated for a few seconds. I/O: none of its own.

use std::time::Duration;

use holdfast_diff::object::{GroupKind, ObjectId};

use super::requests::refusal;
use super::view::View;

/// How long it takes until the request is repeated.
const PAUSES: [u64; 6] = [100, 200, 400, 800, 1600, 3200];

/// Repeats a request about an object while it comes too early.
pub async fn repeat<T, F: Future<Output = Result<T, kube::Error>>>(
    view: &View,
    object: &ObjectId,
    ask: impl Fn() -> F,
) -> Result<T, kube::Error> {
    for pause in PAUSES {
        match ask().await {
            Err(error) if is_early(view, object, &error) => {
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            answer => return answer,
        }
    }
    ask().await
}

fn is_early(view: &View, object: &ObjectId, error: &kube::Error) -> bool {
    let Some(status) = refusal(error) else { return false };
    let said = status.message.as_str();
    match status.code {
        403 => is_not_made_yet(said),
        // Of a Namespace that we have made, the API server may not have heard everywhere.
        404 if said.starts_with("namespaces ") => {
            let namespace = ObjectId::new(GroupKind::new("", "Namespace").into(), "", &object.namespace);
            view.get(&namespace).is_some_and(|entry| entry.ending.is_none())
        }
        409 => said.contains("the object has been modified"),
        _ => false,
    }
}

/// True for a refusal by admission that waits for a controller: it makes the ServiceAccount `default` of a new namespace, and
/// the status of a new quota.
pub fn is_not_made_yet(said: &str) -> bool {
    let account = said.contains("error looking up service account") && said.contains("\"default\" not found");
    account || said.contains("status unknown for quota")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controllers_make_is_waited_for_and_what_a_person_must_make_is_not() {
        for (said, expected) in [
            (
                "pods \"a\" is forbidden: error looking up service account shop/default: serviceaccount \"default\" not found",
                true,
            ),
            (
                "pods \"a\" is forbidden: error looking up service account shop/web: serviceaccount \"web\" not found",
                false,
            ),
            ("pods \"a\" is forbidden: status unknown for quota: compute, resources: pods", true),
            (
                "pods \"a\" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=1, limited: pods=1",
                false,
            ),
        ] {
            assert_eq!(is_not_made_yet(said), expected, "{said}");
        }
    }
}
