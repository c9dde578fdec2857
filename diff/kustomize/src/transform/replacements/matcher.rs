//! Finds the fields at a path with wildcards, and creates missing ones if requested.
//!
//! Pure.

use regex::Regex;

use crate::node::{Map, Node, Scalar};
use crate::path::{MAX_PARTS, Part};
use crate::read;
use crate::scalar::{Resolved, resolve};
use crate::select::compile;

/// Whether a field existed or was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    There,
    Created,
}

/// Changes a field that was found.
pub(super) type Set<'a> = dyn FnMut(&mut Node, Found) -> Result<(), String> + 'a;

/// One search.
pub(super) struct Matcher<'a, 's> {
    /// The value of a created field, of the type of the value. `None` if nothing is created.
    empty: Option<Node>,
    set: &'a mut Set<'s>,
    count: usize,
}

impl<'a, 's> Matcher<'a, 's> {
    pub(super) fn new(value: &Node, create: bool, set: &'a mut Set<'s>) -> Self {
        let empty = match value {
            Node::Scalar(_) => Node::Scalar(Scalar::plain("")),
            Node::Map(_) => Node::Map(Map::default()),
            Node::Seq(_) => Node::Seq(Vec::new()),
        };
        Self { empty: create.then_some(empty), set, count: 0 }
    }

    /// Returns the number of fields that were found.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Sets all fields at a path.
    ///
    /// # Errors
    /// A part does not fit the value.
    pub(super) fn run(&mut self, node: &mut Node, path: &[impl AsRef<str>]) -> Result<(), String> {
        if path.len() > MAX_PARTS {
            return Err(format!("a path has at most {MAX_PARTS} parts"));
        }
        let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        self.walk(node, &path, Found::There)
    }

    fn walk(&mut self, node: &mut Node, path: &[&str], found: Found) -> Result<(), String> {
        let Some((part, rest)) = path.split_first() else {
            self.count += 1;
            return (self.set)(node, found);
        };
        let parsed = Part::parse(part);
        if node.is_null() {
            // As in kustomize, a value that is created below null is lost.
            let is_list = parsed.is_ok_and(|part| part.is_item() || part == Part::Every);
            let mut lost = if is_list { Node::Seq(Vec::new()) } else { Node::Map(Map::default()) };
            return self.walk(&mut lost, path, Found::There);
        }
        match parsed {
            Ok(Part::Index(index)) => self.walk_index(node, index, rest),
            Ok(Part::With(field, value)) => self.walk_items(node, field, value, rest),
            Ok(Part::Every) => {
                items(node)?.iter_mut().try_for_each(|item| self.walk(item, rest, Found::There))
            }
            Ok(Part::Field(_) | Part::Last) => self.walk_field(node, part, rest),
            Err(_) if !part.starts_with('[') => self.walk_field(node, part, rest),
            Err(reason) => Err(reason),
        }
    }

    /// Returns the value that is created for the rest of a path.
    fn created(&self, path: &[&str]) -> Option<Node> {
        let empty = self.empty.clone()?;
        Some(match path.first().map(|next| Part::parse(next)) {
            None => empty,
            Some(Ok(next)) if next.is_item() => Node::Seq(Vec::new()),
            Some(Err(_)) if path[0].starts_with('[') => Node::Seq(Vec::new()),
            Some(_) => Node::Map(Map::default()),
        })
    }

    fn walk_field(&mut self, node: &mut Node, name: &str, rest: &[&str]) -> Result<(), String> {
        let created = self.created(rest);
        let description = node.describe();
        let Node::Map(map) = node else {
            return Err(format!("{name} is the key of a mapping, but the value is {description}"));
        };
        match (map.get_mut(name), created) {
            (Some(field @ Node::Scalar(_)), _) if !rest.is_empty() => self.walk_text(field, rest),
            (Some(field), _) => self.walk(field, rest, Found::There),
            (None, Some(created)) => self.walk(map.entry(name, || created), rest, Found::Created),
            (None, None) => Ok(()),
        }
    }

