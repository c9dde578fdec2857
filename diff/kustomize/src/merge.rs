//! Strategic merge: applies a patch to a resource, with list items matched by their keys.
//!
//! The rules are exactly those of kustomize, even if they are surprising: a null without a text beside a
//! patched value is dropped, `$patch: replace` at the top or in an item of a list has no effect, and `$retainKeys`,
//! `$setElementOrder` and `$deleteFromPrimitiveList` are plain fields. Leaves lists to `list`. Pure.

mod directive;
mod elements;
mod list;

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use smol_str::SmolStr;

use super::bounds::Work;
use super::error::KustomizeError;
use super::node::{Map, Node, Scalar};
use super::schema::{Inline, Schema, Shape};

use directive::Directive;

/// The result for the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    Kept,
    /// The patch deletes it.
    Deleted,
}

/// Applies a patch to a resource.
///
/// # Errors
///
/// Patch and resource have values of different types at one place, or a directive is unknown.
pub fn strategic(dest: &mut Node, patch: &Node, schema: &Schema) -> Result<Merged, KustomizeError> {
    strategic_noting(dest, patch, schema, &Work::default()).map(|(merged, _)| merged)
}

/// As [`strategic`], counting the work; also returns which items of lists are merged with each other, so that all but
/// one are lost.
pub fn strategic_noting(
    dest: &mut Node,
    patch: &Node,
    schema: &Schema,
    work: &Work,
) -> Result<(Merged, Vec<String>), KustomizeError> {
    let notes = RefCell::default();
    let schema = Inline::new(schema, [dest, patch]);
    let merged = merged(dest, patch, Walker { schema: &schema, notes: &notes, work })?;
    Ok((merged, notes.into_inner().lost))
}

fn merged(dest: &mut Node, patch: &Node, walker: Walker<'_>) -> Result<Merged, KustomizeError> {
    match walker.walk(Some(dest), Some(patch.clone()), None) {
        Ok(Outcome::Gone) => Ok(Merged::Deleted),
        // A new root is not stored in the resource.
        Ok(Outcome::Same | Outcome::New(_)) => Ok(Merged::Kept),
        Err(Failure { mut path, message }) => {
            path.reverse();
            Err(KustomizeError::new(match path.join(".") {
                path if path.is_empty() => message,
                path => format!("{path}: {message}"),
            }))
        }
    }
}

/// The result for one value.
enum Outcome {
    /// It was changed in place, or not at all.
    Same,
    New(Node),
    Gone,
}

/// An error and its path: the innermost field first.
struct Failure {
    path: Vec<String>,
    message: String,
}

type Step<T> = Result<T, Failure>;

impl Failure {
    fn new<T>(message: impl Into<String>) -> Step<T> {
        Err(Self { path: Vec::new(), message: message.into() })
    }

    fn below(mut self, field: &str) -> Self {
        self.path.push(field.to_owned());
        self
    }
}

#[derive(Clone, Copy)]
struct Walker<'s> {
    schema: &'s Inline<'s>,
    notes: &'s RefCell<Notes>,
    work: &'s Work,
}

/// The position of a merge, and the items that it lost.
#[derive(Default)]
struct Notes {
    path: Vec<SmolStr>,
    lost: Vec<String>,
}

impl Walker<'_> {
    /// Runs a part of the merge below a field.
    fn below<T>(self, field: &SmolStr, work: impl FnOnce() -> T) -> T {
        self.notes.borrow_mut().path.push(field.clone());
        let done = work();
        self.notes.borrow_mut().path.pop();
        done
    }

    fn lose(self, what: &str) {
        let mut notes = self.notes.borrow_mut();
        if notes.lost.len() < MOST_LOST {
            let path = notes.path.join(".");
            notes.lost.push(format!("{path}: {what}"));
        }
    }
}

/// Maximum number of lost items that are reported for one patch and resource.
const MOST_LOST: usize = 10;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Scalar,
    Map,
    Seq,
}

/// Returns the type of a value that is not null.
fn kind(node: &Node) -> Option<Kind> {
    match node {
        Node::Scalar(scalar) => (!scalar.is_null()).then_some(Kind::Scalar),
        Node::Map(_) => Some(Kind::Map),
        Node::Seq(_) => Some(Kind::Seq),
    }
}

impl<'s> Walker<'s> {
    fn walk(self, dest: Option<&mut Node>, patch: Option<Node>, shape: Option<&'s Shape>) -> Step<Outcome> {
        let shape =
            shape.or_else(|| self.shape_of(dest.as_deref())).or_else(|| self.shape_of(patch.as_ref()));
        let kinds = [dest.as_deref().and_then(kind), patch.as_ref().and_then(kind)];
        if let ([Some(old), Some(new)], Some(dest), Some(patch)) = (kinds, dest.as_deref(), &patch)
            && old != new
        {
            let (new, old) = (patch.describe(), dest.describe());
            return Failure::new(format!("{new} in the patch and {old} in the resource: make both the same"));
        }
        match kinds[0].or(kinds[1]) {
            None | Some(Kind::Map) => self.map(dest, patch, shape),
            Some(Kind::Seq) => match shape.and_then(Shape::merge_keys) {
                Some(keys) => self.list(dest, patch, keys, shape.and_then(|shape| self.schema.items(shape))),
                None => Ok(patch.map_or(Outcome::Same, Outcome::New)),
            },
            Some(Kind::Scalar) => Ok(patch.map_or(Outcome::Same, Outcome::New)),
        }
    }

