//! What of a resource needs a person: since when, why, and what to do next. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::api::conditions::{AWAITING_APPROVAL, DRIFTED, HEALTHY, READY, STALLED, reason};
use crate::api::{ImageUpdate, PullRequestState, Repository, Sync};

/// The state of a Sync in one word, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum State {
    /// A run failed.
    Failing,
    /// A plan waits for a decision.
    Waiting,
    /// An object is not healthy.
    Unhealthy,
    /// The cluster differs from Git, and that is not corrected.
    Drifting,
    /// A person has suspended it.
    Suspended,
    /// A run goes on, or a change of the spec is not read yet.
    Progressing,
    /// The newest revision is applied and healthy.
    Ready,
}

/// All states, as a filter offers them.
pub const STATES: [State; 7] = [
    State::Failing,
    State::Waiting,
    State::Unhealthy,
    State::Drifting,
    State::Suspended,
    State::Progressing,
    State::Ready,
];

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    pub state: State,
    pub since: Option<Timestamp>,
    /// Why, in one sentence.
    pub cause: String,
    /// What to do.
    pub next: &'static str,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Failing => "Failing",
            Self::Waiting => "Waiting",
            Self::Unhealthy => "Unhealthy",
            Self::Drifting => "Drifting",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Ready => "Ready",
        }
    }
}

/// The condition of this type.
pub fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

fn conditions(sync: &Sync) -> &[Condition] {
    sync.status.as_ref().map_or(&[], |status| &status.conditions)
}

/// The reasons for which Ready is not true that are a state of their own, or pass by themselves.
const OTHERWISE: [&str; 6] = [
    reason::PROGRESSING,
    reason::SUSPENDED,
    reason::AWAITING_APPROVAL,
    reason::REJECTED,
    reason::UNHEALTHY,
    reason::HEALTH_TIMEOUT,
];

/// The states that hold, with the condition that says so, the most urgent first.
fn held(sync: &Sync, now: Timestamp) -> Vec<(State, Option<&Condition>)> {
    let all = conditions(sync);
    let find = |kind, status: &str| condition(all, kind).filter(|condition| condition.status == status);
    let mut held = Vec::new();
    let stalled = find(STALLED, "True");
    let failed = find(READY, "False").filter(|ready| {
        let drift = condition(all, DRIFTED)
            .is_some_and(|drifted| drifted.status == "True" && drifted.reason == ready.reason);
        !drift && !OTHERWISE.contains(&ready.reason.as_str())
    });
    held.extend(stalled.or(failed).map(|found| (State::Failing, Some(found))));
    held.extend(find(AWAITING_APPROVAL, "True").map(|found| (State::Waiting, Some(found))));
    let unhealthy = find(HEALTHY, "False")
        .filter(|healthy| [reason::UNHEALTHY, reason::HEALTH_TIMEOUT].contains(&healthy.reason.as_str()));
    held.extend(unhealthy.map(|found| (State::Unhealthy, Some(found))));
    let drifted = find(DRIFTED, "True").filter(|drifted| drifted.reason != reason::DRIFT_SNOOZED);
    held.extend(drifted.map(|found| (State::Drifting, Some(found))));
    if sync.spec.suspend.as_ref().is_some_and(|suspend| suspend.holds(now).is_some()) {
        let since = condition(all, READY).filter(|ready| ready.reason == reason::SUSPENDED);
        held.push((State::Suspended, since));
    }
    held
}

/// True if the status is about the current spec.
fn is_current(sync: &Sync) -> bool {
    let observed = sync.status.as_ref().and_then(|status| status.observed_generation);
    observed.is_some() && observed == sync.metadata.generation
}

/// The most urgent state.
pub fn state(sync: &Sync, now: Timestamp) -> State {
    if let Some((state, _)) = held(sync, now).first() {
        return *state;
    }
    let ready = condition(conditions(sync), READY).is_some_and(|ready| ready.status == "True");
    if ready && is_current(sync) { State::Ready } else { State::Progressing }
}

