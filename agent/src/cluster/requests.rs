//! The requests that Holdfast makes for objects of any kind, on raw JSON.
//!
//! Typed objects would drop fields that the types do not know, so neither diff nor apply uses them.
//! I/O: API reads and writes.

mod answer;
mod names;
mod resource_type;

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_diff::compare::BOOKKEEPING;
use holdfast_diff::fields::MANAGER;
use holdfast_diff::object::{Manifest, ObjectId};
use holdfast_diff::takeover::merge_patch;
use http::{Method, Request, request};
use kube::Client;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::answer::busy;
pub use self::answer::{LOADING, is_conflict, is_forbidden, is_not_found, is_starting, refusal};
pub use self::names::Names;
use self::names::{Name, NameList, Named};
pub use self::resource_type::ResourceType;
use self::resource_type::encode;
use crate::api;
use crate::identity::Identity;
use crate::shares::Shares;

/// How an object is applied.
#[derive(Clone, Copy, Debug)]
pub struct Apply {
    /// Take fields over from other managers. Without it, another owner of a field is an error 409.
    pub force: bool,
    pub dry_run: bool,
}

/// What becomes of the dependants of an object that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependants {
    /// The garbage collector removes them.
    Go,
    /// They lose their owner and stay.
    Stay,
}

impl Dependants {
    /// What becomes of them when an object is replaced.
    pub fn of(manifest: &Manifest) -> Self {
        if manifest.annotation(api::names::RECREATE) == Some(api::names::ORPHAN) {
            Self::Stay
        } else {
            Self::Go
        }
    }

    fn policy(self) -> &'static str {
        match self {
            Self::Go => "Background",
            Self::Stay => "Orphan",
        }
    }
}

/// Asks for lists of metadata, which cost the server and us a fraction of whole objects.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// Objects of one page of names.
const PAGE: usize = 500;

/// How long one request may take. Watches have limits of their own.
const LIMIT: Duration = Duration::from_mins(1);

/// How often a request is repeated that the server had no time for.
const PATIENCE: usize = 4;

/// How soon a request is repeated for which the server has not loaded its objects yet.
const STARTING: Duration = Duration::from_millis(250);

/// Requests in the name of one identity.
#[derive(Clone)]
pub struct Requests {
    client: Client,
    identity: Identity,
    /// How many are on their way at a time, and which tenant's they are.
    lane: Option<(Shares, Arc<str>)>,
}

impl Requests {
    /// Requests of a client, and the identity that it has.
    pub fn new(client: Client, identity: Identity) -> Self {
        Self { client, identity, lane: None }
    }

    /// The same requests, of which a tenant has only so many on their way.
    #[must_use]
    pub fn within(self, shares: &Shares, tenant: &str) -> Self {
        Self { lane: Some((shares.clone(), tenant.into())), ..self }
    }

    /// The same requests without that bound, for what others wait for too.
    #[must_use]
    pub fn unbounded(&self) -> Self {
        Self { lane: None, ..self.clone() }
    }

    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The client of this identity.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The names of all objects of a kind in a namespace, or in all of them; `None` if there are more than `limit`.
    pub async fn names(
        &self,
        kind: &ResourceType,
        namespace: &str,
        limit: usize,
    ) -> Result<Option<Names>, kube::Error> {
        let (mut names, mut next) = (Names::default(), String::new());
        loop {
            let path = format!("{}?limit={PAGE}&continue={}", kind.path(namespace, ""), encode(&next));
            let request = Request::builder().method(Method::GET).uri(path).header("Accept", METADATA);
            let list: NameList = self.send(request, Vec::new()).await?;
            for Named { metadata: Name { namespace, name } } in list.items.into_iter().flatten() {
                names.0.entry(namespace).or_default().insert(name);
            }
            next = list.metadata.r#continue;
            if next.is_empty() {
                return Ok(Some(names));
            }
            if names.len() >= limit {
                return Ok(None);
            }
        }
    }

