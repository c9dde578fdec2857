//! What belongs to an object: its conditions, pods, Events, and the objects below it. Pure.

use maud::{Markup, html};
use url::form_urlencoded;

use super::frame::{About, Frame, page as framed};
use super::text::{ago, t};
use crate::api::Sync;
use crate::cluster::inspect::{Child, EventLine};
use crate::ui::object::Object;
use crate::ui::object::name::address;
use crate::ui::object::pods::{ContainerLine, PodLine};
use crate::ui::{live, sync};

/// Levels of the outline of objects below another one.
const LEVELS: usize = 6;

pub fn conditions(object: &Object, frame: &Frame) -> Markup {
    html! {
        @if !object.conditions.is_empty() {
            section {
                h2 { "Conditions" }
                dl.conditions {
                    @for condition in &object.conditions {
                        dt { (t(&condition.kind)) " " span.value { (t(&condition.status)) } }
                        dd {
                            @if !condition.reason.is_empty() { strong { (t(&condition.reason)) } " " }
                            @if let Some(since) = condition.since { span.age { (ago(since, frame.now)) } }
                            @if !condition.message.is_empty() { br; (t(&condition.message)) }
                        }
                    }
                }
            }
        }
    }
}

/// The pods, those with trouble first.
pub fn pods(object: &Object, sync: &str, frame: &Frame) -> Markup {
    html! {
        @if !object.pods.is_empty() {
            section {
                h2 { "Pods " span.count { (object.pods.len() + object.more_pods) } }
                table.pods {
                    thead { tr { th { "Pod" } th { "State" } th { "Ready" } th { "Restarts" } th { "Containers" } th { "Age" } } }
                    tbody { @for pod in &object.pods { (pod_row(pod, &object.namespace, sync, frame)) } }
                }
                @if object.more_pods > 0 { p { "And " (object.more_pods) " more pods, which are not listed." } }
            }
        }
    }
}

fn pod_row(pod: &PodLine, namespace: &str, sync: &str, frame: &Frame) -> Markup {
    let PodLine { name, state, is_well, ready, total, restarts, node, created, containers, message } = pod;
    html! {
        tr {
            td {
                a.row href=(address(sync, "", "Pod", namespace, name)) { (t(name)) }
                @if !node.is_empty() { br; span.age { "on " (t(node)) } }
            }
            td data-side="State" {
                span class=(if *is_well { "chip good" } else { "chip bad" }) { (t(state)) }
                @if !message.is_empty() { br; (t(message)) }
            }
            td data-side="Ready" { (ready) "/" (total) }
            td data-side="Restarts" { (restarts) }
            td data-side="Containers" { @for container in containers { (container_line(container, name, namespace, sync)) } }
            td data-side="Age" { @if let Some(created) = created { (ago(*created, frame.now)) } }
        }
    }
}

fn container_line(container: &ContainerLine, pod: &str, namespace: &str, sync: &str) -> Markup {
    let ContainerLine { name, is_init, is_ready: _, restarts, state, before, image } = container;
    let has_log = state != "not started";
    html! {
        div.container {
            strong { (t(name)) } @if *is_init { " (init)" } " " span.note title=(t(image)) { (t(state)) }
            @if has_log { " " a href=(log_address(sync, namespace, pod, name, false, 200)) { "Log" } }
            @if *restarts > 0 {
                " " a href=(log_address(sync, namespace, pod, name, true, 200)) { "Log before the restart" }
                @if !before.is_empty() { div.note { "ended before: " (t(before)) } }
            }
        }
    }
}

/// The address of a log.
pub fn log_address(
    sync: &str,
    namespace: &str,
    pod: &str,
    container: &str,
    previous: bool,
    lines: i64,
) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("namespace", namespace).append_pair("pod", pod).append_pair("container", container);
    if previous {
        query.append_pair("previous", "true");
    }
    query.append_pair("lines", &lines.to_string());
    format!("{sync}/log?{}", query.finish())
}

/// The page of the Events about a Sync.
pub fn events_page(sync: &Sync, events: &[EventLine], frame: &Frame) -> Markup {
    let (address, name) = (sync::address(sync), live::name(sync).to_string());
    let main = html! {
        nav.crumbs aria-label="Above" { a href="/" { "Syncs" } " / " a href=(address) { (t(&name)) } }
        h1 { "Events about " (t(&name)) }
        @if events.is_empty() { p.calm { "There are no Events. The API server keeps them for an hour." } }
        (self::events(events, frame))
    };
    framed(frame, &format!("Events of {name}"), &About(&name), &main)
}

/// Events, the newest first.
pub fn events(events: &[EventLine], frame: &Frame) -> Markup {
    html! {
        @if !events.is_empty() {
            section {
                h2 { "Events " span.count { (events.len()) } }
                table.events {
                    thead { tr { th { "Reason" } th { "Message" } th { "From" } th { "Last" } } }
                    tbody {
                        @for EventLine { kind, reason, message, count, source, about, last } in events {
                            tr {
                                td { span class=(if kind == "Warning" { "chip warn" } else { "chip quiet" }) { (t(reason)) } }
                                td.text {
                                    @if !about.is_empty() { strong { (t(about)) ": " } }
                                    (t(message)) @if *count > 1 { " " span.note { (count) " times" } }
                                }
                                td data-side="From" { (t(source)) }
                                td { @if let Some(last) = last { (ago(*last, frame.now)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The objects below, as an outline.
pub fn children(object: &Object, sync: &str) -> Markup {
    let roots = roots(&object.children);
    html! {
        @if !roots.is_empty() {
            section {
                h2 { "Objects below " span.count { (object.children.len() + object.more_children) } }
                (outline(&object.children, &roots, &object.namespace, sync, LEVELS))
                @if object.more_children > 0 { p { "And " (object.more_children) " more, which are not listed." } }
            }
        }
    }
}

/// The children whose owner is the object itself.
fn roots(children: &[Child]) -> Vec<&Child> {
    children.iter().filter(|child| !children.iter().any(|other| other.uid == child.owner)).collect()
}

fn outline(all: &[Child], level: &[&Child], namespace: &str, sync: &str, left: usize) -> Markup {
    html! {
        ul.outline {
            @for child in level {
                @let below: Vec<&Child> = all.iter().filter(|other| other.owner == child.uid).collect();
                li {
                    a href=(address(sync, &child.group, &child.kind, namespace, &child.name)) {
                        span.kind { (t(&child.kind)) } " " (t(&child.name))
                    }
                    @if !below.is_empty() && left > 0 { (outline(all, &below, namespace, sync, left - 1)) }
                }
            }
        }
    }
}
