//! Reports each request to a server, and announces refs that moved. No I/O.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::mirror::Found;
use super::{GitRef, Location, MirrorId, SourceError};
use crate::error::StageError as _;

/// Called after each request to a server with its result, and with the new commit if the ref moved.
pub type OnRequest = Arc<dyn Fn(&'static str, Option<Moved>) + Send + Sync>;

/// A ref that points to another commit than before.
pub struct Moved {
    /// URL without credentials.
    pub url: String,
    pub reference: String,
    pub before: Option<String>,
    pub now: String,
}

/// Reports what a request found, and announces a ref that moved.
pub(super) fn announce(
    on_request: &OnRequest,
    moved: &broadcast::Sender<MirrorId>,
    location: &Location,
    reference: &GitRef,
    before: Option<&Found>,
    found: &Result<Found, SourceError>,
) {
    match found {
        Ok(now) if before.is_none_or(|before| before.revision != now.revision) => {
            let news = Moved {
                url: location.to_string(),
                reference: reference.to_string(),
                before: before.map(|before| before.revision.to_string()),
                now: now.revision.to_string(),
            };
            on_request("ok", Some(news));
            if before.is_some() {
                // There may be no receiver.
                let _ = moved.send(location.mirror());
            }
        }
        Ok(_) => on_request("ok", None),
        Err(error) => on_request(error.name(), None),
    }
}
