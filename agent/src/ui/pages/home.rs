//! The home page: what needs a person, then all Syncs. Pure.

use kube::ResourceExt as _;
use maud::{Markup, html};

use super::frame::{About, Frame, page as framed};
use super::text::{ago, chip, short, t};
use crate::api::Sync;
use crate::api::conditions::READY;
use crate::ui::home::{Home, changed};
use crate::ui::needs::{Need, STATES, State, condition, state};
use crate::ui::query::{Query, Sort};
use crate::ui::sync::address;

pub fn page(home: &Home, frame: &Frame) -> Markup {
    let main = html! {
        h1.sr { "Syncs" }
        (attention(home, frame))
        section aria-labelledby="all" {
            h2 #all { "All Syncs" }
            (states(home))
            (filter(home))
            (table(home, frame))
            (windows(home))
        }
    };
    framed(frame, "Syncs", &About("*"), &main)
}

fn attention(home: &Home, frame: &Frame) -> Markup {
    html! {
        section aria-labelledby="needs" {
            h2 #needs { "Needs a person" @if !home.attention.is_empty() { " (" (home.attention.len() + home.more_attention) ")" } }
            @if home.attention.is_empty() {
                p.calm {
                    "Nothing needs a person."
                    @if let Some(since) = home.quiet_since { " The last change was " (ago(since, frame.now)) "." }
                }
            }
            ul.needs {
                @for need in &home.attention { (card(need, frame)) }
            }
            @if home.more_attention > 0 {
                p { "And " (home.more_attention) " more; filter the list below by state to see them." }
            }
        }
    }
}

fn card(need: &Need, frame: &Frame) -> Markup {
    let Need { kind, namespace, name, state, since, cause, next } = need;
    let address = match *kind {
        "Sync" => format!("/syncs/{namespace}/{name}"),
        "Repository" => "/pulls".to_owned(),
        _ => "/images".to_owned(),
    };
    html! {
        li {
            div.head {
                (chip(*state))
                a.row href=(address) { @if *kind != "Sync" { (kind) " " } (t(namespace)) "/" (t(name)) }
                @if let Some(since) = since { span.age { (ago(*since, frame.now)) } }
            }
            p.cause { (t(cause)) }
            p.next { (next) }
        }
    }
}

fn states(home: &Home) -> Markup {
    let to = |state: Option<State>| Query { state, page: 1, ..home.query.clone() }.address();
    let all: usize = home.states.iter().map(|(_, count)| count).sum();
    html! {
        ul.states aria-label="Number of Syncs in each state" {
            li { a href=(to(None)) aria-current=[home.query.state.is_none().then_some("true")] { "All " (all) } }
            @for (state, count) in &home.states {
                li {
                    a href=(to(Some(*state))) aria-current=[(home.query.state == Some(*state)).then_some("true")] {
                        (chip(*state)) " " (count)
                    }
                }
            }
        }
    }
}

fn filter(home: &Home) -> Markup {
    let Query { namespace, state, label, source, text, sort, page: _ } = &home.query;
    html! {
        form.filter method="get" action="/" role="search" {
            label { "Text" input #filter type="search" name="q" value=(text); }
            label {
                "Namespace"
                select name="namespace" {
                    option value="" { "all" }
                    @for one in home.namespaces.iter().take(1000) {
                        option value=(one) selected[one == namespace] { (t(one)) }
                    }
                }
            }
            label {
                "State"
                select name="state" {
                    option value="" { "all" }
                    @for one in STATES { option value=(one.word()) selected[*state == Some(one)] { (one.word()) } }
                }
            }
            label { "Label" input type="text" name="label" value=(label) placeholder="key=value"; }
            label { "Source" input type="text" name="source" value=(source) placeholder="git.example.com/org"; }
            label {
                "Order"
                select name="sort" {
                    option value="" selected[*sort == Sort::State] { "urgent first" }
                    option value="name" selected[*sort == Sort::Name] { "name" }
                    option value="changed" selected[*sort == Sort::Changed] { "changed last" }
                }
            }
            button { "Filter" }
            @if home.query.filters() { a href="/" { "Clear" } }
        }
    }
}

fn table(home: &Home, frame: &Frame) -> Markup {
    html! {
        @if home.syncs.is_empty() {
            p.calm {
                @if home.query.filters() { "No Sync matches the filter." }
                @else { "There is no Sync that you may read." }
            }
        } @else {
            table.syncs {
                thead { tr { th { "Sync" } th { "State" } th { "Revision" } th { "Objects" } th { "Message" } th { "Since" } } }
                tbody { @for sync in &home.syncs { (row(sync, frame)) } }
            }
        }
    }
}

fn row(sync: &Sync, frame: &Frame) -> Markup {
    let status = sync.status.clone().unwrap_or_default();
    let applied = status.revision.as_ref().and_then(|revision| revision.applied.as_deref());
    let ready = condition(&status.conditions, READY);
    let message = match (&status.progress, ready) {
        (Some(progress), _) => progress.message.as_str(),
        (None, Some(ready)) => ready.message.as_str(),
        (None, None) => "",
    };
    let message: String = message.chars().take(200).collect();
    html! {
        tr {
            td { a.row href=(address(sync)) { (t(&sync.namespace().unwrap_or_default())) "/" (t(&sync.name_any())) } }
            td { (chip(state(sync, frame.now))) }
            td { code { (t(&applied.map(short).unwrap_or_default())) } }
            td { @if let Some(objects) = &status.objects { (t(&objects.shown)) } }
            td.text { (t(&message)) }
            td { @if let Some(since) = changed(sync) { (ago(since, frame.now)) } }
        }
    }
}

fn windows(home: &Home) -> Markup {
    let Home { query, total, pages, .. } = home;
    let to = |page: usize| Query { page, ..query.clone() }.address();
    html! {
        @if *pages > 1 {
            nav.windows aria-label="Windows of the list" {
                @if query.page > 1 { a rel="prev" href=(to(query.page - 1)) { "Previous" } }
                span { "Page " (query.page) " of " (pages) ", " (total) " Syncs" }
                @if query.page < *pages { a rel="next" href=(to(query.page + 1)) { "Next" } }
            }
        }
    }
}
