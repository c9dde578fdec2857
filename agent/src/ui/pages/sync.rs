//! The page of one Sync. Pure.

use kube::ResourceExt as _;
use maud::{Markup, html};

use super::changes::{changes, link};
use super::frame::{About, Frame, page as framed};
use super::text::{ago, chip, command, link_to_commit, out, t};
use super::{drift, form};
use crate::api::{Approval, ApprovalDecision, ErrorStatus, HistoryEntry, PlanState, PlanStatus, SyncStatus};
use crate::ui::objects::{Objects, WINDOW};
use crate::ui::sync::Page;

/// Causes and places of errors that are listed. A status can have 50 causes and 500 places.
const CAUSES: usize = 20;
const PLACES: usize = 20;

pub fn page(page: &Page, frame: &Frame) -> Markup {
    let sync = &page.sync;
    let (namespace, name) = (sync.namespace().unwrap_or_default(), sync.name_any());
    let status = sync.status.clone().unwrap_or_default();
    let title = format!("{namespace}/{name}");
    let suspended = sync.spec.suspend.as_ref().and_then(|suspend| suspend.holds(frame.now));
    let main = html! {
        h1 { (t(&title)) " " (chip(page.state)) }
        @if let Some(progress) = &status.progress {
            p.banner.quiet role="status" {
                (t(&progress.message)) ", since " (ago(progress.since, frame.now))
                @if let (Some(done), Some(total)) = (progress.done, progress.total) {
                    " " progress max=(total) value=(done) { (done) " of " (total) }
                }
            }
        }
        @if let Some(why) = &suspended { p.banner.quiet { (t(why)) } }
        @if page.may.change { (form::change(frame, &page.address(), suspended.is_some())) }
        div.columns {
            div.urgent {
                (plan(page, frame, &namespace, &name))
                (drift::section(page, &status, frame))
                (errors(&status))
            }
            div.beside {
                (conditions(&status, frame))
                (source(page, &status, frame))
                (approvals(&page.approvals, frame))
                (history(page, &status.history, frame))
            }
            div.rest {
                (objects(page, &status))
                @if !status.warnings.is_empty() {
                    section { h2 { "Warnings" } ul { @for warning in &status.warnings { li { (t(warning)) } } } }
                }
            }
        }
        p.foot { a href={ (page.address()) "/events" } { "Events" } " · " a href={ (page.address()) "/plan" } { "Differences from the newest commit" } }
        p.foot { "In a terminal: " (command(&format!("holdfast status {name} -n {namespace}"))) }
    };
    framed(frame, &title, &About(&title), &main)
}

fn plan(page: &Page, frame: &Frame, namespace: &str, name: &str) -> Markup {
    let status = page.sync.status.as_ref();
    let Some(plan) = status.and_then(|status| status.plan.as_ref()) else { return html! {} };
    if page.waiting().is_none() {
        return html! {
            section {
                h2 { "Last plan" }
                details.fold {
                    summary { (plan_head(plan, frame)) }
                    (changes(&page.address(), &plan.changes, plan.omitted))
                }
            }
        };
    }
    html! {
        section.waiting {
            h2 { @if plan.state == PlanState::Rejected { "Rejected plan" } @else { "Waits for a decision" } }
            p { (plan_head(plan, frame)) }
            (changes(&page.address(), &plan.changes, plan.omitted))
            @if page.may.decide {
                (form::decide(frame, &page.address(), plan))
            } @else {
                p { "To decide with your own account: " (command(&format!("holdfast approve {name} {} -n {namespace} --reason REASON", plan.id))) }
            }
            p { a href={ (page.address()) "/plan" } { "The whole plan, field by field" } }
        }
    }
}

