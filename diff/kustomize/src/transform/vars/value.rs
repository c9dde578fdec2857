//! The value of a var: what stands in a field of a resource, with its type.
//!
//! Pure.

use smol_str::{SmolStr, ToSmolStr};

use crate::node::{Node, Scalar, Tag};
use crate::path::{lookup, split_with_brackets};
use crate::value::go_float;

/// What a var stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum VarValue {
    Text(SmolStr),
    Int(i64),
    Float(f64),
    Bool(bool),
    /// A list or a mapping, which is written nowhere.
    Many,
}

impl VarValue {
    pub(super) fn is_single(&self) -> bool {
        *self != Self::Many
    }

    /// As a value by itself.
    pub(super) fn scalar(&self) -> Scalar {
        let (text, tag) = match self {
            Self::Text(text) => (text.clone(), Tag::Str),
            Self::Int(number) => (number.to_smolstr(), Tag::Int),
            Self::Float(number) => (number.to_smolstr(), Tag::Float),
            Self::Bool(value) => (value.to_smolstr(), Tag::Bool),
            Self::Many => (SmolStr::default(), Tag::Str),
        };
        let mut scalar = Scalar::string(text);
        scalar.tag = tag;
        scalar
    }

    /// As a part of a text.
    pub(super) fn text(&self) -> SmolStr {
        match self {
            Self::Float(number) => go_float(*number).into(),
            other => other.scalar().text,
        }
    }
}

/// The value at a path such as `spec.ports[0].port`.
pub(super) fn at(node: &Node, path: &str) -> Result<VarValue, String> {
    let parts: Vec<String> = split_with_brackets(path, '.').into_iter().flat_map(split_index).collect();
    let Some(found) = lookup(node, &parts)? else { return Err("there is no such field".to_owned()) };
    let Node::Scalar(Scalar { text, tag, .. }) = found else { return Ok(VarValue::Many) };
    let read = match tag {
        Tag::Int => text.parse().ok().map(VarValue::Int),
        Tag::Float => text.parse().ok().map(VarValue::Float),
        Tag::Bool => match &**text {
            "true" | "True" | "TRUE" => Some(VarValue::Bool(true)),
            "false" | "False" | "FALSE" => Some(VarValue::Bool(false)),
            _ => None,
        },
        _ => Some(VarValue::Text(text.clone())),
    };
    read.ok_or_else(|| format!("{text} is {}, and no plain one: quote it", found.describe()))
}

/// `ports[0]` is `ports` and `0`.
fn split_index(part: String) -> Vec<String> {
    let index = part.strip_suffix(']').and_then(|part| part.rsplit_once('['));
    match index {
        Some((name, index)) if !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()) => {
            [name, index].into_iter().filter(|part| !part.is_empty()).map(str::to_owned).collect()
        }
        _ => vec![part],
    }
}
