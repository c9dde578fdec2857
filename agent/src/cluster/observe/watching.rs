//! Starts the watches of every kind that a Sync desires or owns, before its objects are compared. Kinds that cannot be watched are
//! errors. I/O: API watches.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use holdfast_diff::object::{GroupKind, ObjectId};

use super::Observed;
use super::Scope;
use crate::cluster::Cluster;
use crate::cluster::parent::Unseen;
use crate::cluster::refusal::ObjectError;
use crate::cluster::requests::{Requests, ResourceType};
use crate::cluster::resolve::Desired;
use crate::cluster::watch::{Wanted, WatchError, Watched};
use crate::sync_ref::SyncRef;

/// Maximum time for the first list of a kind.
const LIST_LIMIT: Duration = Duration::from_secs(30);

/// The kinds and namespaces that a Sync needs to watch.
pub(super) struct Needs<'a> {
    pub requests: &'a Requests,
    pub owner: &'a SyncRef,
    pub desired: &'a [Desired],
    pub kinds: &'a [Arc<ResourceType>],
    pub places: &'a [Arc<str>],
}

/// Kinds and namespaces whose objects are unknown. An empty namespace is the whole cluster.
#[derive(Default)]
pub(super) struct Blind(HashSet<(Arc<GroupKind>, Arc<str>)>);

impl Blind {
    pub fn hides(&self, object: &ObjectId) -> bool {
        !self.0.is_empty()
            && [object.namespace.clone(), "".into()]
                .into_iter()
                .any(|place| self.0.contains(&(object.kind.clone(), place)))
    }
}

/// A kind, and the namespaces in which it is desired or owned.
type Here<'a> = (&'a Arc<ResourceType>, BTreeSet<Arc<str>>);

/// Watches every kind in the namespaces in which it is desired or owned. A kind that cannot be watched is an error and does not
/// affect the others.
pub(super) async fn watch(
    cluster: &Cluster,
    needs: Needs<'_>,
    scope: Scope,
    observed: &mut Observed,
) -> Blind {
    if cluster.is_copy {
        // The copy has what the watches have brought. A kind that is watched by none of them has no members.
        return Blind::default();
    }
    let Needs { requests, owner, desired, kinds, places } = needs;
    let mut wanted: BTreeMap<(Arc<GroupKind>, String), Here<'_>> = BTreeMap::new();
    for Desired { object, kind, served, lives_as, .. } in desired {
        let Some(kind) = served.then_some(kind).or(lives_as.as_ref()) else { continue };
        let key = (kind.kind.clone(), kind.version.clone());
        wanted.entry(key).or_insert_with(|| (kind, BTreeSet::new())).1.insert(object.namespace.clone());
    }
    for kind in kinds {
        wanted.entry((kind.kind.clone(), kind.version.clone())).or_insert_with(|| (kind, BTreeSet::new()));
    }
    let members = if scope == Scope::Whole { cluster.view.places(owner) } else { BTreeMap::new() };
    let starting = wanted.into_values().map(|(kind, mut here)| {
        here.extend(members.get(&kind.kind).into_iter().flatten().cloned());
        let former = places.iter().cloned().collect();
        let wanted = Wanted { owner, identity: requests.identity(), kind, places: here, former };
        async move { cluster.watches.ensure(&wanted, LIST_LIMIT).await }
    });
    let (mut used, mut blind) = (Vec::new(), Blind::default());
    for Watched { used: mut keys, errors, unseen } in futures::future::join_all(starting).await {
        used.append(&mut keys);
        observed.unseen.extend(unseen.iter().map(unseen_by));
        for error in errors {
            cluster.discovery.forget(&error.kind.group);
            observed.errors.extend(unwatched(&error, desired));
            observed.blind.push(unseen_by(&error));
            blind.0.insert((error.kind, error.namespace));
        }
    }
    if scope == Scope::Whole {
        cluster.watches.keep(owner, &used);
    }
    blind
}

fn unseen_by(error: &WatchError) -> Unseen {
    let WatchError { kind, namespace, forbidden, .. } = error;
    let (kind, namespace, said) = (kind.clone(), namespace.clone(), error.to_string());
    Unseen { kind, namespace, forbidden: *forbidden, said }
}

/// Returns the errors of the objects that a watch would show. If a right is missing, each desired object is named.
fn unwatched(error: &WatchError, desired: &[Desired]) -> Vec<ObjectError> {
    if !error.forbidden {
        return vec![ObjectError::transient(&error.kind, None, "WatchFailed", error.to_string())];
    }
    let hidden = desired.iter().filter(|desired| {
        desired.object.kind == error.kind
            && (error.namespace.is_empty() || desired.object.namespace == error.namespace)
    });
    let of = |desired: &Desired| {
        let origin = Some(&desired.manifest.origin);
        ObjectError::user(&desired.object, origin, "Forbidden", error.said.as_str())
    };
    let found: Vec<ObjectError> = hidden.map(of).collect();
    if found.is_empty() {
        return vec![ObjectError::user(&error.kind, None, "Forbidden", error.said.as_str())];
    }
    found
}
