//! Keeps commits of others on the branch of a proposal: other files stay unchanged, and edits are made again on top of
//! their changes. I/O: disk reads of the mirror.

use holdfast_diff::files::Files as _;
use holdfast_diff::image::edit::{Setting, Wanted, apply, settings};

use super::edits::Edited;
use super::merge::merge;
use crate::report::Failure;
use crate::source::{Checkout, Graft, Kept, Others, PushTarget};

/// Maximum number of files in a message.
const NAMED: usize = 5;

/// The content of a commit beside its base.
pub struct Content {
    /// True if others committed to the branch.
    pub keeps: bool,
    pub changes: Vec<(String, Vec<u8>)>,
    pub grafts: Vec<Graft>,
}

/// The branches of a proposal, for messages.
pub struct Branches<'a> {
    pub read: &'a str,
    pub pushed: &'a str,
    /// The author of the commits of this ImageUpdate: `Name <address>`.
    pub author: &'a str,
}

/// Combines the edits with the commits of others on the branch.
pub fn keep(
    onto: &PushTarget,
    base: &Checkout,
    files: &[Edited],
    wanted: &Wanted,
    branches: &Branches<'_>,
) -> Result<Content, Failure> {
    let changes = files.iter().map(|edited| (edited.file.clone(), edited.after.clone())).collect();
    let mut content = Content { keeps: false, changes, grafts: Vec::new() };
    let Some(head) = onto.head() else { return Ok(content) };
    let ancestor = match onto.others() {
        Others::Nothing => return Ok(content),
        Others::Since(ancestor) => ancestor,
        Others::Unknown if head.commit().is_some_and(|(author, _)| author == branches.author) => {
            return Ok(content);
        }
        Others::Unknown => return Err(diverged(branches)),
    };
    let edited: Vec<String> = files.iter().map(|edited| edited.file.clone()).collect();
    let since = head.since(ancestor, base, &edited).map_err(|error| Failure::of("publish", &error))?;
    let Kept { grafts, both } = since;
    content.grafts = grafts;
    content.keeps = true;
    let mut conflicts = Vec::new();
    for file in both {
        let sides = [base, ancestor, head].map(|side| side.files().read(&file).ok().flatten());
        let edited = files.iter().find(|edited| edited.file == file);
        let merged = match &sides {
            [Some(base), Some(was), Some(theirs)] => both_sides(&file, edited, base, was, theirs, wanted),
            _ => None,
        };
        match merged {
            Some(merged) => {
                content.changes.retain(|(known, _)| *known != file);
                content.changes.push((file, merged));
            }
            None => conflicts.push(file),
        }
    }
    if conflicts.is_empty() { Ok(content) } else { Err(conflict(&conflicts, branches)) }
}

/// Handles a file that others changed on the branch, and that is edited or was changed on the branch that is read.
fn both_sides(
    file: &str,
    edited: Option<&Edited>,
    base: &[u8],
    was: &[u8],
    theirs: &[u8],
    wanted: &Wanted,
) -> Option<Vec<u8>> {
    let again = |text: &[u8]| match edited {
        Some(edited) => edit(file, text, edited, wanted),
        None => Some(text.to_vec()),
    };
    let (base, was, theirs) = (again(base)?, again(was)?, again(theirs)?);
    merge(&was, &base, &theirs)
}

/// Makes the edits of a file in another version of it.
fn edit(file: &str, text: &[u8], edited: &Edited, wanted: &Wanted) -> Option<Vec<u8>> {
    let is_meant = |setting: &Setting| edited.settings.iter().any(|one| one.image == setting.image);
    let mut found = settings(file, text, wanted).set;
    found.retain(is_meant);
    apply(file, text, &found).ok()
}

fn conflict(files: &[String], Branches { read, pushed, .. }: &Branches<'_>) -> Failure {
    let named: Vec<&str> = files.iter().take(NAMED).map(String::as_str).collect();
    let more = files.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "nothing is pushed to {pushed}: others changed {}{more} there, and so did {read} or the update; merge {read} into \
         {pushed}, or close the proposal",
        named.join(", ")
    );
    Failure::user("publish", "BranchConflict", message)
}

fn diverged(Branches { read, pushed, .. }: &Branches<'_>) -> Failure {
    let message = format!(
        "nothing is pushed to {pushed}: its last commit is by another author, and not based on {read} as it is; merge \
         {read} into {pushed}, or delete {pushed}"
    );
    Failure::user("publish", "BranchDiverged", message)
}
