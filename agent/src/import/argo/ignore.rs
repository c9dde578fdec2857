//! `ignoreDifferences` of an Application: fields that others may write. Pure.

use holdfast_diff::pointer;
use serde_json::{Map, Value, json};

use super::super::fields::Fields;
use super::super::note::Notes;
use super::super::output::Draft;

/// Sets `drift.ignore`.
pub fn set(spec: &Fields<'_>, draft: &mut Draft, notes: &mut Notes<'_>) {
    for rule in spec.items("ignoreDifferences") {
        let mut target = Map::new();
        for name in ["group", "kind", "name", "namespace"] {
            if let Some(value) = rule.text(name).filter(|value| *value != "*") {
                target.insert(name.to_owned(), Value::from(value));
            }
        }
        let mut paths: Vec<String> = rule.texts("jsonPointers").into_iter().map(str::to_owned).collect();
        for (at, expression) in rule.texts("jqPathExpressions").into_iter().enumerate() {
            match path(expression) {
                Some(path) => paths.push(path),
                None => notes.missing(
                    format!("{}[{at}]", rule.path_of("jqPathExpressions")),
                    format!("the expression {expression} is no plain path; write a JSON pointer to drift.ignore, in which * stands for one field or item"),
                ),
            }
        }
        let managers: Vec<&str> = rule.texts("managedFieldsManagers");
        let mut entries = Vec::new();
        // Each is ignored by itself in Argo CD; together, ours would have to apply both.
        if !paths.is_empty() {
            entries.push(json!({"paths": paths}));
        }
        if !managers.is_empty() {
            entries.push(json!({"managers": managers}));
        }
        for mut entry in entries {
            if !target.is_empty() {
                entry["target"] = Value::Object(target.clone());
            }
            draft.push("drift.ignore", entry);
        }
    }
}

/// A path of jq as a JSON pointer: `.spec.containers[].image`, `."a/b"[0]`, `.a["b"]`.
fn path(expression: &str) -> Option<String> {
    let mut found = String::new();
    let mut rest = expression.trim();
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix("[").or_else(|| rest.strip_prefix(".[")) {
            let (item, after) = inside.split_once(']')?;
            match item.trim() {
                "" => pointer::push(&mut found, "*"),
                number if number.bytes().all(|digit| digit.is_ascii_digit()) => {
                    pointer::push(&mut found, number);
                }
                text => pointer::push(&mut found, text.strip_prefix('"')?.strip_suffix('"')?),
            }
            rest = after;
        } else if let Some(quoted) = rest.strip_prefix(".\"") {
            let (name, after) = quoted.split_once('"')?;
            pointer::push(&mut found, name);
            rest = after;
        } else {
            let name = rest.strip_prefix('.')?;
            let end = name.find(['.', '[', '?']).unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if name.is_empty() || !name.chars().all(is_name) {
                return None;
            }
            pointer::push(&mut found, name);
            rest = after;
        }
        rest = rest.strip_prefix('?').unwrap_or(rest);
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_of_jq_are_pointers() {
        let check =
            |text: &str, expected: Option<&str>| assert_eq!(path(text).as_deref(), expected, "{text}");
        check(".spec.replicas", Some("/spec/replicas"));
        check(".spec.template.spec.containers[].image", Some("/spec/template/spec/containers/*/image"));
        check(".webhooks[]?.clientConfig.caBundle", Some("/webhooks/*/clientConfig/caBundle"));
        check(".spec.rules[0]", Some("/spec/rules/0"));
        check(".metadata.annotations[\"a.b/c\"]", Some("/metadata/annotations/a.b~1c"));
        check(".metadata.annotations.\"a.b/c\"", Some("/metadata/annotations/a.b~1c"));
        check(".spec.containers[] | select(.name == \"x\")", None);
        check(".spec.containers[] | .image", None);
        check("length", None);
        check("", None);
    }
}
