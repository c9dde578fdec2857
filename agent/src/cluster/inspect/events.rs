//! The Events about one object, the newest first. I/O: API reads.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde::Serialize;

use super::{InspectError, within};
use crate::cluster::people::Hand;

/// Events that are read, and those that are returned.
const READ: u32 = 500;
const RETURNED: usize = 50;
/// The namespace of the Events about objects of the cluster.
const OF_THE_CLUSTER: &str = "default";

/// One Event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventLine {
    /// `Normal` or `Warning`.
    #[serde(rename = "type")]
    pub kind: String,
    pub reason: String,
    pub message: String,
    pub count: i32,
    /// The component that reported it.
    pub source: String,
    /// `Pod web-1`, if it is about an object below the one that is shown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub about: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

/// The Events about the object with this UID. At most 50.
pub async fn events(hand: &Hand, namespace: &str, uid: &str) -> Result<Vec<EventLine>, InspectError> {
    let namespace = if namespace.is_empty() { OF_THE_CLUSTER } else { namespace };
    let params = ListParams::default().fields(&format!("involvedObject.uid={uid}")).limit(READ);
    let api = Api::<Event>::namespaced(hand.0.clone(), namespace);
    let mut found: Vec<EventLine> = within(api.list(&params)).await?.items.into_iter().map(line).collect();
    found.sort_by_key(|event| std::cmp::Reverse(event.last));
    found.truncate(RETURNED);
    Ok(found)
}

fn line(event: Event) -> EventLine {
    let series = event.series;
    let last = series.as_ref().and_then(|series| series.last_observed_time.as_ref().map(|time| time.0));
    let last = last
        .or(event.last_timestamp.map(|time| time.0))
        .or(event.event_time.map(|time| time.0))
        .or(event.metadata.creation_timestamp.map(|time| time.0));
    let component = event.source.and_then(|source| source.component);
    EventLine {
        kind: event.type_.unwrap_or_default(),
        reason: event.reason.unwrap_or_default(),
        message: event.message.unwrap_or_default(),
        count: series.and_then(|series| series.count).or(event.count).unwrap_or(1).max(1),
        source: event.reporting_component.filter(|name| !name.is_empty()).or(component).unwrap_or_default(),
        about: String::new(),
        last,
    }
}
