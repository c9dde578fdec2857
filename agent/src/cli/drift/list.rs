//! `holdfast drift NAME`: the drift of one Sync, field by field, with the managers that wrote it. I/O: API reads.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;

use super::target::label;
use crate::api::{DriftObject, DriftState, DriftStatus, Snooze, Sync};
use crate::cli::{Global, Output, cluster, print};
use crate::report::drift::words;

/// Which Sync, and in which form
#[derive(Args, Debug)]
pub struct List {
    /// Name of the Sync
    name: Option<String>,
    /// Format of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl List {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let name = self
            .name
            .context("set the name of a Sync: holdfast drift NAME; `holdfast status` lists the Syncs")?;
        let sync = cluster::sync(&cluster::client(&global).await?, &name).await?;
        let now = Timestamp::now();
        match self.output {
            Output::Text => text(&sync, now).iter().for_each(print::line),
            Output::Json => print::json(&whole(&sync, now))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The drift of a Sync as JSON: the drift of its status, and the Sync and revision.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    sync: Named,
    /// The applied revision.
    revision: Option<&'a str>,
    since: Option<Timestamp>,
    objects: &'a [DriftObject],
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted: Option<i64>,
    /// The snoozes that have not ended.
    snooze: Vec<&'a Snooze>,
}

#[derive(Serialize)]
struct Named {
    namespace: String,
    name: String,
}

fn whole(sync: &Sync, now: Timestamp) -> Whole<'_> {
    let drift = drift(sync);
    Whole {
        sync: Named { namespace: sync.namespace().unwrap_or_default(), name: sync.name_any() },
        revision: revision(sync),
        since: drift.map(|drift| drift.since),
        objects: drift.map(|drift| &*drift.objects).unwrap_or_default(),
        omitted: drift.and_then(|drift| drift.omitted),
        snooze: snoozes(sync, now),
    }
}

/// Returns the drift of a Sync as text.
fn text(sync: &Sync, now: Timestamp) -> Vec<String> {
    let name = format!("Sync {}/{}", sync.namespace().unwrap_or_default(), sync.name_any());
    let at = revision(sync).map(|revision| format!(" at {revision}")).unwrap_or_default();
    let mut lines = Vec::new();
    match drift(sync) {
        None => lines.push(format!("{name}{at}: no drift")),
        Some(DriftStatus { since, objects, omitted }) => {
            lines.push(format!("{name}{at}: drift since {since}"));
            lines.extend(objects.iter().flat_map(object));
            lines.extend(omitted.map(|more| format!("  and {more} more objects, which are not listed")));
            lines.extend(ignores(objects));
        }
    }
    let snoozes = snoozes(sync, now);
    if !snoozes.is_empty() {
        lines.push("snoozed:".to_owned());
        lines.extend(snoozes.into_iter().map(|snooze| format!("  {}", sentence(snooze))));
    }
    lines
}

/// One object that drifted, with its fields.
pub fn object(reported: &DriftObject) -> Vec<String> {
    let DriftObject { kind, namespace, name, state, since, deleted, changes, omitted, note, .. } = reported;
    let DriftObject { origin, refusal, .. } = reported;
    let origin = origin.as_ref().map(|origin| format!(", {origin} in Git")).unwrap_or_default();
    let mut lines =
        vec![format!("  {}: {} since {since}{origin}", label(kind, namespace, name), word(*state))];
    lines.extend(deleted.then(|| "    was deleted (the API server does not record by whom)".to_owned()));
    lines.extend(changes.iter().map(|change| format!("    {}", words(change))));
    lines.extend(omitted.map(|more| format!("    and {more} more fields, which are not listed")));
    lines.extend(note.as_ref().map(|note| format!("    {note}")));
    lines.extend(refusal.as_ref().map(|why| format!("    it cannot be corrected: {why}")));
    lines
}

fn word(state: DriftState) -> &'static str {
    match state {
        DriftState::Drifted => "drifted",
        DriftState::Corrected => "corrected",
        DriftState::Fighting => "fighting",
        DriftState::Snoozed => "snoozed",
    }
}

/// Returns the entries that would ignore the drift, without duplicates.
fn ignores(objects: &[DriftObject]) -> Vec<String> {
    let entries: BTreeSet<&String> = objects.iter().filter_map(|reported| reported.ignore.as_ref()).collect();
    let head = (!entries.is_empty()).then(|| "to ignore it, add to spec.drift.ignore:".to_owned());
    head.into_iter().chain(entries.into_iter().map(|entry| format!("  - {entry}"))).collect()
}

