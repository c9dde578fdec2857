//! The objects of a Sync out of the live view, of which a visitor sees those that the visitor may read. I/O: API requests
//! about rights.

use std::collections::BTreeMap;

use holdfast_diff::health::Status;
use serde::Serialize;

use super::access::Visitor;
use super::live::Live;
use super::rights::Rights;
use crate::cluster::people::{Act, PersonError};
use crate::sync_ref::SyncRef;

/// Kinds in namespaces that are asked about for one page.
const KINDS: usize = 200;
/// Objects of one window; those that are not healthy come first.
pub const WINDOW: usize = 200;

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    pub api_version: String,
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    pub wave: i32,
    /// `Current`, `InProgress`, `Failed`, `Terminating` or `Unknown`.
    pub health: String,
    pub message: String,
}

/// The objects of a Sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Objects {
    /// At most 200, those that are not healthy first.
    pub listed: Vec<Line>,
    /// Objects before them that the visitor may read.
    #[serde(skip_serializing_if = "is_zero")]
    pub before: usize,
    /// Objects after them that the visitor may read.
    pub more: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form of serde")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A window of the objects that a visitor may read, after some of them; `None` if there is no live view.
pub async fn objects(
    live: &Live,
    rights: &Rights,
    visitor: &Visitor,
    sync: &SyncRef,
    before: usize,
) -> Result<Option<Objects>, PersonError> {
    let Some(view) = &live.view else { return Ok(None) };
    let members = view.members(sync);
    let mut readable: BTreeMap<(String, String, String), bool> = BTreeMap::new();
    let mut found = Vec::new();
    for (id, entry) in &members {
        let place = (id.kind.group.clone(), entry.kind.plural.clone(), id.namespace.to_string());
        let known = readable.get(&place).copied();
        let may = match known {
            Some(may) => may,
            None if readable.len() >= KINDS => false,
            None => {
                let (group, resource, namespace) = (&*place.0, &*place.1, &*place.2);
                let may =
                    rights.may(visitor, Act::Resource { verb: "list", group, resource, namespace }).await?;
                readable.insert(place, may);
                may
            }
        };
        if may {
            found.push((
                entry.health.status == Status::Current,
                entry.stage.wave,
                Line {
                    api_version: entry.kind.api_version(),
                    kind: id.kind.kind.clone(),
                    namespace: id.namespace.to_string(),
                    name: id.name.to_string(),
                    wave: entry.stage.wave,
                    health: entry.health.status.to_string(),
                    message: entry.health.message.clone(),
                },
            ));
        }
    }
    found.sort_by_key(|(is_healthy, wave, _)| (*is_healthy, *wave));
    let before = before.min(found.len());
    let more = found.len().saturating_sub(before + WINDOW);
    let listed = found.into_iter().skip(before).take(WINDOW).map(|(_, _, line)| line).collect();
    Ok(Some(Objects { listed, before, more }))
}
