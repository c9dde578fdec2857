//! Mutable YAML nodes, on which kustomize works. A scalar keeps its text, so that unchanged values are written as
//! they were, and its tag, which determines its type.
//!
//! Comments and styles are not kept, since they are not part of the output, except for comments with a schema, which a
//! merge uses. Pure.

use std::hash::{Hash, Hasher};

use smol_str::SmolStr;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Scalar(Scalar),
    Map(Map),
    Seq(Vec<Node>),
}

/// A text with a type.
#[derive(Clone, Debug)]
pub struct Scalar {
    pub text: SmolStr,
    pub tag: Tag,
    /// Its style. Kustomize keeps the style of a value that it replaces in place, so that a number there becomes text:
    /// see [`Node::assign`]. A null without a text is `Quoted` between brackets, where kustomize writes it as an empty
    /// text. Not a part of equality.
    pub style: Style,
}

/// The style of a scalar, as far as it matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    #[default]
    Plain,
    /// Plain, and a null between brackets: the original writes it as an empty text once its text is replaced by that of a list
    /// or a mapping, which have none.
    Bracketed,
    /// In quotes or in a literal block.
    Quoted,
    /// In a folded block, which kustomize does not print as it was read.
    Folded,
    /// Plain, and shared with the others of its group in the resource: kustomize writes the labels of one transformer
    /// to all its fields as one node, so that a later change of one of them changes all.
    Shared { group: u32, changed: bool },
}

impl Style {
    pub fn is_plain(self) -> bool {
        matches!(self, Self::Plain | Self::Bracketed | Self::Shared { .. })
    }

    /// True if a null without a text is written as an empty text.
    pub fn writes_nothing_as_text(self) -> bool {
        self == Self::Bracketed || !self.is_plain()
    }

    /// Returns the style of the value that replaces a scalar of this style.
    fn of_successor(self) -> Self {
        match self {
            Self::Shared { group, .. } => Self::Shared { group, changed: true },
            other => other,
        }
    }
}

/// The type of a scalar, by the rules of go-yaml v3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    Str,
    Int,
    Float,
    Bool,
    Null,
    Timestamp,
    Binary,
    Merge,
}

/// A mapping, in the order in which it was written. Keys are scalars.
#[derive(Clone, Debug, Default)]
pub struct Map {
    entries: Vec<(Scalar, Node)>,
    /// Comments at keys with the schema for a merge. Not a part of equality.
    schemas: Option<Box<Schemas>>,
}

/// Texts of schemas, by key.
pub type Schemas = Vec<(SmolStr, SmolStr)>;

impl Scalar {
    /// Creates a string, whatever its text is.
    pub fn string(text: impl Into<SmolStr>) -> Self {
        Self { text: text.into(), tag: Tag::Str, style: Style::Plain }
    }

    pub fn null() -> Self {
        Self { text: SmolStr::new_static("null"), tag: Tag::Null, style: Style::Plain }
    }

    pub fn is_null(&self) -> bool {
        self.tag == Tag::Null
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.tag == other.tag && self.text == other.text
    }
}

impl Eq for Scalar {}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.text, self.tag).hash(state);
    }
}

impl Node {
    /// Creates a string, whatever its text is.
    pub fn string(text: impl Into<SmolStr>) -> Self {
        Self::Scalar(Scalar::string(text))
    }

