//! The text of a pull request, in Markdown: a table of the changes, with links to the files.
//!
//! Text from other sources is in code spans, in which a forge does not interpret links, mentions or markup. Pure.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Change, Update, Version, WrittenScalar, clean};
use crate::api::Forge;

/// Maximum characters of a text, less than what every forge accepts.
const LIMIT: usize = 60_000;
/// Characters that are reserved for the text below the table.
const END: usize = 1_000;
/// Maximum number of files that are listed for one image.
const FILES: usize = 10;
/// Maximum number of objects that are listed.
const OBJECTS: usize = 100;

/// The URLs of the pages of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    pub provider: Forge,
    /// The page of the repository: `https://github.com/org/config`.
    pub page: String,
    pub branch: String,
}

impl Links {
    fn file(&self, place: &WrittenScalar) -> String {
        let Self { provider, page, branch } = self;
        let page = page.trim_end_matches('/');
        let (branch, file) = (encoded(branch), encoded(&place.file));
        let folder = match provider {
            Forge::GitHub => "blob",
            Forge::GitLab => "-/blob",
            Forge::Gitea => "src/branch",
        };
        format!("{page}/{folder}/{branch}/{file}#L{}", place.line)
    }
}

/// Returns the text of a pull request.
pub fn description(update: &Update, changes: &[Change], links: Option<&Links>) -> String {
    let Update { namespace, name } = update;
    let mut text = format!(
        "The ImageUpdate {} changes {}.\n\n| Image | From | To | Policy | Files |\n|---|---|---|---|---|\n",
        code(&format!("{namespace}/{name}")),
        if changes.len() == 1 { "one image".to_owned() } else { format!("{} images", changes.len()) }
    );
    let mut size = text.chars().count();
    for (index, change) in changes.iter().enumerate() {
        let row = row(change, links);
        let length = row.chars().count();
        if size + length > LIMIT - END {
            let _ = writeln!(text, "\nand {} more images", changes.len() - index);
            break;
        }
        text.push_str(&row);
        size += length;
    }
    let objects = objects(changes);
    if text.chars().count() + objects.chars().count() < LIMIT - END {
        text.push_str(&objects);
    }
    text.push_str("\nHoldfast keeps this text up to date and overwrites changes of it.\n");
    text
}

fn row(change: &Change, links: Option<&Links>) -> String {
    let Change { image, repository, old, new, places, objects: _, policy } = change;
    let mut files: Vec<String> = places.iter().take(FILES).map(|place| file(place, links)).collect();
    if places.len() > FILES {
        files.push(format!("and {} more", places.len() - FILES));
    }
    let old = old.as_ref().map_or_else(String::new, version);
    let name = format!("{}<br>{}", code(image), code(repository));
    format!("| {name} | {old} | {} | {} | {} |\n", version(new), code(policy), files.join("<br>"))
}

/// Returns the tag and the complete digest, which users compare.
fn version(version: &Version) -> String {
    let Version { tag, digest } = version;
    let parts = tag.iter().chain(digest).map(|part| code(part));
    parts.collect::<Vec<_>>().join("<br>")
}

fn file(place: &WrittenScalar, links: Option<&Links>) -> String {
    let WrittenScalar { file, line, path } = place;
    let shown = code(&format!("{file}:{line}"));
    let shown = links.map_or(shown.clone(), |links| format!("[{shown}]({})", links.file(place)));
    format!("{shown} {}", code(path))
}

fn objects(changes: &[Change]) -> String {
    let mut objects: Vec<&str> =
        changes.iter().flat_map(|change| &change.objects).map(String::as_str).collect();
    objects.sort_unstable();
    objects.dedup();
    if objects.is_empty() {
        return String::new();
    }
    let mut text = "\nObjects that change:\n\n".to_owned();
    for object in objects.iter().take(OBJECTS) {
        let _ = writeln!(text, "- {}", code(object));
    }
    if objects.len() > OBJECTS {
        let _ = writeln!(text, "- and {} more", objects.len() - OBJECTS);
    }
    text
}

/// Returns a code span for a cell of a table.
fn code(text: &str) -> String {
    let text = clean(text).replace('`', "'").replace('|', "\\|");
    if text.is_empty() { text } else { format!("`{text}`") }
}

/// Returns a path for a URL in a link.
fn encoded(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

/// Characters of a path that are not encoded: the unreserved characters and the slash.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
