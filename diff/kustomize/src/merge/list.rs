//! Merges lists: items are matched by keys, those of the patch come first.
//!
//! Leaves the operations on lists to `elements`. Pure.

use std::collections::{HashMap, HashSet};

use smol_str::SmolStr;

use super::super::node::{Node, Scalar, Style, Tag};
use super::super::resources::COMPARED;
use super::super::schema::Shape;
use super::directive::{self, Directive};
use super::elements::{Id, Store, is_empty, text};
use super::{Failure, Outcome, Step, Walker};

/// The values of the keys in one item.
type Row = Vec<SmolStr>;

impl<'s> Walker<'s> {
    /// Merges two lists; if the resource has none, the patch with itself.
    pub(super) fn list(
        self,
        dest: Option<&mut Node>,
        patch: Option<Node>,
        keys: &[SmolStr],
        shape: Option<&'s Shape>,
    ) -> Step<Outcome> {
        let dest = dest.and_then(Node::as_seq_mut);
        let mut store = Store::default();
        let (dest, patch) = match (dest, patch) {
            (None, Some(Node::Seq(patch))) => {
                let ids = store.add_all(patch);
                (ids.clone(), ids)
            }
            (Some(dest), None) => (store.add_all(std::mem::take(dest)), Vec::new()),
            (Some(dest), Some(Node::Seq(mut patch))) => match directive::of_list(&mut patch)? {
                Directive::Delete => return Ok(Outcome::Gone),
                Directive::Replace => {
                    let ids = store.add_all(patch);
                    (ids.clone(), ids)
                }
                Directive::Merge => (store.add_all(std::mem::take(dest)), store.add_all(patch)),
            },
            (Some(_), Some(_)) | (None, _) => return Ok(Outcome::Gone),
        };
        let plain = [SmolStr::default()];
        let keys = if keys.is_empty() { &plain } else { keys };
        // Each item is searched among all others.
        let items = dest.len() + patch.len();
        self.work.take(items * items / COMPARED).or_else(|error| Failure::new(error.message))?;
        let mut merge = Merge { walker: self, shape, store, dest, patch };
        let list = merge.merged(keys)?;
        let mut nodes: Vec<Option<Node>> = merge.store.0.into_iter().map(Some).collect();
        // An item can occur twice; the second one is a copy.
        let mut items = Vec::with_capacity(list.len());
        for (at, id) in list.iter().enumerate() {
            let again = list[at + 1..].contains(id);
            items.extend(if again { nodes[*id].clone() } else { nodes[*id].take() });
        }
        Ok(Outcome::New(Node::Seq(items)))
    }
}

struct Merge<'s> {
    walker: Walker<'s>,
    /// The schema of the items.
    shape: Option<&'s Shape>,
    store: Store,
    dest: Vec<Id>,
    patch: Vec<Id>,
}

