//! `<<`: expands the keys of other mappings.
//!
//! The own keys of a mapping have precedence over merged ones, and in a list of mappings the first one has precedence.
//! Pure.

use std::collections::HashMap;

use smol_str::SmolStr;

use super::super::node::{Map, Node};
use super::made::Made;

/// Returns the mapping with the merged keys.
pub(super) fn merge(mut map: Map, merged: Made) -> Result<Map, String> {
    let mut sources = match merged.node {
        Node::Map(source) => vec![source],
        Node::Seq(items) if !merged.by_alias => {
            let maps = items.into_iter().map(|item| if let Node::Map(map) = item { Some(map) } else { None });
            maps.collect::<Option<Vec<_>>>().ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    let own = map.len();
    sources.reverse();
    let mut known: HashMap<SmolStr, usize> = HashMap::new();
    for (at, (key, _)) in map.iter().enumerate() {
        known.entry(key.text.clone()).or_insert(at);
    }
    let schemas: Vec<_> = sources.iter().flat_map(|source| source.schemas().to_vec()).collect();
    for (key, value) in sources.into_iter().flatten() {
        match known.get(&key.text).copied() {
            Some(at) if at < own => {}
            Some(at) => {
                if let Some(there) = map.value_at_mut(at) {
                    *there = value;
                }
            }
            None => {
                known.insert(key.text.clone(), map.len());
                map.push(key, value);
            }
        }
    }
    for (key, schema) in schemas {
        if known.get(&key).is_some_and(|at| *at >= own) {
            map.set_schema(key, schema);
        }
    }
    Ok(map)
}

fn wrong() -> String {
    "`<<` merges a mapping or a list of mappings: give it an alias of one, or quote the key".to_owned()
}
