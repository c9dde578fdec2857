//! Finds the object that left Git and holds a value that a new object needs. When an object is renamed, the new one needs the node
//! port, the host or the role of the only default of the old one, which is removed last.
//!
//! Leaves removing it first to `replacing`. I/O: API reads, if an object was refused and others of its kind are to be removed.

use std::sync::Arc;

use holdfast_diff::object::ObjectId;
use serde_json::Value;

use super::refusal::ObjectError;
use super::requests::{Requests, ResourceType};
use crate::error::Class;

/// Maximum number of removals that are checked for one refusal.
const LOOKED: usize = 20;

/// Adds to a refusal the name of the object that holds the value and is to be removed, and what to do.
pub async fn name(
    requests: &Requests,
    deleted: &[(&ObjectId, &Arc<ResourceType>)],
    errors: &mut [ObjectError],
) {
    if deleted.is_empty() {
        return;
    }
    for error in errors {
        if error.message.contains(UNFIT) {
            continue;
        }
        if let Some(object) = holder(requests, deleted, error).await {
            error.message = format!("{}; {}", error.message, advice(object));
        }
    }
}

/// Returns the object among `deleted` that holds the value for which another object was refused.
pub(super) async fn holder<'a>(
    requests: &Requests,
    deleted: &[(&'a ObjectId, &Arc<ResourceType>)],
    error: &ObjectError,
) -> Option<&'a ObjectId> {
    let is_taken = error.message.contains(TAKEN);
    let refused = error.id.clone().filter(|_| error.class == Class::User || is_taken)?;
    match deleted.iter().find(|(object, _)| is_named(object, &refused, &error.message)) {
        Some((object, _)) => Some(*object),
        None => having(requests, deleted, &refused, &error.message).await,
    }
}

/// Part of the message if the new object would be refused without the other one too.
pub(super) const UNFIT: &str =
    "and is not removed, because the API server would also refuse the new object without it";

/// Part of the message of the API server about a value that another object holds.
const TAKEN: &str = "already allocated";

/// Returns the object of the same kind that has the value.
async fn having<'a>(
    requests: &Requests,
    deleted: &[(&'a ObjectId, &Arc<ResourceType>)],
    refused: &ObjectId,
    said: &str,
) -> Option<&'a ObjectId> {
    let taken = values(said);
    if taken.is_empty() {
        return None;
    }
    let mut looked = 0;
    for (object, kind) in deleted {
        if object.kind != refused.kind || looked == LOOKED {
            continue;
        }
        looked += 1;
        let live = requests.get(kind, object).await.ok().flatten().unwrap_or_default();
        if live.get("spec").is_some_and(|spec| taken.iter().any(|value| has(spec, value))) {
            return Some(object);
        }
    }
    None
}

/// True if a refusal names an object that is to be removed.
fn is_named(object: &ObjectId, refused: &ObjectId, said: &str) -> bool {
    let part = |character: char| character.is_alphanumeric() || "-._".contains(character);
    let has_word = |word: &str| {
        said.match_indices(word)
            .any(|(at, _)| !said[..at].ends_with(part) && !said[at + word.len()..].starts_with(part))
    };
    // The name of the object itself may contain that of the other one.
    *object != *refused
        && *object.name != *refused.name
        && if object.namespace.is_empty() || object.namespace == refused.namespace {
            object.kind == refused.kind && has_word(&object.name)
        } else {
            has_word(&format!("{}/{}", object.namespace, object.name))
        }
}

/// Returns the values that a refusal reports as allocated: ports and IP addresses.
fn values(said: &str) -> Vec<&str> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || ".:-".contains(character);
    let words = said.split(|character| !is_part(character)).map(|word| word.trim_matches(['.', ':', '-']));
    let is_value = |word: &&str| {
        word.parse::<u16>().is_ok_and(|port| port > 1023) || word.parse::<std::net::IpAddr>().is_ok()
    };
    words.filter(|_| said.contains(TAKEN)).filter(is_value).collect()
}

/// True if a scalar in a value has this text.
fn has(value: &Value, text: &str) -> bool {
    match value {
        Value::Object(fields) => fields.values().any(|field| has(field, text)),
        Value::Array(items) => items.iter().any(|item| has(item, text)),
        Value::String(own) => own == text,
        Value::Number(number) => number.to_string() == text,
        Value::Null | Value::Bool(_) => false,
    }
}

fn advice(object: &ObjectId) -> String {
    let kind = object.kind.to_string().to_lowercase();
    let place = if object.namespace.is_empty() { String::new() } else { format!(" -n {}", object.namespace) };
    format!(
        "{object}, which is no longer in Git, uses it until it is removed: keep its name in Git, approve its removal if that waits, or delete it first with: kubectl{place} delete {kind} {}",
        object.name
    )
}

#[cfg(test)]
mod tests {
    use holdfast_diff::object::GroupKind;
    use serde_json::json;

    use super::*;

    fn object(group: &str, kind: &str, namespace: &str, name: &str) -> ObjectId {
        ObjectId::new(Arc::new(GroupKind::new(group, kind)), namespace, name)
    }

    #[test]
    fn the_holder_is_found_by_its_name() {
        let class = |name: &str| object("scheduling.k8s.io", "PriorityClass", "", name);
        let said = "PriorityClass.scheduling.k8s.io \"new\" is forbidden: PriorityClass old is already marked as default. Only one default can exist";
        assert!(is_named(&class("old"), &class("new"), said));
        assert!(!is_named(&class("ol"), &class("new"), said));
        assert!(!is_named(&class("other"), &class("new"), said));
        let ingress = |namespace: &str, name: &str| object("networking.k8s.io", "Ingress", namespace, name);
        let said = "admission webhook denied the request: host \"a.example.com\" and path \"/\" is already defined in ingress shop/web";
        assert!(is_named(&ingress("shop", "web"), &ingress("shop", "web-2"), said));
        assert!(is_named(&ingress("shop", "web"), &ingress("other", "web-2"), said));
        assert!(!is_named(&ingress("stop", "web"), &ingress("other", "web-2"), said));
    }

    #[test]
    fn the_holder_is_found_by_what_it_has() {
        let said = "Service \"new\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated";
        assert_eq!(values(said), ["30080"]);
        let said = "Service \"new\" is invalid: spec.clusterIPs: Invalid value: [\"10.0.0.9\"]: failed to allocate IP 10.0.0.9: provided IP is already allocated";
        assert_eq!(values(said), ["10.0.0.9", "10.0.0.9"]);
        let said = "Service \"new\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range";
        assert_eq!(values(said), Vec::<&str>::new());
        assert!(has(&json!({"ports": [{"port": 80, "nodePort": 30080}]}), "30080"));
        assert!(!has(&json!({"ports": [{"port": 80, "nodePort": 30081}]}), "30080"));
    }
}
