//! Notices for the tests of all kinds. Pure.

use jiff::Timestamp;
use serde_json::json;

use super::super::notice::{Notice, Status, VERSION};
use crate::api::{AlertEvent, CommitNote, DriftChange, DriftObject, DriftState};
use crate::subject::Subject;

/// `2026-01-01T00:00:00Z` and so many seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::constant(1_767_225_600 + seconds, 0)
}

/// One object put back, and one that is gone.
pub fn drifted() -> Notice {
    Notice {
        version: VERSION,
        event: AlertEvent::Drifted,
        status: Status::Firing,
        cluster: "0b7f7a52".to_owned(),
        object: Subject::of_key("team-a", "shop"),
        syncs: Vec::new(),
        revision: "main@sha1:1111111111111111111111111111111111111111".to_owned(),
        commit: Some(CommitNote {
            author: "Alice Smith <alice@example.com>".to_owned(),
            subject: "Three replicas & more".to_owned(),
        }),
        starts_at: at(0),
        ends_at: None,
        summary: "2 objects differ from git <!channel>".to_owned(),
        command: Some("holdfast status -n team-a shop".to_owned()),
        objects: vec![web(), gone()],
        omitted: None,
    }
}

pub fn resolved(notice: Notice) -> Notice {
    Notice { status: Status::Resolved, ends_at: Some(at(723)), ..notice }
}

/// What has no end.
pub fn applied() -> Notice {
    Notice { event: AlertEvent::Applied, objects: Vec::new(), ..drifted() }
}

/// 1,000 objects of 12 fields, all long and full of what must be escaped, and 50 more.
pub fn huge() -> Notice {
    let long = "&`<!channel>\n".repeat(40);
    let change = DriftChange {
        path: format!("/{long}"),
        desired: Some(json!({ &long: long })),
        live: Some(json!(long)),
        manager: Some(long.clone()),
        operation: Some(long.clone()),
        subresource: Some(long.clone()),
        time: Some(long.clone()),
        user: Some(long.clone()),
        unmanaged: true,
    };
    let object = DriftObject {
        namespace: long.clone(),
        name: long.clone(),
        changes: vec![change; 12],
        omitted: Some(3),
        note: Some(long.clone()),
        ignore: Some("&".repeat(500)),
        origin: Some(long.clone()),
        ..web()
    };
    Notice {
        commit: Some(CommitNote { author: long.clone(), subject: long.clone() }),
        summary: long.clone(),
        command: Some(long),
        objects: vec![object; 1_000],
        omitted: Some(50),
        ..drifted()
    }
}

fn web() -> DriftObject {
    let replicas = DriftChange {
        path: "/spec/replicas".to_owned(),
        desired: Some(json!(3)),
        live: Some(json!(5)),
        manager: Some("kubectl".to_owned()),
        operation: Some("Update".to_owned()),
        subresource: Some("scale".to_owned()),
        time: Some("2026-01-01T00:00:00Z".to_owned()),
        ..DriftChange::default()
    };
    let paused = DriftChange {
        path: "/spec/paused".to_owned(),
        live: Some(json!(true)),
        manager: Some("edit".to_owned()),
        user: Some("alice@example.com".to_owned()),
        unmanaged: true,
        ..DriftChange::default()
    };
    DriftObject {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "team-a".to_owned(),
        name: "web".to_owned(),
        state: DriftState::Corrected,
        since: at(0),
        deleted: false,
        user: None,
        changes: vec![replicas, paused],
        omitted: None,
        note: Some("kubectl wrote it 3 times".to_owned()),
        ignore: Some(r#"{target: {kind: Deployment, name: web}, paths: ["/spec/replicas"]}"#.to_owned()),
        origin: Some("shop/web.yaml:7".to_owned()),
        manifest: None,
        refusal: None,
    }
}

fn gone() -> DriftObject {
    DriftObject {
        api_version: "rbac.authorization.k8s.io/v1".to_owned(),
        kind: "ClusterRole".to_owned(),
        namespace: String::new(),
        name: "<!channel>".to_owned(),
        state: DriftState::Drifted,
        deleted: true,
        user: None,
        changes: Vec::new(),
        note: None,
        ignore: None,
        origin: None,
        ..web()
    }
}
