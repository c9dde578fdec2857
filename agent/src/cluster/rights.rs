//! Finds the changes of a plan that a ServiceAccount has no right to make, before the first write.
//!
//! The rules of each namespace are read once (SelfSubjectRulesReview). They may be incomplete, so a right that they do not grant
//! is checked by itself (SelfSubjectAccessReview). I/O: API reads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{Change, Operation};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, ResourceRule, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
    SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectRulesReviewStatus,
};
use kube::api::PostParams;
use kube::{Api, Client};

use super::outcome::Kinds;
use super::refusal::ObjectError;
use super::requests::ResourceType;
use crate::api::names;

/// The rules of one namespace; of the whole cluster if the name is empty.
type Question = (&'static str, Arc<ResourceType>, Arc<str>, Arc<str>);

/// Returns the changes that this identity may not make, each with the missing rights.
pub async fn missing(
    client: &Client,
    user: &str,
    changes: &[Change],
    kinds: &Kinds,
) -> Result<Vec<(ObjectId, ObjectError)>, kube::Error> {
    let mut rules: HashMap<Arc<str>, Vec<ResourceRule>> = HashMap::new();
    let mut answers: BTreeMap<String, bool> = BTreeMap::new();
    let mut missing = Vec::new();
    for change in changes {
        let Some(kind) = kinds.get(&change.object) else { continue };
        let mut lacks = Vec::new();
        for verb in verbs(change.operation) {
            let question = (*verb, kind.clone(), change.object.namespace.clone(), change.object.name.clone());
            if !may(client, &mut rules, &mut answers, &question).await? {
                lacks.push(*verb);
            }
        }
        if !lacks.is_empty() {
            missing.push((change.object.clone(), refused(user, change, kind, &lacks)));
        }
    }
    Ok(missing)
}

/// True if the user of a client may impersonate a ServiceAccount with the extra fields that the agent sets.
pub async fn may_impersonate(client: &Client, namespace: &str, name: &str) -> Result<bool, kube::Error> {
    let attributes = |group: &str, resource: &str, name: &str| ResourceAttributes {
        verb: Some("impersonate".to_owned()),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        name: Some(name.to_owned()),
        ..ResourceAttributes::default()
    };
    let account = ResourceAttributes {
        namespace: Some(namespace.to_owned()),
        ..attributes("", "serviceaccounts", name)
    };
    let mark = ResourceAttributes {
        subresource: Some(names::IMPERSONATED.to_owned()),
        ..attributes("authentication.k8s.io", "userextras", "true")
    };
    Ok(review(client, account).await? && review(client, mark).await?)
}

/// The verbs that an operation needs: a server-side apply that creates an object needs both.
fn verbs(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::Create => &["create", "patch"],
        Operation::Adopt | Operation::Move | Operation::Update | Operation::Orphan => &["patch"],
        Operation::Recreate => &["delete", "create", "patch"],
        Operation::Delete => &["delete"],
    }
}

async fn may(
    client: &Client,
    rules: &mut HashMap<Arc<str>, Vec<ResourceRule>>,
    answers: &mut BTreeMap<String, bool>,
    question: &Question,
) -> Result<bool, kube::Error> {
    let (verb, kind, namespace, name) = question;
    // The rules of a namespace do not cover cluster-scoped objects.
    if !namespace.is_empty() {
        if !rules.contains_key(namespace) {
            rules.insert(namespace.clone(), ask_rules(client, namespace).await?.resource_rules);
        }
        if rules[namespace].iter().any(|rule| grants(rule, verb, kind, name)) {
            return Ok(true);
        }
    }
    let key = format!("{verb} {} {}/{} {namespace} {name}", kind.kind.group, kind.plural, kind.version);
    if let Some(answer) = answers.get(&key) {
        return Ok(*answer);
    }
    let answer = ask(client, question).await?;
    answers.insert(key, answer);
    Ok(answer)
}

