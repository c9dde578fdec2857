//! A live object on its way from a watch to the view. Pure.

use holdfast_diff::object::ObjectId;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::ApiResource;
use serde::Deserialize;
use serde_json::Value;

use crate::cluster::requests::ResourceType;

/// A live object on its way from the watch to the view. Its value is never logged: it may be a Secret.
#[derive(Clone, Deserialize)]
#[serde(from = "Value")]
pub(super) struct Live {
    metadata: ObjectMeta,
    value: Value,
}

impl From<Value> for Live {
    fn from(value: Value) -> Self {
        let text = |name: &str| {
            value.pointer("/metadata").and_then(|all| all.get(name)?.as_str()).map(str::to_owned)
        };
        let metadata = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Self { metadata, value }
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("name", &self.metadata.name).finish_non_exhaustive()
    }
}

impl Live {
    /// Its version, comparable within its kind (KEP-5504).
    pub(super) fn version(&self) -> Option<u64> {
        self.metadata.resource_version.as_deref().and_then(|version| version.parse().ok())
    }

    pub(super) fn id(&self, kind: &ResourceType) -> ObjectId {
        ObjectId::new(
            kind.kind.clone(),
            self.metadata.namespace.as_deref().unwrap_or_default(),
            self.metadata.name.as_deref().unwrap_or_default(),
        )
    }

    /// The object, with the type that items of lists come without and that `health` needs.
    pub(super) fn value(mut self, kind: &ResourceType) -> Value {
        if let Some(fields) = self.value.as_object_mut() {
            fields.entry("apiVersion").or_insert_with(|| kind.api_version().into());
            fields.entry("kind").or_insert_with(|| kind.kind.kind.as_str().into());
        }
        self.value
    }
}

impl Resource for Live {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn api_version(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.api_version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> std::borrow::Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
