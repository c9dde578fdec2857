//! The page of pull requests: what each would do, and the button to approve it. Pure.

use maud::{Markup, html};

use super::form;
use super::frame::{About, Frame, page as framed};
use super::text::{out, short, t};
use crate::api::PullRequestState;
use crate::ui::pulls::{PullLine, PullRequests, Trouble};

/// Lines of a preview that are shown.
const LINES: usize = 2000;

pub fn page(pulls: &PullRequests, frame: &Frame) -> Markup {
    let PullRequests { listed, more, troubles, has_repositories } = pulls;
    let main = html! {
        h1 { "Pull requests" }
        @for Trouble { namespace, name, message } in troubles {
            p.banner.warn { "Repository " (t(namespace)) "/" (t(name)) ": " (t(message)) }
        }
        @if !has_repositories { p.calm { "There is no Repository that you may read. A Repository lets Holdfast preview the pull requests of a config repository." } }
        @else if listed.is_empty() { p.calm { "No pull request is open for a branch that a Sync follows." } }
        @for pull in listed { (one(pull, frame)) }
        @if *more > 0 { p { "And " (more) " more pull requests, which are not listed." } }
    };
    framed(frame, "Pull requests", &About("*"), &main)
}

fn one(pull: &PullLine, frame: &Frame) -> Markup {
    let PullLine {
        namespace,
        repository,
        number,
        title,
        url,
        author,
        is_draft,
        base,
        state,
        verdict,
        plans,
        preview,
        may,
    } = pull;
    let title = if title.is_empty() { "Pull request" } else { title };
    let name = format!("{title} #{number}");
    html! {
        section.card {
            h2 { (out(url, &name)) " " span class=(class(*state)) { (word(*state)) } @if *is_draft { " " span.chip.quiet { "Draft" } } }
            p.note {
                "Repository " (t(namespace)) "/" (t(repository)) ", into " code { (t(&short(base))) }
                @if !author.is_empty() { ", by " (t(author)) }
            }
            @if !verdict.is_empty() { p { (t(verdict)) } }
            @for plan in plans {
                @let address = format!("/syncs/{namespace}/{}", plan.sync);
                div.plan {
                    p {
                        "Sync " @if is_name(&plan.sync) { a.row href=(address) { (t(&plan.sync)) } } @else { (t(&plan.sync)) }
                        ", plan " code { (t(&plan.id)) }
                        @if plan.waits { " " span.chip.warn { "Needs an approval" } }
                    }
                    @if plan.waits && may.decide && is_name(&plan.sync) { (form::decide_before(frame, &address, &plan.id)) }
                }
            }
            @if !preview.is_empty() {
                details.fold open[*state == PullRequestState::Waiting] {
                    summary { "Preview" }
                    (text(preview))
                }
            }
        }
    }
}

/// True for the name of an object, which needs no escapes in an address.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

fn word(state: PullRequestState) -> &'static str {
    match state {
        PullRequestState::Pending => "Not previewed yet",
        PullRequestState::Previewed => "Previewed",
        PullRequestState::Conflicts => "Conflicts",
        PullRequestState::Failed => "Failed",
        PullRequestState::Waiting => "Waiting for an approval",
        PullRequestState::Skipped => "Skipped",
        PullRequestState::Merged => "Merged, not applied yet",
    }
}

fn class(state: PullRequestState) -> &'static str {
    match state {
        PullRequestState::Conflicts | PullRequestState::Failed => "chip bad",
        PullRequestState::Waiting => "chip warn",
        PullRequestState::Pending | PullRequestState::Skipped | PullRequestState::Merged => "chip quiet",
        PullRequestState::Previewed => "chip good",
    }
}

/// The preview: Markdown, whose lines are readable as they are. HTML in it stays text.
fn text(preview: &str) -> Markup {
    let of = |line: &str| match line.trim_start().as_bytes().first() {
        Some(b'+') => "plus",
        Some(b'-') if !line.starts_with("- ") || line.contains('/') => "minus",
        Some(b'@') => "skip",
        _ => "equal",
    };
    let is_markup = |line: &&str| !line.starts_with("```") && !line.trim_start().starts_with('<');
    let lines: Vec<&str> = preview.lines().filter(is_markup).collect();
    let more = lines.len().saturating_sub(LINES);
    html! {
        pre.diff.preview { @for line in lines.iter().take(LINES) { span class=(of(line)) { (t(line)) } "\n" } }
        @if more > 0 { p { "And " (more) " more lines; see the pull request." } }
    }
}
