//! The errors of a preview at their lines of files, for check runs and reviews. Pure.

use holdfast_diff::visible;

use super::preview::{At, Preview, SyncResult};
use crate::forge::review::{Annotation, Level};

/// Annotations of a commit.
const MOST: usize = 50;

/// One annotation for each error that names a file and a line of the merge, each once.
pub fn of(preview: &Preview) -> Vec<Annotation> {
    let mut found: Vec<Annotation> = Vec::new();
    for sync in preview.syncs() {
        let (errors, level) = match &sync.result {
            // The lines of the base need not be lines of the head.
            SyncResult::Failed { at: At::Base, .. } => continue,
            SyncResult::Failed { at: At::Merge, errors } => (errors, Level::Failure),
            SyncResult::Planned(planned) => (&planned.errors, Level::Failure),
        };
        let warnings = match &sync.result {
            SyncResult::Planned(planned) => planned.warnings.as_slice(),
            SyncResult::Failed { .. } => &[],
        };
        let all = errors.iter().map(|error| (error, level));
        let all = all.chain(warnings.iter().map(|warning| (warning, Level::Warning)));
        for (text, level) in all {
            let Some((path, line)) = place(text) else { continue };
            let message = visible::line(text).into_owned();
            let annotation = Annotation { path: path.to_owned(), line, level, message };
            if !found.contains(&annotation) {
                found.push(annotation);
            }
        }
    }
    found.truncate(MOST);
    found
}

/// The first `file:line` in a text.
fn place(text: &str) -> Option<(&str, u32)> {
    let words = text.split([' ', '(', ')', ',', ';', '\n']);
    words.map(|word| word.trim_end_matches(':')).find_map(|word| {
        let mut parts = word.split(':');
        let (path, line) = (parts.next()?, parts.next()?.parse().ok()?);
        // `shop/web.yaml:12` or `shop/web.yaml:12:3`; no URL, no image and no time.
        let is_file =
            path.rsplit('/').next().is_some_and(|name| name.contains('.')) && !path.starts_with('/');
        (is_file && line > 0 && !word.contains("//")).then_some((path, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_and_a_line() {
        for (text, expected) in [
            ("shop/a.yaml:3: a: is twice", Some(("shop/a.yaml", 3))),
            ("Deployment.apps shop/b (shop/b.yaml:3): is refused", Some(("shop/b.yaml", 3))),
            ("shop/c.yaml:3:7: found a tab", Some(("shop/c.yaml", 3))),
            ("cannot reach https://git.example.com:443/x", None),
            ("image registry.example.com/web:12 is too old", None),
            ("at 12:30 it failed", None),
            ("shop/d.yaml:0: nothing", None),
            ("nothing", None),
        ] {
            assert_eq!(place(text), expected, "{text}");
        }
    }
}
