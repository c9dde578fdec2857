//! Maps bytes of a written object to its fields.
//!
//! Pure.

use super::error::{Finding, SubstituteProblem};
use super::expand::Substitution;
use crate::pointer;
use crate::yaml::{Content, NodeId, Tree, read};

/// A written object, parsed only when it is needed.
pub(super) struct Places<'a> {
    text: &'a str,
}

impl<'a> Places<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text }
    }

    /// Returns the path (RFC 6901) of the field at a byte.
    pub fn path(&self, at: usize) -> String {
        self.with_tree(|tree| {
            let mut path = String::new();
            let mut id = Tree::ROOT;
            while let Some((segment, child)) = step(tree, id, at) {
                pointer::push(&mut path, &segment);
                let Some(child) = child else { break };
                id = child;
            }
            path
        })
        .unwrap_or_default()
    }

    /// Returns the expressions that end outside the scalar in which they start.
    pub fn crossings<'s>(&self, substitutions: &[Substitution<'s>]) -> Vec<Finding<'s>> {
        // If a field ends on the line, there is at least a `: `.
        let can_cross = |substitution: &&Substitution| {
            self.text
                .get(substitution.from.clone())
                .is_some_and(|text| text.contains('\n') || text.contains(": "))
        };
        let suspects: Vec<&Substitution> = substitutions.iter().filter(can_cross).collect();
        if suspects.is_empty() {
            return Vec::new();
        }
        let crosses = |tree: &Tree, substitution: &Substitution| {
            scalar(tree, substitution.from.start) != scalar(tree, substitution.from.end - 1)
        };
        let finding = |substitution: &Substitution<'s>| Finding {
            at: substitution.from.start,
            name: substitution.name,
            problem: SubstituteProblem::Crosses,
        };
        let found = self.with_tree(|tree| {
            suspects
                .iter()
                .filter(|substitution| crosses(tree, substitution))
                .map(|substitution| finding(substitution))
                .collect()
        });
        found.unwrap_or_default()
    }

    fn with_tree<T>(&self, then: impl FnOnce(&Tree) -> T) -> Option<T> {
        let (documents, _) = read("", self.text.as_bytes());
        documents.first().map(|document| then(&document.tree))
    }
}

/// Returns the name or index of the collection entry at a byte, and the node of its value unless the
/// byte is in the name.
fn step(tree: &Tree, id: NodeId, at: usize) -> Option<(String, Option<NodeId>)> {
    let starts = |id: &NodeId| tree.node(*id).is_some_and(|node| node.span.start <= at);
    match &tree.node(id)?.content {
        Content::Mapping(children) => {
            let [name, value] = children.as_chunks::<2>().0.iter().rfind(|[name, _]| starts(name))?;
            let Content::Scalar { text, .. } = &tree.node(*name)?.content else { return None };
            Some((text.to_string(), starts(value).then_some(*value)))
        }
        Content::Sequence(children) => {
            let index = children.iter().rposition(starts)?;
            Some((index.to_string(), children.get(index).copied()))
        }
        _ => None,
    }
}

/// Returns the scalar at a byte.
fn scalar(tree: &Tree, at: usize) -> Option<NodeId> {
    let mut id = Tree::ROOT;
    loop {
        match &tree.node(id)?.content {
            Content::Mapping(children) | Content::Sequence(children) => {
                id = *children
                    .iter()
                    .rfind(|child| tree.node(**child).is_some_and(|node| node.span.start <= at))?;
            }
            _ => return Some(id),
        }
    }
}
