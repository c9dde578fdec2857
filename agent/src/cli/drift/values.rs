//! Maps live values of an object to edits of its manifest. Only scalars are replaced. Other changes are refused, with the position
//! and the value to write by hand.
//!
//! Leaves finding the manifest to `located`, and the bytes to the YAML editor. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_diff::compare::Difference;
use holdfast_diff::items::{Counterpart, counterpart};
use holdfast_diff::mask::{HIDDEN, Masks, mask};
use holdfast_diff::object::GroupKind;
use holdfast_diff::yaml::Document;
use serde_json::Value;

use super::located::{Located, line};
use super::target::group;
use crate::api::{DriftChange, DriftObject};
use crate::report::changes::cut;

/// Maximum number of characters of a written value in the output.
const SHOWN: usize = 120;

/// One object in Git.
#[derive(Clone, Copy)]
pub struct Git<'a> {
    pub file: &'a str,
    pub document: &'a Document<'a>,
    pub place: &'a Located,
    /// True if values can contain variables that a renderer substitutes.
    pub substituted: bool,
}

/// A live value that replaces one in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Adopted {
    /// The path in the document.
    pub path: String,
    pub value: Value,
    /// `file:line path: old -> new`
    /// The change for the output.
    pub shown: String,
}

/// Why a live value is not written, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at} {path}: {problem}")]
pub struct ValueError {
    /// `file:line`
    at: String,
    path: String,
    problem: ValueProblem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueProblem {
    #[error("Git does not have the field; add it here, with the value {0}")]
    New(String),
    #[error("the live object does not have it; remove {0} here")]
    Gone(String),
    #[error("it is more than one value; write {0} here")]
    Whole(String),
    #[error(
        "it is in a list that has another length in the live object, so items cannot be matched; make the list {0} here"
    )]
    Uneven(String),
    #[error("it contains a variable; set it, or the variable, to {0}")]
    Variable(String),
    #[error("the live value is not text; move the key from `stringData` to `data` and write it there")]
    Bytes,
}

/// Returns the value that is written to the file for one field; `None` if the file has it already.
pub fn adopt(
    reported: &DriftObject,
    change: &DriftChange,
    live: &Value,
    git: Git<'_>,
) -> Result<Option<Adopted>, ValueError> {
    let Git { file, document, place, substituted } = git;
    let kind = kind(reported);
    let manifest = document.value.pointer(&place.path).unwrap_or(&Value::Null);
    // Values that the agent masks in the status are not shown here either.
    let is_hidden = [&change.live, &change.desired].into_iter().flatten().any(is_hidden);
    let shown = |value: &Value| {
        if is_hidden { HIDDEN.to_owned() } else { shown(&kind, &change.path, value) }
    };
    let at = |path: &str| format!("{file}:{}", line(document, &format!("{}{path}", place.path)));
    let refuse = |path: &str, problem| Err(ValueError { at: at(path), path: change.path.clone(), problem });

    let Steps { path, live: value, git: old, uneven } = steps(&change.path, live, manifest);
    let Some(value) = value.filter(|_| change.live.is_some()) else {
        let desired = change.desired.as_ref().map_or_else(|| "it".to_owned(), shown);
        return refuse(&gone_from(&change.path, live, manifest), ValueProblem::Gone(desired));
    };
    if let Some(list) = uneven {
        return refuse(&path, ValueProblem::Uneven(shown(list)));
    }
    let (path, value, old) = match string_data(&kind, &change.path, manifest) {
        Some((written, old)) => match decoded(value) {
            Some(text) => (written, text, old),
            None => return refuse(&written, ValueProblem::Bytes),
        },
        None => match old {
            Some(old) => (path, value.clone(), old),
            None => return refuse(&path, ValueProblem::New(shown(value))),
        },
    };
    if *old == value {
        return Ok(None);
    }
    if is_collection(old) || is_collection(&value) {
        return refuse(&path, ValueProblem::Whole(shown(&value)));
    }
    if substituted && old.as_str().is_some_and(|text| text.contains("${")) {
        return refuse(&path, ValueProblem::Variable(shown(&value)));
    }
    let [before, after] = [old, &value].map(|value| cut(&shown(value), SHOWN));
    let shown = format!("{} {path}: {before} -> {after}", at(&path));
    Ok(Some(Adopted { path: format!("{}{path}", place.path), value, shown }))
}

/// Returns the kind of a reported object.
pub fn kind(reported: &DriftObject) -> GroupKind {
    GroupKind::new(group(&reported.api_version), &*reported.kind)
}

/// True for a value that the agent masks, because it came from a Secret or from decryption.
fn is_hidden(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(HIDDEN))
}

/// Returns a value for the output. Those of Secrets are masked.
pub fn shown(kind: &GroupKind, path: &str, value: &Value) -> String {
    let alone = Difference { path: path.to_owned(), before: Some(value.clone()), after: None };
    match mask(kind, &Masks::default(), alone).before.unwrap_or_default() {
        Value::String(hidden) if hidden == HIDDEN => hidden,
        value => value.to_string(),
    }
}

/// The path of a field of the live object, and the corresponding path in Git.
struct Steps<'a> {
    /// The value in Git, if there is one.
    path: String,
    live: Option<&'a Value>,
    git: Option<&'a Value>,
    /// A live list in the path whose items cannot be matched with those in Git.
    uneven: Option<&'a Value>,
}

fn steps<'a>(path: &str, live: &'a Value, git: &'a Value) -> Steps<'a> {
    let mut at = Steps { path: String::new(), live: Some(live), git: Some(git), uneven: None };
    for segment in path.split('/').skip(1) {
        let in_git = match (at.live, at.git, segment.parse()) {
            (Some(Value::Array(live)), Some(Value::Array(git)), Ok(index)) => {
                let found = counterpart(live, index, git);
                if found == Counterpart::Unknown {
                    at.uneven = at.live;
                }
                found.position().map(|index| index.to_string())
            }
            _ => Some(segment.to_owned()),
        };
        at.live = at.live.and_then(|live| field(live, segment));
        at.git = match (at.git, in_git) {
            (Some(git), Some(segment)) => field(git, &segment).inspect(|_| {
                at.path.push('/');
                at.path.push_str(&segment);
            }),
            _ => None,
        };
    }
    at
}

fn field<'a>(value: &'a Value, segment: &str) -> Option<&'a Value> {
    value.pointer(&format!("/{segment}"))
}

/// Returns the path in Git of a field that the live object does not have. The live index of a removed item belongs to
/// another item.
fn gone_from(path: &str, live: &Value, git: &Value) -> String {
    let above = path.rsplit_once('/').map(|(above, _)| steps(above, live, git));
    match above {
        Some(Steps { path, git: Some(Value::Array(_)), .. }) => path,
        _ => steps(path, live, git).path,
    }
}

/// Returns the path and the value of a key of a Secret under `stringData` in Git.
fn string_data<'a>(kind: &GroupKind, path: &str, manifest: &'a Value) -> Option<(String, &'a Value)> {
    let key = path.strip_prefix("/data/").filter(|_| kind.is("", "Secret"))?;
    let path = format!("/stringData/{key}");
    let value = manifest.pointer(&path)?;
    Some((path, value))
}

fn decoded(value: &Value) -> Option<Value> {
    let bytes = STANDARD.decode(value.as_str()?).ok()?;
    String::from_utf8(bytes).ok().map(Value::String)
}

fn is_collection(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

#[cfg(test)]
mod tests;
