//! Rules of a CustomResourceDefinition (`x-kubernetes-validations`) about one value, which is `self`. They come from this project,
//! not from users, so an evaluation has no limit of steps. Follows "Validation rules" of the Kubernetes documentation. Pure.

use std::sync::Arc;

use cel::extractors::This;
use cel::{Context, ExecutionError, Program, Value as CelValue};
use serde_json::Value;

use super::expression::convert;

/// True if a rule holds for a value; `None` if it cannot be evaluated here.
pub fn rule_holds(rule: &str, value: &Value) -> Option<bool> {
    let program = Program::compile(rule).ok()?;
    let mut context = Context::default();
    context.add_variable_from_value("self", convert(value));
    let matches = |This(text): This<Arc<String>>, pattern: Arc<String>| -> Result<bool, ExecutionError> {
        let pattern = regex::Regex::new(&pattern);
        pattern.map(|pattern| pattern.is_match(&text)).map_err(|_| unknown("matches"))
    };
    let duration = |text: Arc<String>| -> Result<i64, ExecutionError> {
        microseconds(&text).ok_or_else(|| unknown("duration"))
    };
    context.add_function("matches", matches).ok()?;
    context.add_function("duration", duration).ok()?;
    match program.execute(&context) {
        Ok(CelValue::Bool(answer)) => Some(answer),
        _ => None,
    }
}

fn unknown(function: &str) -> ExecutionError {
    ExecutionError::function_error(function, "it does not take this text")
}

/// A duration in the units of CEL, such as `1h30m` or `1.5s`.
fn microseconds(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut all = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let (number, behind) = rest.split_at(digits);
        let end = behind.find(|character: char| character.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let size = match unit {
            "us" => 1.0,
            "ms" => 1e3,
            "s" => 1e6,
            "m" => 60e6,
            "h" => 3600e6,
            _ => return None,
        };
        all += number.parse::<f64>().ok()? * size;
        rest = behind;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a duration is far below 2^63 microseconds, and is cut there"
    )]
    Some(all as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_of_our_kinds_hold_or_not() {
        let one = "[has(self.a), has(self.b)].filter(set, set).size() == 1";
        let least = "!self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || duration(self) >= duration('5s')";
        for (rule, value, expected) in [
            (one, json!({"a": 1}), Some(true)),
            (one, json!({"a": 1, "b": 2}), Some(false)),
            (one, json!({}), Some(false)),
            ("has(self.file) != (has(self.kind) && has(self.name))", json!({"kind": "a"}), Some(false)),
            ("self.all(path, path.startsWith('/'))", json!(["/a", "b"]), Some(false)),
            ("self.size() > 0", json!(""), Some(false)),
            ("self.matches('^[0-9a-f]{4}$')", json!("00ff"), Some(true)),
            ("self.matches('^[0-9a-f]{4}$')", json!("00fg"), Some(false)),
            (least, json!("4s"), Some(false)),
            (least, json!("1m0.5s"), Some(true)),
            (least, json!("4999ms"), Some(false)),
            (least, json!("5 minutes"), Some(true)),
            ("self == oldSelf", json!(1), None),
            ("self.size(", json!(1), None),
        ] {
            assert_eq!(rule_holds(rule, &value), expected, "{rule} {value}");
        }
    }
}
