//! Finds the live fields and list items that must be removed so that the API server accepts an apply: those that are not in Git
//! and conflict with what is (unions, and lists whose items must be unique in a field).
//!
//! They are found by dry runs, starting with those nearest to the field that the API server names. Only values that must be
//! removed are. The number of dry runs is small, however many fields there are. I/O: dry runs.

use holdfast_diff::plan::Prediction;
use holdfast_diff::takeover::{Extra, applied_to, both, extras, less, set_of};
use serde_json::Value;

use super::super::refusal::{fields_of, is_invalid};
use super::super::requests::refusal;
use super::super::resolve::Desired;
use super::subject::{Predicted, Subject};

/// Maximum number of dry runs for one object.
const MAX_DRY_RUNS: u32 = 6;
/// Maximum distance from the named field.
const STEPS: usize = 3;

/// Returns what an apply makes of an object if the values that conflict with it are removed too. `None` if the apply is refused
/// for another reason.
pub(super) async fn yielding(
    subject: Subject<'_>,
    desired: &mut Desired,
    error: &kube::Error,
) -> Option<Predicted> {
    let unserved = unserved(&subject, desired, error).await;
    let migrates = !unserved.is_empty();
    if !is_invalid(error) && !migrates {
        return None;
    }
    let subject = &Subject { owners: subject.owners.migrated(&unserved), ..subject };
    let unsaid = subject.owners.unsaid(&desired.manifest.value);
    let leaving = subject.decide(desired, unsaid, subject.live).await;
    if leaving.keeps() {
        desired.replace(subject.owners.with_kept(&desired.manifest.value, subject.live, &leaving));
    }
    let manifest = subject.marked(desired);
    let merged = applied_to(&subject.owners, subject.live, &manifest, &leaving);
    let nulls = subject.also(desired, None).await;
    let merged = less(&merged, &nulls);
    let mut dry_runs = DryRuns { subject, desired, merged: &merged, left: MAX_DRY_RUNS };
    if let Some(becomes) = dry_runs.without(&[]).await {
        let staged = if makes_null(error) { subject.staged(desired, &leaving, &nulls).await } else { None };
        return Some(subject.settle(Prediction::Becomes(becomes), &leaving, &nulls, staged.as_ref()));
    }
    if migrates {
        return None;
    }
    let all = extras(&subject.owners, &merged, &manifest, None);
    let (yields, becomes) = dry_runs.find(&ranked(&all, &fields_of(error))).await?;
    let also = both(&nulls, &set_of(yields));
    Some(subject.settle(Prediction::Becomes(becomes), &leaving, &also, None))
}

/// True if an apply is refused because it makes a map `null` by removing all of its entries.
fn makes_null(error: &kube::Error) -> bool {
    refusal(error).is_some_and(|status| status.message.contains("Invalid value: \"null\""))
}

/// The dry runs of one object.
struct DryRuns<'a> {
    subject: &'a Subject<'a>,
    desired: &'a Desired,
    /// What an apply would make of the object.
    merged: &'a Value,
    /// The remaining dry runs.
    left: u32,
}

impl DryRuns<'_> {
    /// Returns what the API server makes of the object without some values; `None` if it refuses that too.
    async fn without(&mut self, extras: &[&Extra]) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        let value = less(self.merged, &set_of(extras.iter().copied()));
        self.subject.validate(self.desired, self.subject.live, &value).await.ok()
    }

    /// Returns which of the `near` values must be removed, and what the object becomes. If no dry runs remain, more values are
    /// removed than necessary.
    async fn find<'e>(&mut self, near: &[(usize, &'e Extra)]) -> Option<(Vec<&'e Extra>, Value)> {
        let first = |count: usize| near[..count].iter().map(|(_, extra)| *extra).collect::<Vec<&Extra>>();
        let mut steps: Vec<usize> = near.iter().map(|(step, _)| *step).collect();
        steps.dedup();
        // Removing the nearest `low` values is not enough, and removing `high` is.
        let (mut low, mut high, mut found) = (0, 0, None);
        for step in steps.into_iter().take(STEPS) {
            (low, high) = (high, near.partition_point(|(far, _)| *far <= step));
            found = self.without(&first(high)).await.map(|becomes| (first(high), becomes));
            if found.is_some() {
                break;
            }
        }
        let mut found = found?;
        let mut needed: Vec<&Extra> = Vec::new();
        loop {
            while high - low > 1 {
                let middle = usize::midpoint(low, high);
                let yields = [first(middle), needed.clone()].concat();
                match self.without(&yields).await {
                    Some(becomes) => (high, found) = (middle, (yields, becomes)),
                    None => low = middle,
                }
            }
            // The apply is refused if the last one is not removed.
            needed.push(near[high - 1].1);
            if high == 1 {
                return Some(found);
            }
            if let Some(becomes) = self.without(&needed).await {
                return Some((needed, becomes));
            }
            (low, high) = (0, high - 1);
        }
    }
}

/// Versions of field sets that are no longer served. The API server cannot read these, and fails.
async fn unserved(subject: &Subject<'_>, desired: &Desired, error: &kube::Error) -> Vec<String> {
    let mut found = Vec::new();
    if refusal(error).is_none_or(|status| status.code < 500) {
        return found;
    }
    for version in subject.owners.other_versions() {
        let served = subject.cluster.discovery.find(&version, &desired.object.kind.kind).await;
        if matches!(served, Ok(None)) {
            found.push(version);
        }
    }
    found
}

/// Returns values that may have to be removed, those nearest to the named fields first.
fn ranked<'a>(all: &'a [Extra], fields: &[String]) -> Vec<(usize, &'a Extra)> {
    let mut near: Vec<(usize, &Extra)> = all
        .iter()
        .filter_map(|extra| Some((fields.iter().filter_map(|field| extra.nearness(field)).min()?, extra)))
        .collect();
    near.sort_by_key(|(step, _)| *step);
    near
}
