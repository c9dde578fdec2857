//! The page of one object: where it comes from, why it is not healthy, both sides of its fields, and what belongs to it. Pure.

use maud::{Markup, html};

use super::changes::{drifted, one as change};
use super::fields;
use super::frame::{About, Frame, page as framed};
use super::text::{ago, chip, command, link_to_commit, out, t};
use super::{belongings, form};
use crate::api::{DriftObject, DriftState};
use crate::ui::forge_links::{file_url, pull_url};
use crate::ui::object::facts::Facts;
use crate::ui::object::name::address;
use crate::ui::object::{Object, Source};
use crate::ui::sync;

pub fn page(object: &Object, frame: &Frame) -> Markup {
    let Object { kind, namespace, name, owner, .. } = object;
    let sync = sync::address(&object.sync);
    let title =
        if namespace.is_empty() { format!("{kind} {name}") } else { format!("{kind} {namespace}/{name}") };
    let main = html! {
        nav.crumbs aria-label="Above" { a href="/" { "Syncs" } " / " a href=(sync) { (t(owner)) } " " (chip(object.state)) }
        h1 {
            span.kind { (t(kind)) } " " @if !namespace.is_empty() { (t(namespace)) "/" } (t(name)) " "
            @if let Some(health) = &object.health {
                span class=(if health.is_current { "chip good" } else { "chip warn" }) { (t(&health.status)) }
            }
        }
        @if !object.exists { p.banner.warn { "It is not in the cluster." } }
        @if let Some(deleting) = object.facts.deleting { p.banner.warn { "It is being deleted, since " (ago(deleting, frame.now)) "." } }
        @if let Some(health) = object.health.as_ref().filter(|health| !health.is_current && !health.message.is_empty()) {
            p.banner.warn { (t(&health.message)) }
        }
        div.columns {
            div.urgent {
        (drift(object, &sync, frame))
        @if let Some(planned) = &object.change {
            section.waiting {
                h2 { "In the plan that waits for a decision" }
                (change(&sync, planned, true))
                p { a href=(sync) { "Read the whole plan and decide" } }
            }
        }
        (belongings::pods(object, &sync, frame))
            }
            div.beside {
                (facts(object, frame))
                (belongings::conditions(object, frame))
                (belongings::children(object, &sync))
            }
            div.rest {
                (values(object))
                (belongings::events(&object.events, frame))
            }
        }
        @if !object.notes.is_empty() { section { h2 { "Not shown" } ul { @for note in &object.notes { li { (t(note)) } } } } }
        (terminal(object))
    };
    framed(frame, &title, &About(owner), &main)
}

fn drift(object: &Object, sync: &str, frame: &Frame) -> Markup {
    let Some(drift) = &object.drift else { return html! {} };
    let DriftObject { state, since, deleted, user, changes, omitted, note, ignore, refusal, .. } = drift;
    let back = address(sync, &object.group, &object.kind, &object.namespace, &object.name);
    html! {
        section.waiting {
            h2 { "Drift: " (state) " since " (ago(*since, frame.now)) }
            @if *deleted { p { "It was deleted" @if let Some(user) = user { " by " strong { (t(user)) } } "." } }
            div.fields { @for change in changes { (drifted(change)) } }
            @if let Some(more) = omitted { p { "And " (more) " more fields, which are not listed." } }
            @if let Some(note) = note { p { (t(note)) } }
            @if let Some(refusal) = refusal { p.bad { "It cannot be corrected: " (t(refusal)) } }
            @if object.may.change && *state != DriftState::Corrected {
                (form::exits(frame, sync, &back, drift, object.sync.spec.drift.mode))
            }
            @if let Some(ignore) = ignore { p { "To ignore it, add this to spec.drift.ignore: " (command(ignore)) } }
        }
    }
}

fn facts(object: &Object, frame: &Frame) -> Markup {
    let Facts {
        origin,
        revision,
        commit,
        pull_request,
        applied,
        approval,
        created,
        deleting: _,
        forge,
        is_member,
    } = &object.facts;
    let url = &object.sync.spec.source.git.url;
    html! {
        section {
            h2 { "Where it comes from" }
            dl.facts {
                @if let Some(origin) = origin { dt { "File" }
                    dd { code {
                        @match file_url(url, *forge, revision.as_deref().unwrap_or_default(), origin) {
                            Some(link) => (out(&link, origin)),
                            None => (t(origin)),
                        }
                    } } }
                @if let Some(revision) = revision {
                    dt { "Commit" }
                    dd {
                        (link_to_commit(url, revision))
                        @if let Some(commit) = commit { " " (t(&commit.subject)) br; span.age { (t(&commit.author)) } }
                    }
                }
                @if let Some(number) = pull_request { dt { "Pull request" }
                    dd { (out(&pull_url(url, *forge, *number).unwrap_or_default(), &format!("#{number}"))) } }
                @if let Some(applied) = applied {
                    dt { "Applied" }
                    dd { (ago(applied.at, frame.now)) ", " (t(&applied.outcome)) @if let Some(plan) = &applied.plan { ", plan " code { (t(plan)) } } }
                }
                @if let Some(approval) = approval {
                    dt { "Approved" } dd { "by " strong { (t(&approval.spec.approver)) } ": " (t(&approval.spec.reason)) }
                }
                @if let Some(created) = created { dt { "Created" } dd { (ago(*created, frame.now)) } }
                @if !is_member {
                    dt { "Git" }
                    dd { "It is not an object of the Sync: a controller or a user made it." }
                }
            }
        }
    }
}

fn values(object: &Object) -> Markup {
    let said = match object.source {
        Source::Busy => {
            "A run of the Sync goes on, and until it ends it is not known which values are secret. The page shows them afterwards."
        }
        Source::Applied => {
            "The side of Git is what was applied last; drift is shown as the agent reports it."
        }
        Source::Nothing if object.facts.is_member => "The object is not in the source.",
        Source::Render | Source::Nothing => "",
    };
    html! {
        section {
            h2 { "Fields" }
            @if !said.is_empty() { p.note { (said) } }
            (fields::table(&object.rows, object.source))
        }
    }
}

fn terminal(object: &Object) -> Markup {
    let Object { kind, group, namespace, name, .. } = object;
    let target = if group.is_empty() { format!("{kind}/{name}") } else { format!("{kind}.{group}/{name}") };
    let place = if namespace.is_empty() { String::new() } else { format!(" -n {namespace}") };
    html! {
        p.foot {
            "In a terminal: " (command(&format!("holdfast explain {target}{place}"))) " "
            (command(&format!("kubectl describe {target}{place}")))
        }
    }
}