    /// Returns the schema of a value, if its type is known.
    fn shape_of(self, node: Option<&Node>) -> Option<&'s Shape> {
        let text = |field| node?.get(field)?.text();
        self.schema.kind(text("apiVersion")?, text("kind")?)
    }

    fn map(self, dest: Option<&mut Node>, patch: Option<Node>, shape: Option<&'s Shape>) -> Step<Outcome> {
        match (dest, patch) {
            (Some(Node::Map(dest)), None) => self.fields(dest, Map::default(), shape),
            (Some(Node::Map(dest)), Some(Node::Map(mut patch))) => match directive::of_map(&mut patch)? {
                Directive::Delete => Ok(Outcome::Gone),
                Directive::Replace => self.fresh(patch.into(), shape).map(new_or_gone),
                Directive::Merge => self.fields(dest, patch, shape),
            },
            (Some(Node::Map(_)), Some(_)) => Ok(Outcome::Gone),
            // An unknown directive is only detected below the root of new values.
            (_, Some(Node::Map(mut patch))) => match directive::of_map(&mut patch) {
                Ok(Directive::Delete) => Ok(Outcome::Gone),
                Ok(_) | Err(_) => self.fresh_map(patch, shape).map(|map| Outcome::New(map.into())),
            },
            (_, Some(patch)) => self.fresh(patch, shape).map(new_or_gone),
            // A null with a text is kept, one without a text is dropped.
            (Some(Node::Scalar(null)), None) if !null.text.is_empty() => Ok(Outcome::Same),
            (_, None) => Ok(Outcome::Gone),
        }
    }

    fn fields(self, dest: &mut Map, patch: Map, shape: Option<&'s Shape>) -> Step<Outcome> {
        let comments = [dest.schemas().to_vec(), patch.schemas().to_vec()];
        let mut patch = Fields::new(patch);
        let shape_of = |name: &str| self.field([&comments[0], &comments[1]], name, shape);
        let mut failure = None;
        dest.retain(|key, value| {
            if failure.is_some() {
                return true;
            }
            let new = patch.take(&key.text);
            match self.below(&key.text, || self.walk(Some(&mut *value), new, shape_of(&key.text))) {
                Ok(Outcome::Same) => true,
                Ok(Outcome::New(new)) if !new.is_null() => {
                    value.assign(new);
                    true
                }
                Ok(Outcome::New(_) | Outcome::Gone) => false,
                Err(error) => {
                    failure = Some(error.below(&key.text));
                    true
                }
            }
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        for (key, value) in patch.rest() {
            let new = self.below(&key.text, || self.walk(None, Some(value), shape_of(&key.text)));
            let new = new.map_err(|error| error.below(&key.text))?;
            if let Outcome::New(new) = new
                && !new.is_null()
            {
                dest.push(key, new);
            }
        }
        Ok(Outcome::Same)
    }

    /// Returns the new value of a patch where the resource has none: kustomize merges it with itself, which applies the
    /// directives in it and drops its nulls.
    fn fresh(self, node: Node, shape: Option<&'s Shape>) -> Step<Option<Node>> {
        let shape = shape.or_else(|| self.shape_of(Some(&node)));
        match node {
            Node::Scalar(scalar) if scalar.is_null() => Ok(None),
            Node::Scalar(_) => Ok(Some(node)),
            Node::Seq(mut list) => match shape.and_then(Shape::merge_keys) {
                Some(_) if directive::of_list(&mut list)? == Directive::Delete => Ok(None),
                Some(keys) => {
                    let node = Node::Seq(list);
                    let items = shape.and_then(|shape| self.schema.items(shape));
                    match self.list(None, Some(node), keys, items)? {
                        Outcome::New(list) => Ok(Some(list)),
                        Outcome::Same | Outcome::Gone => Ok(None),
                    }
                }
                None => Ok(Some(Node::Seq(list))),
            },
            Node::Map(mut map) => {
                if directive::of_map(&mut map)? == Directive::Delete {
                    return Ok(None);
                }
                self.fresh_map(map, shape).map(|map| Some(map.into()))
            }
        }
    }

    fn fresh_map(self, mut map: Map, shape: Option<&'s Shape>) -> Step<Map> {
        let mut comments = Map::default();
        comments.take_schemas(&mut map);
        let mut fresh = Map::default();
        for (key, value) in map {
            let shape = self.field([comments.schemas(), &[]], &key.text, shape);
            let value = self.fresh(value, shape).map_err(|error| error.below(&key.text))?;
            if let Some(value) = value {
                fresh.push(key, value);
            }
        }
        fresh.take_schemas(&mut comments);
        Ok(fresh)
    }

    /// Returns the schema of a field: from a comment, or else from the types.
    fn field(
        self,
        comments: [&[(SmolStr, SmolStr)]; 2],
        name: &str,
        shape: Option<&'s Shape>,
    ) -> Option<&'s Shape> {
        self.schema.comment(comments, name).or_else(|| self.schema.field(shape?, name))
    }
}

fn new_or_gone(node: Option<Node>) -> Outcome {
    node.map_or(Outcome::Gone, Outcome::New)
}

/// The fields of a patch, by their keys: of each key the first one.
struct Fields {
    entries: Vec<Option<(Scalar, Node)>>,
    places: HashMap<SmolStr, usize>,
}

impl Fields {
    fn new(map: Map) -> Self {
        let mut fields =
            Self { entries: Vec::with_capacity(map.len()), places: HashMap::with_capacity(map.len()) };
        for (key, value) in map {
            if let Entry::Vacant(place) = fields.places.entry(key.text.clone()) {
                place.insert(fields.entries.len());
                fields.entries.push(Some((key, value)));
            }
        }
        fields
    }

    fn take(&mut self, key: &str) -> Option<Node> {
        let at = *self.places.get(key)?;
        self.entries.get_mut(at)?.take().map(|(_, value)| value)
    }

    /// Returns the fields that were not used, in their order.
    fn rest(self) -> impl Iterator<Item = (Scalar, Node)> {
        self.entries.into_iter().flatten()
    }
}
