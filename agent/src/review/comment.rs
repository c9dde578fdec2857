//! The text of the comment on a pull request, in Markdown: the verdict, then the plans that need an Approval, errors, destructive
//! changes, overwritten drift, and for each Sync the changes in the order of apply, folded.
//!
//! Everything that comes from a repository or a cluster passes through `markdown`. Pure.

use std::fmt::Write as _;

use holdfast_diff::plan::Change;

use super::diff;
use super::effect::{Affected, Effect, is_drift};
use super::fit::{self, Part, Section, list};
use super::markdown::{code, html};
use super::preview::{At, Outcome, Planned, Preview, Side, SyncPreview, SyncResult, Waits, count, counts};
use crate::sync_ref::SyncRef;

/// Maximum bytes of a comment, below the limit of every forge.
pub const LIMIT: usize = 60_000;

/// Maximum bytes of the plans that wait for approvals. Of further plans, only the ids are listed.
const WAITS: usize = 16 * 1024;

/// How a plan can be approved from the comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approve {
    /// By a comment on the pull request, or in the cluster.
    Here,
    /// Only in the cluster, after the merge.
    Cluster,
}

/// Writes the comment, in at most `limit` bytes.
pub fn comment(preview: &Preview, approve: Approve, limit: usize) -> String {
    let mut text = format!("### {}\n\n{}\n", title(preview), sides(preview));
    match &preview.outcome {
        Outcome::Conflicts { files, more } => {
            text.push_str("\nNothing can be planned before the conflicts are resolved:\n\n");
            let mut files: Vec<String> = files.iter().map(|file| code(file)).collect();
            if *more > 0 {
                files.push(format!("and {more} more"));
            }
            text.push_str(&list(&files));
        }
        Outcome::Syncs(syncs) => {
            text.push_str(&waits(syncs, approve));
            titled(&mut text, "Errors", &errors(syncs));
            titled(&mut text, "Destructive changes", &destructive(syncs));
            titled(&mut text, "Drift that the merge overwrites", &overwritten(syncs));
            let sections: Vec<Section> = syncs.iter().filter_map(section).collect();
            let room = limit.saturating_sub(text.len() + 200);
            text.push_str(&fit::sections(&sections, room));
        }
    }
    text
}

/// The title with the verdict. It contains no text of the repository or the cluster.
fn title(preview: &Preview) -> String {
    let verdict = preview.verdict();
    if preview.cluster.is_some() {
        format!("Holdfast: {verdict}")
    } else {
        format!("Holdfast: {verdict} (rendered, not compared with a cluster)")
    }
}

fn sides(Preview { base, head, cluster, .. }: &Preview) -> String {
    let side = |side: &Side| format!("{} at {}", code(&side.name), code(side.short()));
    let with = if cluster.is_some() { "the live cluster" } else { "what the base renders to" };
    format!("{} merged into {}, compared with {with}.", side(head), side(base))
}

fn titled(text: &mut String, title: &str, items: &[String]) {
    if !items.is_empty() {
        let _ = write!(text, "\n**{title}**\n\n{}", list(items));
    }
}

fn planned(syncs: &[SyncPreview]) -> impl Iterator<Item = (&SyncPreview, &Planned)> {
    syncs.iter().filter_map(|sync| match &sync.result {
        SyncResult::Planned(planned) => Some((sync, planned)),
        SyncResult::Failed { .. } => None,
    })
}

/// The plans that wait for approvals, and how to approve them.
fn waits(syncs: &[SyncPreview], approve: Approve) -> String {
    let mut text = String::new();
    let waiting = planned(syncs).filter_map(|(sync, planned)| Some((sync, planned.waiting.as_ref()?)));
    let mut others = Vec::new();
    for (SyncPreview { sync, .. }, waits) in waiting {
        let whole = waiting_for(sync, waits, approve);
        if text.len() + whole.len() <= WAITS {
            text.push_str(&whole);
        } else {
            let id = waits.id.as_ref().map(|id| format!(", plan {}", code(id.as_str()))).unwrap_or_default();
            others.push(format!(
                "Sync {}{id}: {}",
                code(&sync.to_string()),
                count(waits.changes.len(), "change")
            ));
        }
    }
    titled(&mut text, "These wait for approvals too", &others);
    text
}

