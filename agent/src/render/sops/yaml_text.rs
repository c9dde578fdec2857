//! The bytes of a YAML text that hold what SOPS added: the metadata of a document, and encrypted comments.
//!
//! Pure.

use std::ops::Range;

use holdfast_diff::yaml::{Content as Yaml, Document, NodeId, Tree};

use super::edit::Edit;
use super::enc;
use super::error::SopsError;
use super::part::{Comment, Part, line, line_breaks, line_start, next_line};
use super::walk::{Content, Node};

/// Takes the key `sops` away. Lines below keep their numbers, except where nothing is below.
pub(super) fn without_metadata(
    file: &str,
    text: &[u8],
    tree: &Tree,
    is_last: bool,
) -> Result<Edit, SopsError> {
    let problem = |at, problem| SopsError::Syntax { file: file.to_owned(), line: line(text, at), problem };
    let root = tree.resolve(Tree::ROOT);
    let (Some((key, value)), Some(node)) = (tree.entry(root, "sops"), tree.node(root)) else {
        return Err(problem(0, "the document is not a mapping"));
    };
    let Yaml::Mapping(children) = &node.content else {
        return Err(problem(0, "the document is not a mapping"));
    };
    let start = |id: NodeId| tree.node(id).map_or(0, |node| node.span.start);
    let next = children.iter().skip_while(|child| **child != value).nth(1).copied();
    if text.get(node.span.start) == Some(&b'{') {
        let before = children.iter().take_while(|child| **child != key).last().copied();
        let span = match (next, before) {
            (Some(next), _) => start(key)..start(next),
            (None, Some(before)) => end(text, tree, before)..end(text, tree, value),
            (None, None) => start(key)..end(text, tree, value),
        };
        return Ok(Edit::new(span, []));
    }
    let from = line_start(text, start(key));
    if text[from..start(key)].iter().any(|byte| !byte.is_ascii_whitespace()) {
        return Err(problem(start(key), "put the key `sops` on a line of its own"));
    }
    let to = match next {
        Some(next) => line_start(text, start(next)),
        None => match end(text, tree, value) {
            end if text[..end].ends_with(b"\n") => end,
            end => next_line(text, end),
        },
    };
    let mut with = if children.len() == 2 { b"{}\n".to_vec() } else { Vec::new() };
    if !(is_last && next.is_none()) {
        let lines = line_breaks(&text[from..to]);
        with.extend(b"#\n".repeat(lines.saturating_sub(with.len().min(1))));
    }
    Ok(Edit::new(from..to, with))
}

/// Where a node ends: a block collection's own end may be well behind its last value.
fn end(text: &[u8], tree: &Tree, id: NodeId) -> usize {
    let Some(node) = tree.node(id) else { return 0 };
    match &node.content {
        Yaml::Sequence(children) | Yaml::Mapping(children)
            if !matches!(text.get(node.span.start), Some(b'{' | b'[')) =>
        {
            let inner = children.iter().map(|child| end(text, tree, *child)).max();
            inner.unwrap_or(node.span.end).max(node.span.start)
        }
        _ => node.span.end,
    }
}

/// Finds the encrypted comments, and gives each to the document that it stands in.
pub(super) fn comments(text: &[u8], documents: &[Document], parts: &mut [Part]) {
    let mut found: Vec<usize> = memchr::memmem::find_iter(text, b"#ENC[AES256_GCM,").collect();
    if found.is_empty() {
        return;
    }
    let scalars = scalars(documents);
    found.retain(|at| {
        let apart = *at == 0 || text[at - 1].is_ascii_whitespace();
        let after = scalars.partition_point(|span| span.start <= *at);
        apart && after.checked_sub(1).is_none_or(|before| scalars[before].end <= *at)
    });
    let places: Vec<Vec<(usize, String)>> = parts.iter().map(|part| places(&part.root)).collect();
    for at in found {
        let line = &text[at + 1..next_line(text, at)];
        let span = at + 1..at + 1 + line.trim_ascii_end().len();
        let document = parts.iter().rposition(|part| part.root.span.start <= at).unwrap_or(0);
        let (Some(part), Some(places)) = (parts.get_mut(document), places.get(document)) else { continue };
        part.comments.push(Comment { span, places: around(places, at) });
    }
}

/// The spans of all scalars in their order.
fn scalars(documents: &[Document]) -> Vec<Range<usize>> {
    let nodes = documents.iter().flat_map(|document| (0..).map_while(|id| document.tree.node(id)));
    let scalars = nodes.filter(|node| matches!(node.content, Yaml::Scalar { .. }));
    let mut spans: Vec<_> = scalars.map(|node| node.span.clone()).collect();
    spans.sort_by_key(|span| span.start);
    spans
}

/// Where the values of a document start, each with the place of what it stands in.
fn places(root: &Node) -> Vec<(usize, String)> {
    fn add(node: &Node, path: &mut Vec<String>, found: &mut Vec<(usize, String)>) {
        match &node.content {
            Content::Leaf(_) => {}
            Content::List(items) => {
                for item in items {
                    found.push((item.span.start, enc::place(path)));
                    add(item, path, found);
                }
            }
            Content::Map(entries) => {
                for (key, value) in entries {
                    found.push((value.span.start, enc::place(path)));
                    path.push(key.clone());
                    add(value, path, found);
                    path.pop();
                }
            }
        }
    }
    let mut found = Vec::new();
    add(root, &mut Vec::new(), &mut found);
    found.sort();
    found
}

/// The places that a comment can have: those of the values before and after it, and all that these stand in.
/// Its bytes open for the right one only.
fn around(places: &[(usize, String)], at: usize) -> Vec<String> {
    let after = places.partition_point(|(start, _)| *start < at);
    let near =
        [after.checked_sub(1), Some(after)].into_iter().flatten().filter_map(|index| places.get(index));
    let mut candidates = vec![":".to_owned()];
    for (_, place) in near {
        candidates.extend(place.match_indices(':').map(|(colon, _)| place[..=colon].to_owned()));
    }
    candidates.reverse();
    candidates
}

/// Makes a comment again of an item of a list: `- ENC[...]`, of the type comment.
pub(super) fn list_comment(
    text: &[u8],
    span: Range<usize>,
    comment: &[u8],
    kept_before: Option<usize>,
    emptied: bool,
) -> Edit {
    let before = text[..span.start].trim_ascii_end();
    if before.ends_with(b"-") {
        let mut with = if emptied { b" [] #".to_vec() } else { b"#".to_vec() };
        with.extend_from_slice(comment);
        return Edit::new(before.len() - 1..span.end, with);
    }
    // In brackets there is no place for a comment: the item goes, and the comma behind or before it.
    let behind = text[span.end..].iter().position(|byte| !byte.is_ascii_whitespace()).map(|at| span.end + at);
    match behind.filter(|at| text[*at] == b',') {
        Some(comma) => Edit::new(span.start..comma + 1, []),
        None => Edit::new(kept_before.unwrap_or(span.start)..span.end, []),
    }
}
