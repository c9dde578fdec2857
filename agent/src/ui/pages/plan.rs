//! The page of a plan: every object that it changes, folded by object, in windows. Pure.

use maud::{Markup, html};

use super::changes::{changes, class, link};
use super::frame::{About, Frame, page as framed};
use super::text::{chip, command, t};
use super::{fields, form};
use crate::ui::plan::{Plan, PlannedObject};
use crate::ui::{needs, sync};

/// Objects of a window that are open at first.
const OPEN: usize = 10;
/// Fields of an object beyond which it is folded.
const LONG: usize = 40;

pub fn page(plan: &Plan, frame: &Frame) -> Markup {
    let address = sync::address(&plan.sync);
    let status = plan.sync.status.as_ref().and_then(|status| status.plan.as_ref());
    let waiting = status.filter(|plan| sync::is_waiting(plan));
    let main = html! {
        nav.crumbs aria-label="Above" {
            a href="/" { "Syncs" } " / " a href=(address) { (t(&plan.name)) } " " (chip(needs::state(&plan.sync, frame.now)))
        }
        h1 { @if waiting.is_some() { "Plan that waits for a decision" } @else { "What the newest commit changes" } }
        @if let (Some(waiting), true) = (waiting, plan.may.decide) {
            section.waiting { (form::decide(frame, &address, waiting)) }
        }
        @match plan.total {
            None => {
                p.note { "The whole plan is not known during a run, and in the UI of the command line. This is what the status of the Sync lists." }
                @if let Some(status) = status { (changes(&address, &status.changes, status.omitted)) }
                p { "All of it: " (command(&format!("holdfast plan {}", plan.name))) }
            }
            Some(0) => { p.calm { "Nothing: every object is as the newest commit has it." } }
            Some(total) => {
                p { (total) " objects differ" @if plan.pages > 1 { ", page " (plan.page) " of " (plan.pages) } "." }
                @for (at, object) in plan.objects.iter().enumerate() { (one(&address, object, at < OPEN)) }
                @if plan.hidden > 0 { p { (plan.hidden) " objects of this page are not shown, because you may not read them or their kind is not served." } }
            }
        }
        @if plan.pages > 1 {
            nav.windows aria-label="Pages of the plan" {
                @if plan.page > 1 { a rel="prev" href={ (address) "/plan?page=" (plan.page - 1) } { "Previous" } }
                @if plan.page < plan.pages { a rel="next" href={ (address) "/plan?page=" (plan.page + 1) } { "Next" } }
            }
        }
    };
    framed(frame, &format!("Plan of {}", plan.name), &About(&plan.name), &main)
}

fn one(sync: &str, object: &PlannedObject, is_open: bool) -> Markup {
    let PlannedObject { api_version, kind, namespace, name, operation, origin, rows, trouble } = object;
    html! {
        details.change open[is_open && rows.listed.len() <= LONG] {
            summary {
                span class=(class(operation)) { (operation) } " "
                span.object { (link(sync, api_version, (kind, namespace, name), "row")) }
                @if !rows.listed.is_empty() { " " span.count { (rows.listed.len() + rows.more) } }
                @if let Some(origin) = origin { span.origin { (t(origin)) } }
            }
            @if let Some(trouble) = trouble { p.bad { (t(trouble)) } }
            @if *operation == "delete" { p { "It is not in the newest commit." } }
            @else if *operation == "update" && rows.listed.is_empty() { p { "Its values are the same; only owners of fields or marks change." } }
            (fields::differing(rows))
            @if rows.more > 0 { p { "And " (rows.more) " more fields, which are not listed." } }
        }
    }
}
