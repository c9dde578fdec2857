//! What our own surplus holds that a new object was refused for: an object that is renamed wants the node port, the host or the
//! place of the only default that the old one still has, and the old one is removed last. It goes first where that is approved and
//! the API server would accept the new one in its place; else the message says who has it. I/O: API reads and dry runs, where
//! an object was refused and others of its kind are to be removed; API writes.

use std::sync::Arc;

use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{Change, Operation};
use serde_json::Value;

use super::Cluster;
use super::apply::{Kinds, Outcome, Written, write};
use super::prune;
use super::refusal::ObjectError;
use super::requests::{Apply, Requests, ResourceType, refusal};
use crate::error::Class;
use crate::progress::Progress;
use crate::sync_ref::SyncRef;

/// Removals that are looked through for one refusal.
const LOOKED: usize = 20;

/// Adds to refusals which object that is to be removed holds what was refused, and what to do.
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

/// The object that has what another one was refused for, if it is one of these.
async fn holder<'a>(
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

/// What is needed to remove the object that has what a new one was refused for.
pub(super) struct Replacing<'a> {
    pub cluster: &'a Cluster,
    pub requests: &'a Requests,
    pub owner: &'a SyncRef,
    pub kinds: &'a Kinds,
    /// What is approved to be removed.
    pub removals: &'a mut Vec<Change>,
    pub progress: &'a Progress,
}

impl Replacing<'_> {
    /// Removes the object that has what a new one was refused for, and creates the new one.
    pub async fn holder_of(self, change: Change, outcome: &mut Outcome, ended: &impl Fn() -> Option<String>) {
        let Self { cluster, requests, owner, kinds, removals, progress } = self;
        let is_of = |error: &ObjectError| error.id.as_ref() == Some(&change.object);
        let Some(error) = outcome.errors.iter_mut().find(|error| is_of(error)) else { return };
        let deleted = removals.iter().filter(|removal| removal.operation == Operation::Delete);
        let deleted: Vec<_> =
            deleted.filter_map(|removal| Some((&removal.object, kinds.get(&removal.object)?))).collect();
        let Some(holder) = holder(requests, &deleted, error).await.cloned() else { return };
        if ended().is_some() {
            return;
        }
        match fits(cluster, requests, owner, kinds, &change, &holder).await {
            Fit::Accepted => {}
            Fit::Refused(said) => {
                error.message =
                    format!("{}; {holder}, which left git, has it, {UNFIT}: {said}", error.message);
                return;
            }
            Fit::Unknown => return,
        }
        let Some(at) = removals.iter().position(|removal| removal.object == holder) else { return };
        let removal = vec![removals.remove(at)];
        let before = outcome.errors.len();
        prune::prune(cluster, requests, (removal, &[]), kinds, outcome, (ended, progress)).await;
        if outcome.errors.len() > before {
            return;
        }
        outcome.errors.retain(|error| !is_of(error));
        if cluster.view.get(&holder).is_some() {
            let object = &change.object;
            outcome.waits.get_or_insert_with(|| format!("{object} is created when {holder} is gone"));
            return;
        }
        match write(cluster, requests, owner, kinds, &change).await {
            Ok(Written::Done) => {
                let mut done = change;
                (done.manifest, done.takeover) = (None, None);
                outcome.done.push(done);
                // What waits for it is tried again.
                outcome.again |= outcome.waits.is_some();
            }
            Ok(Written::Ending | Written::NotBegun(_) | Written::Changed) => {}
            Err(error) => outcome.errors.push(error),
        }
    }
}

/// What is said where more stands against a new object than the one that has what it wants.
const UNFIT: &str = "and is not removed because the API server would refuse the new object without it too";

/// What the API server says of a new object in the place of another one.
enum Fit {
    /// Nothing but the other one stands against it.
    Accepted,
    Refused(String),
    Unknown,
}

async fn fits(
    cluster: &Cluster,
    requests: &Requests,
    owner: &SyncRef,
    kinds: &Kinds,
    Change { object, manifest, .. }: &Change,
    holder: &ObjectId,
) -> Fit {
    let (Some(kind), Some(manifest)) = (kinds.get(object), manifest) else { return Fit::Unknown };
    if holder.kind != object.kind {
        return Fit::Unknown;
    }
    let mut value = cluster.view.marks.stamp(owner, holder, &manifest.value);
    value["metadata"]["name"] = (*holder.name).into();
    if !holder.namespace.is_empty() {
        value["metadata"]["namespace"] = (*holder.namespace).into();
    }
    match requests.apply(kind, holder, &value, Apply { force: true, dry_run: true }).await {
        Ok(_) => Fit::Accepted,
        Err(error) => refusal(&error).map_or(Fit::Unknown, |status| Fit::Refused(status.message.clone())),
    }
}

/// What the API server says of a value that another object has.
const TAKEN: &str = "already allocated";

/// The object of the same kind that has a value which is taken.
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
    // The name of the object itself can hold the other one's.
    *object != *refused
        && *object.name != *refused.name
        && if object.namespace.is_empty() || object.namespace == refused.namespace {
            object.kind == refused.kind && has_word(&object.name)
        } else {
            has_word(&format!("{}/{}", object.namespace, object.name))
        }
}

/// The values that a refusal says are taken: `Invalid value: 30080: provided port is already allocated`.
fn values(said: &str) -> Vec<&str> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || ".:-".contains(character);
    let words = said.split(|character| !is_part(character)).map(|word| word.trim_matches(['.', ':', '-']));
    let is_value = |word: &&str| {
        word.parse::<u16>().is_ok_and(|port| port > 1023) || word.parse::<std::net::IpAddr>().is_ok()
    };
    words.filter(|_| said.contains(TAKEN)).filter(is_value).collect()
}

/// True if a scalar of a value reads like this.
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
        "{object}, which left git, has it until it is removed: keep its name in git, approve its removal if that waits, or delete it first with: kubectl{place} delete {kind} {}",
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
