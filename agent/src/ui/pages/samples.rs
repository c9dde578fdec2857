//! View values for the tests of the pages. Each text goes through a function, so that a test can put a hostile one in its place. Pure.

use std::sync::Arc;

use holdfast_diff::fields::Owner;
use serde_json::json;

use super::Frame;
use crate::api::{
    Approval, ChangeStatus, CommitNote, DriftObject, Forge, HistoryEntry, PlanStatus, PreviewedPlan,
    PullRequestState, Sync,
};
use crate::cluster::inspect::{Child, EventLine};
use crate::ui::graph::{Graph, Node};
use crate::ui::logs::Log;
use crate::ui::needs::State;
use crate::ui::object::facts::{Condition, Facts, HealthLine};
use crate::ui::object::pods::{ContainerLine, PodLine};
use crate::ui::object::rows::{Row, Rows, Standing};
use crate::ui::object::{Object, Source};
use crate::ui::plan::{Plan, PlannedObject};
use crate::ui::pulls::{PullLine, PullRequests, Trouble};
use crate::ui::rights::May;
use crate::ui::tests::{NOW, sync};

/// What becomes of a text.
pub type Text<'a> = &'a dyn Fn(&str) -> String;

const MAY: May = May { decide: true, change: true };

fn rows(x: Text<'_>) -> Rows {
    let owner = |manager: &str, operation: &str| Owner {
        manager: x(manager),
        operation: x(operation),
        subresource: Some(x("scale")),
        time: Some(x("2026-01-01T11:00:00Z")),
    };
    let row = |path: &str, standing, git: Option<&str>, live: Option<&str>, owners| Row {
        path: x(path),
        standing,
        git: git.map(|git| json!(x(git))),
        live: live.map(|live| json!(x(live))),
        owners,
    };
    let scaler = || vec![owner("kubectl-scale", "Update")];
    let ours = || vec![owner("holdfast", "Apply")];
    Rows {
        listed: vec![
            row("/spec/replicas", Standing::Differs, Some("3"), Some("5"), scaler()),
            row(
                "/data/motd",
                Standing::Differs,
                Some("one\ntwo\nthree\n"),
                Some("one\n2\nthree\n"),
                scaler(),
            ),
            row("/spec/paused", Standing::Missing, Some("false"), None, Vec::new()),
            row("/spec/minReadySeconds", Standing::Other, None, Some("9"), scaler()),
            row("/spec/image", Standing::Same, Some("app:1"), Some("app:1"), ours()),
            row("/data/notes", Standing::Same, Some("one\ntwo"), Some("one\ntwo"), ours()),
            row("/spec/cpu", Standing::Equivalent, Some("0.5"), Some("500m"), ours()),
            row("/spec/revisionHistoryLimit", Standing::Default, None, Some("10"), Vec::new()),
        ],
        more: 3,
    }
}

fn facts(x: Text<'_>) -> Facts {
    let at = frame().now;
    Facts {
        origin: Some(x("web.yaml:3")),
        revision: Some(x("main@sha1:1234567890123456789012345678901234567890")),
        commit: Some(CommitNote { author: x("Bob <bob@example.com>"), subject: x("Scale the cart (#7)") }),
        pull_request: Some(7),
        applied: Some(HistoryEntry { revision: x("main"), plan: Some(x("abc")), at, outcome: x("Applied") }),
        approval: Some(Arc::new(approval())),
        created: Some(at),
        deleting: None,
        forge: Some(Forge::Gitea),
        is_member: true,
    }
}

fn pod(x: Text<'_>) -> PodLine {
    let container = |name: &str, is_init, restarts, state: &str, before: &str| ContainerLine {
        name: x(name),
        is_init,
        is_ready: false,
        restarts,
        state: x(state),
        before: x(before),
        image: x("app:1"),
    };
    PodLine {
        name: x("web-1"),
        state: x("CrashLoopBackOff"),
        is_well: false,
        ready: 1,
        total: 2,
        restarts: 4,
        node: x("node-1"),
        created: Some(frame().now),
        containers: vec![
            container("wait", true, 0, "not started", ""),
            container("app", false, 4, "CrashLoopBackOff: back-off 5m0s", "OOMKilled, exit code 137"),
        ],
        message: x("0/3 nodes are available"),
    }
}

pub fn event(x: Text<'_>) -> EventLine {
    EventLine {
        kind: x("Warning"),
        reason: x("BackOff"),
        message: x("Back-off restarting failed container"),
        count: 12,
        source: x("kubelet"),
        about: x("Pod web-1"),
        last: Some(frame().now),
    }
}

/// An object of the Sync that drifts.
pub fn object(x: Text<'_>, sync: &Sync) -> Object {
    let child = |kind: &str, name: &str, uid: &str, owner: &str| Child {
        group: x("apps"),
        kind: x(kind),
        name: x(name),
        uid: uid.to_owned(),
        owner: owner.to_owned(),
    };
    let status = sync.status.clone().unwrap_or_default();
    let drift: Option<DriftObject> = status.drift.and_then(|drift| drift.objects.into_iter().next());
    let change: Option<ChangeStatus> =
        status.plan.and_then(|plan: PlanStatus| plan.changes.into_iter().next());
    Object {
        api_version: x("apps/v1"),
        kind: x("Deployment"),
        namespace: x("shop"),
        name: x("web"),
        group: x("apps"),
        sync: Arc::new(sync.clone()),
        owner: x("team-a/cart"),
        state: State::Drifting,
        exists: true,
        facts: facts(x),
        health: Some(HealthLine {
            status: x("InProgress"),
            message: x("2 of 3 replicas are available"),
            is_current: false,
        }),
        conditions: vec![Condition {
            kind: x("Available"),
            status: x("False"),
            reason: x("MinimumReplicasUnavailable"),
            message: x("Deployment does not have minimum availability."),
            since: Some(frame().now),
        }],
        drift,
        change,
        source: Source::Render,
        rows: rows(x),
        children: vec![child("ReplicaSet", "web-5d8", "1", "0"), child("Pod", "web-1", "2", "1")],
        more_children: 2,
        pods: vec![pod(x)],
        more_pods: 5,
        events: vec![event(x)],
        notes: vec![x("you may not list jobs in namespace shop")],
        may: MAY,
    }
}