fn plan_head(plan: &PlanStatus, frame: &Frame) -> Markup {
    let summary = &plan.summary;
    let counts = [
        ("to create", summary.create),
        ("to update", summary.update),
        ("to adopt", summary.adopt),
        ("to move", summary.r#move),
        ("to recreate", summary.recreate),
        ("to delete", summary.delete),
        ("to orphan", summary.orphan),
    ];
    html! {
        code { (t(&plan.id)) } " " (plan.state) " since " (ago(plan.since, frame.now)) ": "
        @for (at, (what, count)) in counts.iter().filter(|(_, count)| *count > 0).enumerate() {
            @if at > 0 { ", " } (count) " " (what)
        }
    }
}

fn conditions(status: &SyncStatus, frame: &Frame) -> Markup {
    html! {
        section {
            h2 { "Conditions" }
            @if status.conditions.is_empty() { p { "The agent has not reported on this Sync yet." } }
            dl.conditions {
                @for condition in &status.conditions {
                    dt { (t(&condition.type_)) " " span.value { (t(&condition.status)) } }
                    dd {
                        strong { (t(&condition.reason)) } " " span.age { (ago(condition.last_transition_time.0, frame.now)) }
                        br; (t(&condition.message))
                    }
                }
            }
        }
    }
}

fn errors(status: &SyncStatus) -> Markup {
    html! {
        @if !status.errors.is_empty() {
            section {
                h2 { "Errors" }
                @for ErrorStatus { cause, count, places } in status.errors.iter().take(CAUSES) {
                    details.fold {
                        summary { (t(cause)) @if *count > 1 { " (" (count) " times)" } }
                        ul {
                            @for place in places.iter().take(PLACES) { li { code { (t(place)) } } }
                            @if places.len() > PLACES { li { "and " (places.len() - PLACES) " more" } }
                        }
                    }
                }
                @if status.errors.len() > CAUSES { p { "And " (status.errors.len() - CAUSES) " more causes." } }
            }
        }
    }
}

fn source(page: &Page, status: &SyncStatus, frame: &Frame) -> Markup {
    let spec = &page.sync.spec;
    let url = &spec.source.git.url;
    let found = status.revision.clone().unwrap_or_default();
    html! {
        section {
            h2 { "Source" }
            dl.facts {
                dt { "Repository" } dd { (out(url, url)) }
                dt { "Path" } dd { code { (t(spec.path.as_deref().unwrap_or("./"))) } }
                dt { "Applied" } dd { @match &found.applied { Some(applied) => (link_to_commit(url, applied)), None => "nothing yet" } }
                dt { "Newest" } dd { @match &found.seen { Some(seen) => (link_to_commit(url, seen)), None => "nothing yet" } }
                @if let Some(commit) = &found.commit {
                    dt { "Commit" } dd { (t(&commit.subject)) br; span.age { (t(&commit.author)) } }
                }
                @if let Some(chart) = &status.chart { dt { "Chart" } dd { (t(&chart.name)) " " (t(&chart.version)) } }
                @if let Some(account) = &spec.service_account_name { dt { "ServiceAccount" } dd { (t(account)) } }
                @if !spec.depends_on.is_empty() {
                    dt { "Depends on" }
                    dd {
                        @for dependency in &spec.depends_on {
                            @let other = dependency.of(&page.sync.namespace().unwrap_or_default());
                            a.dependency href={ "/syncs/" (other.namespace()) "/" (other.name()) } { (t(&other.to_string())) } " "
                        }
                    }
                }
                @if let Some(created) = &page.sync.metadata.creation_timestamp { dt { "Created" } dd { (ago(created.0, frame.now)) } }
            }
        }
    }
}

fn objects(page: &Page, status: &SyncStatus) -> Markup {
    html! {
        section {
            h2 { "Objects" @if let Some(count) = &status.objects { " (" (count.ready) " of " (count.total) " healthy)" } }
            @match &page.objects {
                None => { p { "The list of objects comes from the live view of the agent; open the UI of the agent to see it." } }
                Some(Objects { listed, before, more }) => {
                    @if listed.is_empty() && *before == 0 { p { "There is no object that you may read." } }
                    @else {
                        table {
                            thead { tr { th { "Object" } th { "Health" } th { "Wave" } th { "Message" } } }
                            tbody {
                                @for line in listed {
                                    tr {
                                        td { (link(&page.address(), &line.api_version, (&line.kind, &line.namespace, &line.name), "row")) }
                                        td { span class=(if line.health == "Current" { "chip good" } else { "chip warn" }) { (t(&line.health)) } }
                                        td { (line.wave) }
                                        td.text { (t(&line.message)) }
                                    }
                                }
                            }
                        }
                        @if *before > 0 || *more > 0 {
                            nav.windows aria-label="Windows of the objects" {
                                @if *before > 0 { a rel="prev" href={ (page.address()) "?after=" (before.saturating_sub(WINDOW)) } { "Previous" } }
                                span { (before + 1) " to " (before + listed.len()) " of " (before + listed.len() + more) }
                                @if *more > 0 { a rel="next" href={ (page.address()) "?after=" (before + WINDOW) } { "Next" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn approvals(approvals: &[std::sync::Arc<Approval>], frame: &Frame) -> Markup {
    html! {
        @if !approvals.is_empty() {
            section {
                h2 { "Approvals" }
                ul {
                    @for approval in approvals {
                        @let spec = &approval.spec;
                        @let state = approval.status.as_ref().map(|status| status.state).unwrap_or_default();
                        li {
                            strong { (spec.decision) } ", " (state) ", plan " code { (t(&spec.plan_id)) } " by " (t(&spec.approver)) ": " (t(&spec.reason))
                            @if let Some(created) = &approval.metadata.creation_timestamp { " " span.age { (ago(created.0, frame.now)) } }
                        }
                    }
                }
            }
        }
    }
}

fn history(page: &Page, history: &[HistoryEntry], frame: &Frame) -> Markup {
    let url = &page.sync.spec.source.git.url;
    html! {
        @if !history.is_empty() {
            section {
                h2 { "History" }
                ul {
                    @for entry in history {
                        li {
                            (link_to_commit(url, &entry.revision)) " " (t(&entry.outcome)) " " span.age { (ago(entry.at, frame.now)) }
                            @if let Some(plan) = &entry.plan {
                                " plan " code { (t(plan)) }
                                @if let Some(given) = approved(page, plan) { ", approved by " (t(&given.spec.approver)) ": " (t(&given.spec.reason)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The Approval that let a plan through.
fn approved<'a>(page: &'a Page, plan: &str) -> Option<&'a Approval> {
    let let_through = |approval: &&std::sync::Arc<Approval>| {
        approval.spec.plan_id == plan && approval.spec.decision == ApprovalDecision::Approve
    };
    page.approvals.iter().find(let_through).map(std::sync::Arc::as_ref)
}
