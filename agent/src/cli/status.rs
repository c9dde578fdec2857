//! `holdfast status`: one line for each Sync, or all details of one. I/O: API reads.

use std::process::ExitCode;

use clap::Args;
use holdfast_diff::causes::{self, Cause};
use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use super::list::{self, Form};
use super::{Global, cluster, drift, follow, print};
use crate::api::{Approval, ApprovalSpec, ChangeStatus, ErrorStatus, ProgressStatus, Sync};

/// Maximum number of Approvals that are shown for one Sync.
const APPROVALS: usize = 10;

/// Which Syncs, and in which form
#[derive(Args, Debug)]
pub struct Status {
    /// Name of one Sync; without it all Syncs of the namespace
    name: Option<String>,
    /// Format of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
    /// Show changes until Ctrl-C, and the progress of the Sync if one is named
    #[arg(long)]
    watch: bool,
}

impl Status {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let client = cluster::client(&global).await?;
        let Self { name, output, watch } = self;
        match name {
            Some(name) if watch => return follow::watch(&client, &name, output == Form::Json).await,
            Some(name) => {
                let sync = cluster::sync(&client, &name).await?;
                if !output.print(&sync)? {
                    detail(&sync);
                    approvals(&client, &name).await;
                }
            }
            None if watch => list::watch(&client, output).await?,
            None => list::once(&client, output).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn detail(sync: &Sync) {
    let status = sync.status.clone().unwrap_or_default();
    print::line(format_args!("Sync {}/{}", sync.namespace().unwrap_or_default(), sync.name_any()));
    print::line(format_args!(
        "  source    {} {}",
        sync.spec.source.git.url,
        sync.spec.path.as_deref().unwrap_or("./")
    ));
    if let Some(revision) = &status.revision {
        print::line(format_args!("  seen      {}", revision.seen.as_deref().unwrap_or("nothing yet")));
        print::line(format_args!("  applied   {}", revision.applied.as_deref().unwrap_or("nothing yet")));
    }
    if let Some(count) = &status.objects {
        print::line(format_args!("  objects   {} of {} are healthy", count.ready, count.total));
    }
    if let Some(ProgressStatus { message, revision, since, .. }) = &status.progress {
        let of = revision.as_ref().map(|revision| format!(" of {revision}")).unwrap_or_default();
        print::line(format_args!("  progress  {message}{of}, since {since:.0}"));
    }
    let suspended = sync.spec.suspend.as_ref().and_then(|suspend| suspend.holds(Timestamp::now()));
    if let Some(why) = suspended {
        print::line(format_args!("  {why}"));
    }
    for condition in &status.conditions {
        let since = condition.last_transition_time.0;
        print::line(format_args!(
            "  {:<17} {:<5} {} since {since}",
            condition.type_, condition.status, condition.reason
        ));
        for line in condition.message.split("; ").filter(|line| !line.is_empty()) {
            print::line(format_args!("    {line}"));
        }
    }
    if !status.errors.is_empty() {
        print::line("  errors");
    }
    for ErrorStatus { cause, count, places } in &status.errors {
        let count = usize::try_from(*count).unwrap_or_default();
        let cause = Cause { text: cause.clone(), count, places: places.clone() };
        causes::whole(&cause).iter().for_each(|line| print::line(format_args!("    {line}")));
    }
    if let Some(plan) = &status.plan {
        print::line(format_args!("  plan {} {} since {}", plan.id, plan.state, plan.since));
        plan.changes.iter().for_each(change);
    }
    if let Some(drift) = &status.drift {
        print::line(format_args!("  drift since {}", drift.since));
        drift
            .objects
            .iter()
            .flat_map(drift::list::object)
            .for_each(|line| print::line(format_args!("  {line}")));
        if let Some(more) = drift.omitted {
            print::line(format_args!("    and {more} more objects, which are not listed"));
        }
    }
    for entry in &status.history {
        print::line(format_args!("  {} {} {}", entry.at, entry.revision, entry.outcome));
    }
}

/// Returns the Approvals of a Sync, the newest first, if the user may read them.
async fn approvals(client: &Client, name: &str) {
    let all = Api::<Approval>::default_namespaced(client.clone()).list(&ListParams::default()).await;
    let mut all = all.map(|all| all.items).unwrap_or_default();
    all.retain(|approval| approval.spec.sync == name);
    all.sort_by_key(|approval| std::cmp::Reverse(approval.metadata.creation_timestamp.clone()));
    for approval in all.iter().take(APPROVALS) {
        let ApprovalSpec { decision, approver, reason, plan_id, .. } = &approval.spec;
        let state = approval.status.as_ref().map(|status| status.state).unwrap_or_default();
        print::line(format_args!(
            "  approval {}: {decision}, {state}, plan {plan_id}, by {approver}: {reason}",
            approval.name_any()
        ));
    }
}

fn change(change: &ChangeStatus) {
    let place = if change.object.namespace.is_empty() {
        String::new()
    } else {
        format!("{}/", change.object.namespace)
    };
    print::line(format_args!(
        "    {} {} {place}{}: {}",
        change.operation, change.object.kind, change.object.name, change.reason
    ));
    for field in &change.fields {
        let none = "nothing";
        let (before, after) =
            (field.before.as_deref().unwrap_or(none), field.after.as_deref().unwrap_or(none));
        let manager = field.manager.as_ref().map(|manager| format!("  [{manager}]")).unwrap_or_default();
        print::line(format_args!("      {}: {before} -> {after}{manager}", field.path));
    }
}
