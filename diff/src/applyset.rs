//! The names of KEP-3659 (ApplySet): how a Sync marks what is its own, so that other tools understand the set.
//!
//! Pure.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::object::GroupKind;

/// On every member: the id of its set.
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// On every member: `<namespace>/<name>` of its Sync. Our own addition.
pub const SYNC: &str = "holdfast.dev/sync";
/// On the parent: the id of its set.
pub const ID: &str = "applyset.kubernetes.io/id";
/// On the parent: which tool keeps the set.
pub const TOOLING: &str = "applyset.kubernetes.io/tooling";
/// On the parent: the kinds of the members, sorted, separated by commas.
pub const GROUP_KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
/// On the parent: the namespaces of the members other than its own, sorted, separated by commas.
pub const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";

/// The id of the set whose parent is the Sync `namespace/name`.
pub fn id(namespace: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("{name}.{namespace}.Sync.holdfast.dev"));
    format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(digest))
}

/// The value of [`GROUP_KINDS`].
pub fn format_kinds<'a>(kinds: impl IntoIterator<Item = &'a GroupKind>) -> String {
    join(kinds)
}

/// The value of [`NAMESPACES`].
pub fn format_namespaces<'a>(namespaces: impl IntoIterator<Item = &'a str>) -> String {
    join(namespaces)
}

fn join<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let sorted: BTreeSet<String> = items.into_iter().map(|item| item.to_string()).collect();
    sorted.into_iter().collect::<Vec<_>>().join(",")
}

/// Reads the value of [`GROUP_KINDS`].
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
    use super::{format_kinds, id, parse_kinds};
    use crate::object::GroupKind;

    #[test]
    fn an_id_is_a_label_value() {
        let id = id("team-a", "shop");
        assert!(id.len() <= 63 && id.starts_with("applyset-") && id.ends_with("-v1"), "{id}");
    }

    #[test]
    fn kinds_survive_the_round_trip() {
        let kinds = [GroupKind::new("", "ConfigMap"), GroupKind::new("apps", "Deployment")];
        let text = format_kinds(&kinds);
        assert_eq!(text, "ConfigMap,Deployment.apps");
        assert_eq!(parse_kinds(&text), kinds);
    }
}
