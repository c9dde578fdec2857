//! What a Sync that is being deleted leaves behind, and how long it waits before it does: what it cannot see or may not remove
//! holds it up for `spec.timeout`, and is told. I/O: API reads, of the namespace of a Sync that waits.

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

/// Objects that are named.
const NAMED: usize = 10;
/// How long a Sync waits for those that depend on it and are not being deleted: they may be about to be.
const GRACE: Duration = Duration::from_secs(5);
/// The reasons of failures that the agent alone cannot mend.
const OUT_OF_REACH: [&str; 6] = [
    "Forbidden",
    "Unauthorized",
    "ServiceAccountNotFound",
    "ServiceAccountRequired",
    "ServiceAccountInvalid",
    "NamespaceNotAllowed",
];

/// Why the objects of a Sync stay when it is deleted, if they do.
pub fn keep(run: &Run<'_>) -> Option<&'static str> {
    let spec = &run.at.sync.spec;
    match spec.deletion {
        _ if run.at.suspended().is_some() => Some("the Sync was suspended"),
        Some(Deletion::Orphan) => Some("spec.deletion is Orphan"),
        None if !spec.prune => Some("prune is off"),
        Some(Deletion::Prune) | None => None,
    }
}

/// What a Sync waits for that others depend on: what they have is removed first.
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
    Some(format!("waits until {name} is gone, which depends on this one"))
}

/// How long ago the deletion was asked for.
fn age(run: &Run<'_>) -> Duration {
    let since = run.at.sync.metadata.deletion_timestamp.as_ref().map_or(run.at.now, |time| time.0);
    run.at.now.duration_since(since).try_into().unwrap_or_default()
}

/// What is done about a failure.
pub enum Reach {
    /// It is tried again.
    Retried,
    /// It is tried again until then.
    Until(Timestamp),
    /// Nothing is tried any more.
    GivenUp,
}

/// Finds out what to do about a failure to remove objects, or to leave them.
pub async fn reach(run: &Run<'_>, past: &mut Past, failure: &Failure, keep: Option<&str>) -> Reach {
    let out_of_reach = OUT_OF_REACH.contains(&failure.reason);
    if !out_of_reach && keep.is_none() && failure.reason != BLIND {
        return Reach::Retried;
    }
    // The rights of a Sync go with its namespace, which must not wait for it.
    let abandoned = || run.services.cluster.accounts.namespace_ends(run.at.owner.namespace());
    if out_of_reach && (keep.is_some() || abandoned().await) {
        return Reach::GivenUp;
    }
    let until = deadline(run, past);
    if until <= run.at.now { Reach::GivenUp } else { Reach::Until(until) }
}

/// When a Sync ends without what is out of its reach. The time begins when this process finds that out, so that an agent that
/// was away gives nothing up at its first try.
pub fn deadline(run: &Run<'_>, past: &mut Past) -> Timestamp {
    let since = *past.ending.since.get_or_insert(run.at.now);
    let end = since.saturating_add(run.at.sync.spec.timeout()).unwrap_or(since);
    Timestamp::from_second(end.as_second()).unwrap_or(end)
}

/// True if the Sync has waited for long enough for what is out of its reach.
pub fn is_over(run: &Run<'_>, past: &mut Past) -> bool {
    past.ending.since.is_some() && deadline(run, past) <= run.at.now
}

/// How long it is until then.
pub fn left(run: &Run<'_>, until: Timestamp) -> Duration {
    until.duration_since(run.at.now).try_into().unwrap_or_default()
}

/// The reason of a failure to see what there is.
const BLIND: &str = "ObjectsNotSeen";

/// Refuses to remove anything while objects may be there that cannot be seen: others may need what is removed. After a while
/// they are left.
pub fn seen(run: &Run<'_>, past: &mut Past, set: &SetState) -> Result<(), Failure> {
    if set.unseen.is_empty() || is_over(run, past) {
        return Ok(());
    }
    deadline(run, past);
    Err(Failure::user("observe", BLIND, unseen(set)))
}

/// Where objects of the Sync may be that it does not see; empty if nowhere.
pub fn unseen(set: &SetState) -> String {
    let mut said: Vec<&str> = set.unseen.iter().map(|Unseen { said, .. }| said.as_str()).collect();
    said.truncate(NAMED);
    if said.is_empty() {
        return String::new();
    }
    format!("objects of this Sync may still be there: {}", said.join("; "))
}

/// The way out that a person has, at any time.
fn way_out(run: &Run<'_>) -> String {
    patch(run, r#"{"spec":{"deletion":"Orphan"}}"#)
}

fn patch(run: &Run<'_>, patch: &str) -> String {
    let (namespace, name) = (run.at.owner.namespace(), run.at.owner.name());
    format!("kubectl -n {namespace} patch sync {name} --type=merge -p '{patch}'")
}

/// What is waited for, with the way out if that takes longer than it should.
pub fn with_way_out(run: &Run<'_>, waits: String) -> String {
    if age(run) < run.at.sync.spec.timeout() {
        return waits;
    }
    format!("{waits}; to leave what is left of its objects in the cluster, run: {}", way_out(run))
}

/// Until when objects are tried to be removed that are out of reach, and the way out.
pub fn until(run: &Run<'_>, time: Timestamp) -> String {
    format!(
        "this is tried until {time} (spec.timeout), then the Sync is removed and its objects stay; to leave them now, run: {}",
        way_out(run)
    )
}

/// What a person can do whose approval would be needed, and who cannot give one.
pub fn unapproved(run: &Run<'_>, until: Timestamp) -> String {
    format!(
        "Nothing can be approved, since namespace {} is being deleted and takes no new Approval. To delete these objects, run: {}. \
         To leave them, run: {}. They are left at {until} (spec.timeout)",
        run.at.owner.namespace(),
        patch(run, r#"{"spec":{"approval":"Never"}}"#),
        way_out(run)
    )
}

/// The plan without what waits for an approval that cannot be given: what is in the namespace of the Sync goes with that, and
/// the rest stays after a while.
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

/// True for what cannot be gone before the Sync is: its namespace, and the definition of its kind.
fn goes_with(run: &Run<'_>, object: &ObjectId) -> bool {
    (object.kind.is("", "Namespace") && *object.name == *run.at.owner.namespace())
        || (object.kind.is("apiextensions.k8s.io", "CustomResourceDefinition")
            && *object.name == *"syncs.holdfast.dev")
}

/// True if objects of the Sync are still there that it waits for. Those that it was refused are left once it has waited for
/// long enough.
pub fn remains(run: &Run<'_>, past: &mut Past) -> bool {
    let is_over = is_over(run, past);
    let waits = |object: &ObjectId, entry: &Entry| match entry.ending {
        None => !(is_over && past.ending.refused.contains(object)),
        Some(_) => !goes_with(run, object),
    };
    !run.services.cluster.view.members_that(run.at.owner, waits).is_empty()
}

/// Tells what a Sync leaves behind, and why.
pub fn tell(run: &Run<'_>, why: &str) {
    let left = objects(run);
    warn!(sync = %run.at.owner, why, left, "Sync ends and leaves objects behind");
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

/// What is left, as far as it is known.
fn objects(run: &Run<'_>) -> String {
    // What is being deleted may still be held, and goes.
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
