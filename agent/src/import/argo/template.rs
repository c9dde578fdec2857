//! Templates of ApplicationSets, as far as they are plain: `{{name}}`, and with Go's templates `{{ .name }}`, `index` and a few
//! functions. Anything else is an error with its text. Pure.

use serde_json::{Map, Value};

/// Maximum number of parentheses in one template.
const PARENTHESES: usize = 20;

/// A template that is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the template {{{{{expression}}}}} {why}")]
pub struct TemplateError {
    expression: String,
    why: String,
}

/// Fills in all texts of a value.
pub fn fill(value: &Value, parameters: &Map<String, Value>, go: bool) -> Result<Value, TemplateError> {
    Ok(match value {
        Value::String(text) => Value::from(self::text(text, parameters, go)?),
        Value::Array(items) => {
            items.iter().map(|item| fill(item, parameters, go)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Object(fields) => {
            let mut filled = Map::new();
            for (name, value) in fields {
                filled.insert(self::text(name, parameters, go)?, fill(value, parameters, go)?);
            }
            Value::Object(filled)
        }
        other => other.clone(),
    })
}

/// Fills in a text.
pub fn text(text: &str, parameters: &Map<String, Value>, go: bool) -> Result<String, TemplateError> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((expression, after)) = after.split_once("}}") else {
            return Err(TemplateError { expression: after.to_owned(), why: "does not end".to_owned() });
        };
        let fail = |why: String| TemplateError { expression: expression.to_owned(), why };
        if go {
            let mut inner = expression;
            if let Some(trimmed) = inner.strip_prefix("- ") {
                filled.truncate(filled.trim_end().len());
                inner = trimmed;
            }
            let trims = inner.ends_with(" -");
            let inner = inner.strip_suffix(" -").unwrap_or(inner);
            filled.push_str(&shown(&pipeline(inner, parameters).map_err(fail)?));
            rest = if trims { after.trim_start() } else { after };
        } else {
            match flat(parameters, expression.trim()) {
                Some(value) => filled.push_str(&shown(&value)),
                None => return Err(fail("names a parameter that the generator does not give".to_owned())),
            }
            rest = after;
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A parameter by its flat name: `path.basename`, `path[0]`, `values.a`.
fn flat(parameters: &Map<String, Value>, name: &str) -> Option<Value> {
    if let Some(value) = parameters.get(name).filter(|value| !value.is_object()) {
        return Some(value.clone());
    }
    let (name, item) = match name.split_once('[') {
        Some((name, item)) => (name, Some(item.strip_suffix(']')?.parse::<usize>().ok()?)),
        None => (name, None),
    };
    let mut names = name.split('.');
    let mut value = parameters.get(names.next()?)?;
    for name in names {
        value = value.get(name)?;
    }
    // Of a folder: `path` is its path, and `path[0]` the first part of it.
    match item {
        Some(item) => value.get("segments").unwrap_or(value).get(item).cloned(),
        None if value.is_object() => value.get("path").cloned(),
        None => Some(value.clone()),
    }
}

/// A pipeline of Go: an operand, and functions that get it as their last argument.
fn pipeline(text: &str, parameters: &Map<String, Value>) -> Result<Value, String> {
    if text.matches('(').count() > PARENTHESES {
        return Err(format!("has more than {PARENTHESES} parentheses"));
    }
    let mut last: Option<Value> = None;
    for part in split(text, '|')? {
        let words = split(part.trim(), ' ')?;
        let mut words = words.into_iter().filter(|word| !word.is_empty());
        let Some(head) = words.next() else { return Err("has an empty part".to_owned()) };
        let mut arguments = words.map(|word| operand(word, parameters)).collect::<Result<Vec<_>, _>>()?;
        let is_operand =
            head.starts_with(['.', '"', '`', '(']) || head.bytes().all(|digit| digit.is_ascii_digit());
        last = Some(if is_operand {
            if last.is_some() || !arguments.is_empty() {
                return Err("is not read; simplify it, or write the Applications out".to_owned());
            }
            operand(head, parameters)?
        } else {
            arguments.extend(last.take());
            function(head, &arguments)?
        });
    }
    last.ok_or_else(|| "is empty".to_owned())
}

/// Splits outside of quotes and parentheses.
fn split(text: &str, at: char) -> Result<Vec<&str>, String> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_i32, None);
    for (position, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) => quote = quote.filter(|_| letter != open),
            (None, '"' | '`') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, letter) if letter == at && depth == 0 => {
                parts.push(&text[start..position]);
                start = position + letter.len_utf8();
            }
            _ => {}
        }
    }
    if quote.is_some() || depth != 0 {
        return Err("has a quote or parenthesis that is not closed".to_owned());
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn operand(text: &str, parameters: &Map<String, Value>) -> Result<Value, String> {
    for quote in ['"', '`'] {
        if let Some(inside) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            if quote == '"' && inside.contains('\\') {
                return Err("has a text with \\, which is not read".to_owned());
            }
            return Ok(Value::from(inside));
        }
    }
    if let Some(inside) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return pipeline(inside, parameters);
    }
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Value::from(number));
    }
    let Some(path) = text.strip_prefix('.') else {
        return Err("is not read; simplify it, or write the Applications out".to_owned());
    };
    let mut value = &Value::Null;
    let mut fields = Some(parameters);
    for name in path.split('.').filter(|name| !name.is_empty()) {
        value = fields.and_then(|fields| fields.get(name)).unwrap_or(&Value::Null);
        fields = value.as_object();
    }
    if value.is_null() {
        Err("names a parameter that the generator does not give".to_owned())
    } else {
        Ok(value.clone())
    }
}

