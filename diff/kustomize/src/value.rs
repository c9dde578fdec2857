//! From nodes to JSON and back, with the types and numbers that the original's way through YAML texts gives.
//!
//! Pure.

mod folded;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

use super::error::KustomizeError;
use super::node::{Map, Node, Scalar, Style, Tag};
use super::scalar::{Resolved, resolve};

/// The value of a resource, or of a part of one.
///
/// # Errors
///
/// A key that is set twice, a key that is no text below the top, and what JSON cannot hold: `.inf`, `.nan`, a tag that does
/// not fit its text.
pub fn value(node: &Node) -> Result<Value, KustomizeError> {
    match node {
        Node::Map(map) => object(map, true),
        other => inner(other),
    }
}

fn inner(node: &Node) -> Result<Value, KustomizeError> {
    match node {
        Node::Scalar(scalar) => scalar_value(scalar),
        Node::Map(map) => object(map, false),
        Node::Seq(items) => Ok(Value::Array(items.iter().map(inner).collect::<Result<_, _>>()?)),
    }
}

fn object(map: &Map, top: bool) -> Result<Value, KustomizeError> {
    let mut fields = serde_json::Map::new();
    for (key, child) in map.iter() {
        match key.tag {
            Tag::Str | Tag::Merge => {}
            // the top of an object takes any other key for a text
            Tag::Bool | Tag::Int | Tag::Float | Tag::Timestamp | Tag::Binary if top => {}
            _ => {
                let is = Node::Scalar(key.clone()).describe();
                let message = format!("the key `{}` is {is}, and JSON knows only text: quote it", key.text);
                return Err(KustomizeError::new(message));
            }
        }
        if fields.insert(key.text.to_string(), inner(child)?).is_some() {
            let message = format!("the key `{}` is set twice: remove one of the two", key.text);
            return Err(KustomizeError::new(message));
        }
    }
    Ok(Value::Object(fields))
}

/// The value of a scalar.
pub fn scalar_value(scalar: &Scalar) -> Result<Value, KustomizeError> {
    let text = || match scalar.style {
        Style::Folded => Ok(Value::String(folded::rewritten(&scalar.text).into_owned())),
        Style::Plain | Style::Bracketed | Style::Quoted | Style::Shared { .. } => {
            Ok(Value::String(scalar.text.to_string()))
        }
    };
    if scalar.tag == Tag::Str {
        return text();
    }
    match (scalar.tag, resolve(&scalar.text)) {
        (Tag::Merge, _) => text(),
        (Tag::Binary, _) => binary(scalar),
        // nothing between brackets: the original writes it with quotes
        (Tag::Null, Resolved::Null) if scalar.text.is_empty() && scalar.style.writes_nothing_as_text() => {
            text()
        }
        (Tag::Null, Resolved::Null) => Ok(Value::Null),
        (Tag::Bool, Resolved::Bool(value)) => Ok(value.into()),
        (Tag::Int, Resolved::Int(value)) => Ok(value.into()),
        (Tag::Int, Resolved::Uint(value)) => Ok(value.into()),
        (Tag::Float, Resolved::Int(value)) => float(widen(value), scalar),
        (Tag::Float, Resolved::Float(value)) => float(value, scalar),
        (Tag::Timestamp, Resolved::Timestamp(time)) => Ok(time.into()),
        _ => {
            let is = Node::Scalar(scalar.clone()).describe();
            let message =
                format!("`{}` does not read as {is}: correct the value or drop the tag", scalar.text);
            Err(KustomizeError::new(message))
        }
    }
}

fn binary(scalar: &Scalar) -> Result<Value, KustomizeError> {
    let code: Vec<u8> = scalar.text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let bytes = STANDARD.decode(code).map_err(|_| {
        KustomizeError::new("the value of !!binary is not base64: correct it or drop the tag")
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned().into())
}

#[expect(clippy::cast_precision_loss, reason = "the loss is what the original does")]
fn widen(value: i64) -> f64 {
    value as f64
}

/// A float as it is after Go has printed it in JSON and read it back: whole ones below 1e21 are integers where 64 bits
/// hold what is printed.
fn float(value: f64, scalar: &Scalar) -> Result<Value, KustomizeError> {
    if !value.is_finite() {
        let message = format!("`{}` is a number that JSON cannot hold: quote it if it is text", scalar.text);
        return Err(KustomizeError::new(message));
    }
    let whole = value.abs() < 1e21 && value.fract() == 0.0;
    let printed = if whole { value.to_string() } else { String::new() };
    if let Ok(integer) = printed.parse::<i64>() {
        return Ok(integer.into());
    }
    if let Ok(integer) = printed.parse::<u64>() {
        return Ok(integer.into());
    }
    Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
}

/// The node that the original makes of a JSON value: all numbers are floats on the way.
pub fn node(value: &Value) -> Node {
    match value {
        Value::Null => Node::null(),
        Value::Bool(value) => Node::Scalar(Scalar::plain(if *value { "true" } else { "false" })),
        Value::Number(number) => Node::Scalar(Scalar::plain(go_float(number.as_f64().unwrap_or(0.0)))),
        Value::String(text) => Node::Scalar(string(text)),
        Value::Array(items) => Node::Seq(items.iter().map(node).collect()),
        Value::Object(fields) => {
            Node::Map(fields.iter().map(|(key, value)| (string(key), node(value))).collect())
        }
    }
}

/// The node that is read of a JSON text: numbers as they are written, all strings in quotes.
pub fn written(value: &Value) -> Node {
    let string = |text: &str| Scalar { text: text.into(), tag: Tag::Str, style: Style::Quoted };
    match value {
        Value::Number(number) => Node::Scalar(Scalar::plain(number.to_string())),
        Value::String(text) => Node::Scalar(string(text)),
        Value::Array(items) => Node::Seq(items.iter().map(written).collect()),
        Value::Object(fields) => {
            Node::Map(fields.iter().map(|(key, value)| (string(key), written(value))).collect())
        }
        Value::Null | Value::Bool(_) => node(value),
    }
}

/// A string, with quotes where it would be something else without.
fn string(text: &str) -> Scalar {
    let quoted = text.contains('\n') || resolve(text).tag() != Tag::Str;
    let style = if quoted { Style::Quoted } else { Style::Plain };
    Scalar { text: text.into(), tag: Tag::Str, style }
}

/// A float as Go prints it: the shortest digits, with an exponent below 1e-4 and from 1e6 on.
pub fn go_float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
