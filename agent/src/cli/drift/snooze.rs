//! `holdfast drift snooze` and `unsnooze`: add and remove entries of `spec.drift.snooze`. I/O: API reads and writes.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;
use kube::Client;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::list::sentence;
use super::target::{Target, group};
use crate::api::{self, DriftStatus, Duration, Sync};
use crate::cli::{Global, cluster, print};
use crate::cluster::deeds::with;
use crate::cluster::requests::is_conflict;

/// Which object, for how long, and why
#[derive(Args, Debug)]
pub struct Snooze {
    /// Name of the Sync
    name: String,
    /// Object, such as deployment/web or Deployment.apps/web
    #[arg(value_name = "KIND/OBJECT")]
    object: Target,
    /// Time for which the drift is snoozed, such as 2h or 1h30m
    #[arg(long = "for", value_name = "DURATION")]
    time: Duration,
    /// Why the drift is snoozed
    #[arg(long)]
    reason: String,
}

/// Which object
#[derive(Args, Debug)]
pub struct Unsnooze {
    /// Name of the Sync
    name: String,
    /// Object, such as deployment/web or Deployment.apps/web
    #[arg(value_name = "KIND/OBJECT")]
    object: Target,
}

/// How often the change is tried again if another client, such as the agent, changed the Sync meanwhile.
const PATIENCE: usize = 10;

impl Snooze {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let Self { name, object, time, reason } = self;
        let client = cluster::client(&global).await?;
        let now = Timestamp::now();
        let until = now.checked_add(time.get()).context("that is too long")?;
        let added = rewrite(&client, &name, |sync| {
            let status = sync.status.as_ref().and_then(|status| status.drift.as_ref());
            let added = entries(&object, status, until, &reason)
                .with_context(|| format!("no {object} is in the drift of Sync {name}"))?;
            Ok((with(&sync.spec.drift.snooze, &added, now), added))
        })
        .await?;
        added.iter().for_each(|entry| print::say(format_args!("snoozed {}", sentence(entry))));
        Ok(ExitCode::SUCCESS)
    }
}

impl Unsnooze {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let Self { name, object } = self;
        let client = cluster::client(&global).await?;
        let now = Timestamp::now();
        let taken = rewrite(&client, &name, |sync| {
            let active = sync.spec.drift.snooze.iter().filter(|entry| entry.until > now).cloned();
            let (taken, left): (Vec<_>, Vec<_>) =
                active.partition(|entry| object.is(&entry.kind, entry.group.as_deref(), &entry.name));
            if taken.is_empty() {
                bail!("{object} is not snoozed in Sync {name}; `holdfast drift {name}` lists the snoozed objects");
            }
            Ok((left, taken))
        })
        .await?;
        taken.iter().for_each(|entry| print::say(format_args!("no longer snoozed: {}", sentence(entry))));
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns the entries for an object: those of the matching objects in the status, or else one with the given values.
fn entries(
    object: &Target,
    drift: Option<&DriftStatus>,
    until: Timestamp,
    reason: &str,
) -> anyhow::Result<Vec<api::Snooze>> {
    let entry = |kind: &str, group: Option<&str>, namespace: &str| api::Snooze {
        kind: kind.to_owned(),
        group: group.map(ToOwned::to_owned),
        namespace: Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty()),
        name: object.name.clone(),
        until,
        reason: reason.to_owned(),
    };
    let mut found: Vec<api::Snooze> = Vec::new();
    for reported in object.among(drift) {
        let entry = entry(&reported.kind, Some(group(&reported.api_version)), &reported.namespace);
        if !found.contains(&entry) {
            found.push(entry);
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let Target { kind, group, .. } = object;
    if !kind.starts_with(|first: char| first.is_ascii_uppercase()) {
        bail!("write its kind as manifests do, such as Deployment/{}", object.name);
    }
    Ok(vec![entry(kind, group.as_deref(), "")])
}

/// Changes the snoozes of the current Sync. `change` returns the new snoozes, and the lines to print.
async fn rewrite<T>(
    client: &Client,
    name: &str,
    change: impl Fn(&Sync) -> anyhow::Result<(Vec<api::Snooze>, T)>,
) -> anyhow::Result<T> {
    let params = PatchParams { field_manager: Some("holdfast-cli".to_owned()), ..PatchParams::default() };
    for _ in 0..PATIENCE {
        let sync = cluster::sync(client, name).await?;
        let (snooze, lines) = change(&sync)?;
        let snooze = Some(snooze).filter(|snooze| !snooze.is_empty());
        let patch = json!({
            "metadata": {"resourceVersion": sync.metadata.resource_version},
            "spec": {"drift": {"snooze": snooze}},
        });
        match cluster::syncs(client).patch(name, &params, &Patch::Merge(patch)).await {
            Ok(_) => return Ok(lines),
            Err(error) if is_conflict(&error) => {}
            Err(error) => {
                let namespace = client.default_namespace();
                return Err(error).with_context(|| format!("cannot change Sync {namespace}/{name}"));
            }
        }
    }
    bail!("Sync {name} was changed {PATIENCE} times by others during this update; try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-01T12:00:00Z";

    fn time(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    fn snooze(group: Option<&str>, namespace: Option<&str>, until: &str) -> api::Snooze {
        api::Snooze {
            kind: "Deployment".to_owned(),
            group: group.map(ToOwned::to_owned),
            namespace: namespace.map(ToOwned::to_owned),
            name: "web".to_owned(),
            until: time(until),
            reason: "tests".to_owned(),
        }
    }

    #[test]
    fn a_kind_that_did_not_drift_is_written_as_in_manifests() {
        let until = time(NOW);
        let target = |text: &str| text.parse::<Target>().expect(text);
        let made = entries(&target("Deployment.apps/web"), None, until, "tests").expect("a kind");
        assert_eq!(made, [snooze(Some("apps"), None, NOW)]);
        let error = entries(&target("deployment/web"), None, until, "tests").expect_err("lower case");
        assert!(error.to_string().contains("Deployment/web"), "{error}");
    }
}
