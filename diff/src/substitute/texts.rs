//! Fields that must be strings, and variables that would change their type.
//!
//! An object is substituted as YAML text, in which the quotes of its file are lost. Pure.

use serde_json::Value;

use super::error::{SubstituteError, SubstituteProblem};
use crate::pointer::child;
use crate::yaml::describe;

/// A field that must be a string, as it was written.
pub(super) struct Text {
    path: String,
    written: String,
}

/// Returns the fields of an object that must be strings and contain variables: labels, annotations, data, environment
/// variables.
pub(super) fn texts(object: &Value) -> Vec<Text> {
    let mut found = Vec::new();
    for (kind, field) in [("ConfigMap", "data"), ("Secret", "data"), ("Secret", "stringData")] {
        if object["apiVersion"] == "v1" && object["kind"] == kind {
            entries(&object[field], &format!("/{field}"), &mut found);
        }
    }
    walk(object, "", &mut found);
    found
}

/// Returns the errors of an object after substitution.
pub(super) fn turned(object: &Value, texts: Vec<Text>) -> Vec<SubstituteError> {
    let wrong = |Text { path, written }: Text| {
        let found = match object.pointer(&path)? {
            Value::String(_) | Value::Null => return None,
            other => describe(other),
        };
        let problem = SubstituteProblem::NotText { found, written };
        Some(SubstituteError { variable: String::new(), path, problem })
    };
    texts.into_iter().filter_map(wrong).collect()
}

fn walk(value: &Value, path: &str, found: &mut Vec<Text>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let below = child(path, name);
                match name.as_str() {
                    "metadata" => {
                        entries(&value["labels"], &format!("{below}/labels"), found);
                        entries(&value["annotations"], &format!("{below}/annotations"), found);
                    }
                    "env" => {
                        for (index, variable) in value.as_array().into_iter().flatten().enumerate() {
                            if variable["name"].is_string() {
                                note(&variable["value"], format!("{below}/{index}/value"), found);
                            }
                        }
                    }
                    _ => walk(value, &below, found),
                }
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| walk(item, &format!("{path}/{index}"), found));
        }
        _ => {}
    }
}

fn entries(map: &Value, path: &str, found: &mut Vec<Text>) {
    for (name, value) in map.as_object().into_iter().flatten() {
        note(value, child(path, name), found);
    }
}

fn note(value: &Value, path: String, found: &mut Vec<Text>) {
    if let Some(text) = value.as_str().filter(|text| text.contains("${")) {
        found.push(Text { path, written: text.to_owned() });
    }
}
