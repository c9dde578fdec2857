//! `holdfast explain`: where a live object comes from: its Sync, file and line, commit, author, pull request, plan and approval;
//! and who owns each of its fields.
//!
//! Whatever cannot be found out is named with the reason, and the rest is shown. I/O: Git, disk, API reads, and the forge of a
//! Repository for the pull request.

mod commit;
mod fields;
mod found;
mod history;
mod pull;
mod text;

use std::process::ExitCode;

use clap::Args;
use kube::api::ListParams;
use kube::{Api, Client};
use serde::Serialize;

use self::commit::Place;
use self::fields::Field;
use self::pull::Pull;
use super::drift::Target;
use super::{Global, Output, cluster, plan, print};
use crate::api::{Approval, ApprovalDecision, ApprovalSpec, HistoryEntry, Sync};
use crate::cluster::refusal::chain;
use crate::sync_ref::SyncRef;

/// Which object, and in which form
#[derive(Args, Debug)]
pub struct Explain {
    /// Object, such as deployment/web, Deployment.apps/web or namespace/shop
    #[arg(value_name = "KIND/NAME")]
    object: Target,
    /// Format of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Namespace of the agent, which publishes there the public key of the marks on objects
    #[arg(long, value_name = "NAMESPACE", default_value = plan::AGENT_NAMESPACE)]
    agent_namespace: String,
}

/// What is known of an object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
    /// The Sync that the object says it belongs to.
    sync: Option<String>,
    /// The revision that is applied.
    revision: Option<String>,
    #[serde(flatten)]
    place: Place,
    pull_request: Option<Pull>,
    plan: Option<HistoryEntry>,
    approval: Option<Given>,
    fields: Vec<Field>,
    /// What could not be found out, and why.
    unknown: Vec<String>,
}

/// An Approval that let the plan through.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Given {
    name: String,
    #[serde(flatten)]
    spec: ApprovalSpec,
}

impl Explain {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let client = cluster::client(&global).await?;
        let (kind, live) = found::object(&client, &self.object).await?;
        let mut explained = Explained {
            api_version: kind.api_version(),
            kind: kind.kind.kind.clone(),
            namespace: found::text(&live, "/metadata/namespace"),
            name: self.object.name.clone(),
            sync: None,
            revision: None,
            place: Place::default(),
            pull_request: None,
            plan: None,
            approval: None,
            fields: fields::fields(&live),
            unknown: Vec::new(),
        };
        match found::sync(&client, &live).await {
            Ok((owner, sync)) => {
                explained.sync = Some(owner.to_string());
                self.origin(&global, &client, &mut explained, &kind, &owner, &sync).await;
            }
            Err(error) => explained.unknown.push(said(&error)),
        }
        match self.output {
            Output::Json => print::json(&explained)?,
            Output::Text => text::print(&explained),
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Finds out where the object comes from.
    async fn origin(
        &self,
        global: &Global,
        client: &Client,
        explained: &mut Explained,
        kind: &crate::cluster::requests::ResourceType,
        owner: &SyncRef,
        sync: &Sync,
    ) {
        let status = sync.status.clone().unwrap_or_default();
        let Some(revision) = status.revision.and_then(|revision| revision.applied) else {
            explained.unknown.push(format!("Sync {owner} has applied nothing yet"));
            return;
        };
        explained.plan = status.history.into_iter().find(|entry| entry.revision == revision);
        let plan = explained.plan.as_ref().and_then(|entry| entry.plan.as_deref());
        match approval(client, owner, plan).await {
            Ok(given) => explained.approval = given,
            Err(error) => explained.unknown.push(format!("approval: {}", said(&error))),
        }
        let object = (kind, explained.namespace.as_str(), explained.name.as_str());
        match commit::place(global, &self.agent_namespace, owner, sync, &revision, object).await {
            Ok(place) => explained.place = place,
            Err(error) => explained.unknown.push(format!("file and commit: {}", said(&error))),
        }
        let Place { landed, unknown, .. } = &explained.place;
        explained.unknown.extend(unknown.iter().map(|why| format!("commit: {why}")));
        // The Approval is of the applied plan, which an older commit is not part of.
        let is_applied =
            landed.as_ref().is_none_or(|landed| commit::id(&revision) == Some(landed.commit.as_str()));
        let given = explained.approval.as_ref().filter(|_| is_applied);
        let given = given.and_then(|given| given.spec.origin.as_ref());
        let subject = landed.as_ref().map(|landed| landed.subject.as_str());
        let guess = pull::guess(subject.unwrap_or_default(), given);
        let found = match landed {
            Some(landed) => pull::pull(client, owner, sync, &landed.commit).await,
            None => Ok(None),
        };
        explained.pull_request = match found {
            Ok(found) => found.or(guess),
            Err(error) => {
                explained.unknown.push(format!("pull request: {}", said(&error)));
                guess
            }
        };
        explained.revision = Some(revision);
    }
}

/// The Approval that let a plan through.
async fn approval(client: &Client, owner: &SyncRef, plan: Option<&str>) -> anyhow::Result<Option<Given>> {
    let Some(plan) = plan else { return Ok(None) };
    let api = Api::<Approval>::namespaced(client.clone(), owner.namespace());
    let all = api.list(&ListParams::default()).await?.items;
    let is_it = |approval: &Approval| {
        let ApprovalSpec { sync, plan_id, decision, .. } = &approval.spec;
        let used = approval.status.as_ref().is_some_and(|status| status.used_at.is_some());
        used && sync == owner.name() && plan_id == plan && *decision == ApprovalDecision::Approve
    };
    let found = all.into_iter().find(is_it);
    Ok(found.map(|found| Given { name: found.metadata.name.unwrap_or_default(), spec: found.spec }))
}

fn said(error: &anyhow::Error) -> String {
    chain(error.as_ref())
}
