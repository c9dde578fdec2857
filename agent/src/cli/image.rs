//! `holdfast image`: explains the decisions of an ImageUpdate, and removes bans. I/O: API, registries, Git.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use super::{Global, cluster, plan, print};
use crate::api::{ImageUpdate, names};
use crate::image::pass::edits::Plain;
use crate::image::pass::{Pass, explain};
use crate::subject::{Kind, Subject};

/// What to do with an ImageUpdate
#[derive(Args, Debug)]
pub struct Image {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the candidates of each image, the rules that excluded others, and what is selected
    Explain(Which),
    /// Remove bans and refusals, so that reverted versions may be written and refused proposals made again
    Unban(Which),
}

/// Which image
#[derive(Args, Debug)]
struct Which {
    /// Name of the ImageUpdate
    name: String,
    /// One of its images; without it all of them
    image: Option<String>,
}

impl Image {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        match self.verb {
            Verb::Explain(which) => explain(&global, &which).await,
            Verb::Unban(which) => unban(&global, &which).await,
        }
    }
}

async fn explain(global: &Global, Which { name, image }: &Which) -> anyhow::Result<ExitCode> {
    let config = cluster::config(global).await?;
    let cache = tempfile::tempdir().context("cannot create a folder for the repository")?;
    let client = cluster::client(global).await?;
    let update = read(&client, name, image.as_deref()).await?;
    let all = Api::<ImageUpdate>::default_namespaced(client.clone());
    let all = all.list(&ListParams::default()).await.context("cannot list ImageUpdates")?;
    let others = all.items.into_iter().filter(|other| other.name_any() != *name).map(Arc::new).collect();
    let agent = plan::connect(config, cache.path(), plan::AGENT_NAMESPACE).await?;
    let owner = Subject::new(Kind::ImageUpdate, client.default_namespace(), name.as_str());
    let status = update.status.clone().unwrap_or_default();
    let pass = Pass {
        services: &agent.services,
        images: &agent.images,
        update: &update,
        owner: &owner,
        status: &status,
        max_age: Duration::ZERO,
        git_age: Duration::ZERO,
        plain: &Arc::<Plain>::default(),
        others,
        now: Timestamp::now(),
        chance: || 0.0,
    };
    let text = explain::explain(&pass, image.as_deref()).await;
    print::lines(&text);
    Ok(ExitCode::SUCCESS)
}

async fn unban(global: &Global, Which { name, image }: &Which) -> anyhow::Result<ExitCode> {
    let client = cluster::client(global).await?;
    let update = read(&client, name, image.as_deref()).await?;
    let status = update.status.unwrap_or_default();
    let named = |one: &&crate::api::ImageStatus| image.as_ref().is_none_or(|image| one.name == *image);
    let mut banned: Vec<String> = status
        .images
        .iter()
        .filter(named)
        .flat_map(|one| {
            one.banned
                .iter()
                .map(|ban| format!("{} in {}", ban.tag.as_deref().unwrap_or("a digest"), ban.file))
        })
        .collect();
    let proposal = status.proposal.filter(|proposal| proposal.refused.is_some());
    let names =
        |proposed: &String, image: &String| proposed.split_once(' ').is_some_and(|(name, _)| name == image);
    let proposed = proposal.into_iter().flat_map(|proposal| proposal.images).collect::<Vec<_>>();
    if image.as_ref().is_none_or(|image| proposed.iter().any(|one| names(one, image))) {
        banned.extend(proposed);
    }
    if banned.is_empty() {
        print::say(format_args!("no version was reverted or refused in ImageUpdate {name}"));
        return Ok(ExitCode::SUCCESS);
    }
    let mark = format!("{}@{}", image.as_deref().unwrap_or("*"), Timestamp::now());
    let patch = json!({"metadata": {"annotations": {names::UNBAN: mark}}});
    let params = PatchParams { field_manager: Some("holdfast-cli".to_owned()), ..PatchParams::default() };
    let api: Api<ImageUpdate> = Api::default_namespaced(client.clone());
    api.patch(name, &params, &Patch::Merge(patch))
        .await
        .with_context(|| format!("cannot change ImageUpdate {}/{name}", client.default_namespace()))?;
    print::say(format_args!("may be written again: {}", banned.join(", ")));
    Ok(ExitCode::SUCCESS)
}

async fn read(client: &Client, name: &str, image: Option<&str>) -> anyhow::Result<ImageUpdate> {
    let api: Api<ImageUpdate> = Api::default_namespaced(client.clone());
    let update = api
        .get(name)
        .await
        .with_context(|| format!("cannot read ImageUpdate {}/{name}", client.default_namespace()))?;
    if let Some(image) = image
        && !update.spec.images.iter().any(|one| one.name == image)
    {
        let all: Vec<&str> = update.spec.images.iter().map(|one| one.name.as_str()).collect();
        bail!("ImageUpdate {name} has no image {image}; it has {}", all.join(", "));
    }
    Ok(update)
}
