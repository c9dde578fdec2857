//! `POST /syncs/<namespace>/<name>/<deed>`: what a person does. With the person's own credentials where there are some;
//! otherwise after the API server has said that the person may, by the agent, with an Event that names the person.
//!
//! I/O: API requests.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use holdfast_diff::visible;
use jiff::Timestamp;
use kube::Resource as _;
use serde::Serialize;
use tracing::info;

use super::access::{Means, Visitor};
use super::answer::{self, problem};
use super::desk::Desk;
use super::form::{Form, FormError};
use super::live::Live;
use super::pulls::is_previewed;
use super::sync::is_waiting;
use super::who::visitor;
use crate::api::{ApprovalDecision, Sync};
use crate::cluster::deeds::{Deed, DeedError, snooze_of};
use crate::cluster::people::{Act, Hand};
use crate::report::events::Note;
use crate::sync_ref::SyncRef;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error("there is no such action")]
    Unknown,
    #[error(transparent)]
    Form(#[from] FormError),
    #[error("the page is out of date, or the form is of another site; load the page again")]
    Proof,
    #[error("the plan has changed since the page was loaded; read the new one")]
    OtherPlan,
    #[error("set the end of the snooze: a snooze without an end is not allowed")]
    Endless,
    #[error("the API server does not allow you to do that")]
    Forbidden,
    #[error(
        "an Approval is made with your own credentials, which the agent does not have; use `holdfast approve`"
    )]
    NotTheirs,
}

/// What was just done, in words.
pub fn done(deed: &str) -> Option<&'static str> {
    Some(match deed {
        "decide" => "Your decision is recorded. The agent acts on it in a moment.",
        "reconcile" => "A reconciliation is requested.",
        "suspend" => "The Sync is suspended.",
        "resume" => "The Sync is resumed.",
        "snooze" => "The drift is snoozed.",
        "unsnooze" => "The drift is no longer snoozed.",
        "unban" => "The bans are removed. The agent selects again in a moment.",
        _ => return None,
    })
}

#[derive(Serialize)]
struct Done {
    done: String,
}

