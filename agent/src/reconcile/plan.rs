//! The stage `plan`: the changes that make the cluster match the source, without drift that is not corrected now.
//!
//! While any object could not be compared, nothing is removed. Pure, except for [`rights`], which checks the rights of the
//! identity at the API server before the first write, and [`record`], which writes what was verified to the live view.

use std::collections::HashSet;
use std::time::Duration;

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{self, Change, Plan, Seen as Live, SeenAt};

use super::claims::Behind;
use super::drift::{self, FoundDrift};
use super::lingering;
use super::observe::{Object, Observed, Refused, SetState, Viewed, hide};
use super::past::Past;
use super::sync_at::SyncAt;
use crate::cluster::creations;
use crate::cluster::entry::{self, Entry};
use crate::cluster::outcome::Kinds;
use crate::cluster::refusal::{ObjectError, chain};
use crate::cluster::requests::Requests;
use crate::cluster::resolve::Desired;
use crate::cluster::rights;
use crate::cluster::view::{Differs, View};
use crate::error::{Class, StageError};
use crate::report::{Failure, Seen};

/// Maximum number of objects that a warning names.
const SHOWN: usize = 5;

/// A plan, and what it was made from.
pub struct Planned {
    pub plan: Plan,
    pub basis: Basis,
}

/// What a plan was made from, as far as its apply and its report need it.
#[derive(Default)]
pub struct Basis {
    /// The kinds of the objects that the plan may touch.
    pub kinds: Kinds,
    pub drift: FoundDrift,
    /// Why objects that left the source are not in the plan yet.
    pub waits: Option<String>,
    /// When to run again, if no watch event comes before.
    pub next: Option<Duration>,
    /// What to record in the live view.
    pub notes: Vec<(ObjectId, Note)>,
    pub set: SetState,
}

/// What was verified about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// With these values of the fields that Holdfast owns, the object satisfies a manifest.
    Satisfied { manifest: Digest, live: Digest },
    /// The object satisfies its manifest as long as no field of it changes.
    Owned { whole: Digest },
    /// The object differs and may not be corrected: a change of any field is a new difference.
    Left { version: u64, whole: Digest },
}

/// Why no plan can be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot check the rights of the Sync: {0}")]
    Unreachable(String),
}

/// Makes the plan.
pub fn plan(at: SyncAt<'_>, cluster: &str, seen: &Seen, observed: Observed, past: &Past) -> Planned {
    let Observed { objects, surplus, released, refused, set } = observed;
    let next = lingering::next(at, &set);
    let basis = Basis { next, set, ..Basis::default() };
    let mut planner = Planner { at, seen, changes: Vec::new(), basis };
    objects.into_iter().for_each(|object| planner.object(object));
    planner.release(released);
    planner.remove(surplus);
    planner.refuse(refused);
    let Planner { changes, mut basis, .. } = planner;
    let plan = Plan::new(cluster, changes);
    let (plan, left) = drift::leave(at, cluster, &past.drift.fights, &basis.drift.drifted, plan);
    basis.drift.left = left;
    Planned { plan, basis }
}

/// Records what was verified, and the drift that is not corrected, in the live view and in `past`.
pub fn record(at: SyncAt<'_>, basis: &mut Basis, view: &View, past: &mut Past) {
    for (object, note) in basis.notes.drain(..) {
        match note {
            Note::Satisfied { manifest, live } => view.note_satisfied(&object, manifest, live),
            Note::Owned { whole } => view.note_owned(&object, whole),
            Note::Left { version, whole } => view.note_left(&object, version, whole),
        }
    }
    let desired: Option<HashSet<&ObjectId>> =
        basis.set.kept.as_ref().map(|_| basis.set.desired.iter().map(|(object, _)| object).collect());
    past.held_back = std::mem::take(&mut basis.set.held_back);
    past.drift.record(&basis.drift, desired.as_ref(), at.now);
}

/// Removes the changes from a plan that the identity of the Sync has no right to make, before anything is written. The rights of
/// the agent itself are not checked: the API server refuses what they do not cover.
pub async fn rights(requests: &Requests, cluster: &str, planned: Planned) -> Result<Planned, Error> {
    let Planned { plan, mut basis } = planned;
    let Some(user) = requests.identity().user().filter(|_| !plan.is_empty()) else {
        return Ok(Planned { plan, basis });
    };
    let missing = rights::missing(requests.client(), &user, &plan.changes, &basis.kinds).await;
    let missing = missing.map_err(|error| Error::Unreachable(chain(&error)))?;
    let (refused, errors): (HashSet<ObjectId>, Vec<ObjectError>) = missing.into_iter().unzip();
    basis.set.errors.extend(errors.into_iter().map(|error| error.at("plan")));
    let (plan, lacking) = plan.split(cluster, |change| !refused.contains(&change.object));
    basis.drift.refused.extend(lacking.changes);
    Ok(Planned { plan, basis })
}

