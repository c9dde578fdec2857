//! Matches the items of two lists of the same field, such as the containers in Git and in a live object. Pure.

use serde_json::Value;

/// The item of another list that corresponds to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counterpart {
    /// Its position.
    At(usize),
    /// The other list does not have the item.
    Absent,
    /// The items cannot be matched: they have no unique names, and the lists differ in length.
    Unknown,
}

impl Counterpart {
    /// Returns the position, if there is one.
    pub fn position(self) -> Option<usize> {
        match self {
            Self::At(at) => Some(at),
            Self::Absent | Self::Unknown => None,
        }
    }
}

/// Finds the counterpart of the item at a position of `items` in `others`: the item with the same name if the name is unique
/// in both lists, or else the item at the same position if both lists have the same length.
pub fn counterpart(items: &[Value], at: usize, others: &[Value]) -> Counterpart {
    if let Some(name) = items.get(at).and_then(name) {
        let mut same = others.iter().enumerate().filter(|(_, other)| self::name(other) == Some(name));
        let is_unique = items.iter().filter(|item| self::name(item) == Some(name)).count() == 1;
        match (is_unique, same.next(), same.next()) {
            (true, Some((found, _)), None) => return Counterpart::At(found),
            (true, None, _) => return Counterpart::Absent,
            _ => {}
        }
    }
    if items.len() == others.len() { Counterpart::At(at) } else { Counterpart::Unknown }
}

fn name(item: &Value) -> Option<&str> {
    item.get("name")?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(items: &Value, others: &Value, expected: &[Counterpart]) {
        let (items, others) = (items.as_array().expect("a list"), others.as_array().expect("a list"));
        let found: Vec<_> = (0..items.len()).map(|at| counterpart(items, at, others)).collect();
        assert_eq!(found, expected, "{items:?} {others:?}");
    }

    #[test]
    fn items_are_matched_by_unique_names_or_else_by_position() {
        use Counterpart::{Absent, At, Unknown};
        check(
            &json!([{"name": "b"}, {"name": "a"}]),
            &json!([{"name": "a"}, {"name": "b"}]),
            &[At(1), At(0)],
        );
        check(
            &json!([{"name": "b"}, {"name": "c"}]),
            &json!([{"name": "a"}, {"name": "b"}]),
            &[At(1), Absent],
        );
        check(
            &json!([{"name": "a"}, {"name": "a"}]),
            &json!([{"name": "a"}, {"name": "a"}]),
            &[At(0), At(1)],
        );
        check(&json!([{"name": "a"}, {"name": "a"}]), &json!([{"name": "a"}]), &[Unknown, Unknown]);
        check(&json!([1, {"port": 2}]), &json!([3, 4]), &[At(0), At(1)]);
        check(&json!([1]), &json!([1, 2]), &[Unknown]);
    }
}
