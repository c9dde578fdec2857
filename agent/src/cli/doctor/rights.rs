//! Whether the agent has the rights that it needs, in the cluster and in each namespace with Syncs. I/O: API.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};

use super::agent::Installed;
use super::finding::{Finding, Findings};
use super::loaded;
use crate::api::Sync;

/// Reviews that are sent at the same time.
const PARALLEL: usize = 8;
/// Maximum number of namespaces that are checked.
const NAMESPACES: usize = 100;

/// A right: verb, group, resource, name, and the namespace; none for the whole cluster.
#[derive(Clone, Debug, Default)]
struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    name: Option<&'static str>,
    namespace: Option<String>,
}

impl Right {
    fn text(&self) -> String {
        let Self { verb, group, resource, name, namespace } = self;
        let group = if group.is_empty() { String::new() } else { format!(".{group}") };
        let name = name.map(|name| format!(" {name}")).unwrap_or_default();
        let place =
            namespace.as_ref().map(|namespace| format!(" in namespace {namespace}")).unwrap_or_default();
        format!("{verb} {resource}{group}{name}{place}")
    }
}

pub async fn check(client: &Client, agent: &Installed) -> Vec<Finding> {
    let mut findings = Findings::of("rights");
    let served = agent.flag("namespaces");
    match missing(client, agent, own(agent, &served)).await {
        Ok(missing) if missing.is_empty() => {
            findings.ok(format!("{} has the rights that it needs for itself", agent.user()));
        }
        Ok(missing) => findings.error(
            format!(
                "{} may not {}",
                agent.user(),
                missing.iter().map(Right::text).collect::<Vec<_>>().join(", ")
            ),
            "apply the manifests of the mode that you chose again: holdfast install --help",
        ),
        Err(error) => {
            findings.failed("the rights of the agent", &error);
            return findings.found;
        }
    }
    if agent.flag("default-service-account").is_empty() {
        workloads(client, agent, &mut findings).await;
    }
    match namespaces(client, &served).await {
        Ok(namespaces) => tenants(client, agent, namespaces, &mut findings).await,
        Err(error) => findings.failed("the namespaces with Syncs", &error),
    }
    findings.found
}

/// What an agent needs for itself.
fn own(agent: &Installed, served: &[String]) -> Vec<Right> {
    const GROUP: &str = "holdfast.dev";
    const RESOURCES: [(&str, &str); 5] = [
        ("syncs", "syncs/status"),
        ("approvals", "approvals/status"),
        ("imageupdates", "imageupdates/status"),
        ("alerts", "alerts/status"),
        ("repositories", "repositories/status"),
    ];
    let home = || Some(agent.namespace.clone());
    let places: Vec<Option<String>> =
        if served.is_empty() { vec![None] } else { served.iter().cloned().map(Some).collect() };
    let mut rights = vec![
        Right { verb: "get", resource: "namespaces", name: Some("kube-system"), ..Right::default() },
        Right {
            verb: "create",
            group: "coordination.k8s.io",
            resource: "leases",
            namespace: home(),
            ..Right::default()
        },
        Right {
            verb: "get",
            resource: "secrets",
            name: Some("holdfast-marks"),
            namespace: home(),
            ..Right::default()
        },
    ];
    for place in places {
        for (resource, status) in RESOURCES {
            for verb in ["list", "watch"] {
                rights.push(Right {
                    verb,
                    group: GROUP,
                    resource,
                    namespace: place.clone(),
                    ..Right::default()
                });
            }
            let resource = status;
            rights.push(Right {
                verb: "patch",
                group: GROUP,
                resource,
                namespace: place.clone(),
                ..Right::default()
            });
        }
        let (group, resource) = ("events.k8s.io", "events");
        rights.push(Right { verb: "create", group, resource, namespace: place.clone(), ..Right::default() });
        rights.push(Right {
            verb: "patch",
            group: GROUP,
            resource: "syncs",
            namespace: place,
            ..Right::default()
        });
    }
    rights
}

