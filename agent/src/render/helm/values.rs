//! Merges the values of a release from several sources into one map. Later ones override earlier ones; maps are merged, lists and
//! scalars are replaced, and null stays, since it removes a default of the chart.
//!
//! Leaves the chart's own values to Helm. Pure.

use holdfast_diff::yaml;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::HelmError;

/// Values that were read somewhere. Has no `Debug`: they may be secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct ValuesPart {
    /// Where they are from, for errors: `ConfigMap shop/web, key values.yaml`.
    pub name: String,
    /// YAML; with a `target_path` one value as it is.
    #[serde(with = "crate::render::bytes")]
    pub text: Vec<u8>,
    /// Where the one value goes: `auth.password`, `hosts[0].name`, `labels.example\.com/tier`.
    pub target_path: Option<String>,
}

/// The highest index of a list in a target path.
const MAX_INDEX: usize = 65_536;

enum Step {
    Key(String),
    Index(usize),
}

/// Merges the parts in their order, and then `values`, which win.
pub fn merge(parts: &[ValuesPart], values: Option<&Value>) -> Result<Value, HelmError> {
    let mut merged = Value::Object(Map::new());
    for part in parts {
        match &part.target_path {
            None => deep(&mut merged, map(part)?),
            Some(path) => set(&mut merged, part, path)?,
        }
    }
    match values {
        None | Some(Value::Null) => {}
        Some(Value::Object(values)) => deep(&mut merged, Value::Object(values.clone())),
        Some(other) => return Err(invalid("the Sync", None, not_a_map(other))),
    }
    Ok(merged)
}

fn invalid(part: &str, line: Option<u32>, said: String) -> HelmError {
    HelmError::ValuesInvalid { part: part.to_owned(), line, said }
}

fn not_a_map(value: &Value) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    };
    format!("this is {found}, but values are a map, such as `replicas: 2`")
}

/// The map that a part holds; nothing at all is an empty one.
fn map(part: &ValuesPart) -> Result<Value, HelmError> {
    let (mut documents, errors) = yaml::read(&part.name, &part.text);
    if let Some(error) = errors.first() {
        return Err(invalid(&part.name, Some(error.line), error.problem.to_string()));
    }
    if let Some(second) = documents.get(1) {
        let said = "a second document begins here, but values are one map: join them, or name two parts";
        return Err(invalid(&part.name, Some(second.line), said.to_owned()));
    }
    match documents.pop() {
        None => Ok(Value::Object(Map::new())),
        Some(document) if document.value.is_object() => Ok(document.value),
        Some(document) => Err(invalid(&part.name, Some(document.line), not_a_map(&document.value))),
    }
}

/// Merges `above` into `below`.
fn deep(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                match below.get_mut(&key) {
                    Some(old) => deep(old, value),
                    None => {
                        below.insert(key, value);
                    }
                }
            }
        }
        (below, above) => *below = above,
    }
}

/// Puts the one value of a part at its path.
fn set(values: &mut Value, part: &ValuesPart, path: &str) -> Result<(), HelmError> {
    let bad = |said: &str| invalid(&part.name, None, format!("the path {path} {said}"));
    let text =
        str::from_utf8(&part.text).map_err(|_| invalid(&part.name, None, "this is not text".to_owned()))?;
    let steps =
        steps(path).ok_or_else(|| bad("is malformed; write one such as auth.password or hosts[0].name"))?;
    let mut place = values;
    for step in steps {
        if place.is_null() {
            *place = match step {
                Step::Key(_) => Value::Object(Map::new()),
                Step::Index(_) => Value::Array(Vec::new()),
            };
        }
        place = match (step, place) {
            (Step::Key(key), Value::Object(fields)) => fields.entry(key).or_insert(Value::Null),
            (Step::Index(at), Value::Array(items)) => {
                if items.len() <= at {
                    items.resize(at + 1, Value::Null);
                }
                items.get_mut(at).ok_or_else(|| bad("is malformed"))?
            }
            (Step::Key(key), _) => {
                return Err(bad(&format!("goes through {key}, but its parent is not a map")));
            }
            (Step::Index(at), _) => {
                return Err(bad(&format!("goes through [{at}], but its parent is not a list")));
            }
        };
    }
    *place = scalar(text);
    Ok(())
}

/// The steps of a path. A backslash takes a letter as it is.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut found = Vec::new();
    let mut key = String::new();
    let mut letters = path.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => key.push(letters.next()?),
            '.' if key.is_empty() && !matches!(found.last(), Some(Step::Index(_))) => return None,
            '.' => push(&mut found, &mut key),
            '[' => {
                push(&mut found, &mut key);
                let digits: String = std::iter::from_fn(|| letters.next_if(char::is_ascii_digit)).collect();
                letters.next_if_eq(&']')?;
                let at: usize = digits.parse().ok().filter(|at| *at <= MAX_INDEX)?;
                found.push(Step::Index(at));
                if letters.peek().is_some_and(|next| !matches!(next, '.' | '[')) {
                    return None;
                }
            }
            other => key.push(other),
        }
    }
    if path.ends_with('.') && !path.ends_with("\\.") {
        return None;
    }
    push(&mut found, &mut key);
    matches!(found.first(), Some(Step::Key(_))).then_some(found)
}