pub fn log(x: Text<'_>) -> Log {
    Log {
        sync: Arc::new(drifting()),
        namespace: x("shop"),
        pod: x("web-1"),
        container: x("app"),
        previous: false,
        limit: 200,
        lines: vec![holdfast_diff::visible::line(&x("started")).into_owned()],
    }
}

pub fn plan(x: Text<'_>, sync: &Sync) -> Plan {
    let object = |operation, rows| PlannedObject {
        api_version: x("apps/v1"),
        kind: x("Deployment"),
        namespace: x("shop"),
        name: x("web"),
        operation,
        origin: Some(x("web.yaml:3")),
        rows,
        trouble: Some(x("the API server does not answer")),
    };
    Plan {
        sync: Arc::new(sync.clone()),
        name: x("team-a/shop"),
        total: Some(120),
        page: 2,
        pages: 3,
        objects: vec![object("update", rows(x)), object("delete", Rows::default())],
        hidden: 1,
        may: MAY,
    }
}

pub fn pulls(x: Text<'_>) -> PullRequests {
    PullRequests {
        listed: vec![PullLine {
            namespace: "team-a".to_owned(),
            repository: x("config"),
            number: 7,
            title: x("Scale the cart"),
            url: x("https://git.example.com/org/config/pulls/7"),
            author: x("bob"),
            is_draft: true,
            base: x("main@sha1:1234567890123456789012345678901234567890"),
            state: PullRequestState::Waiting,
            verdict: x("1 update, 1 change waits for approval"),
            plans: vec![PreviewedPlan { sync: x("cart"), id: x("abc"), waits: true }],
            preview: x(
                "### Sync `team-a/cart`\n```diff\n@@ update Deployment.apps shop/web @@\n- /spec/replicas: 3\n+ /spec/replicas: 5\n```\n",
            ),
            may: MAY,
        }],
        more: 2,
        troubles: vec![Trouble {
            namespace: x("team-b"),
            name: x("config"),
            message: x("the token has expired"),
        }],
        has_repositories: true,
    }
}

pub fn graph(x: Text<'_>) -> Graph {
    let node = |name: &str, state, layer, on: &[&str]| Node {
        name: name.to_owned(),
        state,
        layer,
        depends_on: on.iter().map(|on| (*on).to_owned()).collect(),
    };
    let absent = x("team-a/absent");
    Graph {
        nodes: vec![
            node(&absent, None, 0, &[]),
            node("team-a/base", Some(State::Ready), 0, &[]),
            node("team-a/web", Some(State::Failing), 1, &["team-a/base", &absent]),
        ],
        more: 1,
    }
}

pub fn frame() -> Frame {
    Frame {
        visitor: "alice@example.com".to_owned(),
        proof: "proof".to_owned(),
        has_session: true,
        silent: None,
        done: None,
        now: NOW.parse().expect("a time"),
    }
}

pub fn drifting() -> Sync {
    let conditions =
        [("Ready", "True", "InSync"), ("Healthy", "True", "Healthy"), ("Drifted", "True", "DriftReported")];
    let mut whole = serde_json::to_value(sync("team-a", "cart", &conditions)).expect("a Sync is JSON");
    let commit = "1234567890123456789012345678901234567890";
    whole["status"]["revision"] = json!({
        "seen": format!("main@sha1:{commit}"), "applied": format!("main@sha1:{commit}"),
        "commit": {"author": "Bob <bob@example.com>", "subject": "Scale the cart"},
    });
    whole["status"]["objects"] = json!({"total": 2, "ready": 1, "shown": "1/2"});
    whole["status"]["warnings"] = json!(["web.yaml:3: a field is deprecated"]);
    whole["status"]["errors"] =
        json!([{"cause": "the API server refuses it", "count": 2, "places": ["a.yaml:1", "b.yaml:2"]}]);
    whole["status"]["history"] = json!([
        {"revision": format!("main@sha1:{commit}"), "plan": "abc", "at": "2026-01-01T09:00:00Z", "outcome": "Applied"},
    ]);
    whole["status"]["progress"] = json!({"stage": "apply", "message": "applying 1 of 2 objects", "done": 1, "total": 2, "since": "2026-01-01T11:59:00Z"});
    whole["status"]["drift"] = json!({"since": "2026-01-01T11:30:00Z", "omitted": 2, "objects": [{
        "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "state": "Drifted",
        "since": "2026-01-01T11:30:00Z", "origin": "web.yaml:3", "ignore": "{paths: [/spec/replicas]}", "refusal": "denied", "note": "a note",
        "changes": [{"path": "/spec/replicas", "desired": 3, "live": 5, "manager": "kubectl-scale", "operation": "Update",
            "subresource": "scale", "time": "2026-01-01T11:30:00Z", "user": "carol"}],
    }]});
    serde_json::from_value(whole).expect("a Sync")
}

pub fn approval() -> Approval {
    serde_json::from_value(json!({
        "apiVersion": "holdfast.dev/v1alpha1", "kind": "Approval", "metadata": {"name": "cart-1", "namespace": "team-a"},
        "spec": {"sync": "cart", "planId": "abc", "decision": "Approve", "approver": "alice", "reason": "agreed"},
    }))
    .expect("an Approval")
}
