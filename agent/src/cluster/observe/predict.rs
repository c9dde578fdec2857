//! What an apply would make of an object that exists, and what has to change about the owners of its fields first.
//!
//! The server's dry run is the oracle. Only where something leaves git that others own too, or where the apply is refused as
//! it is, more is asked. I/O: API reads and dry runs.

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

/// Asks the server what an apply would make of an object that exists.
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

/// What an apply would make of an object in a version that is not served yet, as far as that can be told without the server.
pub(super) fn unserved(manifest: &Value, live: &Value, lives_as: &str) -> Value {
    let owners = Owners::of(live, lives_as);
    applied_to(&owners, live, manifest, &owners.unsaid(manifest))
}
