//! `holdfast reconcile`, `suspend`, `resume`: change annotations and `spec.suspend` of a Sync. I/O: API writes.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use kube::Client;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{Global, cluster, follow, print};
use crate::api::{Duration, Sync, names};

/// Which Sync, and whether to wait
#[derive(Args, Debug)]
pub struct Reconcile {
    /// Name of the Sync
    name: String,
    /// Show the progress and wait until the Sync is ready; exit with 1 if it does not become so
    #[arg(long)]
    wait: bool,
    /// Longest time to wait [default: spec.timeout and health.timeout of the Sync together]
    #[arg(long, value_name = "DURATION", requires = "wait")]
    timeout: Option<Duration>,
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
        let Self { name, wait, timeout } = self;
        let now = Timestamp::now().to_string();
        let mark = json!({"metadata": {"annotations": {names::RECONCILE_AT: now}}});
        let (client, sync) = patch(&global, &name, mark).await?;
        print::say(format_args!("requested a reconciliation of Sync {name}"));
        if !wait {
            return Ok(ExitCode::SUCCESS);
        }
        let limit = timeout.map_or(sync.spec.timeout() + sync.spec.health_timeout(), Duration::get);
        follow::wait(&client, &name, &now, limit).await
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

async fn patch(global: &Global, name: &str, patch: Value) -> anyhow::Result<(Client, Sync)> {
    let client = cluster::client(global).await?;
    cluster::sync(&client, name).await?;
    let params = PatchParams { field_manager: Some("holdfast-cli".to_owned()), ..PatchParams::default() };
    let sync = cluster::syncs(&client)
        .patch(name, &params, &Patch::Merge(patch))
        .await
        .with_context(|| format!("cannot change Sync {}/{name}", client.default_namespace()))?;
    Ok((client, sync))
}
