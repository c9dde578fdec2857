//! The names of KEP-3659 (ApplySet), by which a Sync marks its members, so that other tools understand the set.
//!
//! Pure.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::object::{GroupKind, ObjectId};

/// Label of every member: the id of its set.
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// Annotation of every member: `<namespace>/<name>` of its Sync. An addition of Holdfast.
pub const SYNC: &str = "holdfast.dev/sync";
/// Annotation of every member: the proof that the agent applied this object for its Sync. See [`marked`].
pub const MARK: &str = "holdfast.dev/mark";
/// Label of the parent: the id of its set.
pub const ID: &str = "applyset.kubernetes.io/id";
/// Annotation of the parent: the tool that manages the set.
pub const TOOLING: &str = "applyset.kubernetes.io/tooling";
/// Annotation of the parent: the kinds of the members, sorted, separated by commas.
pub const GROUP_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
/// Annotation of the parent: the namespaces of the members other than its own, sorted, separated by commas.
pub const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";

/// Returns the id of the set whose parent is the Sync `namespace/name`.
pub fn id(namespace: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("{name}.{namespace}.Sync.holdfast.dev"));
    format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(digest))
}

/// Returns the bytes that the mark of a member signs: the cluster, the Sync and the identity of the object. A copy
/// under another name or in another namespace has other bytes. Every part is prefixed with its length, so that no two
/// identities have the same bytes.
pub fn marked(cluster: &str, namespace: &str, name: &str, object: &ObjectId) -> Vec<u8> {
    let ObjectId { kind, namespace: place, name: own } = object;
    let parts = [MARK, cluster, namespace, name, &kind.group, &kind.kind, place, own];
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + size_of::<u64>()).sum());
    for part in parts {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    bytes
}

/// Returns the value of [`GROUP_KINDS`].
pub fn format_kinds<'a>(kinds: impl IntoIterator<Item = &'a GroupKind>) -> String {
    join(kinds)
}

/// Returns the value of [`NAMESPACES`].
pub fn format_namespaces<'a>(namespaces: impl IntoIterator<Item = &'a str>) -> String {
    join(namespaces)
}

fn join<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let sorted: BTreeSet<String> = items.into_iter().map(|item| item.to_string()).collect();
    sorted.into_iter().collect::<Vec<_>>().join(",")
}

/// Parses the value of [`GROUP_KINDS`].
pub fn parse_kinds(text: &str) -> Vec<GroupKind> {
    text.split(',')
        .map(str::trim)
        .filter(|kind| !kind.is_empty())
        .map(|kind| match kind.split_once('.') {
            Some((kind, group)) => GroupKind::new(group, kind),
            None => GroupKind::new("", kind),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{format_kinds, id, marked, parse_kinds};
    use crate::object::{GroupKind, ObjectId};

    #[test]
    fn an_id_is_a_label_value() {
        let id = id("team-a", "shop");
        assert!(id.len() <= 63 && id.starts_with("applyset-") && id.ends_with("-v1"), "{id}");
    }

    #[test]
    fn no_two_identities_are_marked_alike() {
        let object = |group: &str, kind: &str, namespace: &str, name: &str| {
            ObjectId::new(Arc::new(GroupKind::new(group, kind)), namespace, name)
        };
        let all = [
            marked("c", "team", "shop", &object("", "ConfigMap", "a", "b")),
            marked("c", "team", "shop", &object("", "ConfigMap", "ab", "")),
            marked("c", "team", "shop", &object("", "ConfigMap", "", "ab")),
            marked("c", "team", "shop", &object("C", "onfigMap", "a", "b")),
            marked("c", "teams", "hop", &object("", "ConfigMap", "a", "b")),
            marked("ct", "eam", "shop", &object("", "ConfigMap", "a", "b")),
            marked("c", "team", "shop", &object("", "Secret", "a", "b")),
        ];
        let different: std::collections::BTreeSet<&Vec<u8>> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn kinds_survive_the_round_trip() {
        let kinds = [GroupKind::new("", "ConfigMap"), GroupKind::new("apps", "Deployment")];
        let text = format_kinds(&kinds);
        assert_eq!(text, "ConfigMap,Deployment.apps");
        assert_eq!(parse_kinds(&text), kinds);
    }
}