pub(super) fn grants(rule: &ResourceRule, verb: &str, kind: &ResourceType, name: &str) -> bool {
    let has = |list: &[String], item: &str| list.iter().any(|entry| entry == "*" || entry == item);
    let names = rule.resource_names.as_deref().unwrap_or_default();
    // A right for named objects does not permit create.
    let named = names.is_empty() || (verb != "create" && names.iter().any(|entry| entry == name));
    has(&rule.verbs, verb)
        && has(rule.api_groups.as_deref().unwrap_or_default(), &kind.kind.group)
        && has(rule.resources.as_deref().unwrap_or_default(), &kind.plural)
        && named
}

pub(super) async fn ask_rules(
    client: &Client,
    namespace: &str,
) -> Result<SubjectRulesReviewStatus, kube::Error> {
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) },
        ..SelfSubjectRulesReview::default()
    };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.unwrap_or_default())
}

pub(super) async fn ask(
    client: &Client,
    (verb, kind, namespace, name): &Question,
) -> Result<bool, kube::Error> {
    let attributes = ResourceAttributes {
        verb: Some((*verb).to_owned()),
        group: Some(kind.kind.group.clone()),
        version: Some(kind.version.clone()),
        resource: Some(kind.plural.clone()),
        namespace: Some(namespace.to_string()).filter(|namespace| !namespace.is_empty()),
        name: Some(name.to_string()),
        ..ResourceAttributes::default()
    };
    review(client, attributes).await
}

async fn review(client: &Client, attributes: ResourceAttributes) -> Result<bool, kube::Error> {
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

fn refused(user: &str, change: &Change, kind: &ResourceType, lacks: &[&str]) -> ObjectError {
    let dot = if kind.kind.group.is_empty() { "" } else { "." };
    let resource = format!("{}{dot}{}", kind.plural, kind.kind.group);
    let place = match &*change.object.namespace {
        "" => "in the whole cluster".to_owned(),
        namespace => format!("in namespace {namespace}"),
    };
    let verbs = lacks.join(", ");
    let word = if lacks.len() == 1 { "verb" } else { "verbs" };
    let message =
        format!("{user} may not {verbs} {resource} {place}; grant the {word} {verbs} on {resource} there");
    ObjectError::user(&change.object, change.origin.as_ref(), "Forbidden", message).of(&change.object)
}

#[cfg(test)]
mod tests {
    use holdfast_diff::object::GroupKind;

    use super::*;

    #[test]
    fn a_rule_grants_by_verb_group_resource_and_name() {
        let kind = ResourceType {
            kind: Arc::new(GroupKind::new("apps", "Deployment")),
            version: "v1".to_owned(),
            plural: "deployments".to_owned(),
            namespaced: true,
        };
        let rule = |verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]| {
            let all = |list: &[&str]| list.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
            ResourceRule {
                verbs: all(verbs),
                api_groups: Some(all(groups)),
                resources: Some(all(resources)),
                resource_names: Some(all(names)),
            }
        };
        let check = |rule: &ResourceRule, verb: &str, expected: bool| {
            assert_eq!(grants(rule, verb, &kind, "web"), expected, "{rule:?} {verb}");
        };
        check(&rule(&["*"], &["*"], &["*"], &[]), "create", true);
        check(&rule(&["patch"], &["apps"], &["deployments"], &[]), "patch", true);
        check(&rule(&["patch"], &["apps"], &["deployments"], &[]), "delete", false);
        check(&rule(&["patch"], &[""], &["deployments"], &[]), "patch", false);
        check(&rule(&["patch"], &["apps"], &["deployments/status"], &[]), "patch", false);
        check(&rule(&["*"], &["apps"], &["deployments"], &["web"]), "patch", true);
        check(&rule(&["*"], &["apps"], &["deployments"], &["web"]), "create", false);
        check(&rule(&["*"], &["apps"], &["deployments"], &["other"]), "patch", false);
    }
}