fn waiting_for(sync: &SyncRef, Waits { id, changes, later, rejected }: &Waits, approve: Approve) -> String {
    let changes: Vec<String> = changes.iter().map(|change| code(change)).collect();
    let mut text =
        format!("\n**Sync {} waits for an approval**\n\n{}", code(&sync.to_string()), list(&changes));
    if *later > 0 {
        let _ = writeln!(text, "- then {}", count(*later, "more change"));
    }
    if let Some((who, why)) = rejected {
        let _ = writeln!(text, "\nRejected by {}: {}", code(who), code(why));
    }
    let Some(id) = id else { return text };
    let command = format!("holdfast approve {} -n {} {id} --reason REASON", sync.name(), sync.namespace());
    let command = code(&command);
    let _ = match approve {
        Approve::Here => write!(
            text,
            "\nThe approval holds for exactly these changes. Approve them with a comment here:\n\n```\n/holdfast approve {id} REASON\n```\n\nor in the cluster: {command}\n"
        ),
        Approve::Cluster => writeln!(
            text,
            "\nThe approval holds for exactly these changes, once they wait in the cluster: {command}"
        ),
    };
    text
}

fn errors(syncs: &[SyncPreview]) -> Vec<String> {
    let mut found = Vec::new();
    for SyncPreview { sync, result } in syncs {
        let name = code(&sync.to_string());
        let (at, errors) = match result {
            SyncResult::Failed { at: At::Base, errors } => (", at the base already", errors),
            SyncResult::Failed { at: At::Merge, errors } => ("", errors),
            SyncResult::Planned(planned) => ("", &planned.errors),
        };
        found.extend(errors.iter().map(|error| format!("Sync {name}{at}: {}", code(error))));
    }
    found
}

/// The changes that delete or replace existing objects.
fn destructive(syncs: &[SyncPreview]) -> Vec<String> {
    let all = planned(syncs).flat_map(|(_, planned)| &planned.effect.changes);
    let all = all.map(|affected| &affected.change).filter(|change| change.operation.deletes());
    all.map(|change| {
        let why = change.risk.as_ref().unwrap_or(&change.reason);
        format!("{} {}: {}", change.operation.word(), code(&change.object.to_string()), code(why))
    })
    .collect()
}

/// Drift of fields that the merge changes.
fn overwritten(syncs: &[SyncPreview]) -> Vec<String> {
    let mut found = Vec::new();
    for Affected { change, overwrites, .. } in planned(syncs).flat_map(|(_, planned)| &planned.effect.changes)
    {
        let object = code(&change.object.to_string());
        for field in overwrites.iter().filter(|field| is_drift(field)) {
            let shown = |value: Option<&serde_json::Value>| {
                value.map_or_else(|| "nothing".to_owned(), |value| code(&value.to_string()))
            };
            let own = change.fields.iter().find(|own| own.path == field.path);
            let becomes =
                own.map(|own| format!(", and becomes {}", shown(own.after.as_ref()))).unwrap_or_default();
            let owner = field.owners.first().map(ToString::to_string).unwrap_or_default();
            found.push(format!(
                "{object} {}: {} was written by {}; the base has {}{becomes}",
                code(&field.path),
                shown(field.before.as_ref()),
                code(&owner),
                shown(field.after.as_ref())
            ));
        }
    }
    found
}

/// The changes of a Sync, if it has any.
fn section(SyncPreview { sync, result }: &SyncPreview) -> Option<Section> {
    let SyncResult::Planned(Planned { effect, warnings, .. }) = result else { return None };
    let Effect { changes, pending, accepted } = effect;
    let mut what = counts(changes.iter().map(|affected| &affected.change));
    if what.is_empty() {
        what.push("no changes".to_owned());
    }
    let part = |affected: &Affected| {
        let Change { operation, object, .. } = &affected.change;
        Part { name: format!("{} {object}", operation.word()), diff: diff::object(affected) }
    };
    let mut note = String::new();
    if !warnings.is_empty() {
        let warnings: Vec<String> = warnings.iter().map(|warning| code(warning)).collect();
        let _ = write!(note, "Warnings that the merge brings:\n\n{}\n", list(&warnings));
    }
    apart(&mut note, "Not caused by the merge: the base makes these changes anyway", pending);
    apart(&mut note, "These differ from the base now, and not from the merge", accepted);
    let title = format!("Sync <code>{}</code>: {}", html(&sync.to_string()), what.join(", "));
    Some(Section { title, parts: changes.iter().map(part).collect(), note })
}

/// Changes that the merge does not cause.
fn apart(text: &mut String, title: &str, changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    let item = |change: &Change| {
        let mut owners: Vec<String> = change
            .fields
            .iter()
            .filter(|field| is_drift(field))
            .filter_map(|field| Some(code(&field.owners.first()?.to_string())))
            .collect();
        owners.sort_unstable();
        owners.dedup();
        let by = if owners.is_empty() { String::new() } else { format!(", drift by {}", owners.join(", ")) };
        format!("{} {}{by}", change.operation.word(), code(&change.object.to_string()))
    };
    let items: Vec<String> = changes.iter().map(item).collect();
    let _ = write!(text, "{title}:\n\n{}\n", list(&items));
}

#[cfg(test)]
mod tests;
