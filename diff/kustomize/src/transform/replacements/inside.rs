//! Fields inside a text that is YAML or JSON, such as an entry of a ConfigMap.
//!
//! JSON is written again with sorted keys, as in kustomize. YAML is written again too (`layout`), or, if
//! that may not result in the bytes of kustomize, only the changed scalars are replaced. Pure.

mod layout;

use serde_json::Value;

use super::matcher::{Found, Matcher, inner};
use crate::node::{Node, Scalar};
use crate::path::{lookup, lookup_mut};
use crate::value::{scalar_value, value};
use holdfast_documents::pointer;
use holdfast_documents::yaml::edit::{Edit, edit};

/// Sets the fields at a path, a part of which leads into a text. Returns false, and changes nothing, if there are
/// none.
///
/// # Errors
/// The text cannot be written again.
pub(super) fn copy(node: &mut Node, path: &[String], new: &Node, create: bool) -> Result<bool, String> {
    let found = (1..path.len()).find_map(|length| {
        let scalar = lookup(node, &path[..length]).ok().flatten().and_then(Node::as_scalar)?;
        inner(&scalar.text).map(|parsed| (length, scalar.text.clone(), parsed))
    });
    let Some((length, text, before)) = found else { return Ok(false) };
    let mut after = before.clone();
    let mut set = |target: &mut Node, found: Found| {
        set_value(target, found, new);
        Ok(())
    };
    let mut matcher = Matcher::new(new, create, &mut set);
    if matcher.run(&mut after, &path[length..]).is_err() || matcher.count() == 0 {
        return Ok(false);
    }
    let is_json = text.trim_start().starts_with(['{', '[']);
    let text = if is_json {
        as_json(&text, &after)
    } else if let Some(written) = layout::written(&text, &after, new) {
        Ok(Some(written))
    } else {
        as_yaml(&text, &before, &after).map(Some)
    };
    match (text?, lookup_mut(node, &path[..length])?) {
        (Some(text), Some(Node::Scalar(scalar))) => {
            scalar.text = text.into();
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn set_value(target: &mut Node, found: Found, new: &Node) {
    match (target, new.as_scalar()) {
        (Node::Scalar(target), new) => {
            let text = new.map(|new| new.text.clone()).unwrap_or_default();
            if found == Found::Created { *target = Scalar::plain(text) } else { target.text = text }
        }
        (target, _) => *target = new.clone(),
    }
}

/// Writes JSON as Go does, indented if it was indented.
fn as_json(text: &str, node: &Node) -> Result<Option<String>, String> {
    let Ok(value) = value(node) else { return Ok(None) };
    let in_lines = text.contains('\n') && text.contains("  ");
    let json = if in_lines { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
    let json = json.map_err(|error| error.to_string())?;
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend(["\\u", &format!("{:04x}", u32::from(character))]);
            }
            other => out.push(other),
        }
    }
    Ok(Some(out))
}

/// Returns the text with other scalars.
fn as_yaml(text: &str, before: &Node, after: &Node) -> Result<String, String> {
    let mut changes = Vec::new();
    changed(before, after, &mut String::new(), &mut changes)?;
    let edits: Vec<Edit<'_>> =
        changes.iter().map(|(path, value)| Edit { document: 0, path: path.clone(), value }).collect();
    let bytes = edit("the text", text.as_bytes(), &edits).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    Ok(text.trim().to_owned())
}

/// Returns the scalars that changed, by JSON pointers.
fn changed(
    before: &Node,
    after: &Node,
    path: &mut String,
    changes: &mut Vec<(String, Value)>,
) -> Result<(), String> {
    let length = path.len();
    match (before, after) {
        (Node::Scalar(before), Node::Scalar(after)) => {
            if before != after {
                changes.push((path.clone(), scalar_value(after).map_err(|error| error.message)?));
            }
        }
        (Node::Seq(before), Node::Seq(after)) if before.len() == after.len() => {
            for (at, (before, after)) in before.iter().zip(after).enumerate() {
                path.extend(["/", &at.to_string()]);
                changed(before, after, path, changes)?;
                path.truncate(length);
            }
        }
        (Node::Map(before), Node::Map(after)) if before.len() == after.len() => {
            for ((key, before), (_, after)) in before.iter().zip(after.iter()) {
                pointer::push(path, &key.text);
                changed(before, after, path, changes)?;
                path.truncate(length);
            }
        }
        _ => {
            return Err(format!(
                "the text is YAML, in which only a scalar can be replaced, and {} is none: write the field there first",
                if path.is_empty() { "all of it" } else { path }
            ));
        }
    }
    Ok(())
}
