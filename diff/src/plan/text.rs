//! A plan as text for users.
//!
//! Values of Secrets are masked before. Text from Git or from the cluster stays on its line, with hidden characters
//! visible: a plan cannot hide its effect. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;
use similar::udiff::UnifiedDiffHunk;
use similar::{ChangeTag, TextDiff};

use crate::plan::{Change, FieldChange, Operation, Plan};
use crate::visible;

/// Maximum number of lines of one multi-line value.
const LINES: usize = 60;
/// Maximum number of paths of one owner.
const PATHS: usize = 12;
/// Maximum characters of one value.
const WIDTH: usize = 160;
/// Maximum characters of a name, a path, a reason or a line of a text.
const LONG: usize = 400;
/// Maximum time for finding the smallest difference of two texts.
const DEADLINE: Duration = Duration::from_millis(200);

/// Whether escape codes for colours are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Never,
    Always,
}

impl Colour {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Never => text.to_owned(),
            Self::Always => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// Operations in the order of the output, which is that of apply.
const OPERATIONS: [Operation; 7] = [
    Operation::Create,
    Operation::Adopt,
    Operation::Move,
    Operation::Update,
    Operation::Recreate,
    Operation::Orphan,
    Operation::Delete,
];

/// Writes a plan: a summary, then each object with its fields, by operation, and in the order of apply.
pub fn plan(plan: &Plan, colour: Colour) -> String {
    let mut text = summary(plan);
    text.push('\n');
    text.push_str(&changes(&plan.changes.iter().collect::<Vec<_>>(), colour));
    text
}

/// Writes changes in the format of a plan, with an empty line before each operation.
pub fn changes(changes: &[&Change], colour: Colour) -> String {
    let mut text = String::new();
    for operation in OPERATIONS {
        let changes = changes.iter().filter(|change| change.operation == operation);
        for (at, change) in changes.enumerate() {
            if at == 0 {
                text.push('\n');
            }
            object(&mut text, change, colour);
        }
    }
    text
}

fn object(text: &mut String, change: &Change, colour: Colour) {
    let (sign, code) = sign(change.operation);
    let head = format!("{sign} {} {}", change.operation.word(), line(&change.object.to_string()));
    let origin =
        change.origin.as_ref().map(|origin| format!("  {}", line(&origin.to_string()))).unwrap_or_default();
    let wave = match change.stage.wave {
        0 => String::new(),
        wave => format!("  wave {wave}"),
    };
    let _ = writeln!(
        text,
        "{}{}  ({})",
        colour.paint(code, &head),
        colour.paint("2", &format!("{origin}{wave}")),
        line(&change.reason)
    );
    if let Some(risk) = &change.risk {
        let _ = writeln!(text, "    {}", colour.paint("31", &line(risk)));
    }
    if let Some(doubt) = &change.doubt {
        let text_of = format!("it is unknown whether the API server accepts the replacement: {doubt}");
        let _ = writeln!(text, "    {}", colour.paint("31", &line(&text_of)));
    }
    // Fields that change only their owner are listed together for each owner.
    let mut owners: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for change in &change.fields {
        if change.is_given_up() {
            let _ = writeln!(text, "    gives up {}, which stays as it is", line(&change.path));
        } else if change.before.is_some() && change.before == change.after {
            let owner = change.owners.first().map_or_else(|| "no manager".to_owned(), ToString::to_string);
            owners.entry(owner).or_default().push(&change.path);
        } else {
            field(text, change, colour);
        }
    }
    for (owner, paths) in owners {
        let more = match paths.len().saturating_sub(PATHS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown: Vec<String> = paths.iter().take(PATHS).map(|path| line(path)).collect();
        let (owner, shown) = (line(&owner), shown.join(", "));
        let _ = writeln!(text, "    takes over from {owner}: {shown}{more}");
    }
}

/// `plan 1a2b…: 1 to create, 2 to update`
pub fn summary(plan: &Plan) -> String {
    if plan.is_empty() {
        return "nothing to do: the cluster is in sync with Git".to_owned();
    }
    let parts: Vec<String> = OPERATIONS
        .into_iter()
        .filter_map(|operation| {
            let count = plan.changes.iter().filter(|change: &&Change| change.operation == operation).count();
            (count > 0).then(|| format!("{count} to {}", operation.word()))
        })
        .collect();
    format!("plan {}: {}", plan.id, parts.join(", "))
}

fn sign(operation: Operation) -> (char, &'static str) {
    match operation {
        Operation::Create => ('+', "32"),
        Operation::Adopt | Operation::Move | Operation::Update => ('~', "33"),
        Operation::Recreate => ('±', "31"),
        Operation::Delete | Operation::Orphan => ('-', "31"),
    }
}

fn field(text: &mut String, FieldChange { path, before, after, owners }: &FieldChange, colour: Colour) {
    let owner = owners.first().map_or_else(String::new, |first| format!("  [{}]", line(&first.to_string())));
    let path = line(path);
    if let (Some(Value::String(before)), Some(Value::String(after))) = (before, after)
        && (before.contains('\n') || after.contains('\n'))
    {
        let _ = writeln!(text, "    {path}{}", colour.paint("2", &owner));
        unified(text, before, after, colour);
        return;
    }
    let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), short);
    let _ = writeln!(text, "    {path}: {} -> {}{}", shown(before), shown(after), colour.paint("2", &owner));
}