pub async fn act(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path((namespace, name, verb)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let visitor = match visitor(&desk, &headers, peer.ip()).await {
        Ok(visitor) => visitor,
        Err(refusal) => {
            return answer::refused(&desk, &headers, &format!("/syncs/{namespace}/{name}"), &refusal);
        }
    };
    let Some(live) = desk.live() else { return answer::not_yet(&desk, &headers, Some(&visitor)) };
    match desk.rights.reads(&visitor, "syncs", &namespace).await {
        Ok(true) => {}
        Ok(false) => return answer::not_found(&desk, &headers, Some(&visitor)),
        Err(error) => return answer::unknown_rights(&desk, &headers, &visitor, &error.to_string()),
    }
    let sync_ref = SyncRef::new(namespace.as_str(), name);
    let Some(sync) = live.sync(&sync_ref) else { return answer::not_found(&desk, &headers, Some(&visitor)) };
    let now = Timestamp::now();
    let fail =
        |status, text: &str| problem(&headers, &desk.frame(Some(&visitor), None), status, "Not done", text);
    let repositories = live.repositories.state();
    let is_previewed = |plan: &str| is_previewed(&repositories, &sync, plan);
    let (deed, back) = match read(&desk, &visitor, &sync, &verb, body, now, is_previewed).await {
        Ok(read) => read,
        Err(error) => return fail(status(&error), &error.to_string()),
    };
    if matches!((&visitor.means, &deed), (Means::Agents(_), Deed::Decide { .. })) {
        return fail(StatusCode::FORBIDDEN, &ActError::NotTheirs.to_string());
    }
    let hand = match allow(&visitor, deed.needs(&namespace)).await {
        Ok(Ok(hand)) => hand,
        Ok(Err(error)) => return fail(status(&error), &error.to_string()),
        Err(why) => return answer::unknown_rights(&desk, &headers, &visitor, &why),
    };
    if let Err(error) = deed.perform(&hand, &sync_ref, now).await {
        return fail(refusal(&error), &format!("Nothing was done: {error}"));
    }
    info!(sync = %sync_ref, user = visitor.name, deed = deed.past(), "Did what a user of the web UI requested");
    if matches!(visitor.means, Means::Agents(_)) {
        record(&live, &sync, &visitor, &deed);
    }
    if answer::wants_json(&headers) {
        return answer::json(StatusCode::OK, &Done { done: deed.past() });
    }
    let back = if back.is_empty() { super::sync::address(&sync) } else { answer::local(&back).to_owned() };
    let joint = if back.contains('?') { '&' } else { '?' };
    answer::to(&format!("{back}{joint}done={verb}"))
}

/// Reads the form, which must be of this process: what to do, and the page to which it leads.
async fn read(
    desk: &Desk,
    visitor: &Visitor,
    sync: &Sync,
    verb: &str,
    body: Body,
    now: Timestamp,
    is_previewed: impl Fn(&str) -> bool,
) -> Result<(Deed, String), ActError> {
    let form = proven(desk, visitor, body).await?;
    Ok((deed(sync, verb, &form, &visitor.name, now, is_previewed)?, form.get("back").to_owned()))
}

/// The form of a request, which must be of this process.
pub async fn proven(desk: &Desk, visitor: &Visitor, body: Body) -> Result<Form, ActError> {
    let form = Form::read(body).await?;
    if !visitor.is_program && !desk.seal.holds(&visitor.id, form.get("proof")) {
        return Err(ActError::Proof);
    }
    Ok(form)
}

/// What a form says.
fn deed(
    sync: &Sync,
    verb: &str,
    form: &Form,
    user: &str,
    now: Timestamp,
    is_previewed: impl Fn(&str) -> bool,
) -> Result<Deed, ActError> {
    let text = |name: &str| form.get(name).to_owned();
    Ok(match verb {
        "decide" => {
            let decision = match form.get("decision") {
                "Approve" => ApprovalDecision::Approve,
                "Reject" => ApprovalDecision::Reject,
                _ => return Err(ActError::Unknown),
            };
            let plan = sync.status.as_ref().and_then(|status| status.plan.as_ref());
            let waits = plan.filter(|plan| is_waiting(plan));
            // The plan of a pull request is decided before it waits.
            if waits.is_none_or(|plan| plan.id != form.get("plan")) && !is_previewed(form.get("plan")) {
                return Err(ActError::OtherPlan);
            }
            Deed::Decide { plan: text("plan"), decision, approver: user.to_owned(), reason: form.reason()? }
        }
        "reconcile" => Deed::Reconcile,
        "suspend" => Deed::Suspend { reason: form.reason()?, until: form.until(now)? },
        "resume" => Deed::Resume,
        "snooze" => {
            let until = form.until(now)?.ok_or(ActError::Endless)?;
            let [kind, group, namespace, name] =
                ["kind", "group", "namespace", "name"].map(|field| form.get(field));
            Deed::Snooze(snooze_of(kind, group, namespace, name, until, form.reason()?))
        }
        "unsnooze" => Deed::Unsnooze {
            kind: text("kind"),
            group: text("group"),
            namespace: text("namespace"),
            name: text("name"),
        },
        _ => return Err(ActError::Unknown),
    })
}

/// The hand that does it. The outer error says why the rights are not known.
pub async fn allow(visitor: &Visitor, act: Act<'_>) -> Result<Result<Hand, ActError>, String> {
    let hand = match &visitor.means {
        Means::Nothing => return Ok(Err(ActError::Forbidden)),
        // The API server decides about the request itself.
        Means::Theirs(hand) => return Ok(Ok(hand.clone())),
        Means::Agents(hand) => hand,
    };
    // Not what is remembered: the right may have been taken away a moment ago, and the agent has it.
    let Some((people, person)) = &visitor.person else { return Ok(Err(ActError::Forbidden)) };
    match people.may(person, act).await {
        Ok(true) => Ok(Ok(hand.clone())),
        Ok(false) => Ok(Err(ActError::Forbidden)),
        Err(error) => Err(error.to_string()),
    }
}

/// Records who did what the agent did.
fn record(live: &Live, sync: &Sync, visitor: &Visitor, deed: &Deed) {
    if let Some(events) = &live.events {
        events.tell(Note {
            about: sync.object_ref(&()),
            warning: false,
            reason: "RequestedByUser".to_owned(),
            action: "Act".to_owned(),
            text: visible::line(&format!("{} {} in the web UI", visitor.name, deed.past())).into_owned(),
        });
    }
}

pub fn status(error: &ActError) -> StatusCode {
    match error {
        ActError::Unknown => StatusCode::NOT_FOUND,
        ActError::Form(_) | ActError::Endless => StatusCode::BAD_REQUEST,
        ActError::Proof | ActError::Forbidden | ActError::NotTheirs => StatusCode::FORBIDDEN,
        ActError::OtherPlan => StatusCode::CONFLICT,
    }
}

/// The status of the API server, where it refused.
pub fn refusal(error: &DeedError) -> StatusCode {
    match error {
        DeedError::Refused(error) => crate::cluster::requests::refusal(error)
            .and_then(|refusal| StatusCode::from_u16(refusal.code).ok())
            .filter(axum::http::StatusCode::is_client_error)
            .unwrap_or(StatusCode::BAD_GATEWAY),
        DeedError::Gone => StatusCode::NOT_FOUND,
        DeedError::Contended => StatusCode::CONFLICT,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, sync, with_plan};
    use super::*;

    fn read(verb: &str, form: &str) -> Result<Deed, StatusCode> {
        let sync = with_plan(sync("team", "shop", &[]));
        let found =
            deed(&sync, verb, &Form::parse(form.as_bytes()), "alice", NOW.parse().expect("a time"), |plan| {
                plan == "ffff"
            });
        found.map_err(|error| status(&error))
    }

    #[test]
    fn a_form_says_what_is_done() {
        let until = "2026-01-01T14:00:00Z".parse().expect("a time");
        assert_eq!(read("reconcile", ""), Ok(Deed::Reconcile));
        assert_eq!(read("resume", ""), Ok(Deed::Resume));
        let suspend = |until| Deed::Suspend { reason: "why".to_owned(), until };
        assert_eq!(read("suspend", "reason=why&for=2h"), Ok(suspend(Some(until))));
        assert_eq!(read("suspend", "reason=why"), Ok(suspend(None)));
        let snooze = snooze_of("Deployment", "apps", "shop", "web", until, "why".to_owned());
        let form = "kind=Deployment&group=apps&namespace=shop&name=web&reason=why";
        assert_eq!(read("snooze", &format!("{form}&for=2h")), Ok(Deed::Snooze(snooze)));
        assert_eq!(read("snooze", form), Err(StatusCode::BAD_REQUEST));
        assert_eq!(read("suspend", ""), Err(StatusCode::BAD_REQUEST));
        assert_eq!(read("delete", ""), Err(StatusCode::NOT_FOUND));
    }

    #[test]
    fn a_decision_is_about_the_plan_that_waits_now() {
        let plan = "0123456789abcdef0123456789abcdef";
        let form = |decision: &str, plan: &str| format!("plan={plan}&decision={decision}&reason=why");
        let decide = |decision| Deed::Decide {
            plan: plan.to_owned(),
            decision,
            approver: "alice".to_owned(),
            reason: "why".to_owned(),
        };
        assert_eq!(read("decide", &form("Approve", plan)), Ok(decide(ApprovalDecision::Approve)));
        assert_eq!(read("decide", &form("Reject", plan)), Ok(decide(ApprovalDecision::Reject)));
        assert_eq!(read("decide", &form("Approve", "00")), Err(StatusCode::CONFLICT));
        let previewed = Deed::Decide {
            plan: "ffff".to_owned(),
            decision: ApprovalDecision::Approve,
            approver: "alice".to_owned(),
            reason: "why".to_owned(),
        };
        assert_eq!(read("decide", &form("Approve", "ffff")), Ok(previewed));
        assert_eq!(read("decide", &form("Maybe", plan)), Err(StatusCode::NOT_FOUND));
        assert_eq!(read("decide", &format!("plan={plan}&decision=Approve")), Err(StatusCode::BAD_REQUEST));
    }
}
