//! Validates an object that a verb reads from a file: unknown and missing fields, wrong types and values, as the API server would
//! refuse them, each with its line.
//!
//! Checks against the schema of the CustomResourceDefinition and its CEL rules, except those that compare with an earlier object.
//! Pure.

use holdfast_diff::health::rule_holds;
use holdfast_diff::yaml::near::nearest;
use holdfast_diff::yaml::{NodeId, Tree, describe};
use serde_json::{Map, Value};

use crate::api::Duration;

/// An error: the line, the field, and what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Counts from 1; `None` if the object is not in the tree.
    pub line: Option<u32>,
    pub message: String,
}

/// Returns all errors of an object at a node of a tree.
pub fn misfits(object: &Value, schema: &Value, tree: &Tree<'_>, node: Option<NodeId>) -> Vec<Misfit> {
    let mut check = Check { tree, found: Vec::new() };
    if let Some(fields) = object.as_object() {
        // Every object has these fields, even if its schema does not list them.
        let own = |name: &str| !matches!(name, "apiVersion" | "kind" | "metadata");
        let fields = fields.iter().filter(|(name, _)| own(name));
        let fields: Map<String, Value> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
        check.fields(&fields, schema, &Position { path: String::new(), node, line: check.line(node) });
    }
    check.found.sort_by_key(|misfit| misfit.line);
    check.found
}

struct Check<'t> {
    tree: &'t Tree<'t>,
    found: Vec<Misfit>,
}

/// The position of a value: its path, and its node if it has one.
struct Position {
    path: String,
    node: Option<NodeId>,
    line: Option<u32>,
}

impl Check<'_> {
    fn line(&self, node: Option<NodeId>) -> Option<u32> {
        self.tree.node(node?).map(|node| node.line)
    }

    fn wrong(&mut self, line: Option<u32>, path: &str, problem: &str) {
        self.found.push(Misfit { line, message: format!("{path}: {problem}") });
    }

    /// Checks a value, and if it fits its schema, the rules about it.
    fn value(&mut self, value: &Value, schema: &Value, place: &Position) {
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        let before = self.found.len();
        self.shape(value, schema, place);
        if self.found.len() > before {
            return;
        }
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let (text, message) = (rule["rule"].as_str(), rule["message"].as_str());
            if text.is_some_and(|text| rule_holds(text, value) == Some(false)) {
                let is = if value.is_string() { format!(", but is {value}") } else { String::new() };
                self.wrong(place.line, &place.path, &format!("{}{is}", message.unwrap_or("is not valid")));
            }
        }
    }

    fn shape(&mut self, value: &Value, schema: &Value, place: &Position) {
        if schema["x-kubernetes-int-or-string"] == true {
            if !(value.is_string() || value.is_i64() || value.is_u64()) {
                self.wrong(
                    place.line,
                    &place.path,
                    &format!("must be a number or a string, but is {}", describe(value)),
                );
            }
            return;
        }
        let expected = schema["type"].as_str().unwrap_or_default();
        if !fits(value, expected) {
            let quote = if expected == "string" && (value.is_number() || value.is_boolean()) {
                "; quote it"
            } else {
                ""
            };
            let problem = format!("must be {}, but is {}{quote}", name(expected), describe(value));
            return self.wrong(place.line, &place.path, &problem);
        }
        match value {
            Value::Object(fields) => self.fields(fields, schema, place),
            Value::Array(items) => self.items(items, schema, place),
            _ => self.scalar(value, schema, place),
        }
    }

    fn fields(&mut self, fields: &Map<String, Value>, schema: &Value, place: &Position) {
        let known = schema["properties"].as_object();
        let others = &schema["additionalProperties"];
        let takes_all = schema["x-kubernetes-preserve-unknown-fields"] == true || known.is_none();
        for (name, value) in fields {
            let entry = place.node.and_then(|node| self.tree.entry(node, name));
            let line = entry.map_or(place.line, |(key, _)| self.line(Some(key)));
            let path = if place.path.is_empty() { name.clone() } else { format!("{}.{name}", place.path) };
            let below = Position { path, node: entry.map(|(_, value)| value), line };
            match known.and_then(|known| known.get(name)) {
                Some(schema) => self.value(value, schema, &below),
                None if others.is_object() => self.value(value, others, &below),
                None if takes_all => {}
                None => {
                    let near = known.and_then(|known| nearest(name, known.keys()));
                    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                    self.wrong(line, &below.path, &format!("unknown field{hint}"));
                }
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                let path =
                    if place.path.is_empty() { name.to_owned() } else { format!("{}.{name}", place.path) };
                self.wrong(place.line, &path, "is missing; add it");
            }
        }
    }

    fn items(&mut self, items: &[Value], schema: &Value, place: &Position) {
        if let Some(most) = schema["maxItems"].as_u64().filter(|most| items.len() as u64 > *most) {
            self.wrong(place.line, &place.path, &format!("has more than {most} items"));
        }
        for (index, item) in items.iter().enumerate() {
            let node = place.node.and_then(|node| self.tree.item(node, index));
            let line = self.line(node).or(place.line);
            let path = format!("{}[{index}]", place.path);
            self.value(item, &schema["items"], &Position { path, node, line });
        }
    }

    fn scalar(&mut self, value: &Value, schema: &Value, place: &Position) {
        if let Some(values) = schema["enum"].as_array().filter(|values| !values.contains(value)) {
            let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            self.wrong(
                place.line,
                &place.path,
                &format!("must be one of {}, but is {value}", values.join(", ")),
            );
        }
        let length = value.as_str().map_or(0, |text| text.chars().count() as u64);
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
            self.wrong(place.line, &place.path, &format!("is longer than {most} characters"));
        }
        if let (Some(least), Some(found)) = (schema["minimum"].as_f64(), value.as_f64())
            && found < least
        {
            self.wrong(place.line, &place.path, &format!("must be at least {least}, but is {value}"));
        }
        if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str())
            && regex::Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text))
        {
            let expected = match pattern {
                _ if pattern == Duration::pattern() => "be a duration such as 5m or 1h30m".to_owned(),
                _ => format!("match {pattern}"),
            };
            self.wrong(place.line, &place.path, &format!("must {expected}, but is {value}"));
        }
        if let (Some("date-time"), Some(text)) = (schema["format"].as_str(), value.as_str())
            && text.parse::<jiff::Timestamp>().is_err()
        {
            let problem = format!("must be a time such as 2026-01-01T09:00:00Z, but is {value}");
            self.wrong(place.line, &place.path, &problem);
        }
    }
}

fn fits(value: &Value, expected: &str) -> bool {
    match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

fn name(expected: &str) -> &str {
    match expected {
        "object" => "a mapping",
        "array" => "a list",
        "string" => "a string",
        "boolean" => "true or false",
        "integer" => "a whole number",
        _ => "a number",
    }
}
