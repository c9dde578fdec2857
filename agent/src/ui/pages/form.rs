//! The forms by which a person acts. Each carries a proof that this process made it for this visitor. Pure.

use maud::{Markup, html};

use super::frame::Frame;
use crate::api::{DriftMode, DriftObject, DriftState, PlanStatus};
use crate::cluster::deeds::group;

/// How long a suspension or a snooze lasts, as a form offers it.
const TIMES: [(&str, &str); 5] =
    [("1h", "1 hour"), ("4h", "4 hours"), ("24h", "1 day"), ("168h", "7 days"), ("", "no end")];

/// A form that sends a deed to the page of a Sync.
fn form(frame: &Frame, address: &str, deed: &str, class: &str, fields: &Markup) -> Markup {
    html! {
        form class=(class) method="post" action={ (address) "/" (deed) } {
            input type="hidden" name="proof" value=(frame.proof);
            (fields)
        }
    }
}

fn reason(label: &str) -> Markup {
    html! { label { (label) input type="text" name="reason" required maxlength="500" autocomplete="off"; } }
}

fn times(has_end: bool) -> Markup {
    html! {
        label {
            "For"
            select name="for" {
                @for (value, label) in TIMES.iter().filter(|(value, _)| !has_end || !value.is_empty()) {
                    option value=(value) { (label) }
                }
            }
        }
    }
}

/// Approve or reject a plan.
pub fn decide(frame: &Frame, address: &str, plan: &PlanStatus) -> Markup {
    let fields = html! {
        input type="hidden" name="plan" value=(plan.id);
        (reason("Reason"))
        button.primary name="decision" value="Approve" { "Approve this plan" }
        button.danger name="decision" value="Reject" { "Reject it" }
    };
    form(frame, address, "decide", "deed", &fields)
}

/// Approve or reject a plan that a pull request would cause.
pub fn decide_before(frame: &Frame, address: &str, plan: &str) -> Markup {
    let fields = html! {
        input type="hidden" name="back" value="/pulls";
        input type="hidden" name="plan" value=(plan);
        (reason("Reason"))
        button.primary name="decision" value="Approve" { "Approve this plan" }
        button.danger name="decision" value="Reject" { "Reject it" }
    };
    form(frame, address, "decide", "deed", &fields)
}

/// Removes the bans of an ImageUpdate.
pub fn unban(frame: &Frame, namespace: &str, name: &str) -> Markup {
    let fields = html! { button { "Remove the bans" } };
    form(frame, &format!("/images/{namespace}/{name}"), "unban", "deed", &fields)
}

/// Reconcile, suspend and resume.
pub fn change(frame: &Frame, address: &str, is_suspended: bool) -> Markup {
    html! {
        div.deeds {
            (form(frame, address, "reconcile", "deed", &html! { button { "Reconcile now" } }))
            @if is_suspended {
                (form(frame, address, "resume", "deed", &html! { button { "Resume" } }))
            } @else {
                details.suspend {
                    summary { "Suspend" }
                    (form(frame, address, "suspend", "deed", &html! { (reason("Reason")) (times(false)) button { "Suspend" } }))
                }
            }
        }
    }
}

/// What can be done about the drift of an object: correct it now, or snooze it. `back` is the page to which it leads.
pub fn exits(frame: &Frame, address: &str, back: &str, object: &DriftObject, mode: DriftMode) -> Markup {
    let back = html! { @if !back.is_empty() { input type="hidden" name="back" value=(back); } };
    let named = html! {
        (back)
        input type="hidden" name="kind" value=(object.kind);
        input type="hidden" name="group" value=(group(object));
        input type="hidden" name="namespace" value=(object.namespace);
        input type="hidden" name="name" value=(object.name);
    };
    html! {
        div.deeds {
            @if object.state == DriftState::Snoozed {
                (form(frame, address, "unsnooze", "deed", &html! { (named) button { "Stop snoozing and correct it" } }))
            } @else {
                @if mode == DriftMode::Correct {
                    (form(frame, address, "reconcile", "deed", &html! { (back) button { "Correct now" } }))
                } @else {
                    p.note { "The Sync reports drift and does not correct it (" code { "spec.drift.mode: Report" } ")." }
                }
                details.deed-more {
                    summary { "Snooze" }
                    (form(frame, address, "snooze", "deed", &html! { (named) (reason("Reason")) (times(true)) button { "Snooze" } }))
                }
            }
        }
    }
}
