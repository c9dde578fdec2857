//! Decides whether an object that cannot be changed to match Git can be replaced. That is found by dry runs and not from
//! messages: which fields are immutable, and the words for it, differ between kinds.
//!
//! The live object is the cause of a refusal if the API server accepts the same manifest for a new object, and refuses an update
//! of the live object to it as well. I/O: dry runs, after a refusal.

use holdfast_diff::plan::Prediction;
use holdfast_diff::replacement::{is_changed, laid_over, without_held};
use kube::core::Status;
use kube::core::response::StatusCause;
use serde_json::Value;

use super::refusal::{ObjectError, is_denial, is_missing_right};
use super::requests::{Requests, refusal};
use super::resolve::Desired;
use crate::error::Class;

/// How often the dry run is repeated without values that only the live object can have.
const HELD: usize = 5;

/// The answer to the creation of an object with the same name.
enum Verdict {
    Accepted,
    /// The live object or the rights of the identity prevent an answer: it is unknown whether a replacement would be accepted.
    Unknown(String),
    Refused {
        second: ObjectError,
        found: Vec<StatusCause>,
    },
}

/// Decides whether an object whose change the API server refuses can be replaced. Returns the refusal if it cannot.
pub async fn replacement(
    requests: &Requests,
    desired: &Desired,
    live: &Value,
    refused: ObjectError,
    error: &kube::Error,
) -> Result<Prediction, ObjectError> {
    let Some(status) = refusal(error).filter(|status| is_about_change(status, live, &desired.manifest.value))
    else {
        return Err(refused);
    };
    let (verdict, manifest) = judge(requests, desired, live).await?;
    let doubt = match verdict {
        Verdict::Accepted => None,
        Verdict::Unknown(why) => Some(why),
        // The manifest itself is invalid.
        Verdict::Refused { found, .. } if is_part(&found, causes(status)) => return Err(refused),
        Verdict::Refused { second, .. } => {
            let message =
                format!("{}; a replacement would also be refused: {}", refused.message, second.message);
            return Err(ObjectError { message, class: Class::User, ..refused });
        }
    };
    if doubt.is_none() && !is_refused_in_place(requests, desired, live, status).await? {
        return Err(refused);
    }
    let replacement = new(requests, desired, manifest).await.map(Box::new);
    Ok(Prediction::NeedsRecreate { replacement, because: refused.message, doubt })
}

/// True if a refusal can be about the change and not about the manifest: it is by the validation of the kind, or by an admission
/// webhook that names a field of the object.
fn is_about_change(status: &Status, live: &Value, manifest: &Value) -> bool {
    if is_denial(status) {
        return causes(status).iter().any(|cause| is_changed(live, manifest, &cause.field));
    }
    status.code == 422
}

fn causes(status: &Status) -> &[StatusCause] {
    status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default()
}

/// True if another refusal has all causes of this one.
fn is_part(part: &[StatusCause], all: &[StatusCause]) -> bool {
    let is_said = |one: &StatusCause| {
        all.iter().any(|other| (&one.field, &one.message) == (&other.field, &other.message))
    };
    !part.is_empty() && part.iter().all(is_said)
}

/// Tries to create an object with the same name, so that rules about names apply: the API server validates it before it finds
/// that the name exists. Returns the manifest too, without values that only the live object can have.
async fn judge(
    requests: &Requests,
    desired: &Desired,
    live: &Value,
) -> Result<(Verdict, Value), ObjectError> {
    let Desired { kind, object, manifest, .. } = desired;
    let mut manifest = manifest.value.clone();
    let mut why = String::new();
    for _ in 0..HELD {
        let Err(error) = requests.validate_create(kind, object, &manifest).await else {
            return Ok((Verdict::Accepted, manifest));
        };
        let second = ObjectError::from_server(object, Some(&desired.manifest.origin), &error);
        let Some(status) = refusal(&error) else { return Err(second) };
        if status.code == 409 && status.reason == "AlreadyExists" {
            return Ok((Verdict::Accepted, manifest));
        }
        if is_denial(status) || (status.code == 403 && !is_missing_right(status)) {
            return Ok((Verdict::Unknown(second.message), manifest));
        }
        if status.code != 422 {
            if second.class == Class::Transient {
                return Err(second);
            }
            return Ok((Verdict::Refused { second, found: Vec::new() }, manifest));
        }
        let mut less = None;
        for cause in causes(status) {
            less = without_held(live, less.as_ref().unwrap_or(&manifest), &cause.field).or(less);
        }
        let Some(less) = less else {
            return Ok((Verdict::Refused { second, found: causes(status).to_vec() }, manifest));
        };
        (manifest, why) = (less, second.message);
    }
    Ok((Verdict::Unknown(why), manifest))
}

/// True if the API server refuses an update of the object to the manifest too. If it does not, fields of other managers are the
/// cause, and not immutable ones.
async fn is_refused_in_place(
    requests: &Requests,
    desired: &Desired,
    live: &Value,
    first: &Status,
) -> Result<bool, ObjectError> {
    let Desired { kind, object, manifest, .. } = desired;
    let Err(error) = requests.validate_change(kind, object, live, &manifest.value).await else {
        return Ok(false);
    };
    match refusal(&error) {
        Some(status) if status.code == first.code => Ok(true),
        Some(status) if status.code < 500 && !matches!(status.code, 409 | 429) => Ok(false),
        _ => Err(ObjectError::from_server(object, Some(&manifest.origin), &error)),
    }
}

/// Returns the replacement with the defaults of the API server, from the dry run of a creation under another name; `None` if that
/// is refused.
async fn new(requests: &Requests, desired: &Desired, asked: Value) -> Option<Value> {
    let Desired { kind, object, manifest, .. } = desired;
    let mut probe = asked.clone();
    let metadata = probe.get_mut("metadata")?.as_object_mut()?;
    metadata.remove("name");
    metadata.insert("generateName".to_owned(), "holdfast-probe-".into());
    let mut made = requests.validate_create(kind, object, &probe).await.ok()?;
    let metadata = made.get_mut("metadata")?.as_object_mut()?;
    metadata.remove("generateName");
    metadata.insert("name".to_owned(), (*object.name).into());
    Some(if asked == manifest.value { made } else { laid_over(&made, &manifest.value) })
}
