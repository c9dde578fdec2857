//! Reads one object and what belongs to it with the rights of one identity: the objects below it, its Events, and the logs of
//! pods. Every read is bounded in time and size. I/O: API reads.

mod below;
mod events;
mod logs;

use std::time::Duration;

use holdfast_diff::object::ObjectId;
use serde_json::Value;

pub use self::below::{Below, Child, below, kinds, pods};
pub use self::events::{EventLine, events};
pub use self::logs::{Lines, LogQuery, MOST, follow, logs};
use super::people::Hand;
use super::refusal::chain;
use super::requests::{Requests, ResourceType, is_forbidden, is_not_found};
use crate::identity::Identity;

/// How long one read may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Why something was not read.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error("{}", chain(.0))]
    Refused(#[from] kube::Error),
    #[error("the API server does not answer within {} s", LIMIT.as_secs())]
    Silent,
}

impl InspectError {
    /// True if the identity may not read it, or if it does not exist.
    pub fn is_hidden(&self) -> bool {
        matches!(self, Self::Refused(error) if is_forbidden(error) || is_not_found(error))
    }
}

/// Reads an object; `None` if it does not exist.
pub async fn object(
    hand: &Hand,
    kind: &ResourceType,
    object: &ObjectId,
) -> Result<Option<Value>, InspectError> {
    within(requests(hand).get(kind, object)).await
}

/// The requests of an identity. Its name is not needed: they are not counted for a Sync.
fn requests(hand: &Hand) -> Requests {
    Requests::new(hand.0.clone(), Identity::Agent)
}

async fn within<T>(read: impl Future<Output = Result<T, kube::Error>>) -> Result<T, InspectError> {
    match tokio::time::timeout(LIMIT, read).await {
        Ok(read) => Ok(read?),
        Err(_) => Err(InspectError::Silent),
    }
}
