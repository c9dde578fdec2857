//! The fields of an object, Git beside the cluster, by how they stand to each other. Pure.

use std::time::Duration;

use holdfast_diff::fields::Owner;
use maud::{Markup, html};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::text::t;
use crate::ui::object::Source;
use crate::ui::object::rows::{Row, Rows, Standing};

/// Fields of a group that are open at first.
const OPEN: usize = 60;
/// Lines of a text that are shown, and equal lines around a difference.
const LINES: usize = 200;
const CONTEXT: usize = 3;
/// How long the smallest difference of two texts is searched.
const DEADLINE: Duration = Duration::from_millis(50);

/// All fields, in groups.
pub fn table(Rows { listed, more }: &Rows, source: Source) -> Markup {
    let groups: [(&str, &[Standing], bool); 4] = [
        ("Different from Git", &[Standing::Differs, Standing::Missing], true),
        ("Set by others, not in Git", &[Standing::Other], true),
        ("As in Git", &[Standing::Same, Standing::Equivalent], true),
        ("Defaults of the API server", &[Standing::Default], false),
    ];
    let of = |standings: &[Standing]| -> Vec<&Row> {
        listed.iter().filter(|row| standings.contains(&row.standing)).collect()
    };
    html! {
        @for (title, standings, is_open) in groups {
            @let rows = of(standings);
            @if !rows.is_empty() {
                details.group open[is_open && rows.len() <= OPEN || standings.contains(&Standing::Differs)] {
                    summary { (title) " " span.count { (rows.len()) } }
                    table.sides {
                        thead { tr { th { "Field" } th { @if source == Source::Applied { "Applied" } @else { "Git" } } th { "Cluster" } th { "Owner" } } }
                        tbody { @for row in rows { (line(row)) } }
                    }
                }
            }
        }
        @if *more > 0 { p { "And " (more) " more fields, which are not listed." } }
    }
}

/// The fields that differ alone, for a diff.
pub fn differing(rows: &Rows) -> Markup {
    let differs = |row: &&Row| matches!(row.standing, Standing::Differs | Standing::Missing);
    html! {
        div.fields {
            @for row in rows.listed.iter().filter(differs) {
                div.field {
                    code.path { (t(&row.path)) }
                    @if let Some((before, after)) = texts(row) { (text_diff(before, after)) }
                    @else {
                        @if let Some(live) = &row.live { del { (value(live)) } }
                        @if let Some(git) = &row.git { ins { (value(git)) } } @else { span.note { "removed" } }
                        @if let Some(owner) = row.owners.iter().find(|owner| !owner.is_holdfast()) { span.note { "now of " (t(&owner.manager)) } }
                    }
                }
            }
        }
    }
}

fn line(row: &Row) -> Markup {
    let Row { path, standing, git, live, owners } = row;
    let differs = matches!(standing, Standing::Differs | Standing::Missing);
    html! {
        tr {
            th scope="row" { code.path { (t(path)) } }
            @if let (true, Some((git, live))) = (differs, texts(row)) {
                td colspan="2" { (text_diff(git, live)) p.note { "- Git, + cluster" } }
            } @else {
                td data-side="Git" class=(if differs { "differs" } else { "" }) {
                    @if let Some(git) = git { (value(git)) } @else { span.note { "not in Git" } }
                }
                td data-side="Cluster" class=(if differs { "differs" } else { "" }) {
                    @if let Some(live) = live { (value(live)) } @else { span.note { "missing" } }
                    @if *standing == Standing::Equivalent { " " span.note { "same to the API server" } }
                }
            }
            td data-side="Owner" {
                @for owner in owners { div.owner { (of(owner)) } }
                @if owners.is_empty() { span.note { "none" } }
            }
        }
    }
}

fn of(Owner { manager, operation, subresource, time }: &Owner) -> Markup {
    html! {
        strong { (t(manager)) } " "
        span.note {
            (t(operation)) @if let Some(subresource) = subresource { " of " (t(subresource)) }
            @if let Some(time) = time { ", " (t(time)) }
        }
    }
}

/// Both sides, if they are texts of several lines.
fn texts(row: &Row) -> Option<(&str, &str)> {
    let (git, live) = (row.git.as_ref()?.as_str()?, row.live.as_ref()?.as_str()?);
    (git.contains('\n') || live.contains('\n')).then_some((git, live))
}

/// A value: a text of several lines as such, anything else as JSON.
pub fn value(value: &Value) -> Markup {
    match value {
        Value::String(text) if text.contains('\n') => {
            let lines: Vec<&str> = text.lines().collect();
            html! {
                pre.text tabindex="0" { @for line in lines.iter().take(LINES) { (t(line)) "\n" } }
                @if lines.len() > LINES { span.note { "and " (lines.len() - LINES) " more lines" } }
            }
        }
        other => html! { code.value { (t(&other.to_string())) } },
    }
}

/// Two texts line by line.
fn text_diff(before: &str, after: &str) -> Markup {
    let diff = TextDiff::configure().timeout(DEADLINE).diff_lines(before, after);
    let mut lines = Vec::new();
    for (at, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if at > 0 {
            lines.push(("skip", "…".to_owned()));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let class = match change.tag() {
                ChangeTag::Delete => "minus",
                ChangeTag::Insert => "plus",
                ChangeTag::Equal => "equal",
            };
            lines.push((class, t(change.value().trim_end_matches('\n')).into_owned()));
        }
    }
    let more = lines.len().saturating_sub(LINES);
    html! {
        pre.diff { @for (class, line) in lines.iter().take(LINES) { span class=(class) { (line) } "\n" } }
        @if more > 0 { span.note { "and " (more) " more lines" } }
    }
}