/// Describes a snooze.
pub fn sentence(snooze: &Snooze) -> String {
    let Snooze { kind, group, namespace, name, until, reason } = snooze;
    let kind = group.as_ref().filter(|group| !group.is_empty()).map(|group| format!("{kind}.{group}"));
    let kind = kind.as_ref().unwrap_or(&snooze.kind);
    format!("{} until {until}: {reason}", label(kind, namespace.as_deref().unwrap_or_default(), name))
}

fn drift(sync: &Sync) -> Option<&DriftStatus> {
    sync.status.as_ref()?.drift.as_ref()
}

fn revision(sync: &Sync) -> Option<&str> {
    sync.status.as_ref()?.revision.as_ref()?.applied.as_deref()
}

fn snoozes(sync: &Sync, now: Timestamp) -> Vec<&Snooze> {
    sync.spec.drift.snooze.iter().filter(|snooze| snooze.until > now).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is printed of a Sync with this drift and these snoozes, at noon.
    fn check(drift: &serde_json::Value, snooze: &serde_json::Value, expected: &str) {
        let sync: Sync = serde_json::from_value(json!({
            "apiVersion": "holdfast.dev/v1alpha1", "kind": "Sync",
            "metadata": {"namespace": "shop", "name": "app"},
            "spec": {"source": {"git": {"url": "https://example.com/a.git"}}, "drift": {"snooze": snooze}},
            "status": {"revision": {"applied": "main@sha1:1a2b"}, "drift": drift},
        }))
        .expect("a Sync");
        let text = text(&sync, "2026-01-01T12:00:00Z".parse().expect("a time"));
        assert_eq!(text.join("\n") + "\n", expected);
    }

    fn snooze(name: &str, until: &str) -> serde_json::Value {
        json!({"kind": "Deployment", "group": "apps", "name": name, "until": until, "reason": "tests"})
    }

    #[test]
    fn a_calm_sync_has_no_drift() {
        check(&json!(null), &json!([]), "Sync shop/app at main@sha1:1a2b: no drift\n");
    }

    #[test]
    fn everything_that_is_known_is_printed() {
        let object = |kind: &str, state: &str, more: serde_json::Value| {
            let mut object = json!({
                "apiVersion": "v1", "kind": kind, "name": "web", "state": state,
                "since": "2026-01-01T11:00:00Z", "changes": [],
            });
            let more = more.as_object().cloned().unwrap_or_default();
            object.as_object_mut().expect("an object").extend(more);
            object
        };
        let replicas = json!({"path": "/spec/replicas", "desired": 3, "live": 5, "manager": "kubectl", "operation": "Update",
            "subresource": "scale", "time": "2026-01-01T10:59:00Z", "user": "alice"});
        let unmanaged = json!({"path": "/spec/paused", "live": true, "manager": "kubectl-edit", "operation": "Update", "unmanaged": true});
        let entry = "{target: {kind: A, name: web}, paths: [/spec/replicas]}";
        let objects = [
            object(
                "A",
                "Drifted",
                json!({"namespace": "shop", "changes": [replicas], "ignore": entry, "origin": "a.yaml:1", "omitted": 2}),
            ),
            object("B", "Corrected", json!({"deleted": true})),
            object(
                "C",
                "Fighting",
                json!({"changes": [unmanaged], "note": "again and again", "ignore": entry}),
            ),
            object("D", "Snoozed", json!({})),
        ];
        check(
            &json!({"since": "2026-01-01T11:00:00Z", "objects": objects, "omitted": 7}),
            &json!([snooze("web", "2026-01-01T13:00:00Z"), snooze("ended", "2026-01-01T12:00:00Z")]),
            "\
Sync shop/app at main@sha1:1a2b: drift since 2026-01-01T11:00:00Z
  A shop/web: drifted since 2026-01-01T11:00:00Z, a.yaml:1 in Git
    /spec/replicas is 5, Git has 3, written by the manager kubectl (Update of scale, 2026-01-01T10:59:00Z) for user alice
    and 2 more fields, which are not listed
  B web: corrected since 2026-01-01T11:00:00Z
    was deleted (the API server does not record by whom)
  C web: fighting since 2026-01-01T11:00:00Z
    /spec/paused is true, which is not in Git, written by the manager kubectl-edit (Update)
    again and again
  D web: snoozed since 2026-01-01T11:00:00Z
  and 7 more objects, which are not listed
to ignore it, add to spec.drift.ignore:
  - {target: {kind: A, name: web}, paths: [/spec/replicas]}
snoozed:
  Deployment.apps web until 2026-01-01T13:00:00Z: tests
",
        );
    }
}
