//! Combines the types of two documents: those of the second override those of the first.
//!
//! Definitions refer to one another by name across both, as in kustomize. Pure.

use std::collections::HashSet;

use super::{Shape, ShapeId, Types};

impl Types {
    /// Returns these types with others above them.
    pub(super) fn below(&self, above: &Self) -> Self {
        let offset = self.shapes.len();
        let mut all = self.clone();
        all.shapes.extend(above.shapes.iter().map(|shape| shape.moved(offset)));
        self.keep_kinds(above, &mut all);
        for (name, id) in &above.names {
            let place = [self.names.get(name), self.absent.get(name)].into_iter().flatten().next();
            if let Some(place) = place {
                all.shapes[*place] = all.shapes[id + offset].clone();
            }
            all.names.insert(name.clone(), id + offset);
        }
        for (name, id) in &above.absent {
            match self.names.get(name) {
                Some(there) => all.shapes[id + offset] = self.shapes[*there].clone(),
                None => drop(all.absent.insert(name.clone(), id + offset)),
            }
        }
        all.kinds.extend(above.kinds.iter().map(|(kind, id)| (kind.clone(), id + offset)));
        all.namespaced.extend(above.namespaced.clone());
        all
    }

    /// Lets kinds keep their own definition where only a definition of the same name comes above it.
    fn keep_kinds(&self, above: &Self, all: &mut Self) {
        let replaced: HashSet<ShapeId> =
            above.names.keys().filter_map(|name| self.names.get(name)).copied().collect();
        for (kind, id) in
            self.kinds.iter().filter(|(kind, id)| replaced.contains(id) && !above.kinds.contains_key(*kind))
        {
            all.kinds.insert(kind.clone(), all.shapes.len());
            all.shapes.push(self.shapes[*id].clone());
        }
    }
}

impl Shape {
    /// The same where all types have moved by an offset.
    fn moved(&self, offset: usize) -> Self {
        let Self { fields, values, items, keys, is_absent } = self;
        let fields = fields.iter().map(|(name, id)| (name.clone(), id + offset)).collect();
        let [values, items] = [values, items].map(|id| id.map(|id| id + offset));
        Self { fields, values, items, keys: keys.clone(), is_absent: *is_absent }
    }
}
