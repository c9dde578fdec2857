//! The value of the page of images. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use kube::ResourceExt as _;
use serde::Serialize;

use crate::api::ImageUpdate;

/// ImageUpdates that are listed; the others are counted.
const LISTED: usize = 200;

/// What the page of images shows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Images {
    /// By namespace and name. At most 200.
    pub updates: Vec<Arc<ImageUpdate>>,
    pub more: usize,
    /// The namespaces in which the visitor may remove bans.
    #[serde(skip)]
    pub may: BTreeSet<String>,
}

pub fn images(mut updates: Vec<Arc<ImageUpdate>>, may: BTreeSet<String>) -> Images {
    updates.sort_by_cached_key(|update| (update.namespace(), update.name_any()));
    let more = updates.len().saturating_sub(LISTED);
    updates.truncate(LISTED);
    Images { updates, more, may }
}
