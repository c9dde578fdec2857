//! The namespaces that an installation writes to, if `--namespaces` limits them. Pure.

use std::sync::Arc;

use crate::cluster::refusal::ObjectError;
use crate::cluster::requests::ResourceType;
use crate::cluster::resolve::Desired;
use crate::policy::Policy;

/// Returns the objects that may be written, and adds an error for each of the others.
pub fn within(policy: &Policy, desired: Vec<Desired>, errors: &mut Vec<ObjectError>) -> Vec<Desired> {
    let (within, outside): (Vec<_>, Vec<_>) =
        desired.into_iter().partition(|desired| policy.writes_to(&desired.object.namespace));
    errors.extend(outside.iter().map(|desired| {
        let allowed = policy.namespaces.join(",");
        let where_it_is = match &*desired.object.namespace {
            "" => "it is cluster-scoped".to_owned(),
            namespace => format!("namespace {namespace} is not one of them"),
        };
        let message = format!(
            "the agent writes only to the namespaces {allowed} (--namespaces), and {where_it_is}; remove it from Git, or change that flag of the agent"
        );
        ObjectError::user(&desired.object, Some(&desired.manifest.origin), "NamespaceNotAllowed", message)
    }));
    within
}

/// Removes the kinds that the agent may no longer write from those that a Sync had before, and returns a warning about them.
pub fn former(policy: &Policy, kinds: &mut Vec<Arc<ResourceType>>) -> Option<String> {
    if policy.namespaces.is_empty() {
        return None;
    }
    let outside: Vec<String> =
        kinds.extract_if(.., |kind| !kind.namespaced).map(|kind| kind.kind.to_string()).collect();
    let allowed = policy.namespaces.join(",");
    (!outside.is_empty()).then(|| {
        format!(
            "objects that are no longer in Git may still exist: the agent writes only to the namespaces {allowed} (--namespaces), and {} are cluster-scoped",
            outside.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use holdfast_diff::digest::Digest;
    use holdfast_diff::ignore::Ignored;
    use holdfast_diff::object::{GroupKind, ObjectId};
    use holdfast_diff::yaml;

    use super::*;

    fn kind(name: &str, namespaced: bool) -> Arc<ResourceType> {
        let plural = format!("{}s", name.to_lowercase());
        let kind = Arc::new(GroupKind::new("", name));
        Arc::new(ResourceType { kind, version: "v1".to_owned(), plural, namespaced })
    }

    fn desired(name: &str, namespace: &str) -> Desired {
        let kind = kind(name, !namespace.is_empty());
        let text = format!("apiVersion: v1\nkind: {name}\nmetadata: {{name: a}}\n");
        let manifest = yaml::manifests("a.yaml", text.as_bytes()).0.remove(0);
        Desired {
            nulls: None,
            has_status: false,
            lives_as: None,
            before: None,
            was_applied: false,
            returned: Vec::new(),
            object: ObjectId::new(kind.kind.clone(), namespace, "a"),
            kind,
            served: true,
            digest: Digest::of(&manifest.value),
            manifest: Arc::new(manifest),
            ignored: Ignored::default(),
        }
    }

    #[test]
    fn objects_outside_of_the_namespaces_of_the_agent_are_refused_by_name() {
        let policy = Policy { namespaces: vec!["team-a".to_owned()], ..Policy::default() };
        let all =
            || vec![desired("ConfigMap", "team-a"), desired("ConfigMap", "team-b"), desired("Namespace", "")];
        let mut errors = Vec::new();
        let within_all = within(&policy, all(), &mut errors);
        assert_eq!(within_all.len(), 1);
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(said[0].starts_with("ConfigMap team-b/a (a.yaml:1)"), "{said:?}");
        assert!(said.iter().all(|said| said.contains("--namespaces")), "{said:?}");
        assert_eq!(within(&Policy::default(), all(), &mut Vec::new()).len(), 3);
    }

    #[test]
    fn kinds_of_the_cluster_are_not_looked_for_any_more_and_that_is_said() {
        let policy = Policy { namespaces: vec!["team-a".to_owned()], ..Policy::default() };
        let mut kinds = vec![kind("Namespace", false), kind("ConfigMap", true)];
        assert_eq!(former(&Policy::default(), &mut kinds), None);
        assert!(
            former(&policy, &mut kinds).is_some_and(|said| said.contains("Namespace are cluster-scoped"))
        );
        assert_eq!(kinds, [kind("ConfigMap", true)]);
        assert_eq!(former(&policy, &mut kinds), None);
    }
}
