//! One scalar as go-yaml writes it: in the quotes that it had, with those that it needs, or with its tag.
//!
//! Pure.

use granit_parser::ScalarStyle;

use crate::node::{Scalar, Tag};
use holdfast_documents::yaml::{Content, Node, Quotes, write_scalar};

/// The scalar in place of what stood there; None for what is not written anew.
pub(super) fn written(
    text: &str,
    old: Option<&Node<'_>>,
    new: &Scalar,
    indent: usize,
    in_flow: bool,
) -> Option<String> {
    let style = match old.map(|old| (&old.content, old)) {
        Some((Content::Scalar { tag: Some(_), .. } | Content::Alias { .. }, _)) => return None,
        Some((Content::Scalar { text: before, style, .. }, old)) => {
            let slice = text.get(old.span.clone())?;
            let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
            if *before == new.text.as_str() && !is_block && !slice.contains(['\n', '\\']) {
                return Some(slice.to_owned());
            }
            *style
        }
        _ => ScalarStyle::Plain,
    };
    let quotes = match style {
        _ if new.style.is_plain() => Quotes::AsNeeded,
        ScalarStyle::SingleQuoted => Quotes::Single,
        ScalarStyle::Literal if !in_flow => Quotes::Block,
        ScalarStyle::Folded if !in_flow => return Some(folded(&new.text, indent)),
        ScalarStyle::Literal | ScalarStyle::Folded => return None,
        ScalarStyle::DoubleQuoted | ScalarStyle::Plain => Quotes::Double,
    };
    if quotes != Quotes::AsNeeded {
        return Some(write_scalar(&new.text, quotes, indent));
    }
    let implied = Scalar::plain(new.text.clone()).tag;
    if implied != new.tag {
        return match new.tag {
            Tag::Str => Some(write_scalar(&new.text, Quotes::Double, indent)),
            tag => Some(format!("!!{} {}", name(tag)?, write_scalar(&new.text, Quotes::AsNeeded, indent))),
        };
    }
    let quotes = if new.text.contains('\n') {
        Quotes::Block
    } else if in_flow && new.text.contains([',', '?', '[', ']', '{', '}']) {
        Quotes::Single
    } else {
        Quotes::AsNeeded
    };
    Some(write_scalar(&new.text, quotes, indent))
}

/// A folded block, whose lines go-yaml does not break anew.
fn folded(text: &str, indent: usize) -> String {
    let block = write_scalar(text, Quotes::Block, indent);
    let Some((head, _)) = block.strip_prefix('|').and_then(|block| block.split_once('\n')) else {
        return block;
    };
    let apart = write_scalar(&apart(text), Quotes::Block, indent);
    format!(">{head}\n{}", apart.split_once('\n').map_or("", |(_, lines)| lines))
}

/// The text with the second line end that keeps lines apart in a folded block. As go-yaml does, it looks for indentation at
/// the beginning of the text where it should look behind the line end.
fn apart(text: &str) -> String {
    let is_indented = text.trim_start_matches('\n').starts_with([' ', '\t']);
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        out.push_str(line);
        if line.ends_with('\n') && !line.starts_with(['\n', ' ', '\t']) && !is_indented {
            out.push('\n');
        }
    }
    out
}

fn name(tag: Tag) -> Option<&'static str> {
    match tag {
        Tag::Int => Some("int"),
        Tag::Float => Some("float"),
        Tag::Bool => Some("bool"),
        Tag::Null => Some("null"),
        Tag::Timestamp => Some("timestamp"),
        Tag::Str | Tag::Binary | Tag::Merge => None,
    }
}