fn function(name: &str, arguments: &[Value]) -> Result<Value, String> {
    let text = |at: usize| arguments.get(at).map(shown).unwrap_or_default();
    let count = |wanted: usize| {
        if arguments.len() == wanted {
            Ok(())
        } else {
            Err(format!("has {} arguments of {name}", arguments.len()))
        }
    };
    match name {
        "index" => {
            let mut value = arguments.first().ok_or("has an index of nothing")?;
            for key in &arguments[1..] {
                let found = match key {
                    Value::Number(at) => at.as_u64().and_then(|at| value.get(usize::try_from(at).ok()?)),
                    key => key.as_str().and_then(|key| value.get(key)),
                };
                value = found.ok_or("names an item that is not there")?;
            }
            Ok(value.clone())
        }
        "default" => {
            count(2)?;
            Ok(if text(1).is_empty() { arguments[0].clone() } else { arguments[1].clone() })
        }
        "lower" => count(1).map(|()| Value::from(text(0).to_lowercase())),
        "upper" => count(1).map(|()| Value::from(text(0).to_uppercase())),
        "trim" => count(1).map(|()| Value::from(text(0).trim())),
        "toString" => count(1).map(|()| Value::from(text(0))),
        "quote" => count(1).map(|()| Value::from(Value::from(text(0)).to_string())),
        "normalize" => count(1).map(|()| Value::from(normalized(&text(0)))),
        "trimPrefix" => count(2).map(|()| Value::from(text(1).strip_prefix(&text(0)).unwrap_or(&text(1)))),
        "trimSuffix" => count(2).map(|()| Value::from(text(1).strip_suffix(&text(0)).unwrap_or(&text(1)))),
        "replace" => count(3).map(|()| Value::from(text(2).replace(&text(0), &text(1)))),
        _ => Err(format!("has {name}, which is not read; simplify it, or write the Applications out")),
    }
}

/// A name as Argo CD makes it of any text.
pub fn normalized(text: &str) -> String {
    let plain = |letter: char| {
        if letter.is_ascii_alphanumeric() || "-.".contains(letter) {
            letter.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    text.chars().map(plain).take(253).collect::<String>().trim_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(template: &str, go: bool, expected: Result<&str, &str>) {
        let parameters = json!({"cluster": "dev", "n": 3, "values": {"team": "A_b"},
            "path": {"path": "apps/web", "basename": "web", "segments": ["apps", "web"]}});
        let parameters = parameters.as_object().expect("it is one");
        match (text(template, parameters, go), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{template}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{template}: {error}"),
            (found, expected) => panic_of(template, &found, expected),
        }
    }

    fn panic_of(template: &str, found: &Result<String, TemplateError>, expected: Result<&str, &str>) {
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{template}");
    }

    #[test]
    fn plain_templates_are_filled_in() {
        check("{{cluster}}-app", false, Ok("dev-app"));
        check("{{ path }}/{{path.basename}}/{{path[0]}}", false, Ok("apps/web/web/apps"));
        check("{{values.team}}", false, Ok("A_b"));
        check("{{missing}}", false, Err("{{missing}} names a parameter"));
        check("no template", false, Ok("no template"));
    }

    #[test]
    fn templates_of_go_are_filled_in_as_far_as_they_are_plain() {
        check("{{.cluster}}-{{ .path.basename }}", true, Ok("dev-web"));
        check("{{ index .path.segments 0 }}", true, Ok("apps"));
        check("{{ index .path.segments 7 }}", true, Err("not there"));
        check("{{ .values.team | normalize | upper }}", true, Ok("A-B"));
        check("{{ normalize (index .path.segments 1) }}", true, Ok("web"));
        check("{{ .path.basename | replace \"w\" \"v\" }}", true, Ok("veb"));
        check("a {{- .cluster -}} b", true, Ok("adevb"));
        check("{{ if .cluster }}x{{ end }}", true, Err("if"));
        check("{{ range .list }}", true, Err("range"));
        check("{{ .nope }}", true, Err("does not give"));
        check("{{ .cluster", true, Err("does not end"));
    }
}
