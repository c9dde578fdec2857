//! `$patch`: the directive in a patch for the mapping or list that contains it.
//!
//! Pure.

use super::super::node::{Map, Node};
use super::{Failure, Step};

const KEY: &str = "$patch";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Directive {
    Merge,
    Replace,
    Delete,
}

/// Reads and removes the directive of a mapping.
pub(super) fn of_map(patch: &mut Map) -> Step<Directive> {
    let Some(value) = patch.get(KEY) else { return Ok(Directive::Merge) };
    let directive = read(value)?;
    patch.remove(KEY);
    Ok(directive)
}

/// Reads and removes the directive of a list, which is its first item with only this key.
pub(super) fn of_list(patch: &mut Vec<Node>) -> Step<Directive> {
    let first = patch.iter().find_map(|item| item.as_map().filter(|map| map.contains(KEY)));
    let Some(value) = first.filter(|map| map.len() == 1).and_then(|map| map.get(KEY)) else {
        return Ok(Directive::Merge);
    };
    let directive = read(value)?;
    let text = text(value).to_owned();
    // Empty items are removed too.
    patch.retain(|item| {
        !item.is_null() && !is_empty_map(item) && item.get(KEY).is_none_or(|it| self::text(it) != text)
    });
    Ok(directive)
}

fn read(value: &Node) -> Step<Directive> {
    match text(value) {
        "merge" => Ok(Directive::Merge),
        "replace" => Ok(Directive::Replace),
        "delete" => Ok(Directive::Delete),
        other => Failure::new(format!("unknown directive `{KEY}: {other}`: write delete, merge or replace")),
    }
}

fn text(value: &Node) -> &str {
    value.as_scalar().map_or("", |scalar| scalar.text.as_str())
}

fn is_empty_map(node: &Node) -> bool {
    node.as_map().is_some_and(Map::is_empty)
}
