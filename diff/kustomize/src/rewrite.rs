//! New texts for scalars.
//!
//! Pure.

use smol_str::SmolStr;

use super::node::{Node, Scalar};

/// Gives a scalar another text, which decides its type unless the scalar is in quotes.
///
/// # Errors
/// If there is no scalar.
pub fn set_text(node: &mut Node, text: impl Into<SmolStr>) -> Result<(), String> {
    if node.as_scalar().is_none() {
        return Err(format!("a scalar is expected, not {}", node.describe()));
    }
    node.assign(Node::Scalar(Scalar::plain(text)));
    Ok(())
}
