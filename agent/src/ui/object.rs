//! The value of the page of one object: both sides of each field, where it comes from, and what belongs to it. Read with the rights
//! of the visitor: what the visitor may not read is not shown, not even its name. I/O: API reads.

pub mod facts;
pub mod name;
pub mod pods;
pub mod rows;

use std::sync::Arc;

use holdfast_diff::fields;
use holdfast_diff::health;
use holdfast_diff::mask::Masks;
use holdfast_diff::object::{Manifest, ObjectId};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use self::facts::{Condition, Facts, HealthLine};
use self::name::ObjectName;
use self::pods::PodLine;
use self::rows::{Rows, Sides, rows};
use super::access::{Means, Visitor};
use super::forge_links::is_same;
use super::live::{self, Desired, Live};
use super::needs::{self, State};
use super::rights::{May, Rights};
use crate::api::{Approval, ChangeStatus, DriftObject, Forge, Repository, Sync, names};
use crate::cluster::inspect::{self, Child, EventLine, InspectError};
use crate::cluster::people::{Act, PersonError};
use crate::cluster::refusal::chain;
use crate::cluster::requests::ResourceType;
use crate::sync_ref::SyncRef;

/// Pods with trouble whose Events are read too.
const TROUBLED: usize = 3;

/// What the page of an object shows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    pub api_version: String,
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
    #[serde(skip)]
    pub group: String,
    #[serde(skip)]
    pub sync: Arc<Sync>,
    /// The Sync, as `namespace/name`, and its state.
    pub owner: String,
    pub state: State,
    /// False if it is not in the cluster.
    pub exists: bool,
    #[serde(flatten)]
    pub facts: Facts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthLine>,
    pub conditions: Vec<Condition>,
    /// The drift of the object, as the status of the Sync has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftObject>,
    /// The change of the object in the plan that waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeStatus>,
    pub source: Source,
    pub rows: Rows,
    pub children: Vec<Child>,
    pub more_children: usize,
    pub pods: Vec<PodLine>,
    pub more_pods: usize,
    pub events: Vec<EventLine>,
    /// What was not read, and why.
    pub notes: Vec<String>,
    #[serde(skip)]
    pub may: May,
}