fn push(found: &mut Vec<Step>, key: &mut String) {
    if !key.is_empty() {
        found.push(Step::Key(std::mem::take(key)));
    }
}

/// One value, typed as `helm --set` does: null, booleans and whole numbers; anything else, and what is quoted, is text.
/// The end of the last line is not part of it.
fn scalar(text: &str) -> Value {
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote)) {
            return Value::String(inner.to_owned());
        }
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    match text {
        "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "0" => Value::from(0),
        _ if digits.starts_with(|first: char| first.is_ascii_digit() && first != '0') => {
            text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Value::from)
        }
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(text: &str, path: Option<&str>) -> ValuesPart {
        let target_path = path.map(ToOwned::to_owned);
        ValuesPart { name: "ConfigMap shop/web".to_owned(), text: text.as_bytes().to_vec(), target_path }
    }

    fn check(parts: &[(&str, Option<&str>)], values: &Value, expected: &Value) {
        let parts: Vec<_> = parts.iter().map(|(text, path)| part(text, *path)).collect();
        assert_eq!(&merge(&parts, Some(values)).unwrap(), expected);
    }

    #[test]
    fn later_values_win_and_maps_are_merged() {
        check(
            &[("a: {x: 1, v: [1, 2]}\nb: 1", None), ("a: {v: [3], z: yes}\nc:", None)],
            &json!({"a": {"x": 9}, "b": null}),
            &json!({"a": {"x": 9, "v": [3], "z": true}, "b": null, "c": null}),
        );
        check(&[("", None), ("# nothing\n", None)], &Value::Null, &json!({}));
        check(&[("a: 1", None)], &json!({"a": {"b": 1}}), &json!({"a": {"b": 1}}));
    }

    #[test]
    fn one_value_goes_to_its_path_with_the_type_that_it_has() {
        for (text, expected) in [
            ("s3cret\n", json!("s3cret")),
            ("s3cret, {a}", json!("s3cret, {a}")),
            ("12", json!(12)),
            ("-3", json!(-3)),
            ("012", json!("012")),
            ("1.5", json!("1.5")),
            ("true", json!(true)),
            ("null", json!(null)),
            ("\"12\"", json!("12")),
            ("'true'", json!("true")),
            ("99999999999999999999", json!("99999999999999999999")),
            ("", json!("")),
        ] {
            check(&[(text, Some("auth.password"))], &json!({}), &json!({"auth": {"password": expected}}));
        }
        check(
            &[("a: {b: [{c: 1}]}", None), ("x", Some("a.b[1].c"))],
            &json!({}),
            &json!({"a": {"b": [{"c": 1}, {"c": "x"}]}}),
        );
        check(&[("x", Some(r"a.example\.com/tier"))], &json!({}), &json!({"a": {"example.com/tier": "x"}}));
        check(&[("x", Some("a[0][1]"))], &json!({}), &json!({"a": [[null, "x"]]}));
    }

    fn said(text: &str, path: Option<&str>) -> String {
        merge(&[part(text, path)], None).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_map_is_an_error_with_its_place() {
        let map = "but values are a map, such as `replicas: 2`";
        assert_eq!(
            said("# list\n- 1\n", None),
            format!("values of ConfigMap shop/web, line 2: this is a list, {map}")
        );
        assert_eq!(
            said("text", None),
            format!("values of ConfigMap shop/web, line 1: this is a string, {map}")
        );
        assert!(
            said("a: 1\na: 2\n", None)
                .starts_with("values of ConfigMap shop/web, line 2: the key `a` is already")
        );
        assert!(said("a: [\n", None).starts_with("values of ConfigMap shop/web, line "));
        assert!(said("a: 1\n---\nb: 1\n", None).contains("line 3: a second document"));
        let whole = merge(&[], Some(&json!([1]))).unwrap_err().to_string();
        assert_eq!(whole, format!("values of the Sync: this is a list, {map}"));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_an_error() {
        for path in ["", ".", "a..b", "a.", ".a", "[0]", "a[x]", "a[0]b", "a[99999999]", "a[0", "a\\"] {
            assert!(said("x", Some(path)).contains("is malformed"), "{path}: {}", said("x", Some(path)));
        }
        let parts = [part("a: 1", None), part("x", Some("a.b"))];
        let error = merge(&parts, None).err().unwrap().to_string();
        assert!(error.contains("goes through b, but its parent is not a map"), "{error}");
    }
}
