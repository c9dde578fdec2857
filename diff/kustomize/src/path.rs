//! Paths to single fields: splits them, and finds their values.
//!
//! A part is the key of a mapping, the index of an item, `-` for the last one, or `[key=value]` for the first
//! item that has the value. Leaves creating to `transform::valueadd`, and wildcards to
//! `transform::replacements`. Pure.

use super::node::Node;

/// Maximum number of parts of a path along which fields are created: more would make objects too deep.
pub const MAX_PARTS: usize = 200;

/// Splits a path at a delimiter, which a backslash escapes.
pub fn split(path: &str, delimiter: char) -> Vec<String> {
    let mut rest = path;
    if let Some(behind) = path.strip_prefix(delimiter) {
        rest = behind;
    }
    let mut parts: Vec<String> = Vec::new();
    let mut is_escaped = false;
    for part in rest.split(delimiter) {
        match parts.last_mut().filter(|_| is_escaped) {
            Some(last) => {
                last.pop();
                last.push(delimiter);
                last.push_str(part);
            }
            None => parts.push(part.to_owned()),
        }
        is_escaped = parts.last().is_some_and(|last| last.ends_with('\\'));
    }
    parts
}

/// Splits a path as [`split`] does, but not inside square brackets. Brackets without `=` are removed.
pub fn split_with_brackets(path: &str, delimiter: char) -> Vec<String> {
    let mut parts = Vec::new();
    let mut split = split(path, delimiter).into_iter();
    while let Some(mut part) = split.next() {
        if !part.starts_with('[') || part.ends_with(']') {
            parts.push(part);
            continue;
        }
        for next in split.by_ref() {
            part.push(delimiter);
            part.push_str(&next);
            if next.ends_with(']') {
                break;
            }
        }
        parts.push(if part.contains('=') { part } else { part.trim_matches(['[', ']']).to_owned() });
    }
    parts
}

/// One parsed part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    Field(&'a str),
    Index(usize),
    Last,
    /// All items.
    Every,
    /// The items whose field has a value; the items themselves, if the field is empty.
    With(&'a str, &'a str),
}

impl<'a> Part<'a> {
    /// # Errors
    /// An index is negative, or brackets have no `=`.
    pub fn parse(part: &'a str) -> Result<Self, String> {
        if let Ok(index) = part.parse::<i64>() {
            return usize::try_from(index)
                .map(Self::Index)
                .map_err(|_| format!("the index {index} is below 0"));
        }
        match part {
            "-" => Ok(Self::Last),
            "*" => Ok(Self::Every),
            _ => match part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) {
                None => Ok(Self::Field(part)),
                Some(inner) => inner
                    .split_once('=')
                    .map(|(field, value)| Self::With(field, value))
                    .ok_or_else(|| format!("{part} has no value: write [field=value]")),
            },
        }
    }

    /// True if the part is for a list whose items are named.
    pub fn is_item(self) -> bool {
        matches!(self, Self::Index(_) | Self::With(..))
    }
}

/// Returns the value at a path; `None` if a part of it is missing.
///
/// # Errors
/// A part is for a list or a mapping and the value is of another type, or a part is a wildcard.
pub fn lookup<'a>(node: &'a Node, path: &[impl AsRef<str>]) -> Result<Option<&'a Node>, String> {
    let mut node = node;
    for part in path.iter().map(|part| part.as_ref().trim()).filter(|part| !part.is_empty()) {
        match step(node, part)? {
            Some(next) => node = next,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

/// As [`lookup`], for changing the value.
///
/// # Errors
/// As [`lookup`].
pub fn lookup_mut<'a>(node: &'a mut Node, path: &[impl AsRef<str>]) -> Result<Option<&'a mut Node>, String> {
    let mut node = node;
    for part in path.iter().map(|part| part.as_ref().trim()).filter(|part| !part.is_empty()) {
        node = match (Part::parse(part)?, node) {
            (Part::Field(field), Node::Map(map)) => match map.get_mut(field) {
                Some(value) => value,
                None => return Ok(None),
            },
            (part, node) => match (item(node, part)?, node) {
                (Some(at), Node::Seq(items)) => &mut items[at],
                _ => return Ok(None),
            },
        };
    }
    Ok(Some(node))
}

fn step<'a>(node: &'a Node, part: &str) -> Result<Option<&'a Node>, String> {
    match (Part::parse(part)?, node) {
        (Part::Field(field), Node::Map(map)) => Ok(map.get(field)),
        (part, node) => Ok(item(node, part)?.and_then(|at| node.as_seq()?.get(at))),
    }
}

/// Returns the position of the item that a part names.
fn item(node: &Node, part: Part<'_>) -> Result<Option<usize>, String> {
    if part == Part::Every {
        return Err("`*` is not possible here".to_owned());
    }
    let items = match (part, node) {
        (Part::Last, node) if node.is_null() => return Err("there is no last item".to_owned()),
        (_, node) if node.is_null() => return Ok(None),
        (Part::Field(field), node) => {
            return Err(format!("{field} is the key of a mapping, but the value is {}", node.describe()));
        }
        (_, Node::Seq(items)) => items,
        (_, node) => return Err(format!("the value is {}, not a list", node.describe())),
    };
    match part {
        Part::Index(index) => Ok((index < items.len()).then_some(index)),
        Part::Last => items.len().checked_sub(1).map(Some).ok_or_else(|| "there is no last item".to_owned()),
        Part::With(field, value) => Ok(items.iter().position(|item| has(item, field, value))),
        Part::Field(_) | Part::Every => Ok(None),
    }
}

/// True if an item has a field with this text, or is this text.
fn has(item: &Node, field: &str, value: &str) -> bool {
    let found = if field.is_empty() { Some(item) } else { item.get(field) };
    found.is_some_and(|found| found.as_scalar().map_or("", |scalar| &scalar.text) == value)
}

#[cfg(test)]
mod tests {
    use super::{split, split_with_brackets};

    #[test]
    fn a_delimiter_may_be_escaped_or_in_brackets() {
        for (path, expected) in [
            ("a.b", vec!["a", "b"]),
            (".a.b", vec!["a", "b"]),
            ("", vec![""]),
            (r"a.b\.c\.d.e", vec!["a", "b.c.d", "e"]),
            ("a.[b.c/d].e", vec!["a", "b.c/d", "e"]),
            ("a.[n=b.c].e", vec!["a", "[n=b.c]", "e"]),
            ("a.[n=b].e", vec!["a", "[n=b]", "e"]),
            ("a.[b.c", vec!["a", "b.c"]),
            ("a..b", vec!["a", "", "b"]),
        ] {
            assert_eq!(split_with_brackets(path, '.'), expected, "{path}");
        }
        assert_eq!(split(r"a/b\/c", '/'), ["a", "b/c"]);
    }
}
