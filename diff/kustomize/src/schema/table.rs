//! The reader of the tables, whose format is described at the head of `table.txt`.
//!
//! Pure.

use std::collections::HashMap;

use smol_str::SmolStr;

use super::{Shape, ShapeId, Types};

/// The type of objects that have nothing to merge but metadata.
const PLAIN: &str = "-";

pub(super) fn read(text: &str) -> Types {
    let mut reader = Reader::default();
    let plain = reader.named(PLAIN);
    let meta = reader.named("meta.v1.ObjectMeta");
    reader.types.shapes[plain].fields.insert("metadata".into(), meta);
    let mut open = plain;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        match (line.starts_with(' '), words.as_slice()) {
            (false, ["kind", group_version, kind, of]) => {
                let id = reader.named(of);
                reader.types.kinds.insert(((*group_version).into(), (*kind).into()), id);
            }
            (false, [name]) => open = reader.named(name),
            (true, [field, of, keys @ ..]) => {
                let id = reader.field(of, keys);
                reader.types.shapes[open].fields.insert((*field).into(), id);
            }
            _ => {}
        }
    }
    let Reader { mut types, names } = reader;
    types.names = names.into_iter().map(|(name, id)| (full(name), id)).collect();
    types
}

/// The name of a definition in an API server's document, of which the table leaves out the beginning.
fn full(name: &str) -> SmolStr {
    let place = match name.split('.').next().unwrap_or_default() {
        "meta" => "apimachinery.pkg.apis",
        "apiregistration" => "kube-aggregator.pkg.apis",
        "apiextensions" => "apiextensions-apiserver.pkg.apis",
        _ => "api",
    };
    format!("io.k8s.{place}.{name}").into()
}

#[derive(Default)]
struct Reader<'a> {
    types: Types,
    names: HashMap<&'a str, ShapeId>,
}

impl<'a> Reader<'a> {
    /// The type of a name, which may come later.
    fn named(&mut self, name: &'a str) -> ShapeId {
        let shapes = &mut self.types.shapes;
        *self.names.entry(name).or_insert_with(|| {
            shapes.push(Shape::default());
            shapes.len() - 1
        })
    }

    fn field(&mut self, of: &'a str, keys: &[&str]) -> ShapeId {
        let inside = |ends: [char; 2]| of.strip_prefix(ends[0])?.strip_suffix(ends[1]);
        if let Some(name) = inside(['{', '}']) {
            let values = Some(self.named(name));
            return self.push(Shape { values, ..Shape::default() });
        }
        let Some(name) = inside(['[', ']']) else { return self.named(of) };
        let items = (!name.is_empty()).then(|| self.named(name));
        let keys = keys.iter().map(|key| SmolStr::from(*key)).collect();
        self.push(Shape { items, keys: Some(keys), ..Shape::default() })
    }

    fn push(&mut self, shape: Shape) -> ShapeId {
        self.types.shapes.push(shape);
        self.types.shapes.len() - 1
    }
}
