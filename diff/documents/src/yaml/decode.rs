//! Converts the tree of a document to its JSON value: aliases, merge keys, names of fields, limits.
//!
//! Collects all mistakes of a document, and stops only if it cannot continue. Leaves scalars to `scalar`. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::error::YamlProblem;
use super::place::Lines;
use super::scalar;
use super::tree::{Content, NodeId, Tree};
use crate::budget::Copies;
use crate::weight::{COLLECTION, VALUE};

/// Maximum nesting. go-yaml reads 10,000 levels; serde_json, through which every object returns from the API server,
/// reads 127, and a watch event adds two.
pub(super) const MAX_DEPTH: usize = 120;

/// Maximum number of mistakes of one document. The rest of it is not read.
const MAX_FINDINGS: usize = 100;

/// A mistake and its byte offset.
pub(super) type Finding = (usize, YamlProblem);

/// How a key that is set twice in one mapping is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    Refuse,
    /// As in kustomize for its own files.
    LastWins,
}

/// Returns the value of a document, or all of its mistakes.
pub(super) fn decode(
    tree: &Tree,
    lines: &Lines,
    duplicates: Duplicates,
    copies: &Copies,
    lost: &mut Vec<Finding>,
) -> Result<Value, Vec<Finding>> {
    let mut decoder = Decoder {
        tree,
        lines,
        duplicates,
        copies,
        expanding: Vec::new(),
        decoded: 0,
        aliased: 0,
        findings: Vec::new(),
        lost: Vec::new(),
    };
    match decoder.value(Tree::ROOT, 0) {
        Ok(value) if decoder.findings.is_empty() => {
            lost.append(&mut decoder.lost);
            Ok(value)
        }
        _ => Err(decoder.findings),
    }
}

struct Decoder<'t, 'a> {
    tree: &'t Tree<'a>,
    lines: &'t Lines<'t>,
    duplicates: Duplicates,
    /// What aliases may still add to the memory of the file.
    copies: &'t Copies,
    /// The aliases that are being expanded, outermost first.
    expanding: Vec<NodeId>,
    decoded: u32,
    aliased: u32,
    findings: Vec<Finding>,
    /// Values that are lost because their key is set again.
    lost: Vec<Finding>,
}

/// The document cannot be read further; a finding says why.
struct Stop;

type Step<T> = Result<T, Stop>;

impl Decoder<'_, '_> {
    fn value(&mut self, id: NodeId, depth: usize) -> Step<Value> {
        self.count(id, depth)?;
        let tree = self.tree;
        let Some(node) = tree.node(id) else { return Ok(Value::Null) };
        match &node.content {
            Content::Scalar { text, style, tag } => {
                let value = scalar::resolve(text, *style, tag.as_deref()).and_then(|v| v.into_json(text));
                Ok(value.unwrap_or_else(|problem| self.found(node.span.start, problem)))
            }
            Content::Sequence(children) => {
                let items = children.iter().map(|child| self.value(*child, depth + 1));
                Ok(Value::Array(items.collect::<Step<_>>()?))
            }
            Content::Mapping(children) => {
                let mut fields = Map::new();
                self.fill(children, depth, &mut fields)?;
                Ok(Value::Object(fields))
            }
            Content::Alias { name, target } => {
                let Some(target) = *target else {
                    let problem = YamlProblem::UnknownAnchor(name.clone());
                    return Ok(self.found(node.span.start, problem));
                };
                self.expand(id, name, |decoder| decoder.value(target, depth))
            }
        }
    }

    /// Sets the fields of a mapping in the order of the text: a `<<` overrides preceding fields, as
    /// in go-yaml v2.
    fn fill(&mut self, children: &[NodeId], depth: usize, fields: &mut Map<String, Value>) -> Step<()> {
        let mut first_set: HashMap<String, usize> = HashMap::new();
        for [key, value] in children.as_chunks::<2>().0 {
            if self.is_merge(*key) {
                self.merge(*value, depth, fields)?;
                continue;
            }
            let at = self.start(*key);
            let name = self.key(*key, depth)?;
            let value = self.value(*value, depth + 1)?;
            let Some(name) = name else { continue };
            if let Some(first) = first_set.get(&name) {
                let (first, _) = self.lines.place(*first);
                if self.duplicates == Duplicates::Refuse {
                    self.found(at, YamlProblem::DuplicateKey { key: name, first });
                    continue;
                }
                self.lose(at, name.clone(), first, fields, depth);
            }
            first_set.insert(name.clone(), at);
            fields.insert(name, value);
        }
        Ok(())
    }

    fn is_merge(&self, key: NodeId) -> bool {
        match self.tree.node(key).map(|node| &node.content) {
            Some(Content::Scalar { text, style, tag }) => {
                text == "<<" && scalar::is_merge(*style, tag.as_deref())
            }
            _ => false,
        }
    }

    fn merge(&mut self, id: NodeId, depth: usize, fields: &mut Map<String, Value>) -> Step<()> {
        let tree = self.tree;
        match tree.node(id).map(|node| &node.content) {
            Some(Content::Sequence(children)) => {
                // Earlier ones take precedence, so they are set last.
                children.iter().rev().try_for_each(|child| self.merge_one(*child, depth, fields))
            }
            _ => self.merge_one(id, depth, fields),
        }
    }

