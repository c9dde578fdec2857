//! The value of the page of a plan: every object that it changes, with both sides of each field, in windows. Read with the rights of
//! the visitor. I/O: API reads.

use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _, stream};
use holdfast_diff::mask::Masks;
use holdfast_diff::object::{Manifest, ObjectId};
use serde::Serialize;

use super::access::{Means, Visitor};
use super::live::{self, Live};
use super::object::rows::{Rows, Sides, Standing, rows};
use super::rights::{May, Rights};
use crate::api::Sync;
use crate::cluster::inspect::{self, InspectError};
use crate::cluster::people::{Act, PersonError};
use crate::cluster::requests::ResourceType;

/// Objects of one window, and how many are read at the same time.
const WINDOW: usize = 50;
const AT_ONCE: usize = 8;

/// What the page of a plan shows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    #[serde(skip)]
    pub sync: Arc<Sync>,
    /// The Sync, as `namespace/name`.
    pub name: String,
    /// Objects that differ from the newest render, in all windows; `None` if that is not known: during a run, and in `holdfast ui`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<usize>,
    pub page: usize,
    pub pages: usize,
    pub objects: Vec<PlannedObject>,
    /// Objects of this window that the visitor may not read.
    pub hidden: usize,
    #[serde(skip)]
    pub may: May,
}

/// One object that a plan changes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedObject {
    pub api_version: String,
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    /// `create`, `update` or `delete`.
    pub operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    pub rows: Rows,
    /// Why it cannot be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// For whom a page is made.
pub struct Reader<'a> {
    pub live: &'a Live,
    pub rights: &'a Rights,
    pub visitor: &'a Visitor,
}

/// The page of what the newest render would change. `page` counts from 1.
pub async fn plan(reader: Reader<'_>, sync: Arc<Sync>, may: May, page: usize) -> Result<Plan, PersonError> {
    let owner = live::name(&sync);
    let page = page.clamp(1, 1_000_000);
    let changed = match &reader.live.renders {
        Some(renders) => renders.changed(owner.clone(), (page - 1) * WINDOW, WINDOW).await,
        None => None,
    };
    let mut found = Plan {
        name: owner.to_string(),
        sync,
        total: changed.as_ref().map(|changed| changed.total),
        page,
        pages: 1,
        objects: Vec::new(),
        hidden: 0,
        may,
    };
    let Some(changed) = changed else { return Ok(found) };
    found.pages = changed.total.div_ceil(WINDOW).max(1);
    let masks = &changed.masks;
    let reads = changed.objects.into_iter().map(|(id, manifest)| reader.object(id, manifest, masks).boxed());
    let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffered(AT_ONCE);
    while let Some(object) = reads.next().await {
        match object? {
            Some(object) => found.objects.push(object),
            None => found.hidden += 1,
        }
    }
    drop(reads);
    Ok(found)
}

impl Reader<'_> {
    /// One object; `None` if the visitor may not read it.
    async fn object(
        &self,
        id: ObjectId,
        manifest: Option<Manifest>,
        masks: &Masks,
    ) -> Result<Option<PlannedObject>, PersonError> {
        let origin = manifest.as_ref().map(|manifest| manifest.origin.to_string());
        let api_version = manifest.as_ref().map(|manifest| manifest.api_version.clone()).unwrap_or_default();
        let mut object = PlannedObject {
            api_version,
            kind: id.kind.kind.clone(),
            namespace: id.namespace.to_string(),
            name: id.name.to_string(),
            operation: "update",
            origin,
            rows: Rows::default(),
            trouble: None,
        };
        let kind = match self.kind(&id, &object.api_version).await {
            Ok(Some(kind)) => kind,
            // Its definition is part of the plan. Without a resource, rights on it cannot be checked.
            Ok(None) => return Ok(None),
            Err(error) => {
                object.trouble = Some(error.to_string());
                return Ok(Some(object));
            }
        };
        object.api_version = kind.api_version();
        if !self.may_read(&kind, &id).await? {
            return Ok(None);
        }
        let live = match inspect::object(&self.visitor.eyes, &kind, &id).await {
            Ok(live) => live,
            Err(error) if error.is_hidden() => return Ok(None),
            Err(error) => {
                object.trouble = Some(error.to_string());
                return Ok(Some(object));
            }
        };
        object.operation = match (&manifest, &live) {
            (Some(_), None) => "create",
            (Some(_), Some(_)) => "update",
            (None, _) => "delete",
        };
        let git = manifest.as_ref().map(|manifest| &manifest.value);
        if git.is_some() {
            let sides = Sides { git, live: live.as_ref(), is_satisfied: false };
            object.rows = rows(&id.kind, masks, sides);
            let differs = |row: &super::object::rows::Row| {
                matches!(row.standing, Standing::Differs | Standing::Missing)
            };
            object.rows.listed.retain(differs);
        }
        Ok(Some(object))
    }

    async fn kind(&self, id: &ObjectId, api_version: &str) -> Result<Option<ResourceType>, InspectError> {
        if let Some(entry) = self.live.view.as_ref().and_then(|view| view.get(id)) {
            return Ok(Some(ResourceType::clone(&entry.kind)));
        }
        Ok(self.live.discovery.find(api_version, &id.kind.kind).await?)
    }

    async fn may_read(&self, kind: &ResourceType, id: &ObjectId) -> Result<bool, PersonError> {
        if !matches!(self.visitor.means, Means::Agents(_)) {
            return Ok(true);
        }
        let (group, resource, namespace) = (&*kind.kind.group, &*kind.plural, &*id.namespace);
        self.rights.may(self.visitor, Act::Resource { verb: "get", group, resource, namespace }).await
    }
}
