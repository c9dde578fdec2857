//! Estimates the memory of a value, precisely enough to stop an expansion before memory is exhausted.
//!
//! Pure.

use serde_json::Value;

/// Bytes of a value in addition to its text.
pub const VALUE: usize = 32;
/// Bytes of a mapping or a list in addition to its values.
pub const COLLECTION: usize = 640;

/// A value that contains others.
pub trait Tree {
    fn below(&self) -> impl Iterator<Item = &Self>;

    fn is_collection(&self) -> bool;

    /// Returns the bytes of its own text, and of its keys.
    fn text(&self) -> usize;
}

/// Returns the memory in bytes of a value and everything in it.
pub fn bytes(value: &impl Tree) -> usize {
    let own = if value.is_collection() { COLLECTION } else { VALUE };
    own + value.text() + value.below().map(bytes).sum::<usize>()
}

/// Returns the depth of nested collections.
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
