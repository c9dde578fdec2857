//! Lists of which only the names are read. Pure.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

/// Names of objects of one kind, by namespace.
#[derive(Debug, Default)]
pub struct Names(pub(super) HashMap<String, HashSet<String>>);

impl Names {
    pub fn has(&self, namespace: &str, name: &str) -> bool {
        self.0.get(namespace).is_some_and(|names| names.contains(name))
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().map(HashSet::len).sum()
    }
}

/// A list of which only the names are read.
#[derive(Deserialize)]
pub(super) struct NameList {
    #[serde(default)]
    pub(super) metadata: ListMetadata,
    /// Null if there are none.
    pub(super) items: Option<Vec<Named>>,
}

#[derive(Default, Deserialize)]
pub(super) struct ListMetadata {
    #[serde(default)]
    pub(super) r#continue: String,
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) metadata: Name,
}

#[derive(Deserialize)]
pub(super) struct Name {
    #[serde(default)]
    pub(super) namespace: String,
    pub(super) name: String,
}
