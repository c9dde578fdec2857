//! A kind as the API server serves it, and the paths of its objects. Pure.

use std::sync::Arc;

use holdfast_diff::object::{GroupKind, Manifest, ObjectId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A kind as the API server serves it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ResourceType {
    pub kind: Arc<GroupKind>,
    pub version: String,
    pub plural: String,
    pub namespaced: bool,
}

impl ResourceType {
    /// For example `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.kind.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.kind.group, self.version)
        }
    }

    /// The path of one object, or of the collection if `name` is empty; of all namespaces if `namespace` is.
    pub fn path(&self, namespace: &str, name: &str) -> String {
        let mut path = match self.kind.group.as_str() {
            "" => format!("/api/{}", self.version),
            group => format!("/apis/{group}/{}", self.version),
        };
        if self.namespaced && !namespace.is_empty() {
            path = format!("{path}/namespaces/{}", encode(namespace));
        }
        path = format!("{path}/{}", self.plural);
        if name.is_empty() { path } else { format!("{path}/{}", encode(name)) }
    }

    /// The identity of a manifest of this kind: cluster-scoped kinds have no namespace, namespaced ones without
    /// one take `fallback`.
    pub fn id(&self, manifest: &Manifest, fallback: &str) -> ObjectId {
        let namespace = match (self.namespaced, manifest.namespace.as_str()) {
            (false, _) => "",
            (true, "") => fallback,
            (true, namespace) => namespace,
        };
        ObjectId::new(self.kind.clone(), namespace, &manifest.name)
    }
}

/// Characters that are not encoded in a path segment: the unreserved ones, and the colon in the names of roles.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// Percent-encodes a path segment (RFC 3986), so that no name in git can become another path. `.` and `..`, which
/// encoding cannot disarm, become a name that no object can have.
pub(super) fn encode(segment: &str) -> String {
    if matches!(segment, "." | "..") {
        return "%2F".to_owned();
    }
    utf8_percent_encode(segment, SEGMENT).to_string()
}
