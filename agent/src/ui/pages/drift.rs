//! The drift of one Sync, and of all Syncs in one page. Pure.

use std::sync::Arc;

use kube::ResourceExt as _;
use maud::{Markup, html};

use super::changes::{drifted, link};
use super::form;
use super::frame::{About, Frame, page as framed};
use super::text::{ago, command, t};
use crate::api::{DriftObject, DriftState, DriftStatus, Sync, SyncStatus};
use crate::ui::sync::{Page, address};

/// Objects that the page of all drift lists.
const LISTED: usize = 300;

/// The drift of a Sync, with what can be done about it.
pub fn section(page: &Page, status: &SyncStatus, frame: &Frame) -> Markup {
    let Some(DriftStatus { since, objects, omitted }) = &status.drift else { return html! {} };
    let (namespace, of) = (page.sync.namespace().unwrap_or_default(), page.sync.name_any());
    html! {
        section {
            h2 { "Drift since " (ago(*since, frame.now)) }
            @for object in objects {
                (one(&page.address(), object, frame))
                @if page.may.change && object.state != DriftState::Corrected {
                    (form::exits(frame, &page.address(), "", object, page.sync.spec.drift.mode))
                }
            }
            @if let Some(more) = omitted { p { "And " (more) " more objects, which are not listed." } }
            p { "To write it to a working tree: " (command(&format!("holdfast drift adopt {of} -n {namespace}"))) }
        }
    }
}

fn one(sync: &str, object: &DriftObject, frame: &Frame) -> Markup {
    let DriftObject {
        api_version, kind, namespace, state, since, deleted, user, changes, omitted, note, ..
    } = object;
    let DriftObject { ignore, origin, refusal, .. } = object;
    html! {
        details.change open {
            summary {
                span class=(if *state == DriftState::Corrected { "op good" } else { "op warn" }) { (word(*state)) } " "
                span.object { (link(sync, api_version, (kind, namespace, &object.name), "")) }
                " " span.age { (ago(*since, frame.now)) }
                @if let Some(origin) = origin { span.origin { (t(origin)) } }
            }
            @if *deleted {
                p { "It was deleted" @if let Some(user) = user { " by " strong { (t(user)) } } "." }
            }
            div.fields { @for change in changes { (drifted(change)) } }
            @if let Some(more) = omitted { p { "And " (more) " more fields, which are not listed." } }
            @if let Some(note) = note { p { (t(note)) } }
            @if let Some(refusal) = refusal { p.bad { "It cannot be corrected: " (t(refusal)) } }
            @if let Some(ignore) = ignore { p { "To ignore it, add this to spec.drift.ignore: " code { (t(ignore)) } } }
        }
    }
}

fn word(state: DriftState) -> &'static str {
    match state {
        DriftState::Drifted => "drifted",
        DriftState::Corrected => "corrected",
        DriftState::Fighting => "fighting",
        DriftState::Snoozed => "snoozed",
    }
}

/// Everything that is not in sync, by object. The Syncs are those that the visitor may read and that drift.
pub fn page(syncs: &[Arc<Sync>], frame: &Frame) -> Markup {
    let drift = |sync: &Arc<Sync>| sync.status.as_ref().and_then(|status| status.drift.clone());
    let all = syncs.iter().filter_map(|sync| Some((sync, drift(sync)?)));
    let mut left = LISTED;
    let sections = all.map(|(sync, DriftStatus { objects, omitted, .. })| {
        let shown = objects.len().min(left);
        left -= shown;
        let more = objects.len() - shown + omitted.and_then(|more| usize::try_from(more).ok()).unwrap_or(0);
        html! {
            section {
                h2 { a.row href=(address(sync)) { (t(&sync.namespace().unwrap_or_default())) "/" (t(&sync.name_any())) } }
                @for object in &objects[..shown] { (one(&address(sync), object, frame)) }
                @if more > 0 { p { "And " (more) " more objects; see the page of the Sync." } }
            }
        }
    });
    let sections: Vec<Markup> = sections.collect();
    let main = html! {
        h1 { "Drift of all Syncs" }
        @if sections.is_empty() { p.calm { "No drift is reported for the Syncs that you may read." } }
        @for section in &sections { (section) }
    };
    framed(frame, "Drift", &About("*"), &main)
}