fn unified(text: &mut String, before: &str, after: &str, colour: Colour) {
    let diff = TextDiff::configure().timeout(DEADLINE).diff_lines(before, after);
    let mut unified = diff.unified_diff();
    let changes = unified.context_radius(2).iter_hunks().collect::<Vec<_>>();
    let changes: Vec<_> = changes.iter().flat_map(UnifiedDiffHunk::iter_changes).collect();
    for change in changes.iter().take(LINES) {
        let (sign, code) = match change.tag() {
            ChangeTag::Delete => ('-', "31"),
            ChangeTag::Insert => ('+', "32"),
            ChangeTag::Equal => (' ', "0"),
        };
        let shown = format!("{sign} {}", line(change.value().trim_end_matches('\n')));
        let _ = writeln!(text, "      {}", colour.paint(code, &shown));
    }
    if let Some(more) = changes.len().checked_sub(LINES).filter(|more| *more > 0) {
        let _ = writeln!(text, "      … ({more} more lines)");
    }
}

fn short(value: &Value) -> String {
    cut(&visible::json(&value.to_string()), WIDTH)
}

/// Returns a text on one line, with hidden characters visible, truncated.
fn line(text: &str) -> String {
    cut(&visible::line(text), LONG)
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}… ({} more characters)", &text[..at], text[at..].chars().count()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fields::Owner;

    #[test]
    fn a_plan_cannot_hide_its_lines() {
        use std::sync::Arc;

        use crate::object::{GroupKind, ObjectId};
        use crate::order::Stage;
        use crate::plan::removed;

        let object = ObjectId::new(Arc::new(GroupKind::new("", "ConfigMap")), "shop", "a\u{202e}b");
        let mut change = removed(object, "v1".to_owned(), "uid".to_owned(), Stage::default(), None);
        change.reason = "because\r\u{1b}[1A".to_owned();
        change.risk = Some("more\nlines".to_owned());
        let field = |path: &str, before: Value, after: Value| FieldChange {
            path: path.to_owned(),
            before: Some(before),
            after: Some(after),
            owners: Vec::new(),
        };
        change.fields = vec![
            field("/data/a\u{1b}[8m", json!("\u{9b}8m"), json!("\u{200b}\u{7f}")),
            field("/data/b", json!("one\ntwo"), json!("one\r\ntwo\u{1b}[2K\n")),
            field("/data/c\nplan 0: nothing to do", json!(1), json!(1)),
        ];
        let text = super::plan(&Plan::new("cluster", vec![change]), Colour::Never);
        assert!(text.chars().all(|each| each == '\n' || !visible::is_hidden(each)), "{text}");
        for line in [
            "- delete ConfigMap shop/a\\u{202e}b  (because\\r\\x1b[1A)",
            "    more\\nlines",
            "    /data/a\\x1b[8m: \"\\u009b8m\" -> \"\\u200b\\u007f\"",
            "      + two\\x1b[2K",
            "    takes over from no manager: /data/c\\nplan 0: nothing to do",
        ] {
            assert!(text.lines().any(|each| each == line), "{line} is missing in {text}");
        }
    }

    #[test]
    fn a_multi_line_value_is_a_unified_difference() {
        let change = FieldChange {
            path: "/data/a".to_owned(),
            before: Some(json!("one\ntwo\n")),
            after: Some(json!("one\nthree\n")),
            owners: vec![Owner {
                manager: "kubectl-edit".to_owned(),
                operation: "Update".to_owned(),
                subresource: None,
                time: None,
            }],
        };
        let mut text = String::new();
        field(&mut text, &change, Colour::Never);
        assert_eq!(text, "    /data/a  [kubectl-edit (Update)]\n        one\n      - two\n      + three\n");
    }
}
