//! The verdict of the Approvals of a Sync on a plan that waits. Pure.
//!
//! An approval is valid for one plan, once. Before the first write it is recorded as used, with the changes that remain: an
//! interrupted plan continues with these alone.

use jiff::{SignedDuration, Timestamp};

use crate::api::{ApprovalDecision, ApprovalSpec, ApprovalState, ApprovalStatus};

/// How long an approval without `expiresAt` is valid.
pub const VALIDITY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// One Approval that names the Sync.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    pub name: String,
    /// Its resourceVersion. Its status is written only if it is still at this version.
    pub version: Option<String>,
    pub created: Option<Timestamp>,
    pub spec: ApprovalSpec,
    pub status: ApprovalStatus,
}

/// The decision about a plan.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'g> {
    Approved(&'g Given),
    Rejected(&'g Given),
    /// There is no decision, or the approval is used up or expired.
    Open,
}

/// Returns the verdict on the plan with this id and these changes, as digests. `given` are in the order of their creation: the newest
/// one for a plan counts.
pub fn verdict<'g>(given: &'g [Given], plan: &str, changes: &[String], now: Timestamp) -> Verdict<'g> {
    let counts = |one: &Given| match one.spec.decision {
        ApprovalDecision::Reject => true,
        ApprovalDecision::Approve => one.is_open(now) || one.continues(changes, now),
    };
    if let Some(one) = given.iter().rev().find(|one| one.spec.plan_id == plan && counts(one)) {
        return match one.spec.decision {
            ApprovalDecision::Approve => Verdict::Approved(one),
            ApprovalDecision::Reject => Verdict::Rejected(one),
        };
    }
    let begun = given.iter().enumerate().rev().find(|(at, one)| {
        let rejected = given[at + 1..].iter().any(|later| {
            later.spec.decision == ApprovalDecision::Reject && later.spec.plan_id == one.spec.plan_id
        });
        one.continues(changes, now) && !rejected
    });
    begun.map_or(Verdict::Open, |(_, one)| Verdict::Approved(one))
}

impl Given {
    /// True if it is an approval that was not used and is not expired.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.spec.decision == ApprovalDecision::Approve
            && self.status.state == ApprovalState::Pending
            && !self.is_expired(now)
    }

    /// True if it is an expired approval. A rejection does not expire.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        let default = || self.created.and_then(|created| created.checked_add(VALIDITY).ok());
        let end = self.spec.expires_at.or_else(default);
        self.spec.decision == ApprovalDecision::Approve && end.is_some_and(|end| end <= now)
    }

    /// True if it is an approval in use: some changes of its plan remain.
    pub fn is_begun(&self) -> bool {
        self.spec.decision == ApprovalDecision::Approve
            && self.status.state == ApprovalState::Used
            && !self.status.remaining.is_empty()
    }

    /// True if all of these changes remain of its plan.
    fn continues(&self, changes: &[String], now: Timestamp) -> bool {
        let remains = |change: &String| self.status.remaining.contains(change);
        self.is_begun() && !self.is_expired(now) && !changes.is_empty() && changes.iter().all(remains)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn given(decision: ApprovalDecision, plan: &str, state: ApprovalState, remaining: &[&str]) -> Given {
        Given {
            name: "a".to_owned(),
            version: None,
            created: Some(NOW),
            spec: ApprovalSpec {
                sync: "shop".to_owned(),
                plan_id: plan.to_owned(),
                decision,
                approver: "alice".to_owned(),
                reason: "agreed".to_owned(),
                expires_at: None,
                origin: None,
            },
            status: ApprovalStatus {
                state,
                remaining: remaining.iter().map(|&change| change.to_owned()).collect(),
                ..ApprovalStatus::default()
            },
        }
    }

    /// The verdict on plan `p` with these changes.
    fn check(given: &[Given], changes: &[&str], now: Timestamp, expected: &str) {
        let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
        let found = match verdict(given, "p", &changes, now) {
            Verdict::Approved(_) => "approved",
            Verdict::Rejected(_) => "rejected",
            Verdict::Open => "open",
        };
        assert_eq!(found, expected, "{given:?} {changes:?}");
    }

    use ApprovalDecision::{Approve, Reject};
    use ApprovalState::{Expired, Pending, Superseded, Used};

    #[test]
    fn an_approval_lets_its_plan_through_once() {
        check(&[given(Approve, "p", Pending, &[])], &["a", "b"], NOW, "approved");
        check(&[given(Approve, "q", Pending, &[])], &["a", "b"], NOW, "open");
        for state in [Used, Expired, Superseded] {
            check(&[given(Approve, "p", state, &[])], &["a", "b"], NOW, "open");
        }
    }

    #[test]
    fn an_interrupted_plan_goes_on_and_nothing_else_with_it() {
        let begun = |plan| given(Approve, plan, Used, &["a", "b"]);
        check(&[begun("p")], &["a", "b"], NOW, "approved");
        // What is left of a plan has an id of its own.
        check(&[begun("q")], &["b"], NOW, "approved");
        check(&[begun("q")], &["b", "c"], NOW, "open");
        check(&[begun("q")], &["c"], NOW, "open");
        check(&[begun("q")], &[], NOW, "open");
        check(&[begun("q"), given(Reject, "q", Pending, &[])], &["b"], NOW, "open");
        check(&[begun("q"), given(Reject, "p", Pending, &[])], &["b"], NOW, "rejected");
    }

    #[test]
    fn an_approval_expires_and_a_rejection_does_not() {
        let late = NOW + VALIDITY;
        let just = late - SignedDuration::from_secs(1);
        check(&[given(Approve, "p", Pending, &[])], &["a"], just, "approved");
        check(&[given(Approve, "p", Pending, &[])], &["a"], late, "open");
        check(&[given(Approve, "p", Used, &["a"])], &["a"], late, "open");
        check(&[given(Reject, "p", Pending, &[])], &["a"], late, "rejected");
        let mut long = given(Approve, "p", Pending, &[]);
        long.spec.expires_at = Some(late + VALIDITY);
        check(&[long], &["a"], late, "approved");
    }

    #[test]
    fn the_newest_decision_counts_and_a_rejection_sticks() {
        let (yes, no) = (given(Approve, "p", Pending, &[]), given(Reject, "p", Used, &[]));
        check(&[yes.clone(), no.clone()], &["a"], NOW, "rejected");
        check(&[no.clone(), yes], &["a"], NOW, "approved");
        // An approval that is used up does not lift the rejection before it.
        check(&[no, given(Approve, "p", Used, &[])], &["a"], NOW, "rejected");
    }
}