/// Removes the objects from a plan that the API server would not create, and reports why: for a plan that is shown and not applied.
pub async fn creations(requests: &Requests, cluster: &str, planned: Planned) -> Planned {
    let Planned { plan, mut basis } = planned;
    let mut errors = creations::refused(requests, &plan.changes, &basis.kinds).await;
    hide(&basis.set.masks, &mut errors);
    let refused: HashSet<ObjectId> = errors.iter().filter_map(|error| error.id.clone()).collect();
    basis.set.errors.extend(errors.into_iter().map(|error| error.at("plan")));
    let (plan, lacking) = plan.split(cluster, |change| !refused.contains(&change.object));
    basis.drift.refused.extend(lacking.changes);
    Planned { plan, basis }
}

/// Returns the changes that remove objects of the set that are not desired. `keep` is the reason if all of them are orphaned.
pub fn removals(
    set: &SetState,
    surplus: Vec<(ObjectId, Entry)>,
    keep: Option<&str>,
    kinds: &mut Kinds,
) -> Vec<Change> {
    let removal = |(object, entry): (ObjectId, Entry)| {
        kinds.insert(object.clone(), entry.kind.clone());
        let held = set.held.get(&object).map(String::as_str);
        let keep = keep.or(entry.kept()).or(held);
        let (risk, foreign) = set.risk(&object);
        let (version, uid) = (entry.kind.api_version(), entry.uid.to_string());
        plan::removed(object, version, uid, entry.stage, keep).with_risk(risk, foreign)
    };
    surplus.into_iter().map(removal).collect()
}

/// Describes objects that left Git and stay while the Sync has errors.
fn not_removed(surplus: &[(ObjectId, Entry)]) -> String {
    let shown: Vec<String> = surplus.iter().take(SHOWN).map(|(object, _)| object.to_string()).collect();
    let more = match surplus.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "objects that left Git are not removed before the errors are corrected: {}{more}",
        shown.join(", ")
    )
}

/// Collects the changes of a plan.
struct Planner<'a> {
    at: SyncAt<'a>,
    seen: &'a Seen,
    changes: Vec<Change>,
    basis: Basis,
}

/// The state of a live object at its comparison.
#[derive(Clone, Copy)]
struct Compared {
    at: SeenAt,
    /// The digest of the whole object, if the owners of its fields count too.
    owned: Option<Digest>,
}

