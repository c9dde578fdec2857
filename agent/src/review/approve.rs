//! Who may decide about a plan by a comment, and about which plan. Pure.

use crate::api::{ApprovalDecision, ApprovalOrigin, ApprovalSpec, Approvals, PreviewedPlan};
use crate::forge::review::{Comment, User};
use crate::review::command::Command;

/// Why a command is not followed. Each is a sentence for the comment of Holdfast.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("approvals by comments are not configured for this repository (spec.pullRequests.approvals)")]
    Off,
    #[error("this user is not listed in spec.pullRequests.approvals.users of the Repository")]
    Unlisted,
    #[error("the author of a pull request may not approve its plans")]
    Author,
    #[error("the author of the pull request is not known")]
    NoAuthor,
    #[error("{user} has no right to create Approvals in namespace {namespace}")]
    NoRight { user: String, namespace: String },
    #[error("no plan with this id waits; if the pull request or the cluster has changed, so has the id")]
    NoPlan,
}

/// The user of the cluster that a user of the forge stands for. An author may always reject.
pub fn approver<'r>(
    rules: Option<&'r Approvals>,
    author: &User,
    by: &User,
    decision: ApprovalDecision,
) -> Result<&'r str, Refusal> {
    let rules = rules.ok_or(Refusal::Off)?;
    let found = rules.users.iter().find(|user| user.forge.eq_ignore_ascii_case(&by.login));
    let user = found.ok_or(Refusal::Unlisted)?;
    if decision == ApprovalDecision::Approve && author.id == by.id && !rules.allow_author {
        return Err(Refusal::Author);
    }
    Ok(&user.kubernetes)
}

/// The name of the Approval that a comment becomes: the same for the same comment.
pub fn name(repository: &str, number: i64, comment: i64) -> String {
    let repository: String = repository.chars().take(200).collect();
    format!("{}-{number}-{comment}", repository.trim_end_matches(['-', '.']))
}

/// The Approval of the Sync whose plan a command names.
pub fn approval(
    command: &Command,
    plans: &[PreviewedPlan],
    approver: &str,
    (repository, number, comment): (&str, i64, &Comment),
) -> Result<ApprovalSpec, Refusal> {
    let plan = plans.iter().find(|plan| plan.waits && plan.id == command.plan).ok_or(Refusal::NoPlan)?;
    Ok(ApprovalSpec {
        sync: plan.sync.clone(),
        plan_id: plan.id.clone(),
        decision: command.decision,
        approver: approver.to_owned(),
        reason: command.reason.clone(),
        expires_at: None,
        origin: Some(ApprovalOrigin {
            repository: repository.to_owned(),
            pull_request: number,
            comment: comment.id.to_string(),
            user: comment.author.login.clone(),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ForgeUser;

    fn user(id: i64, login: &str) -> User {
        User { id, login: login.to_owned() }
    }

    #[test]
    fn only_listed_users_approve_and_authors_only_if_that_is_allowed() {
        use ApprovalDecision::{Approve, Reject};
        let listed = ForgeUser { forge: "Alice".to_owned(), kubernetes: "alice@example.com".to_owned() };
        let rules = Approvals { users: vec![listed], allow_author: false };
        let (alice, bob) = (user(1, "alice"), user(2, "bob"));
        assert_eq!(approver(Some(&rules), &bob, &alice, Approve), Ok("alice@example.com"));
        assert_eq!(approver(Some(&rules), &alice, &bob, Approve), Err(Refusal::Unlisted));
        assert_eq!(approver(Some(&rules), &alice, &alice, Approve), Err(Refusal::Author));
        assert_eq!(approver(Some(&rules), &alice, &alice, Reject), Ok("alice@example.com"));
        assert_eq!(approver(None, &bob, &alice, Approve), Err(Refusal::Off));
        let open = Approvals { allow_author: true, ..rules };
        assert_eq!(approver(Some(&open), &alice, &alice, Approve), Ok("alice@example.com"));
    }

    #[test]
    fn a_comment_becomes_the_same_approval_each_time() {
        assert_eq!(name("config", 7, 12), "config-7-12");
        assert!(name(&"n".repeat(253), 7, 12).len() < 253);
    }
}
