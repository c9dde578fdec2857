//! `holdfast status`: one line for each Sync, or all details of one. I/O: API reads.

use std::process::ExitCode;

use clap::Args;
use holdfast_diff::causes::{self, Cause};
use holdfast_diff::visible;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use super::{Global, Output, cluster, drift, follow, print};
use crate::api::{
    Approval, ApprovalSpec, ChangeStatus, ErrorStatus, ProgressStatus, Sync, SyncStatus, conditions,
};

/// Maximum number of Approvals that are shown for one Sync.
const APPROVALS: usize = 10;

/// Which Syncs, and in which form
#[derive(Args, Debug)]
pub struct Status {
    /// Name of one Sync; without it all Syncs of the namespace
    name: Option<String>,
    /// Format of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Show changes and progress of the Sync until Ctrl-C
    #[arg(long, requires = "name")]
    watch: bool,
}

impl Status {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let client = cluster::client(&global).await?;
        match (self.name, self.output) {
            (Some(name), output) if self.watch => {
                return follow::watch(&client, &name, output == Output::Json).await;
            }
            (Some(name), Output::Json) => {
                print::json(&cluster::sync(&client, &name).await?)?;
            }
            (Some(name), Output::Text) => {
                detail(&cluster::sync(&client, &name).await?);
                approvals(&client, &name).await;
            }
            (None, output) => {
                let syncs = cluster::syncs(&client).list(&ListParams::default()).await?.items;
                if output == Output::Json {
                    print::json(&syncs)?;
                } else {
                    list(&syncs);
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn condition<'a>(status: &'a SyncStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == kind)
}

fn list(syncs: &[Sync]) {
    let mut rows = vec![["NAME", "READY", "STATUS", "REVISION", "OBJECTS", "MESSAGE"].map(str::to_owned)];
    for sync in syncs {
        let status = sync.status.clone().unwrap_or_default();
        let ready = condition(&status, conditions::READY);
        let objects = status.objects.as_ref().map(|count| count.shown.clone()).unwrap_or_default();
        let message = match (&status.progress, ready) {
            (Some(progress), _) => progress.message.clone(),
            (None, Some(ready)) => ready.message.lines().next().unwrap_or_default().to_owned(),
            (None, None) => String::new(),
        };
        let cells = [
            sync.name_any(),
            ready.map_or_else(|| "Unknown".to_owned(), |ready| ready.status.clone()),
            ready.map(|ready| ready.reason.clone()).unwrap_or_default(),
            status.revision.as_ref().and_then(|revision| revision.short.clone()).unwrap_or_default(),
            objects,
            message,
        ];
        rows.push(cells.map(|cell| visible::line(&cell).into_owned()));
    }
    let widths: Vec<usize> =
        (0..5).map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0)).collect();
    for [name, ready, status, revision, objects, message] in rows {
        let line = format!(
            "{name:0$}  {ready:1$}  {status:2$}  {revision:3$}  {objects:4$}  {message}",
            widths[0], widths[1], widths[2], widths[3], widths[4]
        );
        print::line(line.trim_end());
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
