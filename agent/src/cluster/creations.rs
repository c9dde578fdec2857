//! Checks by dry runs whether the API server would refuse objects that a plan creates, for those who show a plan and do not apply it:
//! the agent learns it from the apply.
//!
//! A refusal that the plan itself may end is none: of an object in a namespace or of a kind that the plan changes too, or that needs
//! a value of an object that the plan deletes. I/O: dry runs.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::{Change, Operation};

use super::holders::holder;
use super::outcome::Kinds;
use super::refusal::{ObjectError, is_webhook_without_dry_run};
use super::requests::{Apply, Requests, ResourceType};

/// Dry runs at the same time.
const SIDE_BY_SIDE: usize = 16;
/// Reasons of refusals that come from the object itself, and not from what is in the cluster at the moment.
const ABOUT_THE_OBJECT: [&str; 3] = ["Invalid", "Denied", "TooLarge"];

/// Returns the refusals of objects that a plan would create, each with its object.
pub async fn refused(requests: &Requests, changes: &[Change], kinds: &Kinds) -> Vec<ObjectError> {
    let own = Own::of(changes);
    let deleted: Vec<_> = changes
        .iter()
        .filter(|change| change.operation == Operation::Delete)
        .filter_map(|change| Some((&change.object, kinds.get(&change.object)?)))
        .collect();
    let created = changes.iter().filter(|change| change.operation == Operation::Create);
    // Boxed, since the compiler cannot see otherwise that the whole stream is `Send`.
    let asked: Vec<BoxFuture<'_, Option<ObjectError>>> = created
        .filter(|change| own.may_judge(&change.object))
        .map(|change| judged(requests, (kinds, &own), &deleted, change).boxed())
        .collect();
    let found: Vec<Option<ObjectError>> = futures::stream::iter(asked).buffered(SIDE_BY_SIDE).collect().await;
    found.into_iter().flatten().collect()
}

/// The refusal of one object, unless the plan itself may end it.
async fn judged(
    requests: &Requests,
    (kinds, own): (&Kinds, &Own<'_>),
    deleted: &[(&ObjectId, &Arc<ResourceType>)],
    change: &Change,
) -> Option<ObjectError> {
    let error = refusal(requests, kinds, change).await?;
    let is_about_the_object =
        ABOUT_THE_OBJECT.contains(&error.reason) && !(own.changes_admission && error.reason == "Denied");
    if !is_about_the_object || holder(requests, deleted, &error).await.is_some() {
        return None;
    }
    Some(error)
}

/// Why the API server would not create an object; `None` if it would, or if it did not say.
async fn refusal(requests: &Requests, kinds: &Kinds, change: &Change) -> Option<ObjectError> {
    let (kind, manifest) = (kinds.get(&change.object)?, change.manifest.as_ref()?);
    let how = Apply { force: true, dry_run: true };
    let error = requests.apply(kind, &change.object, &manifest.value, how).await.err()?;
    let is_answered = !is_webhook_without_dry_run(&error);
    is_answered.then(|| ObjectError::from_server(&change.object, change.origin.as_ref(), &error))
}

/// What a plan changes that decides about other objects.
struct Own<'c> {
    namespaces: HashSet<&'c str>,
    /// The groups of the kinds that definitions define.
    groups: HashSet<&'c str>,
    /// Admission policies or webhooks.
    changes_admission: bool,
}

impl<'c> Own<'c> {
    fn of(changes: &'c [Change]) -> Self {
        let objects = || changes.iter().map(|change| &change.object);
        let namespaces = objects().filter(|object| object.kind.is("", "Namespace"));
        let definitions =
            objects().filter(|object| object.kind.is("apiextensions.k8s.io", "CustomResourceDefinition"));
        Self {
            namespaces: namespaces.map(|object| &*object.name).collect(),
            groups: definitions.filter_map(|object| Some(object.name.split_once('.')?.1)).collect(),
            changes_admission: objects().any(|object| object.kind.group == "admissionregistration.k8s.io"),
        }
    }

