//! What has to yield to an apply that the server refuses: fields and list items that git says nothing of, and that cannot
//! stand beside what git says (unions, and lists whose items must not agree in something).
//!
//! They are found by asking, nearest to the field that the server blames first, and only those go that have to.
//! I/O: dry runs.

use holdfast_diff::plan::Prediction;
use holdfast_diff::takeover::{Extra, Set, applied_to, both, extras, less, set_of};

use super::super::refusal::{fields_of, is_invalid};
use super::super::requests::refusal;
use super::super::resolve::Desired;
use super::predict::{Predicted, Subject};

/// Steps away from the blamed field that are tried.
const STEPS: usize = 4;
/// Values that may have to yield at a time; more are not looked through one by one.
const MANY: usize = 16;

/// What an apply makes of an object when what stands against it goes too. `None` if that is not why it is refused.
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
    let leaving = subject.decide(desired, subject.owners.unsaid(&desired.manifest.value)).await;
    if leaving.keeps() {
        desired.replace(subject.owners.with_kept(&desired.manifest.value, subject.live, &leaving));
    }
    let manifest = subject.marked(desired);
    let merged = applied_to(&subject.owners, subject.live, &manifest, &leaving);
    let nulls = subject.also(desired).await;
    let merged = less(&merged, &nulls);
    let ask = async |set: &Set| subject.validate(desired, subject.live, &less(&merged, set)).await;
    if let Ok(becomes) = ask(&Set::new()).await {
        return Some(subject.settle(Prediction::Becomes(becomes), &leaving, &nulls));
    }
    if migrates {
        return None;
    }
    let all = extras(&subject.owners, &merged, &manifest);
    let near = ranked(&all, &fields_of(error));
    let mut steps: Vec<usize> = near.iter().map(|(step, _)| *step).collect();
    steps.dedup();
    for step in steps.into_iter().take(STEPS) {
        let mut yields: Vec<&Extra> =
            near.iter().filter(|(far, _)| *far <= step).map(|(_, extra)| *extra).collect();
        let Ok(mut becomes) = ask(&set_of(yields.iter().copied())).await else { continue };
        if yields.len() <= MANY {
            // What need not go stays.
            for extra in yields.clone() {
                let rest: Vec<&Extra> = yields.iter().copied().filter(|other| *other != extra).collect();
                if rest.is_empty() {
                    break;
                }
                if let Ok(without) = ask(&set_of(rest.iter().copied())).await {
                    (yields, becomes) = (rest, without);
                }
            }
        }
        let also = both(&nulls, &set_of(yields));
        return Some(subject.settle(Prediction::Becomes(becomes), &leaving, &also));
    }
    None
}

/// The versions that field sets are written in and that are not served any more: the server cannot read these, and fails.
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

/// Values that may have to yield, the nearest to the blamed fields first.
fn ranked<'a>(all: &'a [Extra], fields: &[String]) -> Vec<(usize, &'a Extra)> {
    let mut near: Vec<(usize, &Extra)> = all
        .iter()
        .filter_map(|extra| Some((fields.iter().filter_map(|field| extra.nearness(field)).min()?, extra)))
        .collect();
    near.sort_by_key(|(step, _)| *step);
    near
}
