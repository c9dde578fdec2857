//! How much memory a value takes, counted roughly: enough to end what expands before the memory does.
//!
//! Pure.

use serde_json::Value;

/// Bytes that a value takes beside its text.
pub const VALUE: usize = 32;
/// Bytes that a mapping or a list takes beside its values, however few they are.
pub const COLLECTION: usize = 640;

/// A value that holds others.
pub trait Tree {
    fn below(&self) -> impl Iterator<Item = &Self>;

    fn is_collection(&self) -> bool;

    /// Bytes of its own text, and of its keys.
    fn text(&self) -> usize;
}

/// Bytes of memory of a value and of all that it holds.
pub fn bytes(value: &impl Tree) -> usize {
    let own = if value.is_collection() { COLLECTION } else { VALUE };
    own + value.text() + value.below().map(bytes).sum::<usize>()
}

/// How many collections stand within one another.
pub fn levels(value: &impl Tree) -> usize {
    usize::from(value.is_collection()) + value.below().map(levels).max().unwrap_or(0)
}

impl Tree for Value {
    fn below(&self) -> impl Iterator<Item = &Self> {
        let fields = self.as_object().into_iter().flat_map(|map| map.values());
        fields.chain(self.as_array().into_iter().flatten())
    }

    fn is_collection(&self) -> bool {
        self.is_object() || self.is_array()
    }

    fn text(&self) -> usize {
        let keys: usize = self.as_object().into_iter().flat_map(|map| map.keys()).map(String::len).sum();
        keys + self.as_str().map_or(0, str::len)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{bytes, levels};

    #[test]
    fn a_value_weighs_what_it_holds() {
        assert_eq!(bytes(&json!("four")), 36);
        assert_eq!(bytes(&json!({"a": ["four"]})), 640 + 1 + 640 + 36);
        assert_eq!([levels(&json!(1)), levels(&json!([])), levels(&json!({"a": [1]}))], [0, 1, 2]);
    }
}