/// Without a default ServiceAccount, Syncs may use the rights of the agent.
async fn workloads(client: &Client, agent: &Installed, findings: &mut Findings) {
    let all = Right { verb: "*", group: "*", resource: "*", ..Right::default() };
    if let Ok(missing) = missing(client, agent, vec![all]).await
        && missing.is_empty()
    {
        findings.warning(
            "the agent is an administrator of the cluster, and a Sync without spec.serviceAccountName acts with its rights: every \
             user who may create Syncs is an administrator too",
            "that is right for one team; for several teams: holdfast install --mode=tenants",
        );
    }
}

/// The namespaces with Syncs, and how many of them name no ServiceAccount.
async fn namespaces(client: &Client, served: &[String]) -> Result<Vec<String>, kube::Error> {
    let (syncs, all) = (Api::<Sync>::all(client.clone()), ListParams::default());
    let syncs = loaded(async || syncs.list_metadata(&all).await).await?;
    let mut counted = BTreeMap::<String, usize>::new();
    for sync in syncs.items.iter().filter_map(ResourceExt::namespace) {
        *counted.entry(sync).or_default() += 1;
    }
    Ok(counted
        .into_keys()
        .filter(|name| served.is_empty() || served.contains(name))
        .take(NAMESPACES)
        .collect())
}

/// Where Syncs act as ServiceAccounts, the agent is bound in each namespace.
async fn tenants(client: &Client, agent: &Installed, namespaces: Vec<String>, findings: &mut Findings) {
    let count = namespaces.len();
    let mut bad = 0;
    for namespace in namespaces {
        let place = || Some(namespace.clone());
        let rights = vec![
            Right {
                verb: "impersonate",
                resource: "serviceaccounts",
                namespace: place(),
                ..Right::default()
            },
            Right { verb: "get", resource: "secrets", namespace: place(), ..Right::default() },
            Right { verb: "get", resource: "configmaps", namespace: place(), ..Right::default() },
        ];
        match missing(client, agent, rights).await {
            Ok(missing) if missing.is_empty() => {}
            Ok(missing) => {
                bad += 1;
                let said = missing.iter().map(Right::text).collect::<Vec<_>>().join(", ");
                findings.error(
                    format!("namespace {namespace} has Syncs and the agent is not bound there: it may not {said}"),
                    format!(
                        "kubectl -n {namespace} create rolebinding holdfast --clusterrole=holdfast-tenant --serviceaccount={}:{}",
                        agent.namespace, agent.service_account
                    ),
                );
            }
            Err(error) => return findings.failed("the rights of the agent", &error),
        }
    }
    if bad == 0 && count > 0 {
        findings.ok(format!("the agent has the rights that it needs in {count} namespaces with Syncs"));
    }
}

/// Returns the rights that the agent does not have.
async fn missing(client: &Client, agent: &Installed, rights: Vec<Right>) -> Result<Vec<Right>, kube::Error> {
    let reviews = rights.into_iter().map(|right| async move {
        let Right { verb, group, resource, name, namespace } = right.clone();
        let (resource, subresource) = match resource.split_once('/') {
            Some((resource, part)) => (resource, Some(part.to_owned())),
            None => (resource, None),
        };
        let attributes = ResourceAttributes {
            verb: Some(verb.to_owned()),
            group: Some(group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource,
            name: name.map(ToOwned::to_owned),
            namespace,
            ..ResourceAttributes::default()
        };
        let groups = ["system:serviceaccounts", "system:authenticated"].map(str::to_owned);
        let groups = groups.into_iter().chain([format!("system:serviceaccounts:{}", agent.namespace)]);
        let spec = SubjectAccessReviewSpec {
            user: Some(agent.user()),
            groups: Some(groups.collect()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let answer =
            Api::<SubjectAccessReview>::all(client.clone()).create(&PostParams::default(), &review).await?;
        Ok((!answer.status.is_some_and(|status| status.allowed)).then_some(right))
    });
    let answers: Vec<Result<Option<Right>, kube::Error>> =
        futures::stream::iter(reviews).buffered(PARALLEL).collect().await;
    answers.into_iter().filter_map(Result::transpose).collect()
}
