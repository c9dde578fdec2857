//! The schemas of kustomize's own files, and the conversion of values to them: as with Go's JSON reader, which ignores
//! the case of field names and treats null as missing.
//!
//! Reports every mistake with its line and field. Leaves the lists of fields to `file::fields`. Pure.

use serde_json::{Map, Value};

use holdfast_documents::yaml::near::nearest;
use holdfast_documents::yaml::{NodeId, Tree, number};

/// The required type of a value.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    Text,
    Bool,
    Int,
    /// A mapping with any values.
    AnyMap,
    /// A mapping of strings.
    TextMap,
    List(&'static Shape),
    Struct(Fields),
    /// A mapping with the fields of all of these.
    Joined(&'static [Fields]),
}

/// Fields by name.
pub type Fields = &'static [(&'static str, Shape)];

/// How unknown fields and wrong types are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Unknown fields and wrong types are mistakes.
    Strict,
    /// Unknown fields are mistakes, but numbers and booleans are converted to strings where strings are required.
    Converting,
    /// Unknown fields are dropped, and numbers and booleans are converted to strings where strings are required.
    Lenient,
}

/// A mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Counts from 1; 0 if it is unknown.
    pub line: u32,
    pub message: String,
}

/// The position of a value. A merged value has no node and uses the line of its parent.
#[derive(Clone, Copy)]
pub struct Position<'t, 'a> {
    tree: Option<&'t Tree<'a>>,
    node: Option<NodeId>,
    pub line: u32,
}

impl<'t, 'a> Position<'t, 'a> {
    pub fn root(tree: &'t Tree<'a>) -> Self {
        Self { tree: Some(tree), node: None, line: 1 }.at(Some(Tree::ROOT))
    }

    /// The position of everything in a value of which only the first line is known.
    pub fn line(line: u32) -> Self {
        Self { tree: None, node: None, line }
    }

    fn at(self, node: Option<NodeId>) -> Self {
        let found = node.zip(self.tree).and_then(|(id, tree)| Some((id, tree.node(id)?.line)));
        Self { node: found.map(|(id, _)| id), line: found.map_or(self.line, |(_, line)| line), ..self }
    }

    fn entry(self, key: &str) -> Option<(NodeId, NodeId)> {
        self.tree?.entry(self.node?, key)
    }

    /// Returns the position of the value of a key, with the line of the key.
    #[must_use]
    pub fn field(self, key: &str) -> Self {
        let entry = self.entry(key);
        let line = self.at(entry.map(|(name, _)| name)).line;
        Self { line, ..self.at(entry.map(|(_, value)| value)) }
    }

    #[must_use]
    pub fn item(self, index: usize) -> Self {
        self.at(self.node.zip(self.tree).and_then(|(node, tree)| tree.item(node, index)))
    }
}

/// Converts a value to a shape: fields get the names of the shape, and null is removed.
pub fn fit(
    value: Value,
    shape: Shape,
    strictness: Strictness,
    place: Position,
) -> Result<Value, Vec<Misfit>> {
    let mut fitting = Fitting { strictness, path: String::new(), misfits: Vec::new() };
    let value = fitting.value(value, shape, place).unwrap_or_default();
    if fitting.misfits.is_empty() { Ok(value) } else { Err(fitting.misfits) }
}

struct Fitting {
    strictness: Strictness,
    /// The current field, such as `patches[2].target`.
    path: String,
    misfits: Vec<Misfit>,
}

impl Fitting {
    /// Returns the converted value; `None` for null and for a value of another type.
    fn value(&mut self, value: Value, shape: Shape, place: Position) -> Option<Value> {
        match (shape, value) {
            (_, Value::Null) => None,
            (Shape::Text, value @ Value::String(_))
            | (Shape::Bool, value @ Value::Bool(_))
            | (Shape::AnyMap, value @ Value::Object(_)) => Some(value),
            (Shape::Int, Value::Number(number)) if number.is_i64() => Some(Value::Number(number)),
            (Shape::Text, value) if self.strictness != Strictness::Strict => {
                let text = as_text(&value);
                text.map(Value::String).or_else(|| self.wrong(&value, shape, place))
            }
            (Shape::TextMap, Value::Object(fields)) => Some(self.texts(fields, place)),
            (Shape::List(item), Value::Array(items)) => Some(self.list(items, *item, place)),
            (Shape::Struct(known), Value::Object(fields)) => Some(self.fields(fields, &[known], place)),
            (Shape::Joined(known), Value::Object(fields)) => Some(self.fields(fields, known, place)),
            (shape, value) => self.wrong(&value, shape, place),
        }
    }

