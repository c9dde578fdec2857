//! The pull request by which a commit came to its branch: as the forge of a Repository says it, or as the commit says it.
//! I/O: API reads, the forge.

use std::sync::Arc;

use anyhow::Context as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client as Kube, ResourceExt as _};
use serde::Serialize;

use crate::api::{ApprovalOrigin, Repository, Sync};
use crate::forge::review::{Client, Origin};
use crate::forge::{Login, Session};
use crate::review::origin::number;
use crate::secret_data::{Data, SecretData};
use crate::source::Location;
use crate::sync_ref::SyncRef;

/// A pull request.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pull {
    pub number: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// As the forge says it, if a Repository in the namespace of the Sync is about the source of the Sync.
pub async fn pull(client: &Kube, owner: &SyncRef, sync: &Sync, commit: &str) -> anyhow::Result<Option<Pull>> {
    let all = Api::<Repository>::namespaced(client.clone(), owner.namespace());
    let all = all.list(&ListParams::default()).await.context("cannot list the Repositories")?.items;
    let Ok(location) = Location::parse(&sync.spec.source.git.url, None) else { return Ok(None) };
    let is_it = |one: &Repository| {
        Location::parse(&one.spec.url, None).is_ok_and(|other| location.is_same_repository(&other))
    };
    let Some(repository) = all.into_iter().find(is_it) else { return Ok(None) };
    let (name, spec) = (repository.name_any(), &repository.spec);
    let secrets = Api::<Secret>::namespaced(client.clone(), owner.namespace());
    let secret = &spec.secret_ref.name;
    let found = secrets
        .get(secret)
        .await
        .with_context(|| format!("cannot read Secret {secret} of Repository {name}"))?;
    let data: Data = found.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect();
    let login = Login::read(SecretData::of(&data)).with_context(|| format!("Secret {secret}"))?;
    let session = Arc::new(Session::default());
    let (api, now) = (spec.api_url.as_deref(), Timestamp::now());
    let target = session.target(spec.provider, &spec.url, api, &login, now).await?;
    let origin = Client::new(session).origin(&target, commit).await?;
    Ok(origin.map(|Origin { number, url, title, author }| Pull {
        number,
        url: Some(url).filter(|url| !url.is_empty()),
        title: Some(title),
        author: Some(author.login),
    }))
}

/// As the Approval or the first line of the commit says it.
pub fn guess(subject: &str, given: Option<&ApprovalOrigin>) -> Option<Pull> {
    let number = given.map(|given| given.pull_request).or_else(|| number(subject))?;
    Some(Pull { number, url: None, title: None, author: None })
}
