//! The objects below another one, by owner references: the ReplicaSets and pods of a Deployment, the workloads of an operator.
//! I/O: API reads.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _, stream};
use holdfast_diff::object::{GroupKind, ObjectId};
use serde::Serialize;
use serde_json::Value;

use super::{InspectError, requests, within};
use crate::cluster::people::Hand;
use crate::cluster::requests::ResourceType;

/// Objects of one kind in the namespace that are read.
const LISTED: usize = 5000;
/// Objects below one that are returned.
const RETURNED: usize = 500;
/// Pods that are read as a whole, and how many at the same time.
const PODS: usize = 30;
const AT_ONCE: usize = 8;

type Kind = (&'static str, &'static str, &'static str, &'static str);
const POD: Kind = ("", "v1", "Pod", "pods");
const REPLICA_SET: Kind = ("apps", "v1", "ReplicaSet", "replicasets");
const JOB: Kind = ("batch", "v1", "Job", "jobs");
const OPERATED: [Kind; 8] = [
    ("apps", "v1", "Deployment", "deployments"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    ("apps", "v1", "DaemonSet", "daemonsets"),
    REPLICA_SET,
    ("batch", "v1", "CronJob", "cronjobs"),
    JOB,
    ("", "v1", "Service", "services"),
    POD,
];

/// One object below another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Child {
    pub group: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
    /// The UID of its owner, which is the object itself or another child.
    pub owner: String,
}

/// The objects below another one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Below {
    /// Owners before the objects that they own. At most 500.
    pub children: Vec<Child>,
    /// Objects that are not listed.
    pub more: usize,
    /// What was not read, and why.
    pub notes: Vec<String>,
}

/// The kinds of objects that an object of a kind owns.
pub fn kinds(kind: &GroupKind) -> Vec<ResourceType> {
    owned(kind).into_iter().map(resource).collect()
}

fn owned(kind: &GroupKind) -> Vec<Kind> {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment") => vec![REPLICA_SET, POD],
        ("apps", "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("", "ReplicationController")
        | ("batch", "Job") => vec![POD],
        ("batch", "CronJob") => vec![JOB, POD],
        // Other kinds of Kubernetes own nothing that a user looks for; those of operators may own all of these.
        (group, _) if group.contains('.') && !group.ends_with(".k8s.io") => OPERATED.to_vec(),
        _ => Vec::new(),
    }
}

/// The objects of these kinds below the object with this UID, as far as the identity may list them.
pub async fn below(hand: &Hand, kinds: &[ResourceType], namespace: &str, uid: &str) -> Below {
    let mut found = Below::default();
    let lists = kinds.iter().map(|kind| async move { (kind, list(hand, kind, namespace).await) }.boxed());
    let lists: Vec<_> = stream::iter(lists.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await;
    let mut owned: HashMap<String, Vec<Child>> = HashMap::new();
    for (kind, listed) in lists {
        let plural = &kind.plural;
        match listed {
            Ok((items, has_more)) => {
                for (owner, child) in items.iter().flat_map(|item| owners(item, &kind.kind)) {
                    owned.entry(owner).or_default().push(child);
                }
                if has_more {
                    found.notes.push(format!(
                        "namespace {namespace} has more than {LISTED} {plural}, of which the others were not read"
                    ));
                }
            }
            Err(error) if error.is_hidden() => {
                found.notes.push(format!("you may not list {plural} in namespace {namespace}"));
            }
            Err(error) => found.notes.push(format!("cannot list {plural} in namespace {namespace}: {error}")),
        }
    }
    let mut open = VecDeque::from([uid.to_owned()]);
    while let Some(owner) = open.pop_front() {
        for child in owned.remove(&owner).unwrap_or_default() {
            open.push_back(child.uid.clone());
            found.children.push(child);
        }
    }
    found.more = found.children.len().saturating_sub(RETURNED);
    found.children.truncate(RETURNED);
    found
}

async fn list(hand: &Hand, kind: &ResourceType, namespace: &str) -> Result<(Vec<Value>, bool), InspectError> {
    within(requests(hand).metadata(kind, namespace, LISTED)).await
}

fn resource((group, version, kind, plural): Kind) -> ResourceType {
    ResourceType {
        kind: Arc::new(GroupKind::new(group, kind)),
        version: version.to_owned(),
        plural: plural.to_owned(),
        namespaced: true,
    }
}

/// The object as a child of each of its owners.
fn owners<'a>(item: &'a Value, kind: &'a GroupKind) -> impl Iterator<Item = (String, Child)> + 'a {
    let text = |path: &str| item.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, uid) = (text("/metadata/name"), text("/metadata/uid"));
    let owners = item.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().filter_map(|owner| owner.get("uid")?.as_str()).map(move |owner| {
        let child = Child {
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            name: name.clone(),
            uid: uid.clone(),
            owner: owner.to_owned(),
        };
        (owner.to_owned(), child)
    })
}

/// Reads pods as a whole, and says how many were not read. What is gone meanwhile is left out.
pub async fn pods(hand: &Hand, namespace: &str, names: &[&str]) -> (Vec<Value>, usize) {
    let kind = resource(POD);
    let reads = names.iter().take(PODS).map(|name| {
        let object = ObjectId::new(kind.kind.clone(), namespace, name);
        let kind = &kind;
        async move { within(requests(hand).get(kind, &object)).await.ok().flatten() }.boxed()
    });
    let found = stream::iter(reads.collect::<Vec<_>>())
        .buffered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    (found, names.len().saturating_sub(PODS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_may_own_workloads_and_a_config_map_owns_nothing() {
        let count = |group: &str, kind: &str| kinds(&GroupKind::new(group, kind)).len();
        assert_eq!(count("apps", "Deployment"), 2);
        assert_eq!(count("postgresql.cnpg.io", "Cluster"), OPERATED.len());
        assert_eq!(count("", "ConfigMap"), 0);
        assert_eq!(count("rbac.authorization.k8s.io", "Role"), 0);
    }
}
