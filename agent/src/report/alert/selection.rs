//! Which Syncs and ImageUpdates an Alert selects. Pure.

use std::collections::BTreeMap;

use kube::ResourceExt as _;

use crate::api::{Alert, Sync};
use crate::subject::{Kind, Subject};
use crate::sync_ref::SyncRef;

pub(super) fn selects_update(alert: &Alert, update: &Subject, labels: &BTreeMap<String, String>) -> bool {
    let Some(selector) = &alert.spec.syncs else { return true };
    let named = selector.names.as_ref().is_none_or(|names| names.contains(&update.name));
    let labelled = selector
        .match_labels
        .as_ref()
        .is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)));
    named && labelled
}

pub(super) fn selects_nothing(namespace: &str, here: &[&SyncRef]) -> String {
    let names: Vec<&str> = here.iter().map(|sync| sync.name()).take(10).collect();
    let there = if names.is_empty() { "has none".to_owned() } else { format!("has {}", names.join(", ")) };
    format!("spec.syncs selects no Sync, so no notices will be sent; namespace {namespace} {there}")
}

pub(super) fn name(alert: &Alert) -> Subject {
    Subject::new(Kind::Alert, alert.namespace().unwrap_or_default(), alert.name_any())
}

pub(super) fn sync_name(sync: &Sync) -> SyncRef {
    SyncRef::new(sync.namespace().unwrap_or_default(), sync.name_any())
}
