//! Verifies an edit: the edited file has the new values, and is otherwise unchanged.
//!
//! Pure.

use std::sync::Arc;

use serde_json::Value;

use super::quote::as_read;
use super::{Edit, EditError, EditProblem, NewField, child, line};
use crate::yaml::{Document, read};

/// Parses the edited text and compares it with the previous documents.
pub(super) fn prove(
    file: &Arc<str>,
    before: &[Document],
    edits: &[Edit],
    fields: &[NewField],
    after: &[u8],
) -> Result<(), EditError> {
    let (found, errors) = read(file, after);
    if let Some(error) = errors.into_iter().next() {
        return Err(EditError::Broken(error));
    }
    for (number, document) in before.iter().enumerate() {
        let wanted = wanted(document, number, edits, fields);
        let Some(path) = difference(&wanted, found.get(number).map(|found| &found.value)) else { continue };
        let is_meant = edits.iter().any(|edit| edit.document == number && edit.path == path)
            || fields.iter().any(|field| field.document == number && path_of(field) == path);
        return Err(failure(file, document, is_meant, path));
    }
    match before.last() {
        Some(last) if found.len() > before.len() => {
            Err(EditError::Elsewhere { file: file.clone(), line: last.line, path: String::new() })
        }
        _ => Ok(()),
    }
}

fn path_of(field: &NewField) -> String {
    child(&field.mapping, field.name)
}

/// Returns the expected value of a document with its edits and new fields.
fn wanted(document: &Document, number: usize, edits: &[Edit], fields: &[NewField]) -> Value {
    let mut wanted = document.value.clone();
    for edit in edits.iter().filter(|edit| edit.document == number) {
        if let Some(field) = wanted.pointer_mut(&edit.path) {
            *field = as_read(edit.value);
        }
    }
    for field in fields.iter().filter(|field| field.document == number) {
        if let Some(Value::Object(mapping)) = wanted.pointer_mut(&field.mapping) {
            mapping.insert(field.name.to_owned(), field.value.into());
        }
    }
    wanted
}

fn failure(file: &Arc<str>, document: &Document, is_meant: bool, path: String) -> EditError {
    let line = line(document, &path).unwrap_or(document.line);
    let file = file.clone();
    if is_meant {
        return EditError::Refused { file, line, path, problem: EditProblem::Unwritable };
    }
    EditError::Elsewhere { file, line, path }
}

/// Returns the path of the first difference.
fn difference(wanted: &Value, found: Option<&Value>) -> Option<String> {
    match (wanted, found) {
        (Value::Object(wanted), Some(Value::Object(found))) => {
            let names = wanted.keys().chain(found.keys().filter(|name| !wanted.contains_key(*name)));
            names.into_iter().find_map(|name| {
                let missing = || Some(String::new());
                let inner = wanted.get(name).map_or_else(missing, |value| difference(value, found.get(name)));
                inner.map(|rest| child("", name) + &rest)
            })
        }
        (Value::Array(wanted), Some(Value::Array(found))) if wanted.len() == found.len() => wanted
            .iter()
            .zip(found)
            .enumerate()
            .find_map(|(at, (wanted, found))| Some(format!("/{at}{}", difference(wanted, Some(found))?))),
        (wanted, found) => (Some(wanted) != found).then(String::new),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Edit, prove};
    use crate::yaml::read;

    /// What the proof says of a file in which `/a` of the second document was to become 2.
    #[track_caller]
    fn check(after: &str, expected: &str) {
        let (before, _) = read("x.yaml", b"b: 1\n---\na: 1\nc: [d, {e: f}]\n");
        let edits = [Edit { document: 1, path: "/a".to_owned(), value: &json!(2) }];
        let proof = prove(&"x.yaml".into(), &before, &edits, &[], after.as_bytes());
        let message = proof.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.starts_with(expected) && message.is_empty() == expected.is_empty(), "{message}");
    }

    #[test]
    fn only_the_wanted_change_passes() {
        check("b: 1\n---\na: 2\nc: [d, {e: f}]\n", "");
        check("b: 1\n---\na: 3\nc: [d, {e: f}]\n", "x.yaml:3: `/a` has no form here");
        check(
            "b: 1\n---\na: 2\nc: [d, {e: g}]\n",
            "x.yaml:4: changed elsewhere: the edit would change `/c/1/e`",
        );
        check("b: 1\n---\na: 2\nc: [d]\n", "x.yaml:4: changed elsewhere: the edit would change `/c`");
        check(
            "b: 1\n---\na: 2\nc: [d, {e: f}]\ng: 1\n",
            "x.yaml:3: changed elsewhere: the edit would change `/g`",
        );
        check("b: 1\n---\na: 2\n", "x.yaml:4: changed elsewhere: the edit would change `/c`");
        check("b: 2\n---\na: 2\nc: [d, {e: f}]\n", "x.yaml:1: changed elsewhere: the edit would change `/b`");
        check("b: 1\n", "x.yaml:3: changed elsewhere");
        check("b: 1\n---\na: 2\nc: [d, {e: f}]\n---\nx\n", "x.yaml:3: changed elsewhere");
        check("b: [\n", "the edit would break the file, so edit it by hand: x.yaml:1:4: a `[`");
    }
}