    fn texts(&mut self, fields: Map<String, Value>, place: Position) -> Value {
        let fit = |(key, value): (String, Value)| {
            let place = place.field(&key);
            let text = self.within(&format!(".{key}"), |fitting| fitting.value(value, Shape::Text, place));
            (key, text.unwrap_or_else(|| Value::String(String::new())))
        };
        Value::Object(fields.into_iter().map(fit).collect())
    }

    /// An item that is null is empty, as in kustomize.
    fn list(&mut self, items: Vec<Value>, shape: Shape, place: Position) -> Value {
        let fit = |(index, item)| {
            let place = place.item(index);
            let item = self.within(&format!("[{index}]"), |fitting| fitting.value(item, shape, place));
            item.unwrap_or_else(|| shape.empty())
        };
        Value::Array(items.into_iter().enumerate().map(fit).collect())
    }

    fn fields(&mut self, fields: Map<String, Value>, known: &[Fields], place: Position) -> Value {
        let mut fitted = Map::new();
        let known = || known.iter().copied().flatten();
        for (key, value) in fields {
            let place = place.field(&key);
            let exact = known().find(|(name, _)| *name == key);
            let found = exact.or_else(|| known().find(|(name, _)| name.eq_ignore_ascii_case(&key)));
            let Some((name, shape)) = found else {
                self.unknown(&key, known().map(|(name, _)| name), place);
                continue;
            };
            let step = if self.path.is_empty() { (*name).to_owned() } else { format!(".{name}") };
            if let Some(value) = self.within(&step, |fitting| fitting.value(value, *shape, place)) {
                fitted.insert((*name).to_owned(), value);
            }
        }
        Value::Object(fitted)
    }

    fn within<T>(&mut self, step: &str, then: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push_str(step);
        let value = then(self);
        self.path.truncate(length);
        value
    }

    fn unknown(&mut self, key: &str, known: impl Iterator<Item = &'static &'static str>, place: Position) {
        if self.strictness == Strictness::Lenient {
            return;
        }
        let field = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let message = match nearest(key, known) {
            Some(near) => format!("unknown field `{field}`: did you mean `{near}`?"),
            None => format!("unknown field `{field}`: remove it"),
        };
        self.misfits.push(Misfit { line: place.line, message });
    }

    fn wrong(&mut self, value: &Value, shape: Shape, place: Position) -> Option<Value> {
        let field = if self.path.is_empty() { "the document" } else { self.path.as_str() };
        let quote = matches!(shape, Shape::Text) && (value.is_boolean() || value.is_number());
        let hint = if quote { ": quote it" } else { "" };
        let message = format!("`{field}` is {}, but must be {}{hint}", describe(value), shape.describe());
        self.misfits.push(Misfit { line: place.line, message });
        None
    }
}

impl Shape {
    fn describe(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Bool => "true or false",
            Self::Int => "a whole number",
            Self::TextMap => "a mapping of strings",
            Self::List(Self::Text) => "a list of strings",
            Self::List(Self::Struct(_) | Self::Joined(_)) => "a list of mappings",
            Self::List(_) => "a list",
            Self::AnyMap | Self::Struct(_) | Self::Joined(_) => "a mapping",
        }
    }

    fn empty(self) -> Value {
        match self {
            Self::Text => Value::String(String::new()),
            Self::Bool => Value::Bool(false),
            Self::Int => Value::from(0),
            Self::List(_) => Value::Array(Vec::new()),
            Self::AnyMap | Self::TextMap | Self::Struct(_) | Self::Joined(_) => Value::Object(Map::new()),
        }
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) if number.is_f64() => number.as_f64().map(number::key),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
