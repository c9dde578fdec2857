//! Predicts what an apply would make of a live object, and which field owners have to change first.
//!
//! The dry run of the API server decides. More requests are made only if a field that others own too leaves Git, or if the apply
//! is refused. I/O: API reads and dry runs.

use holdfast_diff::handling;
use holdfast_diff::takeover::{Owners, Settled, applied_to};
use serde_json::Value;

use super::super::Cluster;
use super::super::refusal::ObjectError;
use super::super::refusals::Refused;
use super::super::replacement::replacement;
use super::super::requests::Requests;
use super::super::resolve::Desired;
use super::refused;
use super::subject::{Predicted, Subject};
use crate::sync_ref::SyncRef;

/// Predicts what an apply would make of a live object.
pub(super) async fn predict(
    cluster: &Cluster,
    requests: &Requests,
    sync: &SyncRef,
    desired: &mut Desired,
    live: &Value,
) -> Result<Predicted, ObjectError> {
    let of = if handling::merges(&desired.manifest.value) { Owners::beside } else { Owners::of };
    let owners = of(live, &desired.kind.api_version());
    desired.keep_live(live, owners.first(live).as_ref());
    let subject = Subject { cluster, requests, sync, live, owners };
    let error = match subject.becomes(desired).await {
        Ok(predicted) if cluster.view.marks.is_lost(sync, &desired.object, predicted.object()) => {
            return Err(ObjectError::mark_lost(&desired.object, Some(&desired.manifest.origin)));
        }
        Ok(predicted) => return Ok(predicted),
        Err(error) => error,
    };
    let said = ObjectError::from_server(&desired.object, Some(&desired.manifest.origin), &error);
    let first = Refused::of(desired.digest, live, &said);
    if let Some(known) = cluster.refusals.known(&desired.object, &first) {
        return Err(known);
    }
    if let Some(predicted) = refused::yielding(subject, desired, &error).await {
        return Ok(predicted);
    }
    let prediction = replacement(requests, desired, live, said, &error).await;
    let prediction = prediction.inspect_err(|error| cluster.refusals.note(&desired.object, first, error))?;
    Ok(Predicted { prediction, settled: Settled::default() })
}

/// Predicts what an apply would make of an object in a version that is not served yet, as far as that is possible without the API
/// server.
pub(super) fn unserved(manifest: &Value, live: &Value, lives_as: &str) -> Value {
    let owners = Owners::of(live, lives_as);
    applied_to(&owners, live, manifest, &owners.unsaid(manifest))
}