    /// Reads one object; `None` if there is none.
    pub async fn get(&self, kind: &ResourceType, object: &ObjectId) -> Result<Option<Value>, kube::Error> {
        let request = request(Method::GET, &kind.path(&object.namespace, &object.name));
        match self.send(request, Vec::new()).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Applies an object server-side, with strict field validation, and returns it as the server has it now.
    pub async fn apply(
        &self,
        kind: &ResourceType,
        object: &ObjectId,
        manifest: &Value,
        how: Apply,
    ) -> Result<Value, kube::Error> {
        let path = format!(
            "{}?fieldManager={MANAGER}&fieldValidation=Strict&force={}{}",
            kind.path(&object.namespace, &object.name),
            how.force,
            if how.dry_run { "&dryRun=All" } else { "" }
        );
        let request = request(Method::PATCH, &path).header("Content-Type", "application/apply-patch+yaml");
        self.send(request, bytes(manifest)?).await
    }

    /// The metadata of the objects of a kind in a namespace, or in all of them; and whether there are more than `limit`.
    pub async fn metadata(
        &self,
        kind: &ResourceType,
        namespace: &str,
        limit: usize,
    ) -> Result<(Vec<Value>, bool), kube::Error> {
        let (mut items, mut next) = (Vec::new(), String::new());
        loop {
            let path = format!("{}?limit={PAGE}&continue={}", kind.path(namespace, ""), encode(&next));
            let request = Request::builder().method(Method::GET).uri(path).header("Accept", METADATA);
            let mut list: Value = self.send(request, Vec::new()).await?;
            if let Some(page) = list.get_mut("items").and_then(Value::as_array_mut) {
                items.append(page);
            }
            let more = list.pointer("/metadata/continue").and_then(Value::as_str);
            more.unwrap_or_default().clone_into(&mut next);
            if next.is_empty() || items.len() >= limit {
                return Ok((items, !next.is_empty()));
            }
        }
    }

    /// Changes an object to another value in a dry run, by a JSON merge patch: what would the server make of it?
    pub async fn validate_change(
        &self,
        kind: &ResourceType,
        object: &ObjectId,
        live: &Value,
        value: &Value,
    ) -> Result<Value, kube::Error> {
        let path =
            format!("{}?fieldManager={MANAGER}&dryRun=All", kind.path(&object.namespace, &object.name));
        let patch = merge_patch(&without_books(live), &without_books(value));
        let request = request(Method::PATCH, &path).header("Content-Type", "application/merge-patch+json");
        self.send(request, bytes(&patch)?).await
    }

    /// Creates an object in a dry run: is a replacement valid?
    pub async fn validate_create(
        &self,
        kind: &ResourceType,
        object: &ObjectId,
        manifest: &Value,
    ) -> Result<Value, kube::Error> {
        let path = format!(
            "{}?fieldManager={MANAGER}&fieldValidation=Strict&dryRun=All",
            kind.path(&object.namespace, "")
        );
        let request = request(Method::POST, &path).header("Content-Type", "application/json");
        self.send(request, bytes(manifest)?).await
    }

    /// Changes an object by a JSON merge patch (RFC 7386).
    pub async fn merge(
        &self,
        kind: &ResourceType,
        object: &ObjectId,
        subresource: Option<&str>,
        patch: &Value,
    ) -> Result<Value, kube::Error> {
        let path = kind.path(&object.namespace, &object.name);
        let path = match subresource {
            Some(name) => format!("{path}/{name}?fieldManager={MANAGER}"),
            None => format!("{path}?fieldManager={MANAGER}"),
        };
        let request = request(Method::PATCH, &path).header("Content-Type", "application/merge-patch+json");
        self.send(request, bytes(patch)?).await
    }

    /// Deletes the object with this UID and no other. Returns true if it is still there, held by finalizers or by a
    /// grace period.
    pub async fn delete(
        &self,
        kind: &ResourceType,
        object: &ObjectId,
        uid: &str,
        dependants: Dependants,
    ) -> Result<bool, kube::Error> {
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "propagationPolicy": dependants.policy(),
            "preconditions": {"uid": uid},
        });
        let request = request(Method::DELETE, &kind.path(&object.namespace, &object.name))
            .header("Content-Type", "application/json");
        match self.send::<Value>(request, bytes(&options)?).await {
            Ok(answer) => Ok(answer.pointer("/metadata/deletionTimestamp").is_some()),
            Err(error) if is_not_found(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: request::Builder,
        body: Vec<u8>,
    ) -> Result<T, kube::Error> {
        let request = request.body(body).map_err(kube::Error::HttpError)?;
        let _slot = match &self.lane {
            Some((shares, tenant)) => Some(shares.take(tenant).await),
            None => None,
        };
        let asking = async {
            let (mut tries, started) = (0, Instant::now());
            loop {
                match self.client.request(request.clone()).await {
                    Err(error) if is_starting(&error) && started.elapsed() < LOADING => {
                        tokio::time::sleep(STARTING).await;
                    }
                    Err(error)
                        if tries < PATIENCE
                            && let Some(pause) = busy(&error) =>
                    {
                        tries += 1;
                        tokio::time::sleep(pause).await;
                    }
                    answer => return answer,
                }
            }
        };
        match tokio::time::timeout(LIMIT, asking).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
        }
    }
}

fn request(method: Method, path: &str) -> request::Builder {
    Request::builder().method(method).uri(path).header("Accept", "application/json")
}

/// An object without what the server keeps of it, which no patch may change.
fn without_books(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| !BOOKKEEPING.contains(&name.as_str()));
    }
    object
}

fn bytes(value: &Value) -> Result<Vec<u8>, kube::Error> {
    serde_json::to_vec(value).map_err(kube::Error::SerdeError)
}