/// Where the values of Git come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Source {
    /// The last render.
    Render,
    /// The fields that were applied last.
    Applied,
    /// The object is not in the source.
    Nothing,
    /// A run goes on, so values are not shown.
    Busy,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("cannot check your rights: {0}")]
    Rights(#[from] PersonError),
    #[error("cannot read the object: {0}")]
    Read(#[from] InspectError),
    #[error("cannot read the kinds of the API server: {}", chain(.0))]
    Kinds(#[from] kube::Error),
}

/// For whom a page is made, of what.
pub struct Wanted<'a> {
    pub live: &'a Live,
    pub rights: &'a Rights,
    pub visitor: &'a Visitor,
    pub sync: Arc<Sync>,
    /// The Approvals of the Sync that the visitor may read.
    pub approvals: Vec<Arc<Approval>>,
    pub may: May,
    pub now: Timestamp,
}

/// The page of an object; `None` if it does not exist, or may not be read.
pub async fn object(wanted: Wanted<'_>, name: &ObjectName) -> Result<Option<Object>, ObjectError> {
    let Wanted { live, rights, visitor, sync, approvals, may, now } = wanted;
    let id = name.id();
    let entry = live.view.as_ref().and_then(|view| view.get(&id));
    let kind = match &entry {
        Some(entry) => ResourceType::clone(&entry.kind),
        None => match live.discovery.former(&id.kind).await? {
            Some(kind) if kind.namespaced != id.namespace.is_empty() => kind,
            _ => return Ok(None),
        },
    };
    if !is_readable(rights, visitor, &kind, &id, entry.is_some()).await? {
        return Ok(None);
    }
    let owner = live::name(&sync);
    let (read, desired) = tokio::join!(inspect::object(&visitor.eyes, &kind, &id), async {
        match &live.renders {
            Some(renders) => Some(renders.desired(owner.clone(), id.clone()).await),
            None => None,
        }
    });
    let read = match read {
        Ok(read) => read,
        Err(error) if error.is_hidden() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (drift, change) = reported(&sync, name);
    let sides = sides(desired, read.as_ref(), drift.as_ref());
    if read.is_none() && sides.manifest.is_none() && drift.is_none() && change.is_none() {
        return Ok(None);
    }
    let rows = sides.rows(&id, read.as_ref());
    let uid = read.as_ref().and_then(|read| read.pointer("/metadata/uid")?.as_str()).unwrap_or_default();
    let (below, events) = tokio::join!(
        below(rights, visitor, &kind, &id, uid, read.as_ref()),
        events(rights, visitor, &id.namespace, uid)
    );
    let Belongings { children, more_children, pods, more_pods, mut notes } = below?;
    let mut events = events?.unwrap_or_else(|why| {
        notes.push(why);
        Vec::new()
    });
    for child in troubled(&children, &pods) {
        if let Ok(Ok(more)) = Box::pin(self::events(rights, visitor, &id.namespace, &child.uid)).await {
            let about = format!("{} {}", child.kind, child.name);
            events.extend(more.into_iter().map(|event| EventLine { about: about.clone(), ..event }));
        }
    }
    events.sort_by_key(|event| std::cmp::Reverse(event.last));
    let belongs = match &entry {
        Some(entry) => Some(entry.owner.clone()),
        None => read.as_ref().and_then(said),
    };
    let is_member = sides.manifest.is_some() || change.is_some() || belongs.as_ref() == Some(&owner);
    if let Some(other) = belongs.filter(|other| *other != owner) {
        let may = rights.reads(visitor, "syncs", other.namespace()).await?;
        let other = if may { format!("Sync {other}") } else { "another Sync".to_owned() };
        notes.push(format!("the object belongs to {other}"));
    }
    let origin = sides.manifest.as_ref().map(|manifest| manifest.origin.to_string());
    let origin =
        origin.or_else(|| drift.as_ref()?.origin.clone()).or_else(|| change.as_ref()?.origin.clone());
    let health = match &entry {
        Some(entry) => Some(HealthLine::of(&entry.health)),
        None => read.as_ref().map(|read| HealthLine::of(&health::health(read))),
    };
    Ok(Some(Object {
        api_version: kind.api_version(),
        kind: id.kind.kind.clone(),
        namespace: id.namespace.to_string(),
        name: id.name.to_string(),
        group: id.kind.group.clone(),
        owner: owner.to_string(),
        state: needs::state(&sync, now),
        exists: read.is_some(),
        facts: Facts {
            forge: forge(live, &sync),
            ..Facts::of(is_member.then_some(&*sync), &approvals, origin, read.as_ref())
        },
        health: health.map(|health| health.without(&sides.masks)),
        conditions: facts::conditions(read.as_ref(), &sides.masks),
        drift,
        change,
        source: sides.source,
        rows,
        children,
        more_children,
        pods,
        more_pods,
        events: events.into_iter().map(|event| without(event, &sides.masks)).collect(),
        notes,
        may,
        sync,
    }))
}

/// The kind of the forge of a Sync's source, if a Repository of its namespace is about it.
fn forge(live: &Live, sync: &Sync) -> Option<Forge> {
    let of = |repository: &&Arc<Repository>| {
        let is_same = is_same(&repository.spec.url, &sync.spec.source.git.url);
        is_same && repository.metadata.namespace == sync.metadata.namespace
    };
    live.repositories.state().iter().find(of).map(|repository| repository.spec.provider)
}

/// The drift of an object, and its change in the plan that waits, as the status of its Sync has them.
fn reported(sync: &Sync, name: &ObjectName) -> (Option<DriftObject>, Option<ChangeStatus>) {
    let status = sync.status.as_ref();
    let drifted = |one: &&DriftObject| name.is(&one.api_version, &one.kind, &one.namespace, &one.name);
    let drift = status.and_then(|status| status.drift.as_ref()?.objects.iter().find(drifted)).cloned();
    let changed = |change: &&ChangeStatus| {
        let object = &change.object;
        name.is(&object.api_version, &object.kind, &object.namespace, &object.name)
    };
    let plan = status.and_then(|status| status.plan.as_ref()).filter(|plan| super::sync::is_waiting(plan));
    (drift, plan.and_then(|plan| plan.changes.iter().find(changed)).cloned())
}

/// The Sync that an object says it belongs to.
fn said(object: &Value) -> Option<SyncRef> {
    let annotations = object.pointer("/metadata/annotations")?;
    let (namespace, name) = annotations.get(names::SYNC)?.as_str()?.split_once('/')?;
    Some(SyncRef::new(namespace, name))
}

fn without(event: EventLine, masks: &Masks) -> EventLine {
    EventLine { message: masks.hide(&event.message).into_owned(), ..event }
}

/// Whether the object may be read. With the visitor's own credentials the API server decides about the request itself; where
/// everybody reads, only the objects of Syncs are read.
async fn is_readable(
    rights: &Rights,
    visitor: &Visitor,
    kind: &ResourceType,
    id: &ObjectId,
    is_member: bool,
) -> Result<bool, PersonError> {
    match visitor.means {
        Means::Theirs(_) => Ok(true),
        Means::Nothing => Ok(is_member),
        Means::Agents(_) => {
            let (group, resource, namespace) = (&*kind.kind.group, &*kind.plural, &*id.namespace);
            rights.may(visitor, Act::Resource { verb: "get", group, resource, namespace }).await
        }
    }
}

/// What is known of the side of Git.
struct Known {
    source: Source,
    manifest: Option<Box<Manifest>>,
    /// What was applied, where the manifest is not known.
    applied: Option<Value>,
    is_satisfied: bool,
    masks: Arc<Masks>,
}

impl Known {
    fn rows(&self, id: &ObjectId, live: Option<&Value>) -> Rows {
        if self.source == Source::Busy {
            return Rows::default();
        }
        let git = self.manifest.as_ref().map(|manifest| &manifest.value).or(self.applied.as_ref());
        rows(&id.kind, &self.masks, Sides { git, live, is_satisfied: self.is_satisfied })
    }
}

fn sides(desired: Option<Desired>, live: Option<&Value>, drift: Option<&DriftObject>) -> Known {
    let masks = match desired {
        Some(Desired::Busy) => {
            let (manifest, applied, masks) = (None, None, Arc::default());
            return Known { source: Source::Busy, manifest, applied, is_satisfied: false, masks };
        }
        Some(Desired::Known { manifest: Some(manifest), is_satisfied, masks }) => {
            let (source, manifest) = (Source::Render, Some(manifest));
            return Known { source, manifest, applied: None, is_satisfied, masks };
        }
        Some(Desired::Known { masks, .. }) => masks,
        None => Arc::default(),
    };
    let applied = live.and_then(|live| Some(fields::extract(live, fields::applied(live)?.1)));
    let source = if applied.is_some() { Source::Applied } else { Source::Nothing };
    Known { source, manifest: None, applied, is_satisfied: drift.is_none(), masks }
}

/// What belongs to an object.
#[derive(Default)]
struct Belongings {
    children: Vec<Child>,
    more_children: usize,
    pods: Vec<PodLine>,
    more_pods: usize,
    notes: Vec<String>,
}

async fn below(
    rights: &Rights,
    visitor: &Visitor,
    kind: &ResourceType,
    id: &ObjectId,
    uid: &str,
    live: Option<&Value>,
) -> Result<Belongings, PersonError> {
    let mut found = Belongings::default();
    if let Some(live) = live.filter(|_| id.kind.is("", "Pod")) {
        found.pods.push(pods::line(live));
    }
    let kinds =
        if uid.is_empty() || id.namespace.is_empty() { Vec::new() } else { inspect::kinds(&kind.kind) };
    let mut allowed = Vec::new();
    for kind in kinds {
        let (group, resource, namespace) = (&*kind.kind.group, &*kind.plural, &*id.namespace);
        if rights.may(visitor, Act::Resource { verb: "list", group, resource, namespace }).await? {
            allowed.push(kind);
        } else {
            found.notes.push(format!("you may not list {resource} in namespace {namespace}"));
        }
    }
    if allowed.is_empty() {
        return Ok(found);
    }
    let below = inspect::below(&visitor.eyes, &allowed, &id.namespace, uid).await;
    found.notes.extend(below.notes);
    let names: Vec<&str> =
        below.children.iter().filter(|child| child.kind == "Pod").map(|child| child.name.as_str()).collect();
    let resource = Act::Resource { verb: "get", group: "", resource: "pods", namespace: &id.namespace };
    if !names.is_empty() && rights.may(visitor, resource).await? {
        let (pods, more) = inspect::pods(&visitor.eyes, &id.namespace, &names).await;
        found.pods = pods.iter().map(pods::line).collect();
        found.more_pods = more;
        found.pods.sort_by_key(|pod| (pod.is_well, std::cmp::Reverse(pod.created)));
    }
    (found.children, found.more_children) = (below.children, below.more);
    Ok(found)
}

/// The pods whose Events say why they do not run.
fn troubled<'a>(children: &'a [Child], pods: &[PodLine]) -> Vec<&'a Child> {
    let bad = pods.iter().filter(|pod| !pod.is_well);
    let child = |pod: &PodLine| children.iter().find(|child| child.kind == "Pod" && child.name == pod.name);
    bad.filter_map(child).take(TROUBLED).collect()
}

/// The Events about an object; the inner error says why there are none.
pub async fn events(
    rights: &Rights,
    visitor: &Visitor,
    namespace: &str,
    uid: &str,
) -> Result<Result<Vec<EventLine>, String>, PersonError> {
    if uid.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let place = if namespace.is_empty() { "default" } else { namespace };
    let act = Act::Resource { verb: "list", group: "", resource: "events", namespace: place };
    if !rights.may(visitor, act).await? {
        return Ok(Err(format!("you may not list events in namespace {place}")));
    }
    Ok(inspect::events(&visitor.eyes, namespace, uid).await.map_err(|error| {
        if error.is_hidden() {
            format!("you may not list events in namespace {place}")
        } else {
            format!("cannot list events in namespace {place}: {error}")
        }
    }))
}
