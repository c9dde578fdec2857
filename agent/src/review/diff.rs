//! The changes of one object as the lines of a unified diff. Values of Secrets are masked before they come here.
//!
//! Every line begins with `@@`, `+`, `-`, ` `, `!` or `\`, and shows control characters as escapes. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use holdfast_diff::plan::{Change, FieldChange, Operation};
use holdfast_diff::yaml;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::effect::{Affected, is_drift};
use super::markdown::line;

/// Maximum number of lines of one value.
const LINES: usize = 120;
/// Number of equal lines around a difference.
const CONTEXT: usize = 3;
/// Maximum time to find the smallest difference between two texts.
const DEADLINE: Duration = Duration::from_millis(200);

/// Writes the diff of one object: a header and its fields. Ends with a line break.
pub fn object(Affected { change, overwrites, created }: &Affected) -> String {
    let mut text = head(change);
    if let Some(value) = created {
        unified(&mut text, "", &yaml::write_shown(value), "");
    }
    let (mut given_up, mut taken) = (Vec::new(), Vec::new());
    for field in &change.fields {
        if field.is_given_up() {
            given_up.push(line(&field.path));
        } else if field.before.is_some() && field.before == field.after {
            taken.push(line(&field.path));
        } else {
            self::field(&mut text, field);
        }
        for drift in overwrites.iter().filter(|drift| drift.path == field.path) {
            note(&mut text, drift);
        }
    }
    let other = overwrites.iter().filter(|drift| !change.fields.iter().any(|field| field.path == drift.path));
    other.for_each(|drift| note(&mut text, drift));
    several(&mut text, "no longer set in Git, the live value stays", &given_up);
    several(&mut text, "taken over from other managers, same value", &taken);
    text
}

/// `@@ update Deployment.apps shop/web, shop/web.yaml:12, wave 1 @@`
fn head(change: &Change) -> String {
    let mut head = format!("@@ {} {}", change.operation.word(), line(&change.object.to_string()));
    if let Some(origin) = &change.origin {
        let _ = write!(head, ", {}", line(&origin.to_string()));
    }
    if change.stage.wave != 0 {
        let _ = write!(head, ", wave {}", change.stage.wave);
    }
    head.push_str(" @@\n");
    if change.operation != Operation::Update && change.operation != Operation::Create {
        let _ = writeln!(head, "! {}", line(&change.reason));
    }
    for more in change.risk.iter().chain(&change.doubt) {
        let _ = writeln!(head, "! {}", line(more));
    }
    head
}

fn field(text: &mut String, FieldChange { path, before, after, owners: _ }: &FieldChange) {
    let path = line(path);
    if let (true, true) = (is_short(before.as_ref()), is_short(after.as_ref())) {
        for (sign, value) in [('-', before), ('+', after)] {
            if let Some(value) = value {
                let _ = writeln!(text, "{sign} {path}: {}", line(&value.to_string()));
            }
        }
        return;
    }
    let _ = writeln!(text, "  {path}:");
    unified(text, &document(before.as_ref()), &document(after.as_ref()), "  ");
}

/// True if a value is written on the line of its path.
fn is_short(value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(value)) => !value.trim_end_matches('\n').contains('\n'),
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        _ => true,
    }
}

fn document(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(value) => yaml::write_shown(value),
        None => String::new(),
    }
}

fn unified(text: &mut String, before: &str, after: &str, indent: &str) {
    let diff = TextDiff::configure().timeout(DEADLINE).diff_lines(before, after);
    let mut unified = diff.unified_diff();
    let hunks: Vec<_> = unified.context_radius(CONTEXT).iter_hunks().collect();
    let changes: Vec<_> = hunks.iter().map(|hunk| hunk.iter_changes().collect::<Vec<_>>()).collect();
    let mut left = LINES;
    for (at, changes) in changes.iter().enumerate() {
        if at > 0 && left > 0 {
            let _ = writeln!(text, "  {indent}…");
        }
        for change in changes.iter().take(left) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let _ = writeln!(text, "{sign} {indent}{}", line(change.value().trim_end_matches('\n')));
            if change.missing_newline() {
                let _ = writeln!(text, "\\ {indent}(no line break at the end)");
            }
        }
        left = left.saturating_sub(changes.len());
    }
    let all: usize = changes.iter().map(Vec::len).sum();
    if all > LINES {
        let _ = writeln!(text, "! {indent}({} more lines are not shown)", all - LINES);
    }
}

/// Writes a note about a live value that the merge overwrites.
fn note(text: &mut String, drift: &FieldChange) {
    let owner = drift.owners.first().map_or_else(|| "an unknown manager".to_owned(), ToString::to_string);
    let base = drift.after.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let what = if is_drift(drift) { "drift, which the merge overwrites" } else { "not applied yet" };
    let _ = writeln!(
        text,
        "! {}: written by {}; the base has {} ({what})",
        line(&drift.path),
        line(&owner),
        line(&base)
    );
}

fn several(text: &mut String, what: &str, paths: &[String]) {
    const SHOWN: usize = 12;
    if paths.is_empty() {
        return;
    }
    let more = paths.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown: Vec<&str> = paths.iter().take(SHOWN).map(String::as_str).collect();
    let _ = writeln!(text, "  {what}: {}{more}", shown.join(", "));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(before: Option<Value>, after: Option<Value>) -> String {
        let mut text = String::new();
        field(&mut text, &FieldChange { path: "/data/a".to_owned(), before, after, owners: Vec::new() });
        text
    }

    #[test]
    fn scalars_stand_on_the_line_of_their_path() {
        assert_eq!(shown(Some(json!(1)), Some(json!(2))), "- /data/a: 1\n+ /data/a: 2\n");
        assert_eq!(shown(None, Some(json!("x"))), "+ /data/a: \"x\"\n");
        assert_eq!(shown(Some(json!({})), None), "- /data/a: {}\n");
    }

    #[test]
    fn texts_and_structures_are_compared_by_their_lines() {
        let (before, after) = (json!("one\ntwo\n"), json!("one\nthree\n"));
        assert_eq!(shown(Some(before), Some(after)), "  /data/a:\n    one\n-   two\n+   three\n");
        assert_eq!(
            shown(Some(json!([{"name": "a", "port": 1}])), Some(json!([{"name": "a", "port": 2}]))),
            "  /data/a:\n    - name: a\n-     port: 1\n+     port: 2\n"
        );
    }

    #[test]
    fn long_values_are_cut_and_hidden_characters_are_shown() {
        let long = "line\n".repeat(200);
        let text = shown(None, Some(json!(long)));
        assert!(text.ends_with("!   (80 more lines are not shown)\n"), "{text}");
        assert_eq!(
            shown(None, Some(json!("a\r\n\u{1b}[2K\nb"))),
            "  /data/a:\n+   a\\r\n+   \\x1b[2K\n+   b\n\\   (no line break at the end)\n"
        );
    }

    #[test]
    fn a_line_break_that_is_missing_at_the_end_is_shown() {
        let none = "\\   (no line break at the end)\n";
        for (before, after, expected) in [
            ("a\nb\n", "a\nb", format!("    a\n-   b\n+   b\n{none}")),
            ("a\nb", "a\nb\n", format!("    a\n-   b\n{none}+   b\n")),
            ("a\nb", "c\nb", format!("-   a\n+   c\n    b\n{none}")),
            ("a\nb\n", "c\nb\n", "-   a\n+   c\n    b\n".to_owned()),
        ] {
            let text = shown(Some(json!(before)), Some(json!(after)));
            assert_eq!(text, format!("  /data/a:\n{expected}"), "{before:?} {after:?}");
        }
    }
}
