//! The scalars and aliases of a document in the order of the text, each with the path of its value.
//!
//! For callers that search text beside a scalar, such as a comment. Pure.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::ScalarStyle;

use super::find::{is_merge, key_name};
use crate::pointer::child;
use crate::yaml::Document;
use crate::yaml::tree::{Content, NodeId, Tree};

/// A scalar or an alias as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf<'d> {
    /// Its range, without the header of a block. Empty if the scalar is omitted (`key:`).
    pub span: Range<usize>,
    /// Its text without quotes, empty if it is omitted; for an alias, its name.
    pub text: &'d str,
    pub is_block: bool,
    /// True in quotes, or in a block.
    pub is_quoted: bool,
    pub role: Role,
}

/// The role of a leaf. Paths are those of [`super::Edit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A key, with the path of its value. `None` if the value has no path.
    Key(Option<String>),
    /// A scalar that has a path.
    Value(String),
    /// An alias as a value: its path, and the path of the scalar that it repeats. `None` if there
    /// is no path.
    Alias { path: Option<String>, target: Option<String> },
    /// A scalar without a path: it is in a mapping that a `<<` merges.
    Merged,
}

/// Returns all leaves of a document.
pub fn leaves<'d>(document: &'d Document) -> Vec<Leaf<'d>> {
    let mut walk = Walk { tree: &document.tree, leaves: Vec::new(), paths: HashMap::new() };
    walk.node(Tree::ROOT, Some(String::new()));
    walk.leaves
}

struct Walk<'d> {
    tree: &'d Tree<'d>,
    leaves: Vec<Leaf<'d>>,
    /// Paths of the scalars so far. An anchor precedes its aliases.
    paths: HashMap<NodeId, String>,
}

impl Walk<'_> {
    /// The depth is limited, since documents are.
    fn node(&mut self, id: NodeId, path: Option<String>) {
        let Some(node) = self.tree.node(id) else { return };
        match &node.content {
            Content::Scalar { .. } => {
                if let Some(path) = &path {
                    self.paths.insert(id, path.clone());
                }
                self.leaf(id, path.map_or(Role::Merged, Role::Value));
            }
            Content::Alias { .. } => {
                let target = self.paths.get(&self.tree.resolve(id)).cloned();
                self.leaf(id, Role::Alias { path, target });
            }
            Content::Sequence(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.node(*item, path.as_deref().map(|path| child(path, &at.to_string())));
                }
            }
            Content::Mapping(children) => {
                for [key, value] in children.as_chunks::<2>().0 {
                    let name = key_name(self.tree, *key).filter(|_| !is_merge(self.tree, *key));
                    let path = path.as_deref().zip(name).map(|(path, name)| child(path, &name));
                    self.leaf(*key, Role::Key(path.clone()));
                    self.node(*value, path);
                }
            }
        }
    }

    fn leaf(&mut self, id: NodeId, role: Role) {
        let Some(node) = self.tree.node(id) else { return };
        let (text, is_block, is_quoted) = match &node.content {
            Content::Scalar { text, style, .. } => {
                // The parser returns `~` for an omitted scalar.
                let text = if node.span.is_empty() { "" } else { text.as_ref() };
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                (text, is_block, !matches!(style, ScalarStyle::Plain))
            }
            Content::Alias { name, .. } => (name.as_str(), false, false),
            Content::Sequence(_) | Content::Mapping(_) => return,
        };
        self.leaves.push(Leaf { span: node.span.clone(), text, is_block, is_quoted, role });
    }
}
