//! Warning Events about objects, and about what was made from them, such as the Pods of a Deployment: evidence of a failure.
//! I/O: API reads, one for each namespace.

use holdfast_diff::object::ObjectId;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client};

/// Events of a namespace that are read at most.
const READ: u32 = 500;

/// A Warning Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// When it occurred last.
    pub at: Option<Timestamp>,
    /// `Pod web-5d4f`
    pub object: String,
    pub reason: String,
    pub message: String,
    /// How often it occurred.
    pub count: i32,
}

/// The Warning Events of a namespace that are about one of these objects or something made from it, the last one first.
pub async fn warnings(
    client: &Client,
    namespace: &str,
    objects: &[ObjectId],
) -> Result<Vec<Warning>, kube::Error> {
    let api = Api::<Event>::namespaced(client.clone(), namespace);
    let wanted = ListParams::default().fields("type=Warning").limit(READ);
    let all = api.list(&wanted).await?.items;
    let mut found: Vec<Warning> =
        all.iter().filter(|event| objects.iter().any(|one| is_about(event, one))).map(warning).collect();
    found.sort_by_key(|one| std::cmp::Reverse(one.at));
    Ok(found)
}

/// True if an Event is about an object, or about one whose name a controller made from its name.
fn is_about(event: &Event, object: &ObjectId) -> bool {
    let (kind, name) = (event.involved_object.kind.as_deref(), event.involved_object.name.as_deref());
    let Some(rest) = name.and_then(|name| name.strip_prefix(&*object.name)) else { return false };
    if rest.is_empty() {
        kind == Some(object.kind.kind.as_str())
    } else {
        rest.starts_with('-') && makes(object)
    }
}

/// True if controllers make objects from objects of this kind, and give them a name that begins with its name.
fn makes(object: &ObjectId) -> bool {
    let kinds =
        ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob"];
    kinds.contains(&object.kind.kind.as_str())
}

fn warning(event: &Event) -> Warning {
    let Event { involved_object: about, series, .. } = event;
    let last = series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let at = last.or_else(|| event.last_timestamp.as_ref().map(|time| time.0));
    let at = at.or_else(|| event.event_time.as_ref().map(|time| time.0));
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Warning {
        at,
        object: format!("{} {}", text(&about.kind), text(&about.name)),
        reason: text(&event.reason),
        message: text(&event.message),
        count: series.as_ref().and_then(|series| series.count).or(event.count).unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    use holdfast_diff::object::GroupKind;
    use serde_json::json;

    use super::*;

    fn object(group: &str, kind: &str, name: &str) -> ObjectId {
        let kind = GroupKind::new(group.to_owned(), kind.to_owned());
        ObjectId::new(kind.into(), "shop", name)
    }

    fn event(kind: &str, name: &str) -> Event {
        serde_json::from_value(json!({"metadata": {}, "involvedObject": {"kind": kind, "name": name},
            "reason": "BackOff", "message": "why", "count": 7, "lastTimestamp": "2026-01-01T00:00:00Z"}))
        .expect("an Event")
    }

    #[test]
    fn events_about_an_object_and_about_what_was_made_from_it_are_evidence() {
        let (web, map) = (object("apps", "Deployment", "web"), object("", "ConfigMap", "web"));
        for (kind, name, of_web, of_map) in [
            ("Deployment", "web", true, false),
            ("ReplicaSet", "web-5d4f", true, false),
            ("Pod", "web-5d4f-abcde", true, false),
            ("Pod", "website-5d4f", false, false),
            ("Service", "web", false, false),
            ("ConfigMap", "web", false, true),
        ] {
            let event = event(kind, name);
            assert_eq!((is_about(&event, &web), is_about(&event, &map)), (of_web, of_map), "{kind}/{name}");
        }
        let found = warning(&event("Pod", "web-1"));
        assert_eq!((found.object.as_str(), found.count, found.at.is_some()), ("Pod web-1", 7, true));
    }
}