/// What of a Sync needs a person. A suspension needs one only if it has no end.
pub fn of_sync(sync: &Sync, now: Timestamp) -> Vec<Need> {
    let suspend = sync.spec.suspend.as_ref();
    let needs = held(sync, now).into_iter().filter(|(state, _)| {
        *state != State::Suspended || suspend.is_some_and(|suspend| suspend.until.is_none())
    });
    let need = |(state, condition): (State, Option<&Condition>)| Need {
        kind: "Sync",
        namespace: sync.namespace().unwrap_or_default(),
        name: sync.name_any(),
        state,
        since: condition.map(|condition| condition.last_transition_time.0),
        cause: match (state, suspend) {
            (State::Suspended, Some(suspend)) => suspend.reason.clone(),
            _ => condition.map(|condition| condition.message.clone()).unwrap_or_default(),
        },
        next: match state {
            State::Failing => "Correct the cause; the Sync tries again by itself",
            State::Waiting => "Read the plan, then approve or reject it",
            State::Unhealthy => "Look at the objects that are not healthy",
            State::Drifting => "Correct it, write it to Git, or snooze it",
            State::Suspended => "Resume the Sync when the reason no longer holds",
            State::Progressing | State::Ready => "Nothing",
        },
    };
    needs.map(need).collect()
}

/// What of an ImageUpdate needs a person.
pub fn of_update(update: &ImageUpdate) -> Option<Need> {
    let all = update.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let ready = condition(all, READY).filter(|ready| ready.status == "False")?;
    if [reason::PROGRESSING, reason::SUSPENDED].contains(&ready.reason.as_str()) {
        return None;
    }
    Some(Need {
        kind: "ImageUpdate",
        namespace: update.namespace().unwrap_or_default(),
        name: update.name_any(),
        state: State::Failing,
        since: Some(ready.last_transition_time.0),
        cause: ready.message.clone(),
        next: "Correct the cause; the ImageUpdate tries again by itself",
    })
}

