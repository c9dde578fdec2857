//! What the error of a request means. Pure.

use std::time::Duration;

use kube::core::Status;

/// How long a server may take to load the objects of a kind after its definition has changed. It takes a second or two, but
/// never comes to an end while a conversion webhook that it needs is down.
pub const LOADING: Duration = Duration::from_secs(5);

/// True if the server has not loaded the objects of a kind yet, as after its definition has changed.
pub fn is_starting(error: &kube::Error) -> bool {
    refusal(error).is_some_and(|status| status.message.contains("storage is (re)initializing"))
}

/// The pause that an overloaded server asks for.
pub(super) fn busy(error: &kube::Error) -> Option<Duration> {
    let status = refusal(error).filter(|status| status.code == 429)?;
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    Some(Duration::from_secs(u64::from(seconds.clamp(1, 10))))
}

/// The status that the API server returned, if the error comes from the server.
pub fn refusal(error: &kube::Error) -> Option<&Status> {
    match error {
        kube::Error::Api(status) => Some(status),
        _ => None,
    }
}

pub fn is_not_found(error: &kube::Error) -> bool {
    refusal(error).is_some_and(|status| status.code == 404)
}

pub fn is_forbidden(error: &kube::Error) -> bool {
    refusal(error).is_some_and(|status| status.code == 403)
}

pub fn is_conflict(error: &kube::Error) -> bool {
    refusal(error).is_some_and(|status| status.code == 409)
}
