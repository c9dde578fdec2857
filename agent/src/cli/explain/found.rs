//! Finds the live object that a person names, and the Sync that it says it belongs to. I/O: API reads.

use anyhow::{Context as _, bail};
use holdfast_diff::object::ObjectId;
use kube::{Api, Client};
use serde_json::Value;

use crate::api::{Sync, names};
use crate::cli::drift::Target;
use crate::cluster::everything;
use crate::cluster::requests::{Requests, ResourceType};
use crate::identity::Identity;
use crate::sync_ref::SyncRef;

/// Short names of kubectl for kinds of Kubernetes, with their plurals.
const SHORT: &[(&str, &str)] = &[
    ("cm", "configmaps"),
    ("cj", "cronjobs"),
    ("crd", "customresourcedefinitions"),
    ("deploy", "deployments"),
    ("ds", "daemonsets"),
    ("hpa", "horizontalpodautoscalers"),
    ("ing", "ingresses"),
    ("netpol", "networkpolicies"),
    ("ns", "namespaces"),
    ("pdb", "poddisruptionbudgets"),
    ("po", "pods"),
    ("pv", "persistentvolumes"),
    ("pvc", "persistentvolumeclaims"),
    ("quota", "resourcequotas"),
    ("sa", "serviceaccounts"),
    ("sts", "statefulsets"),
    ("svc", "services"),
];

/// The object, in the namespace of the client if its kind has namespaces.
pub async fn object(client: &Client, target: &Target) -> anyhow::Result<(ResourceType, Value)> {
    let kinds = everything::kinds(client).await.context("cannot list the kinds of the API server")?;
    let meant: Vec<_> = kinds.iter().filter(|kind| is_meant(target, kind)).collect();
    if meant.is_empty() {
        bail!("the API server serves no kind {}; `kubectl api-resources` lists them", target.kind);
    }
    let requests = Requests::new(client.clone(), Identity::Agent);
    let mut found = Vec::new();
    for kind in meant {
        let namespace = if kind.namespaced { client.default_namespace() } else { "" };
        let id = ObjectId::new(kind.kind.clone(), namespace, &target.name);
        let live = requests.get(kind, &id).await.with_context(|| format!("cannot read {id}"))?;
        found.extend(live.map(|live| (ResourceType::clone(kind), live)));
    }
    if found.len() > 1 {
        let names: Vec<String> =
            found.iter().map(|(kind, _)| format!("{}/{}", kind.kind, target.name)).collect();
        bail!("{target} is more than one object; write one of {}", names.join(", "));
    }
    let namespace = client.default_namespace();
    found
        .pop()
        .with_context(|| format!("{target} not found in namespace {namespace}; name another one with -n"))
}

fn is_meant(target: &Target, kind: &ResourceType) -> bool {
    let (group, name) = (Some(kind.kind.group.as_str()), target.name.as_str());
    let long = SHORT.iter().find(|(short, _)| target.kind.eq_ignore_ascii_case(short)).map(|(_, long)| *long);
    // Events are served twice.
    target.is(&kind.kind.kind, group, name)
        || target.is(&kind.plural, group, name)
        || (long == Some(kind.plural.as_str()) && target.group.is_none())
}

/// The Sync of an object.
pub async fn sync(client: &Client, live: &Value) -> anyhow::Result<(SyncRef, Sync)> {
    let said =
        live.pointer("/metadata/annotations").and_then(|all| all.get(names::SYNC)).and_then(Value::as_str);
    let Some((namespace, name)) = said.and_then(|said| said.split_once('/')) else {
        bail!("the object belongs to no Sync: it has no annotation {}", names::SYNC);
    };
    let owner = SyncRef::new(namespace.to_owned(), name.to_owned());
    let api = Api::<Sync>::namespaced(client.clone(), namespace);
    let found = api.get_opt(name).await.with_context(|| format!("cannot read Sync {owner}"))?;
    let sync = found.with_context(|| format!("Sync {owner}, which the object names, does not exist"))?;
    Ok((owner, sync))
}

pub fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use holdfast_diff::object::GroupKind;

    use super::*;

    #[test]
    fn a_kind_is_named_by_its_kind_its_plural_or_its_short_name() {
        let kind = ResourceType {
            kind: Arc::new(GroupKind::new("apps".to_owned(), "Deployment".to_owned())),
            version: "v1".to_owned(),
            plural: "deployments".to_owned(),
            namespaced: true,
        };
        for (text, expected) in [
            ("deployment/web", true),
            ("Deployments/web", true),
            ("deploy/web", true),
            ("Deployment.apps/web", true),
            ("deployment.extensions/web", false),
            ("svc/web", false),
        ] {
            let target: Target = text.parse().expect(text);
            assert_eq!(is_meant(&target, &kind), expected, "{text}");
        }
    }
}
