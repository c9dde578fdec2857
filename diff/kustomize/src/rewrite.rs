//! New texts for scalars.
//!
//! Pure.

use smol_str::SmolStr;

use super::node::{Node, Scalar};

/// Sets the text of a scalar, which determines its type unless it is in quotes.
///
/// # Errors
/// The node is not a scalar.
pub fn set_text(node: &mut Node, text: impl Into<SmolStr>) -> Result<(), String> {
    if node.as_scalar().is_none() {
        return Err(format!("a scalar is expected, not {}", node.describe()));
    }
    node.assign(Node::Scalar(Scalar::plain(text)));
    Ok(())
}
