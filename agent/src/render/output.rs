//! The result of a render: objects, and the manifests that are made of them. Pure.

use holdfast_diff::mask::Masks;
use holdfast_diff::object::{Manifest, Origin};
use holdfast_diff::yaml;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::ReadRemote;
use super::decrypted;
use super::error::RenderError;
use super::helm::Volatile;
use super::sops::Keys;
use crate::api::{ChartStatus, names};

/// An object as it was rendered.
#[derive(Clone, Debug)]
pub struct Object {
    pub value: Value,
    pub origin: Origin,
}

/// The result of rendering a folder.
#[derive(Debug, Default)]
pub struct Rendered {
    pub objects: Vec<Object>,
    /// Warnings, which do not block the sync.
    pub warnings: Vec<String>,
    /// Fields that the chart generates at each render, whose live values are kept.
    pub volatile: Vec<Volatile>,
    /// What was read from other repositories.
    pub remotes: Vec<ReadRemote>,
    /// The chart, if it is not of the tree.
    pub chart: Option<ChartStatus>,
    /// True if a part of it was encrypted, or came from a Secret.
    pub secret: bool,
    /// The texts that were encrypted, or came from a Secret.
    pub masks: Masks,
}

/// The result of a render.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RenderOutput {
    pub manifests: Vec<Manifest>,
    pub warnings: Vec<String>,
    /// Fields that the chart generates at each render, whose live values are kept.
    pub volatile: Vec<Volatile>,
    /// The chart, if it is not in the tree.
    pub chart: Option<ChartStatus>,
    /// What was read of other repositories.
    #[serde(skip)]
    pub remotes: Vec<ReadRemote>,
    /// The texts that were encrypted, or came from a Secret. A render that has any is not written to disk.
    #[serde(default)]
    pub masks: Masks,
}

/// Whether a render may be written to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keep {
    Yes,
    /// A part of it was encrypted, or came from a Secret, or from outside the files.
    No,
}

impl Rendered {
    /// Returns the manifests of the rendered objects, decrypted.
    pub fn output(self, keys: Option<&Keys>) -> Result<(RenderOutput, Keep), RenderError> {
        let Self { objects, warnings, volatile, remotes, chart, secret, mut masks } = self;
        let keep = if secret || !remotes.is_empty() { Keep::No } else { Keep::Yes };
        let manifests = opened(objects, keys, &mut masks).map_err(|error| error.hiding(&masks))?;
        Ok((RenderOutput { manifests, warnings, volatile, chart, remotes, masks }, keep))
    }
}

/// True for an Approval of any version. The names of groups and kinds have one spelling, and a definition converts only
/// within its group, so nothing else becomes one in the API server.
fn is_approval(manifest: &Manifest) -> bool {
    manifest.kind.is(names::GROUP, "Approval")
}

/// Returns the manifests of the rendered objects, decrypted. Approvals are refused.
///
/// A Sync may contain other Syncs and itself: the renders of those pass through here too. The API server refuses objects that grant
/// rights which the identity of the Sync does not hold; the agent's own identity holds all rights in an installation for one team.
pub fn manifests(objects: Vec<Object>, keys: Option<&Keys>) -> Result<Vec<Manifest>, RenderError> {
    opened(objects, keys, &mut Masks::default())
}

/// Returns the manifests, and adds the texts that were encrypted to `masks`.
fn opened(
    objects: Vec<Object>,
    keys: Option<&Keys>,
    masks: &mut Masks,
) -> Result<Vec<Manifest>, RenderError> {
    let mut manifests = Vec::with_capacity(objects.len());
    let mut errors = Vec::new();
    for Object { mut value, origin } in objects {
        match decrypted::open(&mut value, keys) {
            Ok(true) => masks.add_secret(&value),
            Ok(false) => {}
            Err(error) => {
                errors.push(format!("{origin}: {error}"));
                continue;
            }
        }
        let (found, mistakes) = yaml::manifest(value, &origin);
        errors.extend(found.iter().filter(|manifest| is_approval(manifest)).map(|manifest| {
            format!(
                "{}: Approval {} must not be in Git, because users with write access to Git could approve their own changes; \
                 remove it, and approve with `holdfast approve`",
                manifest.origin, manifest.name
            )
        }));
        manifests.extend(found);
        errors.extend(mistakes.into_iter().map(|mistake| mistake.to_string()));
    }
    if errors.is_empty() { Ok(manifests) } else { Err(RenderError::of(errors)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value, expected: Option<&str>) {
        let origin = Origin { file: "a.yaml".into(), line: 7 };
        let found = manifests(vec![Object { value, origin }], None).map_err(|error| error.to_string());
        assert_eq!(found.err().map(|error| error.contains("a.yaml:7: Approval ")), expected.map(|_| true));
    }

    #[test]
    fn git_approves_nothing() {
        let of = |version: &str, kind: &str| json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}});
        for version in ["holdfast.dev/v1alpha1", "holdfast.dev/v1", "holdfast.dev/v9beta9"] {
            check(of(version, "Approval"), Some("refused"));
            let approval = of(version, "Approval");
            let item = json!({"apiVersion": "v1", "kind": "List", "items": [approval]});
            check(item.clone(), Some("refused"));
            check(
                json!({"apiVersion": version, "kind": "ApprovalList", "items": [approval]}),
                Some("refused"),
            );
            check(json!({"apiVersion": "v1", "kind": "List", "items": [item]}), Some("refused"));
        }
        check(of("holdfast.dev/v1alpha1", "Sync"), None);
        check(of("example.com/v1", "Approval"), None);
    }
}