impl Planner<'_> {
    /// Plans one desired object.
    fn object(&mut self, Object { desired, live, viewed }: Object) {
        let Desired { object, kind, served, manifest, digest, nulls, .. } = &desired;
        if *served {
            self.basis.kinds.insert(object.clone(), kind.clone());
        }
        let was_applied = self.at.was_applied(&self.seen.tree, object, *digest, viewed.verified);
        let compared = self.compare(&desired, &live, was_applied);
        let masks = self.basis.set.masks.clone();
        let set = self.at.owner.applyset();
        match plan::desired(manifest, object, &set, &masks, live) {
            Some(change) if !(self.at.only_reports_drift() && change.only_ownership()) => {
                let owned = compared.is_some_and(|compared| compared.owned.is_some());
                // Fields that stay are reported as kept fields.
                let is_reported = change.only_marks() || (owned && change.only_ownership());
                if was_applied && !is_reported {
                    let differs = differs(*digest, compared.map(|compared| compared.at), viewed);
                    self.basis.drift.drifted.insert(object.clone(), differs);
                }
                let (risk, foreign) = self.basis.set.risk(object);
                let change = change.with_risk(risk, foreign).satisfying(*digest, nulls.is_some());
                self.changes.push(change.seen_at(compared.map(|compared| compared.at)));
            }
            _ => self.satisfied(object, *digest, compared),
        }
    }

    /// Fingerprints a live object, and finds the fields of it that left the source and stay.
    fn compare(&mut self, desired: &Desired, live: &Live, was_applied: bool) -> Option<Compared> {
        let Live::Exists { live, settled, .. } = live else { return None };
        let Desired { object, kind, manifest, nulls, .. } = desired;
        let stays = plan::kept(manifest, object, &self.basis.set.masks, live, &settled.kept);
        let has_silent = nulls.is_some() || plan::has_unstored(&manifest.value, live);
        let owned = (stays.is_some() || has_silent).then(|| entry::whole(live));
        self.basis.drift.kept.insert(object.clone(), stays);
        let version = entry::version(live);
        let whole = was_applied.then(|| owned.unwrap_or_else(|| entry::whole(live)));
        if let Some(whole) = whole {
            self.basis.notes.push((object.clone(), Note::Left { version, whole }));
        }
        let fingerprint = entry::fingerprint(live, &kind.api_version());
        Some(Compared { at: SeenAt { version, live: fingerprint, whole }, owned })
    }

    /// Notes that an object satisfies its manifest.
    fn satisfied(&mut self, object: &ObjectId, manifest: Digest, compared: Option<Compared>) {
        let Some(Compared { at: SeenAt { live, .. }, owned }) = compared else { return };
        let satisfied = live.map(|live| Note::Satisfied { manifest, live });
        let owned = owned.map(|whole| Note::Owned { whole });
        self.basis.notes.extend(satisfied.into_iter().chain(owned).map(|note| (object.clone(), note)));
    }

    /// Plans to remove the marks from objects that the source excludes from apply and prune: once they leave the source, only the
    /// live object shows that they are kept.
    fn release(&mut self, released: Vec<(ObjectId, Entry, String)>) {
        for (object, entry, mark) in released {
            self.basis.kinds.insert(object.clone(), entry.kind.clone());
            let (version, uid) = (entry.kind.api_version(), entry.uid.to_string());
            let mut change = plan::removed(object, version, uid, entry.stage, Some(&mark));
            change.reason = format!("left alone and kept: {mark}");
            self.changes.push(change);
        }
    }

    /// Plans to remove what left the source, once no other Sync may take it over.
    fn remove(&mut self, surplus: Vec<(ObjectId, Entry)>) {
        if surplus.is_empty() {
            return;
        }
        if !self.basis.set.errors.is_empty() {
            if let Some(warnings) = &mut self.basis.set.warnings {
                warnings.push(not_removed(&surplus));
            }
            return;
        }
        let surplus = self.held_back(surplus);
        let keep = (!self.at.sync.spec.prune).then_some("prune is off");
        self.changes.extend(removals(&self.basis.set, surplus, keep, &mut self.basis.kinds));
    }

    /// Holds back what may have moved to a Sync that has not reached this revision yet, and returns the rest.
    fn held_back(&mut self, surplus: Vec<(ObjectId, Entry)>) -> Vec<(ObjectId, Entry)> {
        let Some(Behind { sync, held, left }) = &self.basis.set.behind else { return surplus };
        let (held, free): (Vec<_>, Vec<_>) =
            surplus.into_iter().partition(|(object, _)| held.contains(&object.to_string()));
        if let Some((first, _)) = held.first() {
            let more =
                if held.len() > 1 { format!(" and {} more objects", held.len() - 1) } else { String::new() };
            let revision = &self.seen.revision;
            self.basis.waits = Some(format!(
                "{first}{more}: removed from Git, and not deleted before Sync {sync} has also reconciled {revision}, because an object may have moved to it"
            ));
            self.basis.next = Some(self.basis.next.map_or(*left, |next| next.min(*left)));
        }
        free
    }

    /// Reports drift that cannot be corrected because the API server refuses the manifest.
    fn refuse(&mut self, refused: Vec<Refused>) {
        for Refused { desired, live, viewed } in refused {
            let Desired { object, kind, manifest, digest, .. } = desired;
            if !self.at.was_applied(&self.seen.tree, &object, digest, viewed.verified) {
                continue;
            }
            if let Some(change) = plan::refused(&manifest, &object, &self.basis.set.masks, &live) {
                let live = entry::fingerprint(&live, &kind.api_version());
                let at = SeenAt { version: 0, live, whole: None };
                self.basis.drift.drifted.insert(object, differs(digest, Some(at), viewed));
                self.basis.drift.refused.push(change);
            }
        }
    }
}

/// How an object differs from its manifest, in the terms of the live view: an object without its marks is absent from the view.
fn differs(manifest: Digest, at: Option<SeenAt>, viewed: Viewed) -> Differs {
    match at {
        Some(SeenAt { live, whole, .. }) if viewed.exists => Differs { manifest, live, whole },
        _ => Differs::absent(manifest),
    }
}

impl StageError for Error {
    fn class(&self) -> Class {
        Class::Transient
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "Unreachable",
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of("plan", &error)
    }
}

#[cfg(test)]
mod tests;