    /// True if nothing that the plan changes decides about an object.
    fn may_judge(&self, object: &ObjectId) -> bool {
        !self.namespaces.contains(&*object.namespace) && !self.groups.contains(&*object.kind.group)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use holdfast_diff::mask::Masks;
    use holdfast_diff::object::{GroupKind, Manifest, Origin};
    use holdfast_diff::order::Stage;
    use holdfast_diff::plan::{Seen, desired, removed};
    use http::{Request, Response, StatusCode};
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;
    use crate::identity::Identity;

    /// A server that refuses objects whose name says so, with that code.
    fn server() -> Requests {
        let service = tower::service_fn(|request: Request<Body>| async move {
            let name = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let code: u16 = name.rsplit('-').next().and_then(|code| code.parse().ok()).unwrap_or(200);
            let said = match &*name {
                "webhook-400" => "admission webhook \"a\" does not support dry run",
                "port-422" => {
                    "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"
                }
                _ => "it is wrong",
            };
            let body = match code {
                200 => json!({"metadata": {"name": name}, "spec": {"ports": [{"nodePort": 30080}]}}),
                _ => {
                    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": said, "code": code})
                }
            };
            let mut response = Response::new(Body::from(body.to_string().into_bytes()));
            *response.status_mut() = StatusCode::from_u16(code).expect("a code");
            Ok::<_, Infallible>(response)
        });
        Requests::new(Client::new(service, "shop"), Identity::Agent)
    }

    fn object(kind: (&str, &str), namespace: &str, name: &str) -> ObjectId {
        ObjectId::new(Arc::new(GroupKind::new(kind.0, kind.1)), namespace, name)
    }

    fn create(object: &ObjectId) -> Change {
        let value = json!({"metadata": {"name": *object.name}});
        let manifest = manifest(object, value);
        desired(&Arc::new(manifest), object, "set", &Masks::default(), Seen::Absent).expect("a change")
    }

    fn manifest(object: &ObjectId, value: Value) -> Manifest {
        Manifest {
            api_version: "v1".to_owned(),
            kind: object.kind.clone(),
            namespace: object.namespace.to_string(),
            name: object.name.to_string(),
            origin: Origin { file: "a.yaml".into(), line: 1 },
            value,
        }
    }

    /// The names of the objects that are refused.
    async fn check(changes: Vec<Change>, expected: &[&str]) {
        let kind = |object: &ObjectId| {
            Arc::new(ResourceType {
                kind: object.kind.clone(),
                version: "v1".to_owned(),
                plural: "things".to_owned(),
                namespaced: !object.namespace.is_empty(),
            })
        };
        let kinds: Kinds =
            changes.iter().map(|change| (change.object.clone(), kind(&change.object))).collect();
        let found = refused(&server(), &changes, &kinds).await;
        let names: Vec<String> =
            found.iter().filter_map(|error| Some(error.id.as_ref()?.name.to_string())).collect();
        assert_eq!(names, expected);
    }

    const MAP: (&str, &str) = ("", "ConfigMap");

    #[tokio::test]
    async fn an_object_that_the_server_would_refuse_is_found() {
        let names =
            ["good", "wrong-422", "unknown-400", "large-413", "missing-404", "busy-503", "webhook-400"];
        let changes = names.map(|name| create(&object(MAP, "shop", name)));
        check(changes.to_vec(), &["wrong-422", "unknown-400", "large-413"]).await;
    }

    #[tokio::test]
    async fn what_the_plan_itself_may_end_is_no_refusal() {
        let boat = object(("example.com", "Boat"), "shop", "boat-422");
        let changes = vec![
            create(&object(("", "Namespace"), "", "new")),
            create(&object(MAP, "new", "inside-422")),
            create(&object(("apiextensions.k8s.io", "CustomResourceDefinition"), "", "boats.example.com")),
            create(&boat),
        ];
        check(changes, &[]).await;
        check(vec![create(&boat)], &["boat-422"]).await;
        // The port is that of a Service that the plan deletes.
        let (new, old) =
            (object(("", "Service"), "shop", "port-422"), object(("", "Service"), "shop", "old"));
        let deletion = removed(old, "v1".to_owned(), "uid".to_owned(), Stage::default(), None);
        check(vec![create(&new), deletion], &[]).await;
        check(vec![create(&new)], &["port-422"]).await;
    }
}