impl Merge<'_> {
    fn merged(&mut self, keys: &[SmolStr]) -> Step<Vec<Id>> {
        let mut rows = self.rows(keys);
        let written = rows.clone();
        if keys.len() > 1 {
            complete(&mut rows);
        }
        self.note_doubles(keys, &written, &rows);
        let mut new = Vec::new();
        let mut set_keys = Vec::new();
        for row in &rows {
            let (keys, values) = valid(&rows, keys, row);
            match self.item(&keys, &values)? {
                Some(id) if !is_empty(&self.store.0[id]) => {
                    self.complete_item(id, &keys, &values);
                    self.store.set(&mut new, Some(id), &keys, &values)?;
                }
                _ => {
                    let is_same = self.dest == self.patch;
                    self.store.set(&mut self.dest, None, &keys, &values)?;
                    if is_same {
                        // A list that is merged with itself loses its items on both sides.
                        self.patch.clone_from(&self.dest);
                    }
                }
            }
            set_keys = keys;
        }
        if rows.is_empty() {
            return Ok(std::mem::take(&mut self.dest));
        }
        self.store.append(&mut new, &self.dest, &set_keys)?;
        Ok(new)
    }

    /// Records items of one list that have the same keys: only one of them is kept.
    fn note_doubles(&self, keys: &[SmolStr], written: &[Row], rows: &[Row]) {
        if keys.iter().all(SmolStr::is_empty) {
            return;
        }
        let places: HashMap<&Row, &Row> = written.iter().zip(rows).collect();
        let lists = if self.dest == self.patch { vec![&self.dest] } else { vec![&self.dest, &self.patch] };
        for list in lists {
            let mut known: HashMap<&Row, Id> = HashMap::with_capacity(list.len());
            for id in list.iter().copied() {
                let node = &self.store.0[id];
                let Some(row) =
                    places.get(&row(node, keys)).filter(|row| row.iter().any(|value| !value.is_empty()))
                else {
                    continue;
                };
                if let Some(first) = known.insert(*row, id) {
                    let (first, second) = (shown(&self.store.0[first], keys), shown(node, keys));
                    self.walker.lose(&format!(
                        "kustomize makes one item of {first} and {second}, so that one of them is lost: set {} in both, and not \
                         to the same",
                        keys.join(" and ")
                    ));
                }
            }
        }
    }

    /// Returns the values of the keys in all items, those of the patch first, without duplicates.
    fn rows(&self, keys: &[SmolStr]) -> Vec<Row> {
        let items = self.patch.iter().chain(&self.dest).map(|id| &self.store.0[*id]);
        let rows = items.map(|node| row(node, keys));
        let mut seen = HashSet::new();
        rows.filter(|row| seen.insert(row.clone())).collect()
    }

    /// Merges the items that have the values, and returns the position of the result.
    fn item(&mut self, keys: &[SmolStr], values: &[SmolStr]) -> Step<Option<Id>> {
        let (keys, values) = valid(&[values.to_vec()], keys, values);
        let dest = self.store.find(&self.dest, &keys, &values);
        let patch = self.store.find(&self.patch, &keys, &values);
        let (walker, shape) = (self.walker, self.shape);
        let new = patch.map(|id| self.store.0[id].clone());
        if let Some(Node::Map(map)) = patch.and_then(|id| self.store.0.get_mut(id)) {
            // A directive is applied once: an invalid one is reported below.
            let _ = directive::of_map(map);
        }
        let name = SmolStr::from(format!("[{}]", values.join(",")));
        let below = |error: super::Failure| error.below(&name);
        match (dest, patch) {
            (Some(dest), Some(patch)) if dest == patch => {
                let Some(node) = new else { return Ok(None) };
                let Some(fresh) = walker.below(&name, || walker.fresh(node, shape)).map_err(below)? else {
                    return Ok(None);
                };
                self.store.0[dest] = fresh;
                Ok(Some(dest))
            }
            (dest, _) => {
                let node = dest.map(|id| &mut self.store.0[id]);
                match walker.below(&name, || walker.walk(node, new, shape)).map_err(below)? {
                    Outcome::Same => Ok(dest),
                    Outcome::New(node) => Ok(Some(self.store.add(node))),
                    Outcome::Gone => Ok(None),
                }
            }
        }
    }

    /// Sets the keys that a result lacks.
    fn complete_item(&mut self, id: Id, keys: &[SmolStr], values: &[SmolStr]) {
        let Some(map) = self.store.0[id].as_map_mut() else { return };
        for (key, value) in
            keys.iter().zip(values).filter(|(key, value)| !key.is_empty() && !value.is_empty())
        {
            map.entry(key, || {
                Node::Scalar(Scalar { text: value.clone(), tag: Tag::Str, style: Style::Quoted })
            });
        }
    }
}

/// The values of the keys in an item.
fn row(node: &Node, keys: &[SmolStr]) -> Row {
    let value = |key: &SmolStr| -> SmolStr {
        match (key.is_empty(), node.get(key)) {
            (true, _) => text(node).into(),
            (false, Some(value)) if !value.is_empty() => text(value).into(),
            (false, _) => SmolStr::default(),
        }
    };
    keys.iter().map(value).collect()
}

/// Describes an item by its keys and its name.
fn shown(node: &Node, keys: &[SmolStr]) -> String {
    let name = SmolStr::new_static("name");
    let wanted = keys.iter().chain((!keys.contains(&name)).then_some(&name));
    let fields = wanted.filter_map(|key| Some(format!("{key}: {}", text(node.get(key)?))));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}

/// Makes two rows equal that share a value and only differ where one has none.
fn complete(rows: &mut [Row]) {
    for i in 0..rows.len() {
        // Compared with the state before this round.
        let row = rows[i].clone();
        for j in 0..rows.len() {
            if let Some(both) = shared(&row, &rows[j]) {
                rows[i].clone_from(&both);
                rows[j] = both;
            }
        }
    }
}

fn shared(one: &Row, other: &Row) -> Option<Row> {
    let pairs = || one.iter().zip(other);
    let fits = pairs().all(|(a, b)| a == b || a.is_empty() || b.is_empty());
    let common = pairs().any(|(a, b)| a == b);
    (fits && common).then(|| pairs().map(|(a, b)| if a.is_empty() { b.clone() } else { a.clone() }).collect())
}

/// Returns the keys for which any row has a value, and the values of a row for them; all keys if there are none.
fn valid(rows: &[Row], keys: &[SmolStr], row: &[SmolStr]) -> (Vec<SmolStr>, Row) {
    let is_used = |at: usize| rows.iter().any(|row| row.get(at).is_some_and(|value| !value.is_empty()));
    let used: Vec<usize> = (0..keys.len()).filter(|at| is_used(*at)).collect();
    if used.is_empty() {
        return (keys.to_vec(), row.to_vec());
    }
    let pick = |list: &[SmolStr]| used.iter().filter_map(|at| list.get(*at).cloned()).collect();
    (pick(keys), pick(row))
}