    fn merge_one(&mut self, id: NodeId, depth: usize, fields: &mut Map<String, Value>) -> Step<()> {
        self.count(id, depth)?;
        let tree = self.tree;
        let target = tree.resolve(id);
        match (tree.node(id).map(|node| &node.content), tree.node(target).map(|node| &node.content)) {
            (Some(Content::Alias { name, .. }), Some(Content::Mapping(children))) => {
                self.expand(id, name, |decoder| decoder.fill(children, depth + 1, fields))
            }
            (_, Some(Content::Mapping(children))) => self.fill(children, depth + 1, fields),
            (Some(Content::Alias { name, target: None }), _) => {
                self.found(self.start(id), YamlProblem::UnknownAnchor(name.clone()));
                Ok(())
            }
            _ => {
                self.found(self.start(id), YamlProblem::Merge);
                Ok(())
            }
        }
    }

    /// Returns the name of a field. `None`, with a finding, if it is not valid.
    fn key(&mut self, id: NodeId, depth: usize) -> Step<Option<String>> {
        self.count(id, depth)?;
        let tree = self.tree;
        let name = match tree.node(tree.resolve(id)).map(|node| &node.content) {
            Some(Content::Scalar { text, style, tag }) => {
                scalar::resolve(text, *style, tag.as_deref()).and_then(scalar::Scalar::into_key)
            }
            Some(Content::Sequence(_)) => Err(YamlProblem::CollectionKey("list")),
            Some(Content::Mapping(_)) => Err(YamlProblem::CollectionKey("mapping")),
            Some(Content::Alias { name, .. }) => Err(YamlProblem::UnknownAnchor(name.clone())),
            None => Err(YamlProblem::ScalarKey("nothing")),
        };
        match name {
            Ok(name) => Ok(Some(name)),
            Err(problem) => {
                self.found(self.start(id), problem);
                Ok(None)
            }
        }
    }

    fn expand<T>(&mut self, id: NodeId, name: &str, then: impl FnOnce(&mut Self) -> Step<T>) -> Step<T> {
        if self.expanding.contains(&id) {
            return Err(self.stop(id, YamlProblem::AliasLoop(name.to_owned())));
        }
        self.expanding.push(id);
        let value = then(self);
        self.expanding.pop();
        value
    }

    /// Counts a node against the limit of go-yaml for aliases, and its depth against the limit here.
    fn count(&mut self, id: NodeId, depth: usize) -> Step<()> {
        self.decoded += 1;
        self.aliased += u32::from(!self.expanding.is_empty());
        let share = f64::from(self.aliased) / f64::from(self.decoded);
        if self.findings.len() >= MAX_FINDINGS {
            return Err(Stop);
        }
        if self.aliased > 100 && self.decoded > 1000 && share > allowed_share(self.decoded) {
            return Err(self.stop(id, YamlProblem::ExcessiveAliases));
        }
        if !self.expanding.is_empty() || self.is_alias(id) {
            self.copy(id)?;
        }
        if depth > MAX_DEPTH {
            return Err(self.stop(id, YamlProblem::TooDeep(MAX_DEPTH)));
        }
        Ok(())
    }

    fn is_alias(&self, id: NodeId) -> bool {
        matches!(self.tree.node(id).map(|node| &node.content), Some(Content::Alias { .. }))
    }

    /// Counts the memory of a repeated node, without its children.
    fn copy(&mut self, id: NodeId) -> Step<()> {
        let tree = self.tree;
        let weight = match tree.node(tree.resolve(id)).map(|node| &node.content) {
            Some(Content::Scalar { text, .. }) => VALUE + text.len(),
            _ => COLLECTION,
        };
        if self.copies.take(weight) { Ok(()) } else { Err(self.stop(id, YamlProblem::ExcessiveAliases)) }
    }

    fn start(&self, id: NodeId) -> usize {
        self.tree.node(id).map_or(0, |node| node.span.start)
    }

    fn stop(&mut self, id: NodeId, problem: YamlProblem) -> Stop {
        self.findings.push((self.start(id), problem));
        Stop
    }

    /// Records that a value is lost. An object whose type is set again is lost completely.
    fn lose(&mut self, at: usize, key: String, first: u32, fields: &Map<String, Value>, depth: usize) {
        let is_object = |(_, problem): &Finding| matches!(problem, YamlProblem::LostObject { .. });
        if self.lost.len() >= MAX_FINDINGS || (depth == 0 && self.lost.iter().any(is_object)) {
            return;
        }
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let kind = fields.get("kind").and_then(text);
        let problem = match kind {
            Some(kind) if depth == 0 && matches!(key.as_str(), "apiVersion" | "kind") => {
                let name = fields.get("metadata").and_then(|metadata| text(metadata.get("name")?));
                YamlProblem::LostObject { kind, name: name.unwrap_or_default(), first }
            }
            _ => YamlProblem::LostKey { key, first },
        };
        self.lost.push((at, problem));
    }

    /// Records a mistake once: a mistake in an alias was found at its anchor.
    fn found(&mut self, at: usize, problem: YamlProblem) -> Value {
        let finding = (at, problem);
        if self.expanding.is_empty() || !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
        Value::Null
    }
}

/// Returns the fraction of the nodes of a document that may come from aliases, by the rule of go-yaml: nearly all of a
/// small document, a tenth of a large one.
fn allowed_share(decoded: u32) -> f64 {
    const LOW: u32 = 400_000;
    const HIGH: u32 = 4_000_000;
    match decoded {
        ..=LOW => 0.99,
        HIGH.. => 0.10,
        _ => 0.99 - 0.89 * f64::from(decoded - LOW) / f64::from(HIGH - LOW),
    }
}
