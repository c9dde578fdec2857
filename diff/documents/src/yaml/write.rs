//! Writes values as block YAML with exactly the bytes that kubectl and kustomize print.
//!
//! That is go-yaml v2 with sigs.k8s.io/yaml: fields sorted, lists not indented below their field, long
//! text broken after 80 columns. Unlike those, it preserves U+0085 in a string, and escapes
//! characters that they refuse. Leaves the forms of scalars to `page`, the choice among them to `style`, the
//! order of fields to `order`. Pure.

mod number;
mod order;
mod page;
mod resolve;
mod style;
mod timestamp;

use serde_json::Value;

use order::Field;
use page::{Fold, Page};
use style::{Audience, Style};

/// The longest field name, in bytes, that is written before its `:` on the same line.
const LONGEST_KEY: usize = 128;

/// Writes a value as a YAML document with a final line break, at any depth.
pub fn write(value: &Value) -> String {
    write_for(Audience::Kubectl, value)
}

/// Writes a value as [`write`] does, with control characters and invisible characters escaped.
pub fn write_shown(value: &Value) -> String {
    write_for(Audience::Terminal, value)
}

/// Writes a value as [`write`] does, but so that this module's reader preserves every string, and
/// no line is broken.
pub fn write_to_read(value: &Value) -> String {
    write_for(Audience::Ourselves, value)
}

/// The quotes of a single scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotes {
    /// None unless the text cannot be parsed without them; its type without quotes does not matter.
    AsNeeded,
    Single,
    Double,
    /// A literal block at the indentation.
    Block,
}

/// Writes a single scalar, in the requested quotes if they can represent the text.
pub fn write_scalar(text: &str, quotes: Quotes, indent: usize) -> String {
    let mut page = Page::new(Audience::Ourselves);
    let style = match quotes {
        Quotes::AsNeeded => Style::by_syntax(text, Style::Plain),
        Quotes::Single => Style::by_syntax(text, Style::SingleQuoted),
        Quotes::Double => Style::DoubleQuoted,
        Quotes::Block => Style::by_syntax(text, Style::Literal),
    };
    let is_block = style == Style::Literal;
    page.scalar(text, style, if is_block { Fold::To(indent) } else { Fold::Never });
    let written = page.finish();
    if is_block { written } else { written.trim_end_matches('\n').to_owned() }
}

fn write_for(audience: Audience, value: &Value) -> String {
    let mut page = Page::new(audience);
    let mut open = Vec::new();
    open.extend(node(&mut page, value, None));
    while let Some(collection) = open.last_mut() {
        match next(&mut page, collection) {
            Some((value, parent)) => open.extend(node(&mut page, value, Some(parent))),
            None => drop(open.pop()),
        }
    }
    page.finish()
}

/// A collection of which some entries are written.
enum Open<'v> {
    Mapping { fields: std::vec::IntoIter<Field<'v>>, indent: usize },
    List { items: std::slice::Iter<'v, Value>, indent: usize },
}

/// The collection that contains a value.
#[derive(Clone, Copy)]
struct Parent {
    indent: usize,
    /// Whether a list may start at the indentation of its field.
    shares_indent: bool,
}

/// Writes the indicator before the next value of a collection, and returns that value.
fn next<'v>(page: &mut Page, collection: &mut Open<'v>) -> Option<(&'v Value, Parent)> {
    match collection {
        Open::Mapping { fields, indent } => {
            let (name, value) = fields.next()?;
            let shares_indent = key(page, name, *indent);
            Some((value, Parent { indent: *indent, shares_indent }))
        }
        Open::List { items, indent } => {
            let value = items.next()?;
            page.start_line(*indent);
            page.mark('-');
            Some((value, Parent { indent: *indent, shares_indent: false }))
        }
    }
}

/// Writes the name of a field and its colon. Returns true if both are on one line.
fn key(page: &mut Page, name: &str, indent: usize) -> bool {
    let (style, one_line) = Style::of(name, page.audience());
    page.start_line(indent);
    let simple = one_line && name.len() <= LONGEST_KEY;
    if simple {
        page.scalar(name, style, Fold::Never);
        page.colon();
    } else {
        page.mark('?');
        page.scalar(name, style, Fold::To(indent + 2));
        page.start_line(indent);
        page.mark(':');
    }
    simple
}

/// Writes a scalar or an empty collection; any other is returned to be written entry by entry.
fn node<'v>(page: &mut Page, value: &'v Value, parent: Option<Parent>) -> Option<Open<'v>> {
    let deeper = parent.map_or(0, |parent| parent.indent + 2);
    match value {
        Value::Null => page.word("null"),
        Value::Bool(true) => page.word("true"),
        Value::Bool(false) => page.word("false"),
        Value::Number(number) => page.word(&number::text(number)),
        Value::String(text) => page.scalar(text, Style::of(text, page.audience()).0, Fold::To(deeper.max(2))),
        Value::Array(items) if items.is_empty() => page.word("[]"),
        Value::Object(fields) if fields.is_empty() => page.word("{}"),
        Value::Array(items) => {
            let indent = parent.filter(|parent| parent.shares_indent).map_or(deeper, |parent| parent.indent);
            return Some(Open::List { items: items.iter(), indent });
        }
        Value::Object(fields) => {
            return Some(Open::Mapping { fields: order::sorted(fields).into_iter(), indent: deeper });
        }
    }
    None
}