/// What of a Repository needs a person: that it does not work, and each pull request whose plan waits for an approval.
pub fn of_repository(repository: &Repository) -> Vec<Need> {
    let Some(status) = &repository.status else { return Vec::new() };
    let need = |name: String, state, since, cause, next| Need {
        kind: "Repository",
        namespace: repository.namespace().unwrap_or_default(),
        name,
        state,
        since,
        cause,
        next,
    };
    let failed = condition(&status.conditions, READY).filter(|ready| {
        ready.status == "False" && ![reason::PROGRESSING, reason::SUSPENDED].contains(&ready.reason.as_str())
    });
    let failed = failed.map(|ready| {
        let (since, cause) = (Some(ready.last_transition_time.0), ready.message.clone());
        let next = "Correct the cause; the Repository tries again by itself";
        need(repository.name_any(), State::Failing, since, cause, next)
    });
    let waiting = status.pull_requests.iter().filter(|pull| pull.state == PullRequestState::Waiting);
    let waiting = waiting.map(|pull| {
        let name = format!("{} #{}", repository.name_any(), pull.number);
        need(
            name,
            State::Waiting,
            None,
            pull.verdict.clone(),
            "Read the preview, then approve its plan or close it",
        )
    });
    failed.into_iter().chain(waiting).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, sync};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sync_needs_a_person_for_each_state_that_does_not_pass_by_itself() {
        let now = NOW.parse().expect("a time");
        let check = |conditions: &[(&str, &str, &str)], expected: &[State], word: State| {
            let sync = sync("team", "shop", conditions);
            let states: Vec<State> = of_sync(&sync, now).iter().map(|need| need.state).collect();
            assert_eq!((states.as_slice(), state(&sync, now)), (expected, word), "{conditions:?}");
        };
        check(&[("Ready", "True", "InSync"), ("Healthy", "True", "Healthy")], &[], State::Ready);
        check(&[("Ready", "Unknown", "Progressing")], &[], State::Progressing);
        check(&[("Ready", "False", "Progressing")], &[], State::Progressing);
        check(&[], &[], State::Progressing);
        check(&[("Ready", "False", "Forbidden")], &[State::Failing], State::Failing);
        check(
            &[("Ready", "False", "AwaitingApproval"), ("AwaitingApproval", "True", "AwaitingApproval")],
            &[State::Waiting],
            State::Waiting,
        );
        check(
            &[("Ready", "False", "HealthTimeout"), ("Healthy", "False", "HealthTimeout")],
            &[State::Unhealthy],
            State::Unhealthy,
        );
        check(
            &[("Healthy", "False", "Progressing"), ("Ready", "Unknown", "Progressing")],
            &[],
            State::Progressing,
        );
        check(
            &[("Ready", "True", "InSync"), ("Drifted", "True", "DriftReported")],
            &[State::Drifting],
            State::Drifting,
        );
        check(
            &[("Ready", "False", "CorrectionRefused"), ("Drifted", "True", "CorrectionRefused")],
            &[State::Drifting],
            State::Drifting,
        );
        check(&[("Ready", "True", "InSync"), ("Drifted", "True", "DriftSnoozed")], &[], State::Ready);
        check(
            &[
                ("Ready", "False", "InvalidPath"),
                ("Stalled", "True", "InvalidPath"),
                ("Drifted", "True", "DriftFight"),
            ],
            &[State::Failing, State::Drifting],
            State::Failing,
        );
    }

    #[test]
    fn a_repository_needs_a_person_for_each_pull_request_that_waits() {
        let repository: Repository = serde_json::from_value(json!({
            "apiVersion": "holdfast.dev/v1alpha1", "kind": "Repository", "metadata": {"name": "config", "namespace": "team"},
            "spec": {"url": "https://git.example.com/a", "provider": "Gitea", "secretRef": {"name": "forge"}},
            "status": {
                "conditions": [{"type": "Ready", "status": "False", "reason": "LoginFailed", "message": "no", "lastTransitionTime": NOW}],
                "pullRequests": [
                    {"number": 1, "head": "a", "base": "main", "state": "Waiting", "verdict": "1 deletion"},
                    {"number": 2, "head": "b", "base": "main", "state": "Previewed"}],
            },
        }))
        .expect("a Repository");
        let found = of_repository(&repository);
        let found: Vec<(&str, State)> = found.iter().map(|need| (need.name.as_str(), need.state)).collect();
        assert_eq!(found, [("config", State::Failing), ("config #1", State::Waiting)]);
    }

    #[test]
    fn a_verdict_about_an_older_spec_is_not_shown_as_ready() {
        let now = NOW.parse().expect("a time");
        let mut sync = sync("team", "shop", &[("Ready", "True", "InSync")]);
        sync.metadata.generation = Some(2);
        assert_eq!(state(&sync, now), State::Progressing);
    }

    #[test]
    fn a_suspension_with_an_end_needs_nobody() {
        let now = NOW.parse().expect("a time");
        let mut sync = sync("team", "shop", &[("Ready", "False", "Suspended")]);
        let suspend = |until: Option<&str>| {
            serde_json::from_value(json!({"reason": "incident", "until": until})).expect("a suspension")
        };
        sync.spec.suspend = Some(suspend(None));
        assert_eq!(of_sync(&sync, now).len(), 1);
        sync.spec.suspend = Some(suspend(Some("2026-01-02T00:00:00Z")));
        assert_eq!((of_sync(&sync, now).len(), state(&sync, now)), (0, State::Suspended));
        sync.spec.suspend = Some(suspend(Some("2025-01-01T00:00:00Z")));
        assert_eq!(state(&sync, now), State::Progressing);
    }
}
