//! The value of the page of dependencies: the Syncs that depend on others or that others depend on, in layers. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::live;
use super::needs::{self, State};
use crate::api::Sync;
use crate::sync_ref::SyncRef;

/// Syncs that are listed; the others are counted.
const LISTED: usize = 2000;

/// The dependencies of Syncs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Graph {
    /// By layer and name. At most 2000.
    pub nodes: Vec<Node>,
    pub more: usize,
}

/// A Sync that depends on others, or that others depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// `namespace/name`
    pub name: String,
    /// `None` if there is no such Sync, or the visitor may not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// 0 for a Sync that depends on nothing; otherwise one more than that of the last of its dependencies.
    pub layer: usize,
    pub depends_on: Vec<String>,
}

/// The graph of the Syncs that a visitor may read.
pub fn graph(syncs: &[Arc<Sync>], now: Timestamp) -> Graph {
    let mut edges: BTreeMap<SyncRef, BTreeSet<SyncRef>> = BTreeMap::new();
    let mut states: BTreeMap<SyncRef, State> = BTreeMap::new();
    for sync in syncs {
        let name = live::name(sync);
        states.insert(name.clone(), needs::state(sync, now));
        let all: BTreeSet<SyncRef> =
            sync.spec.depends_on.iter().map(|one| one.of(name.namespace())).collect();
        if all.is_empty() {
            continue;
        }
        for other in &all {
            edges.entry(other.clone()).or_default();
        }
        edges.entry(name).or_default().extend(all);
    }
    let layers = layers(&edges);
    let mut nodes: Vec<Node> = edges
        .iter()
        .map(|(name, on)| Node {
            name: name.to_string(),
            state: states.get(name).copied(),
            layer: layers.get(name).copied().unwrap_or(0),
            depends_on: on.iter().map(ToString::to_string).collect(),
        })
        .collect();
    nodes.sort_by(|one, other| (one.layer, &one.name).cmp(&(other.layer, &other.name)));
    let more = nodes.len().saturating_sub(LISTED);
    nodes.truncate(LISTED);
    Graph { nodes, more }
}

/// The layer of each Sync. Those on a cycle, and those that depend on one, come last.
fn layers(edges: &BTreeMap<SyncRef, BTreeSet<SyncRef>>) -> BTreeMap<SyncRef, usize> {
    let mut found: BTreeMap<SyncRef, usize> = BTreeMap::new();
    let mut open: Vec<&SyncRef> = edges.keys().collect();
    let mut layer = 0;
    loop {
        let (ready, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|name| {
            edges.get(*name).is_none_or(|on| on.iter().all(|other| found.contains_key(other)))
        });
        if ready.is_empty() {
            found.extend(rest.into_iter().map(|name| (name.clone(), layer)));
            return found;
        }
        found.extend(ready.into_iter().map(|name| (name.clone(), layer)));
        (open, layer) = (rest, layer + 1);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{NOW, sync};
    use super::*;

    fn on(name: &str, others: &[&str]) -> Arc<Sync> {
        let mut whole = serde_json::to_value(sync("team", name, &[])).expect("a Sync is JSON");
        let others: Vec<_> = others.iter().map(|other| json!({"name": other})).collect();
        whole["spec"]["dependsOn"] = json!(others);
        Arc::new(serde_json::from_value(whole).expect("a Sync"))
    }

    fn check(syncs: &[Arc<Sync>], expected: &[(&str, usize)]) {
        let graph = graph(syncs, NOW.parse().expect("a time"));
        let found: Vec<(&str, usize)> =
            graph.nodes.iter().map(|node| (node.name.trim_start_matches("team/"), node.layer)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_sync_is_below_all_that_it_depends_on() {
        check(
            &[on("web", &["db", "base"]), on("db", &["base"]), on("base", &[]), on("alone", &[])],
            &[("base", 0), ("db", 1), ("web", 2)],
        );
        check(&[on("web", &["absent"])], &[("absent", 0), ("web", 1)]);
        // A cycle ends.
        check(&[on("a", &["b"]), on("b", &["a"]), on("c", &["a"])], &[("a", 0), ("b", 0), ("c", 0)]);
        check(&[], &[]);
    }
}
