//! The changes of a plan and the fields of drift, as a diff that is folded by object. Pure.

use maud::{Markup, html};

use super::text::t;
use crate::api::{ChangeStatus, DriftChange, FieldStatus, ObjectStatus};
use crate::ui::object::name::{address, group};

/// Changes that are open at first; the others are folded.
const OPEN: usize = 5;

/// The changes of a plan.
pub fn changes(sync: &str, changes: &[ChangeStatus], omitted: Option<i64>) -> Markup {
    html! {
        @for (at, change) in changes.iter().enumerate() { (one(sync, change, at < OPEN)) }
        @if let Some(more) = omitted.filter(|more| *more > 0) {
            p { "And " (more) " more changes, which are not listed." }
        }
    }
}

/// The change of an object of the Sync with this address.
pub fn one(sync: &str, change: &ChangeStatus, is_open: bool) -> Markup {
    let ChangeStatus { operation, object, reason, origin, fields, omitted } = change;
    let ObjectStatus { api_version, kind, namespace, name } = object;
    html! {
        details.change open[is_open] {
            summary {
                span class=(class(operation)) { (t(operation)) } " "
                span.object { (link(sync, api_version, (kind, namespace, name), "")) }
                @if let Some(origin) = origin { span.origin { (t(origin)) } }
            }
            p { (t(reason)) }
            @if !fields.is_empty() { div.fields { @for field in fields { (planned(field)) } } }
            @if let Some(more) = omitted.filter(|more| *more > 0) { p { "And " (more) " more fields, which are not listed." } }
        }
    }
}

/// The class of the word for an operation.
pub fn class(operation: &str) -> &'static str {
    match operation {
        "create" | "adopt" | "move" => "op good",
        "delete" | "recreate" => "op bad",
        _ => "op warn",
    }
}

/// The kind and the name of an object, with a link to its page.
pub fn link(
    sync: &str,
    api_version: &str,
    (kind, namespace, named): (&str, &str, &str),
    class: &str,
) -> Markup {
    html! {
        a class=[Some(class).filter(|class| !class.is_empty())] href=(address(sync, group(api_version), kind, namespace, named)) {
            (name(kind, namespace, named))
        }
    }
}

/// The kind and the name of an object.
pub fn name(kind: &str, namespace: &str, name: &str) -> Markup {
    html! { (t(kind)) " " @if !namespace.is_empty() { (t(namespace)) "/" } (t(name)) }
}

fn planned(field: &FieldStatus) -> Markup {
    let FieldStatus { path, before, after, manager } = field;
    html! {
        div.field {
            code.path { (t(path)) }
            @if let Some(before) = before { del { (t(before)) } }
            @if let Some(after) = after { ins { (t(after)) } } @else { span.note { "removed" } }
            @if let Some(manager) = manager { span.note { "now of " (t(manager)) } }
        }
    }
}

/// A field that drifted: the value in Git, and the live one with whoever wrote it.
pub fn drifted(change: &DriftChange) -> Markup {
    let DriftChange { path, desired, live, manager, operation, subresource, time, user, unmanaged } = change;
    html! {
        div.field {
            code.path { (t(path)) }
            @if let Some(desired) = desired {
                span.side { "Git " ins { (t(&desired.to_string())) } }
            } @else {
                span.side { @if *unmanaged { "added by another manager, not in Git" } @else { "not in Git" } }
            }
            @if let Some(live) = live {
                span.side { "live " del { (t(&live.to_string())) } }
            } @else {
                span.side { "missing in the cluster" }
            }
            span.note {
                @if let Some(user) = user { "by " strong { (t(user)) } " " }
                @if let Some(manager) = manager {
                    "manager " strong { (t(manager)) }
                    @if let Some(operation) = operation { ", " (t(operation)) }
                    @if let Some(subresource) = subresource { " of " (t(subresource)) }
                }
                @if let Some(time) = time { ", " (t(time)) }
            }
        }
    }
}
