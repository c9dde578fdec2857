//! What a Sync that is being deleted leaves behind, and when: objects that it cannot see or may not remove delay it for
//! `spec.timeout`, and are then named in an Event. I/O: API reads of the namespace of a Sync that waits.

use std::collections::HashSet;
use std::time::Duration;

use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{self, Change, Plan};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource as _;
use tracing::warn;

use crate::api::{Deletion, conditions};
use crate::cluster::entry::Entry;
use crate::cluster::parent::{self, Unseen};
use crate::reconcile::Run;
use crate::reconcile::claims::trusts;
use crate::reconcile::observe::SetState;
use crate::reconcile::past::Past;
use crate::report::Failure;
use crate::report::events::Note;

/// Maximum number of objects that a message names.
const NAMED: usize = 10;
/// How long a Sync waits for dependents that are not being deleted yet, since they may be deleted next.
const GRACE: Duration = Duration::from_secs(5);
/// Reasons of failures that the agent cannot resolve by itself.
const OUT_OF_REACH: [&str; 6] = [
    "Forbidden",
    "Unauthorized",
    "ServiceAccountNotFound",
    "ServiceAccountRequired",
    "ServiceAccountInvalid",
    "NamespaceNotAllowed",
];

/// Returns why the objects of a Sync are left when it is deleted; `None` if they are pruned.
pub fn keep(run: &Run<'_>) -> Option<&'static str> {
    let spec = &run.at.sync.spec;
    match spec.deletion {
        _ if run.at.suspended().is_some() => Some("the Sync was suspended"),
        Some(Deletion::Orphan) => Some("spec.deletion is Orphan"),
        None if !spec.prune => Some("prune is off"),
        Some(Deletion::Prune) | None => None,
    }
}

/// Returns the message of a wait for a dependent Sync, whose objects are removed first; `None` if there is none to wait for.
pub fn dependent(run: &Run<'_>) -> Option<String> {
    let age = age(run);
    let dependents = run.dependencies().dependents(run.at.owner).into_iter();
    let awaited = dependents.filter(|(name, other)| {
        let bound = match other.metadata.deletion_timestamp {
            None => GRACE,
            Some(_) if trusts(&run.services.policy, (run.at.owner, run.at.sync), (name, other)) => {
                Duration::MAX
            }
            Some(_) => run.at.sync.spec.timeout(),
        };
        age < bound
    });
    let (name, _) = awaited.min_by(|(one, _), (other, _)| one.cmp(other))?;
    let may_name = run.acting().is_agent() || name.namespace() == run.at.owner.namespace();
    let name = if may_name { format!("Sync {name}") } else { "another Sync".to_owned() };
    Some(format!("waits for the removal of {name}, which depends on this Sync"))
}

/// Time since the deletion was requested.
fn age(run: &Run<'_>) -> Duration {
    let since = run.at.sync.metadata.deletion_timestamp.as_ref().map_or(run.at.now, |time| time.0);
    run.at.now.duration_since(since).try_into().unwrap_or_default()
}

/// How a failure is handled.
pub enum Reach {
    /// The removal is retried.
    Retried,
    /// The removal is retried until then.
    Until(Timestamp),
    /// The objects are left.
    GivenUp,
}

/// Decides how to handle a failure to remove or orphan objects.
pub async fn reach(run: &Run<'_>, past: &mut Past, failure: &Failure, keep: Option<&str>) -> Reach {
    let out_of_reach = OUT_OF_REACH.contains(&failure.reason);
    if !out_of_reach && keep.is_none() && failure.reason != BLIND {
        return Reach::Retried;
    }
    // Deleting a namespace deletes the rights of its Syncs. The deletion must not wait for them.
    let abandoned = || run.services.cluster.accounts.namespace_ends(run.at.owner.namespace());
    if out_of_reach && (keep.is_some() || abandoned().await) {
        return Reach::GivenUp;
    }
    let until = deadline(run, past);
    if until <= run.at.now { Reach::GivenUp } else { Reach::Until(until) }
}

/// Returns when a Sync ends without the objects that it cannot remove. The time starts when this process first fails to remove
/// them, so that a restarted agent tries for the whole time.
pub fn deadline(run: &Run<'_>, past: &mut Past) -> Timestamp {
    let since = *past.ending.since.get_or_insert(run.at.now);
    let end = since.saturating_add(run.at.sync.spec.timeout()).unwrap_or(since);
    Timestamp::from_second(end.as_second()).unwrap_or(end)
}

/// True if that time is over.
pub fn is_over(run: &Run<'_>, past: &mut Past) -> bool {
    past.ending.since.is_some() && deadline(run, past) <= run.at.now
}

/// Time until then.
pub fn left(run: &Run<'_>, until: Timestamp) -> Duration {
    until.duration_since(run.at.now).try_into().unwrap_or_default()
}

/// The reason if objects cannot be observed.
const BLIND: &str = "ObjectsNotSeen";

/// Refuses to remove anything while objects may exist that cannot be listed: they may need what is removed. After `spec.timeout`
/// they are left.
pub fn seen(run: &Run<'_>, past: &mut Past, set: &SetState) -> Result<(), Failure> {
    if set.unseen.is_empty() || is_over(run, past) {
        return Ok(());
    }
    deadline(run, past);
    Err(Failure::user("observe", BLIND, unseen(set)))
}

/// Describes the scopes in which objects of the Sync may exist that cannot be listed; empty if there are none.
pub fn unseen(set: &SetState) -> String {
    let mut said: Vec<&str> = set.unseen.iter().map(|Unseen { said, .. }| said.as_str()).collect();
    said.truncate(NAMED);
    if said.is_empty() {
        return String::new();
    }
    format!("objects of this Sync may still exist: {}", said.join("; "))
}

/// The command that makes the Sync leave its objects, which a user can run at any time.
fn way_out(run: &Run<'_>) -> String {
    patch(run, r#"{"spec":{"deletion":"Orphan"}}"#)
}

fn patch(run: &Run<'_>, patch: &str) -> String {
    let (namespace, name) = (run.at.owner.namespace(), run.at.owner.name());
    format!("kubectl -n {namespace} patch sync {name} --type=merge -p '{patch}'")
}

/// Appends the command that leaves the objects to a wait that takes longer than `spec.timeout`.
pub fn with_way_out(run: &Run<'_>, waits: String) -> String {
    if age(run) < run.at.sync.spec.timeout() {
        return waits;
    }
    format!("{waits}; to leave the remaining objects in the cluster, run: {}", way_out(run))
}

/// Says until when the removal is retried, and the command that leaves the objects.
pub fn until(run: &Run<'_>, time: Timestamp) -> String {
    format!(
        "this is retried until {time} (spec.timeout); then the Sync is removed and its objects stay; to leave them now, run: {}",
        way_out(run)
    )
}

/// Says what a user can do if no Approval can be created.
pub fn unapproved(run: &Run<'_>, until: Timestamp) -> String {
    format!(
        "Nothing can be approved, since namespace {} is being deleted and takes no new Approval. To delete these objects, run: {}. \
         To leave them, run: {}. They are left at {until} (spec.timeout)",
        run.at.owner.namespace(),
        patch(run, r#"{"spec":{"approval":"Never"}}"#),
        way_out(run)
    )
}

/// Returns the plan without the changes that wait for an Approval that cannot be created: objects in the namespace of the Sync
/// are deleted with it, and the others are orphaned at `until`.
pub fn without(run: &Run<'_>, plan: Plan, waiting: &Plan, until: Timestamp) -> Plan {
    let waits: HashSet<&ObjectId> = waiting.changes.iter().map(|change| &change.object).collect();
    let mut changes = Vec::new();
    for change in plan.changes {
        if !waits.contains(&change.object) {
            changes.push(change);
        } else if *change.object.namespace != *run.at.owner.namespace() && !goes_with(run, &change.object) {
            changes.push(if until <= run.at.now { orphan(change) } else { change });
        }
    }
    Plan::new(&run.services.cluster.uid, changes)
}

fn orphan(change: Change) -> Change {
    let why = "nothing can be approved in a namespace that is being deleted";
    let Change { object, api_version, uid, stage, .. } = change;
    plan::removed(object, api_version, uid.unwrap_or_default(), stage, Some(why))
}

/// True for objects that can only be gone after the Sync: its namespace, and the definition of its kind.
fn goes_with(run: &Run<'_>, object: &ObjectId) -> bool {
    (object.kind.is("", "Namespace") && *object.name == *run.at.owner.namespace())
        || (object.kind.is("apiextensions.k8s.io", "CustomResourceDefinition")
            && *object.name == *"syncs.holdfast.dev")
}

/// True if objects exist that the Sync waits for. Those that it may not remove are left after `spec.timeout`.
pub fn remains(run: &Run<'_>, past: &mut Past) -> bool {
    let is_over = is_over(run, past);
    let waits = |object: &ObjectId, entry: &Entry| match entry.ending {
        None => !(is_over && past.ending.refused.contains(object)),
        Some(_) => !goes_with(run, object),
    };
    !run.services.cluster.view.members_that(run.at.owner, waits).is_empty()
}

/// Logs which objects a Sync leaves behind and why, and sends an Event.
pub fn report(run: &Run<'_>, why: &str) {
    let left = objects(run);
    warn!(sync = %run.at.owner, why, left, "Sync removed; its objects stay");
    let about: ObjectReference = run.at.sync.object_ref(&());
    let text =
        format!("the Sync is removed, and these objects stay with its labels and annotations: {left}. {why}");
    run.services.events.tell(Note {
        about,
        warning: true,
        reason: conditions::reason::OBJECTS_LEFT.to_owned(),
        action: "Delete".to_owned(),
        text,
    });
}

/// Names the objects that are left, or their kinds if the live view has none.
fn objects(run: &Run<'_>) -> String {
    // Objects that are being deleted are not left.
    let members = run.services.cluster.view.members_that(run.at.owner, |_, entry| entry.ending.is_none());
    let mut named: Vec<String> = members.iter().take(NAMED).map(|(object, _)| object.to_string()).collect();
    if let Some(more) = members.len().checked_sub(NAMED).filter(|more| *more > 0) {
        named.push(format!("{more} more"));
    }
    if named.is_empty() {
        let kinds: Vec<String> = parent::kinds(run.at.sync).iter().map(ToString::to_string).collect();
        return format!("those of kind {}, if there are any", kinds.join(", "));
    }
    named.join(", ")
}
