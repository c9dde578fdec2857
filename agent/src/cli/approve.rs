//! `holdfast approve` and `reject`: create an Approval for the plan for which a Sync waits. I/O: API, terminal.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Api, PostParams};

use super::{Global, cluster, print};
use crate::api::{Approval, ApprovalDecision, ApprovalSpec, Duration, PlanState, PlanStatus};

/// Which plan of which Sync, and why
#[derive(Args, Debug)]
pub struct Verdict {
    /// Name of the Sync
    name: String,
    /// ID of the plan, or at least its first 8 characters; without it the waiting plan is shown, and you are asked to confirm
    plan_id: Option<String>,
    /// Why the plan is approved or rejected
    #[arg(long)]
    reason: String,
}

/// Which plan of which Sync, why, and for how long
#[derive(Args, Debug)]
pub struct Approve {
    #[command(flatten)]
    verdict: Verdict,
    /// Time after which the approval expires, such as 2h or 1h30m [default: 7 days]
    #[arg(long = "for", value_name = "DURATION")]
    time: Option<Duration>,
}

impl Approve {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let Self { verdict, time } = self;
        verdict.give(global, ApprovalDecision::Approve, time).await
    }
}

impl Verdict {
    /// Rejects the plan. That does not expire.
    pub async fn reject(self, global: Global) -> anyhow::Result<ExitCode> {
        self.give(global, ApprovalDecision::Reject, None).await
    }

    async fn give(
        self,
        global: Global,
        decision: ApprovalDecision,
        time: Option<Duration>,
    ) -> anyhow::Result<ExitCode> {
        let Self { name, plan_id, reason } = self;
        let client = cluster::client(&global).await?;
        let sync = cluster::sync(&client, &name).await?;
        let plan = sync.status.as_ref().and_then(|status| status.plan.as_ref());
        let plan_id = match plan_id {
            Some(id) => named(plan, &name, &id)?,
            None => ask(plan, &name, decision)?,
        };
        let review = Api::<SelfSubjectReview>::all(client.clone())
            .create(&PostParams::default(), &SelfSubjectReview::default())
            .await;
        let user = review
            .context("cannot read your user name from the API server")?
            .status
            .and_then(|status| status.user_info);
        let approver =
            user.and_then(|user| user.username).context("the API server does not return your user name")?;
        let expires_at = match time {
            Some(time) => Some(jiff::Timestamp::now().checked_add(time.get()).context("that is too long")?),
            None => None,
        };
        let spec = ApprovalSpec {
            sync: name.clone(),
            plan_id: plan_id.clone(),
            decision,
            approver,
            reason,
            expires_at,
            origin: None,
        };
        let mut approval = Approval::new("", spec);
        approval.metadata.name = None;
        approval.metadata.generate_name = Some(format!("{name}-"));
        let namespace = client.default_namespace().to_owned();
        let api = Api::<Approval>::namespaced(client, &namespace);
        let made = api.create(&PostParams::default(), &approval).await;
        let made = made.with_context(|| format!("cannot create an Approval in namespace {namespace}"))?;
        let word = if decision == ApprovalDecision::Approve { "approved" } else { "rejected" };
        let end = match (decision, expires_at) {
            (ApprovalDecision::Reject, _) => String::new(),
            (ApprovalDecision::Approve, Some(end)) => format!(", once, until {end:.0}"),
            (ApprovalDecision::Approve, None) => ", once, within 7 days".to_owned(),
        };
        print::say(format_args!(
            "{word} plan {plan_id} by Approval {}{end}",
            made.metadata.name.unwrap_or_default()
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// Characters of a complete plan ID.
const ID: usize = 32;
/// Minimum characters of the beginning of a plan ID, which is the shortest form in which Holdfast shows one. Fewer also begin the
/// ID of the plan that takes the place of the one that was read: one character does so in one of 16 cases.
const SHORTEST: usize = 8;

/// Returns the plan of an ID: the waiting one by a prefix of its ID, and any other one by the complete ID. An Approval
/// for a plan that does not wait yet takes effect when it does.
fn named(plan: Option<&PlanStatus>, name: &str, id: &str) -> anyhow::Result<String> {
    let is_hex = |id: &str| id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let waiting = plan.filter(|plan| waits(plan)).map(|plan| plan.id.as_str());
    if id.len() < SHORTEST {
        bail!(
            "plan ID {id:?} is too short: use at least {SHORTEST} characters, because fewer can also begin the ID of a plan that you have not read"
        );
    }
    match waiting.filter(|waiting| waiting.starts_with(id)) {
        Some(waiting) => Ok(waiting.to_owned()),
        None if id.len() == ID && is_hex(id) => {
            print::say(format_args!(
                "no plan with this ID waits now; the decision takes effect when Sync {name} waits with this plan"
            ));
            Ok(id.to_owned())
        }
        None => match waiting {
            Some(waiting) => bail!("plan {id} of Sync {name} does not wait; the waiting plan is {waiting}"),
            None => bail!("no plan of Sync {name} waits for an Approval, and {id} is not a complete plan ID"),
        },
    }
}

fn waits(plan: &PlanStatus) -> bool {
    matches!(plan.state, PlanState::AwaitingApproval | PlanState::Rejected)
}

/// Shows the waiting plan and asks for confirmation.
fn ask(plan: Option<&PlanStatus>, name: &str, decision: ApprovalDecision) -> anyhow::Result<String> {
    let Some(plan) = plan.filter(|plan| waits(plan)) else {
        bail!("no plan of Sync {name} waits for an Approval")
    };
    print::say(format_args!("plan {} of Sync {name}:", plan.id));
    for change in &plan.changes {
        let place = if change.object.namespace.is_empty() {
            String::new()
        } else {
            format!("{}/", change.object.namespace)
        };
        print::say(format_args!(
            "  {} {} {place}{} ({})",
            change.operation, change.object.kind, change.object.name, change.reason
        ));
    }
    if let Some(more) = plan.omitted {
        print::say(format_args!("  and {more} more; `holdfast plan {name}` shows all"));
    }
    if !print::is_interactive() {
        bail!("set the plan to decide without a prompt: {}", plan.id);
    }
    let word = if decision == ApprovalDecision::Approve { "approve" } else { "reject" };
    let answer = print::ask(format_args!("Type {word} to {word} it: "))?;
    if answer.trim() != word {
        bail!("nothing was decided");
    }
    Ok(plan.id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_named_by_the_beginning_of_its_id_while_it_waits() {
        let (waiting, other) = ("0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210");
        let plan: PlanStatus = serde_json::from_value(serde_json::json!({
            "id": waiting, "state": "AwaitingApproval", "since": "2026-01-01T00:00:00Z", "changes": [],
            "summary": {"create": 0, "update": 0, "delete": 1, "recreate": 0, "adopt": 0, "move": 0, "orphan": 0},
        }))
        .expect("a plan");
        for beginning in ["01234567", "0123456789ab", waiting] {
            assert_eq!(named(Some(&plan), "shop", beginning).ok().as_deref(), Some(waiting));
        }
        assert_eq!(named(Some(&plan), "shop", other).ok().as_deref(), Some(other));
        assert_eq!(named(None, "shop", other).ok().as_deref(), Some(other));
        for (plan, id, expected) in [
            (Some(&plan), "deadbeef", waiting),
            (None, "01234567", "no plan of Sync"),
            (Some(&plan), "0123456", "at least 8 characters"),
            (Some(&plan), "", "at least 8 characters"),
        ] {
            let error = named(plan, "shop", id).expect_err("it is refused").to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
