//! The name of a Sync in the cluster, cheap to keep with every object that it owns. Pure.

use std::fmt;
use std::sync::Arc;

/// `namespace/name` of a Sync.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncRef(Arc<(String, String)>);

impl SyncRef {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self(Arc::new((namespace.into(), name.into())))
    }

    /// Parses the value of the annotation `holdfast.dev/sync`.
    pub fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        Some(Self::new(namespace, name))
    }

    pub fn namespace(&self) -> &str {
        &self.0.0
    }

    pub fn name(&self) -> &str {
        &self.0.1
    }

    /// Returns the id of its set (KEP-3659).
    pub fn applyset(&self) -> String {
        holdfast_diff::applyset::id(self.namespace(), self.name())
    }
}

impl fmt::Display for SyncRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace(), self.name())
    }
}

impl fmt::Debug for SyncRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