    /// Goes on in the YAML that a text holds. As in the original, what is set there is lost.
    fn walk_text(&mut self, node: &Node, rest: &[&str]) -> Result<(), String> {
        let text = node.as_scalar().map_or("", |scalar| &scalar.text);
        let mut parsed =
            inner(text).ok_or_else(|| format!("{} is below a text that is not YAML", rest[0]))?;
        self.walk(&mut parsed, rest, Found::There)
    }

    fn walk_index(&mut self, node: &mut Node, index: usize, rest: &[&str]) -> Result<(), String> {
        let created = self.created(rest);
        let items = items(node)?;
        let length = items.len();
        let found = match created {
            Some(created) if index == length => {
                items.push(created);
                Found::Created
            }
            _ => Found::There,
        };
        let item = items.get_mut(index).ok_or_else(|| format!("there is no item {index}, but {length}"))?;
        self.walk(item, rest, found)
    }

    fn walk_items(&mut self, node: &mut Node, field: &str, value: &str, rest: &[&str]) -> Result<(), String> {
        let pattern = Contained::new(value)?;
        let before = self.count;
        self.walk_matching(node, field, &pattern, rest)?;
        if self.count > before || self.empty.is_none() {
            return Ok(());
        }
        if !pattern.is_in(value) {
            return Err(format!("{value:?} matches no item, and an item with it would not match either"));
        }
        let value = Node::Scalar(Scalar::plain(value));
        let named = |value| Node::Map([(Scalar::string(field), value)].into_iter().collect());
        items(node)?.push(if field.is_empty() { value } else { named(value) });
        self.walk_matching(node, field, &pattern, rest)?;
        // What was created has no type but that of its text, whatever was set.
        let item = items(node)?.last_mut();
        let created = if field.is_empty() { item } else { item.and_then(|item| item.get_mut(field)) };
        if let Some(Node::Scalar(scalar)) = created {
            *scalar = Scalar::plain(scalar.text.clone());
        }
        Ok(())
    }

    /// Goes on in the items whose field matches; items without fields are found themselves.
    fn walk_matching(
        &mut self,
        node: &mut Node,
        field: &str,
        pattern: &Contained<'_>,
        rest: &[&str],
    ) -> Result<(), String> {
        for item in items(node)? {
            let found = if field.is_empty() { Some(&*item) } else { item.get(field) };
            if found.and_then(written).is_some_and(|text| pattern.is_in(&text)) {
                let rest = if field.is_empty() { &[] } else { rest };
                self.walk(item, rest, Found::There)?;
            }
        }
        Ok(())
    }
}

/// An expression that a part of a text must match.
enum Contained<'a> {
    /// Nothing in it is special.
    Text(&'a str),
    Regex(Regex),
}

impl<'a> Contained<'a> {
    fn new(value: &'a str) -> Result<Self, String> {
        if value.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))
        {
            return Ok(Self::Text(value));
        }
        let regex =
            compile(value).map_err(|reason| format!("{value:?} is not a regular expression: {reason}"))?;
        Ok(Self::Regex(regex))
    }

    fn is_in(&self, text: &str) -> bool {
        match self {
            Self::Text(own) => text.contains(own),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

fn items(node: &mut Node) -> Result<&mut Vec<Node>, String> {
    let description = node.describe();
    node.as_seq_mut().ok_or_else(|| format!("the value is {description}, not a list"))
}

/// A scalar as it stands in YAML.
fn written(node: &Node) -> Option<String> {
    let scalar = node.as_scalar()?;
    let text = scalar.text.trim();
    Some(if !scalar.style.is_plain() && !text.contains('\n') {
        format!("\"{text}\"")
    } else {
        text.to_owned()
    })
}

/// The YAML that a text holds: its first document.
pub(super) fn inner(text: &str) -> Option<Node> {
    if !text.trim().is_empty() && resolve(text.trim()) == Resolved::Null {
        return Some(Node::null());
    }
    read::nodes("", text.as_bytes()).ok()?.into_iter().next().map(|(node, _)| node)
}