    pub fn null() -> Self {
        Self::Scalar(Scalar::null())
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(scalar) if scalar.is_null())
    }

    /// True for null, `{}` and `[]`.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(scalar) => scalar.is_null(),
            Self::Map(map) => map.is_empty(),
            Self::Seq(items) => items.is_empty(),
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    pub fn as_seq(&self) -> Option<&[Node]> {
        if let Self::Seq(items) = self { Some(items) } else { None }
    }

    pub fn as_seq_mut(&mut self) -> Option<&mut Vec<Node>> {
        if let Self::Seq(items) = self { Some(items) } else { None }
    }

    pub fn as_scalar(&self) -> Option<&Scalar> {
        if let Self::Scalar(scalar) = self { Some(scalar) } else { None }
    }

    /// Returns the text of a scalar of any type but null.
    pub fn text(&self) -> Option<&SmolStr> {
        self.as_scalar().filter(|scalar| !scalar.is_null()).map(|scalar| &scalar.text)
    }

    /// Returns the value of a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.as_map_mut()?.get_mut(key)
    }

    /// Returns the value at a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    pub fn at_mut(&mut self, path: &[&str]) -> Option<&mut Node> {
        path.iter().try_fold(self, |node, key| node.get_mut(key))
    }

    /// Replaces this value, as kustomize does: a scalar keeps the quotes of the one that it
    /// replaces, and is text with them.
    pub fn assign(&mut self, mut value: Self) {
        if let Self::Scalar(new) = &mut value {
            let old = self.as_scalar().filter(|old| !old.is_null());
            new.style = old.map_or(Style::Plain, |old| old.style.of_successor());
            if !new.style.is_plain() && new.tag == Scalar::plain(new.text.clone()).tag {
                new.tag = Tag::Str;
            }
        }
        *self = value;
    }

    /// Calls `change` on all scalars that are values.
    pub fn for_each_scalar(&mut self, change: &mut impl FnMut(&mut Scalar)) {
        match self {
            Self::Scalar(scalar) => change(scalar),
            Self::Map(map) => map.iter_mut().for_each(|(_, value)| value.for_each_scalar(change)),
            Self::Seq(items) => items.iter_mut().for_each(|item| item.for_each_scalar(change)),
        }
    }

    /// Returns the type of the value, for messages.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Map(_) => "a mapping",
            Self::Seq(_) => "a list",
            Self::Scalar(scalar) => match scalar.tag {
                Tag::Null => "null",
                Tag::Bool => "a boolean",
                Tag::Int | Tag::Float => "a number",
                _ => "a string",
            },
        }
    }
}

impl Map {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(name, _)| name.text == key).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|(name, _)| name.text == key).map(|(_, value)| value)
    }

    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets a key in place, as [`Node::assign`] does, or appends it.
    pub fn set(&mut self, key: impl Into<SmolStr>, value: Node) {
        let key = key.into();
        match self.get_mut(&key) {
            Some(there) => there.assign(value),
            None => self.entries.push((Scalar::string(key), value)),
        }
    }

    /// Returns the value of a key; `new` is appended if the key is missing.
    pub fn entry(&mut self, key: &str, new: impl FnOnce() -> Node) -> &mut Node {
        let found = self.entries.iter().position(|(name, _)| name.text == key);
        let at = found.unwrap_or(self.entries.len());
        if found.is_none() {
            self.entries.push((Scalar::string(key), new()));
        }
        &mut self.entries[at].1
    }

    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|(name, _)| name.text == key)?;
        Some(self.entries.remove(at).1)
    }

    /// Returns the value of the entry at a position.
    pub fn value_at_mut(&mut self, at: usize) -> Option<&mut Node> {
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    /// Appends an entry without checking whether the key exists.
    pub fn push(&mut self, key: Scalar, value: Node) {
        if let Some(schemas) = &mut self.schemas {
            schemas.retain(|(name, _)| *name != key.text);
        }
        self.entries.push((key, value));
    }

    /// Returns the schemas that comments set for keys.
    pub fn schemas(&self) -> &[(SmolStr, SmolStr)] {
        self.schemas.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Sets the schema of an existing key.
    pub fn set_schema(&mut self, key: SmolStr, schema: SmolStr) {
        self.schemas.get_or_insert_default().push((key, schema));
    }

    /// Copies the schemas of another mapping with the same keys.
    pub fn take_schemas(&mut self, other: &mut Self) {
        self.schemas = other.schemas.take();
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Scalar, &Node)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&Scalar, &mut Node)> {
        self.entries.iter_mut().map(|(key, value)| (&*key, value))
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&Scalar, &mut Node) -> bool) {
        self.entries.retain_mut(|(key, value)| keep(key, value));
    }
}

impl IntoIterator for Map {
    type Item = (Scalar, Node);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl FromIterator<(Scalar, Node)> for Map {
    fn from_iter<I: IntoIterator<Item = (Scalar, Node)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect(), schemas: None }
    }
}

impl From<Map> for Node {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}
