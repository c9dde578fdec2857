//! The page of a log. With the script it is followed; without it, the same address as plain text is. Pure.

use maud::{Markup, html};

use super::belongings::log_address;
use super::frame::{About, Frame, page as framed};
use super::text::t;
use crate::ui::logs::Log;
use crate::ui::object::name::address;
use crate::ui::sync;

pub fn page(log: &Log, frame: &Frame) -> Markup {
    let Log { namespace, pod, container, previous, limit, lines, .. } = log;
    let sync = sync::address(&log.sync);
    let of = |previous: bool, lines: i64| log_address(&sync, namespace, pod, container, previous, lines);
    let follow = of(*previous, *limit).replacen("/log?", "/log/follow?", 1);
    let main = html! {
        nav.crumbs aria-label="Above" {
            a href="/" { "Syncs" } " / " a href=(sync) { (t(sync.trim_start_matches("/syncs/"))) } " / "
            a href=(address(&sync, "", "Pod", namespace, pod)) { "Pod " (t(pod)) }
        }
        h1 { "Log of " (t(container)) " in " (t(namespace)) "/" (t(pod)) @if *previous { " before its last restart" } }
        nav.windows aria-label="Which log" {
            @for count in [200, 1000, 5000] {
                a href=(of(*previous, count)) aria-current=[(*limit == count).then_some("true")] { "last " (count) " lines" }
            }
            @if *previous { a href=(of(false, *limit)) { "since the restart" } }
            @else {
                a href=(of(true, *limit)) { "before the last restart" }
                a #follow href=(follow) { "Follow" }
            }
        }
        @if lines.is_empty() { p.calm { "The log is empty." } }
        pre.log #log tabindex="0" aria-label="Log" { @for line in lines { (line) "\n" } }
    };
    framed(frame, &format!("Log of {pod}"), &About(""), &main)
}
