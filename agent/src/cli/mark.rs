//! `holdfast reconcile`, `suspend`, `resume`: marks on a Sync that the agent answers. I/O: API writes.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Global, cluster, print};
use crate::api::{Duration, names};

/// Which Sync
#[derive(Args, Debug)]
pub struct Reconcile {
    /// Name of the Sync
    name: String,
}

/// Which Sync, and why
#[derive(Args, Debug)]
pub struct Suspend {
    /// Name of the Sync
    name: String,
    /// Why the Sync is suspended
    #[arg(long)]
    reason: String,
    /// Time after which the suspension ends, such as 2h or 1h30m [default: no end]
    #[arg(long = "for", value_name = "DURATION")]
    time: Option<Duration>,
}

/// Which Sync
#[derive(Args, Debug)]
pub struct Resume {
    /// Name of the Sync
    name: String,
}

impl Reconcile {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let now = Timestamp::now().to_string();
        patch(&global, &self.name, json!({"metadata": {"annotations": {names::RECONCILE_AT: now}}})).await?;
        print::say(format_args!("requested a reconciliation of Sync {}", self.name));
        Ok(ExitCode::SUCCESS)
    }
}

impl Suspend {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let Self { name, reason, time } = self;
        let until = match time {
            Some(time) => Some(Timestamp::now().checked_add(time.get()).context("that is too long")?),
            None => None,
        };
        patch(&global, &name, json!({"spec": {"suspend": {"reason": reason, "until": until}}})).await?;
        let end = until.map(|until| format!(" until {until}")).unwrap_or_default();
        print::say(format_args!("suspended Sync {name}{end}: {reason}"));
        Ok(ExitCode::SUCCESS)
    }
}

impl Resume {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        patch(&global, &self.name, json!({"spec": {"suspend": null}})).await?;
        print::say(format_args!("resumed Sync {}", self.name));
        Ok(ExitCode::SUCCESS)
    }
}

async fn patch(global: &Global, name: &str, patch: Value) -> anyhow::Result<()> {
    let client = cluster::client(global).await?;
    cluster::sync(&client, name).await?;
    let params = PatchParams { field_manager: Some("holdfast-cli".to_owned()), ..PatchParams::default() };
    cluster::syncs(&client)
        .patch(name, &params, &Patch::Merge(patch))
        .await
        .with_context(|| format!("cannot change Sync {}/{name}", client.default_namespace()))?;
    Ok(())
}
