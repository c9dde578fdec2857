//! What would be deleted with an object: PersistentVolumeClaims that the garbage collector removes, what the owner of a finalizer
//! removes, and the content of a container.
//!
//! I/O: API reads, for kinds that can own claims, and for containers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use holdfast_diff::object::{GroupKind, ObjectId};
use serde_json::Value;

use super::Cluster;
use super::contents;
use super::entry::Entry;
use super::refusal;
use super::requests::{Dependants, Requests, ResourceType, is_forbidden};

/// Levels of owners above a claim that are read: a claim of a StatefulSet of a custom object has two.
const DEPTH: usize = 4;

/// Maximum number of claims of a namespace that are read.
const CLAIMS: usize = 100_000;

/// Returns why deleting an object would remove more than the object, by object.
///
/// If the claims of a namespace may not be listed, every object that could own one is at risk.
pub async fn risks(
    cluster: &Cluster,
    requests: &Requests,
    objects: impl Iterator<Item = (&ObjectId, &Entry, Dependants)>,
) -> Result<HashMap<ObjectId, String>, kube::Error> {
    let mut risks = HashMap::new();
    let mut owners: HashMap<Arc<str>, HashMap<&str, &ObjectId>> = HashMap::new();
    for (object, entry, dependants) in objects {
        if let Some(finalizer) = &entry.finalizer {
            let risk = format!("the finalizer {finalizer} may remove more than the object");
            risks.insert(object.clone(), risk);
        } else if let Some(keep) = entry.keep.as_ref().filter(|keep| !keep.stays) {
            risks.insert(object.clone(), format!("{} requires a confirmation of the deletion", keep.mark));
        } else if dependants == Dependants::Go && may_own_claims(&object.kind) && !object.namespace.is_empty()
        {
            owners.entry(object.namespace.clone()).or_default().insert(&entry.uid, object);
        }
    }
    for (namespace, owners) in owners {
        match claimed(cluster, requests, &namespace, &owners).await {
            Ok(found) => risks.extend(found),
            Err(error) if is_forbidden(&error) => {
                let risk = format!(
                    "it is unknown whether claims would be deleted with it, because {}",
                    refusal::said(&error)
                );
                risks.extend(owners.values().map(|object| ((*object).clone(), risk.clone())));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(risks)
}

/// The consequences of deleting containers.
#[derive(Debug, Default)]
pub struct Along {
    /// Why containers are not deleted.
    pub held: HashMap<ObjectId, String>,
    /// The objects that would be deleted with each container.
    pub risks: HashMap<ObjectId, String>,
    /// Containers with data that does not belong to the Sync.
    pub foreign: HashSet<ObjectId>,
}

/// Reads the objects that would be deleted with containers. `going` are deleted anyway, and `wanted` are in Git.
#[expect(clippy::implicit_hasher, reason = "all sets of the agent have the same hasher")]
pub async fn along(
    cluster: &Cluster,
    requests: &Requests,
    doomed: &[(&ObjectId, &Entry, Dependants)],
    going: &HashSet<&ObjectId>,
    wanted: &HashSet<&ObjectId>,
) -> Result<Along, kube::Error> {
    let mut along = Along::default();
    for (container, entry, _) in doomed {
        if !contents::is_container(container) {
            continue;
        }
        let asking = cluster.contents.of(cluster, requests, &entry.kind, container);
        let inside = Box::pin(asking).await?;
        if let Some(why) = inside.holds(container, wanted) {
            along.held.insert((*container).clone(), why);
        } else if let Some(risk) = inside.risk(container, going) {
            along.risks.insert((*container).clone(), risk);
            let is_of_another = |object: &ObjectId| {
                cluster.view.get(object).is_some_and(|member| member.owner != entry.owner)
            };
            if inside.has_foreign_data(container, going, &is_of_another) {
                along.foreign.insert((*container).clone());
            }
        }
    }
    Ok(along)
}

/// Returns why objects are not deleted: they own an object that is kept, which the garbage collector would delete.
pub fn held_by_dependants(
    doomed: &[(&ObjectId, &Entry, Dependants)],
    members: &[(ObjectId, Entry)],
) -> HashMap<ObjectId, String> {
    let kept = members
        .iter()
        .filter_map(|(object, entry)| Some((object, entry.keep.as_ref().filter(|keep| keep.stays)?)));
    let held = kept.flat_map(|(object, keep)| {
        let owners = doomed
            .iter()
            .filter(|(_, entry, dependants)| *dependants == Dependants::Go && keep.belongs_to(&entry.uid));
        let why =
            format!("{object}, which is kept ({}), depends on it and would be deleted with it", keep.mark);
        owners.map(move |(owner, ..)| ((*owner).clone(), why.clone()))
    });
    held.collect()
}

/// Removes objects from the surplus that are kept and that an owner in Git would be deleted with: one that a controller made their
/// owner, so that the reference stays. They remain members of the Sync, which holds the owner once it leaves Git too. Returns them
/// with that owner.
pub fn kept_with_owners(
    surplus: &mut Vec<(ObjectId, Entry)>,
    members: impl Fn(&dyn Fn(&Entry) -> bool) -> Vec<(ObjectId, Entry)>,
) -> Vec<(ObjectId, ObjectId)> {
    let leaving: HashSet<ObjectId> = surplus.iter().map(|(object, _)| object.clone()).collect();
    let mut kept = Vec::new();
    surplus.retain(|(object, entry)| {
        let Some(keep) = entry.keep.as_ref().filter(|keep| keep.stays && entry.has_owners) else {
            return true;
        };
        let owners = members(&|entry| keep.stays_with(&entry.uid));
        let Some((owner, _)) = owners.into_iter().find(|(owner, _)| !leaving.contains(owner)) else {
            return true;
        };
        kept.push((object.clone(), owner));
        false
    });
    kept
}

/// Returns the objects that own claims in a namespace.
async fn claimed(
    cluster: &Cluster,
    requests: &Requests,
    namespace: &str,
    owners: &HashMap<&str, &ObjectId>,
) -> Result<HashMap<ObjectId, String>, kube::Error> {
    let (mut risks, mut above) = (HashMap::new(), Above::new());
    for claim in requests.metadata(&claims(), namespace, CLAIMS).await?.0 {
        if let Some(object) = owner(cluster, requests, namespace, &claim, (owners, &mut above)).await? {
            let name = claim.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
            risks.entry(object.clone()).or_insert_with(|| {
                format!("PersistentVolumeClaim {namespace}/{name} depends on it and would be deleted too")
            });
        }
    }
    Ok(risks)
}

/// True for kinds that may own claims: StatefulSets, if their retention policy is Delete, and custom resources.
fn may_own_claims(kind: &GroupKind) -> bool {
    let builtin = !kind.group.contains('.') || kind.group.ends_with(".k8s.io");
    kind.is("apps", "StatefulSet") || !builtin
}

fn claims() -> ResourceType {
    ResourceType {
        kind: Arc::new(GroupKind::new("", "PersistentVolumeClaim")),
        version: "v1".to_owned(),
        plural: "persistentvolumeclaims".to_owned(),
        namespaced: true,
    }
}

/// The owner references of owners, by UID: many claims have the same owner, which is read once.
type Above = HashMap<String, Vec<Value>>;

/// Returns the first of these objects that owns a claim, directly or through other objects.
async fn owner<'a>(
    cluster: &Cluster,
    requests: &Requests,
    namespace: &str,
    claim: &Value,
    (owners, known): (&HashMap<&str, &'a ObjectId>, &mut Above),
) -> Result<Option<&'a ObjectId>, kube::Error> {
    let mut above = references(claim);
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for reference in above {
            let text = |name: &str| reference.get(name).and_then(Value::as_str).unwrap_or_default();
            if let Some(object) = owners.get(text("uid")) {
                return Ok(Some(object));
            }
            if let Some(found) = known.get(text("uid")) {
                next.extend(found.iter().cloned());
                continue;
            }
            let mut found = Vec::new();
            if let Some(kind) = cluster.discovery.find(text("apiVersion"), text("kind")).await? {
                let object = ObjectId::new(kind.kind.clone(), namespace, text("name"));
                found.extend(requests.get(&kind, &object).await?.iter().flat_map(references));
            }
            known.insert(text("uid").to_owned(), found.clone());
            next.extend(found);
        }
        above = next;
    }
    Ok(None)
}

fn references(object: &Value) -> Vec<Value> {
    let references = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    references.cloned().unwrap_or_default()
}
