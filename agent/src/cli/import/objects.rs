//! Reads the resources of another tool from a cluster. I/O: API.

use anyhow::Context as _;
use kube::api::{DynamicObject, ListParams};
use kube::discovery::{Discovery, Scope, verbs};
use kube::{Api, Client};

use super::super::{Global, cluster};
use crate::import::found::{Found, Index};
use crate::import::{self, Tool};

/// Objects of one page of a list.
const PAGE: u32 = 500;

/// Where objects of a cluster are found.
const CLUSTER: &str = "the cluster";

/// Reads all objects of the API groups of a tool: of one namespace if one is set, else of all.
pub async fn of_cluster(global: &Global, tool: Tool) -> anyhow::Result<Index> {
    let client = cluster::client(global).await?;
    let discovery = Discovery::new(client.clone()).filter(tool.groups()).run().await;
    let discovery = discovery.context("cannot read which APIs the cluster serves")?;
    let mut index = Index::default();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            let is_read =
                tool.has(&resource.group, &resource.kind) && capabilities.scope == Scope::Namespaced;
            if !is_read || !capabilities.supports_operation(verbs::LIST) {
                continue;
            }
            let api: Api<DynamicObject> = match &global.namespace {
                Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
                None => Api::all_with(client.clone(), &resource),
            };
            let name = format!("{}.{}", resource.plural, resource.group);
            list(&api, "", &mut |mut object| {
                object.metadata.managed_fields = None;
                object.types = Some(kube::api::TypeMeta {
                    api_version: resource.api_version.clone(),
                    kind: resource.kind.clone(),
                });
                index.insert(Found::new(serde_json::to_value(object)?, CLUSTER, "default"))?;
                Ok(())
            })
            .await
            .with_context(|| format!("cannot list {name}"))?;
        }
    }
    others(&client, global, tool, &mut index).await?;
    Ok(index)
}

/// Lists page by page.
async fn list(
    api: &Api<DynamicObject>,
    labels: &str,
    take: &mut dyn FnMut(DynamicObject) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut parameters = ListParams::default().labels(labels).limit(PAGE);
    loop {
        let page = api.list(&parameters).await?;
        for object in page.items {
            take(object)?;
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(()),
        }
    }
}

/// Reads objects of other kinds that a tool keeps its settings in. Of Secrets only the names of their keys are kept, and the
/// URL and the type, which are no secrets.
async fn others(client: &Client, global: &Global, tool: Tool, index: &mut Index) -> anyhow::Result<()> {
    for (kind, plural, selector) in tool.others() {
        let resource = kube::core::ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: (*kind).to_owned(),
            plural: (*plural).to_owned(),
        };
        let api: Api<DynamicObject> = match &global.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        list(&api, selector, &mut |mut object| {
            object.metadata.managed_fields = None;
            object.types =
                Some(kube::api::TypeMeta { api_version: "v1".to_owned(), kind: (*kind).to_owned() });
            let mut value = serde_json::to_value(object)?;
            import::forget_secrets(&mut value);
            index.insert(Found::new(value, CLUSTER, "default"))?;
            Ok(())
        })
        .await
        .with_context(|| format!("cannot list {plural} with the labels {selector}"))?;
    }
    Ok(())
}
