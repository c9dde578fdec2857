//! Flux's markers: comments that name the image of the scalar beside them.
//!
//! A comment is a marker if it is a JSON object of strings with `$imagepolicy`. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::ImagePart;
use super::comment::{Comment, SIGN, comments};
use super::problem::{Cause, Problem};
use super::read::documents;
use crate::yaml::Document;
use crate::yaml::edit::{Leaf, Role, leaves, line as line_of};
use crate::yaml::place::Lines;

/// A scalar with a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Number of the document from 0, without empty ones.
    pub document: usize,
    /// JSON pointer (RFC 6901) of the scalar.
    pub path: String,
    /// Line of the marker.
    pub line: u32,
    pub namespace: String,
    pub name: String,
    pub part: ImagePart,
    /// The current text of the scalar, without quotes.
    pub value: String,
}

/// The markers of a file, in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub markers: Vec<Marker>,
    pub problems: Vec<Problem>,
}

/// True for a file that has to be parsed for markers.
pub fn has_marker(text: &[u8]) -> bool {
    match str::from_utf8(text) {
        Ok(text) => text.contains(SIGN),
        Err(_) => text.windows(SIGN.len()).any(|window| window == SIGN.as_bytes()),
    }
}

/// Finds the markers of a file. A file without `$imagepolicy` is not parsed; one that cannot be parsed is a problem.
pub fn markers(file: &str, text: &[u8]) -> Found {
    if !has_marker(text) {
        return Found::default();
    }
    let name = file.into();
    match documents(&name, text) {
        Ok(documents) => {
            let mut found = Found::default();
            for place in places(text, &documents).markers {
                match place {
                    Ok(marker) => found.markers.push(marker),
                    Err((line, cause)) => {
                        let file = name.clone();
                        found.problems.push(Problem { file, line, image: None, cause });
                    }
                }
            }
            found
        }
        Err(problem) => Found { markers: Vec::new(), problems: vec![problem] },
    }
}

/// The markers of documents.
pub(super) struct Places {
    /// Each with its scalar, or its line and the problem.
    pub markers: Vec<Result<Marker, (u32, Cause)>>,
    /// Markers after aliases of scalars that have the same marker.
    pub aliases: Vec<Marker>,
}

/// Finds the markers of documents, and the problems of others, each with its line. The marker on the line of a
/// scalar has precedence over one above it.
pub(super) fn places(text: &[u8], documents: &[Document]) -> Places {
    let lines = Lines::new(text);
    let text = str::from_utf8(text).unwrap_or_default();
    let mut numbers = Vec::new();
    let mut all: Vec<Leaf> = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        all.extend(leaves(document));
        numbers.resize(all.len(), number);
    }
    let mut signs: Vec<Sign> = Vec::new();
    let mut counts: HashMap<usize, Count> = HashMap::new();
    for comment in comments(text, &all) {
        let Some(named) = read(&comment) else { continue };
        let (line, is_alone) = (lines.place(comment.at).0, comment.is_alone);
        let marked = named.and_then(|named| Ok((comment.leaf(text, &all)?, named)));
        if let Ok((leaf, _)) = marked {
            let Count { beside, above } = counts.entry(leaf).or_default();
            *(if is_alone { above } else { beside }) += 1;
        }
        signs.push(Sign { line, is_alone, marked });
    }
    let marker = |Sign { line, is_alone, marked }| {
        let (at, Named { namespace, name, part }) = marked.map_err(|cause| (line, cause))?;
        if !counts.get(&at).is_some_and(|count| count.elects(is_alone)) {
            return Err((line, Cause::Second));
        }
        let Some(Leaf { role, text, .. }) = all.get(at) else { return Err((line, Cause::Misplaced)) };
        let (path, anchor) = match role {
            Role::Value(path) => (path.clone(), None),
            Role::Alias { path: Some(path), target: Some(target) } => (path.clone(), Some(target.clone())),
            Role::Key(_) | Role::Merged | Role::Alias { .. } => return Err((line, Cause::Misplaced)),
        };
        let (document, value) = (numbers.get(at).copied().unwrap_or_default(), (*text).to_owned());
        Ok((Marker { document, path, line, namespace, name, part, value }, anchor))
    };
    let found: Vec<_> = signs.into_iter().map(marker).collect();
    let anchors: Vec<Marker> = found
        .iter()
        .flatten()
        .filter(|(_, anchor)| anchor.is_none())
        .map(|(marker, _)| marker.clone())
        .collect();
    let mut places = Places { markers: Vec::new(), aliases: Vec::new() };
    for one in found {
        match one {
            Ok((marker, None)) => places.markers.push(Ok(marker)),
            Ok((alias, Some(anchor))) if anchors.iter().any(|marker| alias.repeats(marker, &anchor)) => {
                places.aliases.push(alias);
            }
            Ok((alias, Some(anchor))) => {
                let anchor = documents.get(alias.document).and_then(|document| line_of(document, &anchor));
                places.markers.push(Err((alias.line, Cause::Alias { anchor: anchor.unwrap_or_default() })));
            }
            Err(error) => places.markers.push(Err(error)),
        }
    }
    places
}

impl Marker {
    /// True if it follows an alias of the scalar at `anchor`, and equals the marker there.
    fn repeats(&self, marker: &Self, anchor: &str) -> bool {
        let Self { document, namespace, name, part, path: _, line: _, value: _ } = marker;
        marker.path == anchor
            && (&self.document, &self.namespace, &self.name, &self.part) == (document, namespace, name, part)
    }
}

/// Finds markers inside a scalar, each with its line: there they are text.
pub(super) fn buried(text: &[u8], documents: &[Document]) -> Vec<(u32, String, String)> {
    let lines = Lines::new(text);
    let text = str::from_utf8(text).unwrap_or_default();
    let mut found = Vec::new();
    for leaf in documents.iter().flat_map(leaves).filter(|leaf| leaf.text.contains(SIGN)) {
        let Some(inside) = text.get(leaf.span.clone()) else { continue };
        for (at, _) in inside.match_indices(SIGN) {
            let at = leaf.span.start + at;
            let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
            let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
            let comment = line.find("# {").and_then(|hash| line.get(hash + 2..)).unwrap_or_default();
            let object = comment.rfind('}').and_then(|end| comment.get(..=end)).unwrap_or_default();
            let fields = serde_json::from_str::<Map<String, Value>>(object).unwrap_or_default();
            if let Some(Ok(Named { namespace, name, .. })) =
                fields.get(SIGN).and_then(Value::as_str).map(named)
            {
                found.push((lines.place(at).0, namespace, name));
            }
        }
    }
    found
}

/// A comment that is meant as a marker: the leaf that it belongs to, and its content.
struct Sign {
    line: u32,
    is_alone: bool,
    marked: Result<(usize, Named), Cause>,
}

/// The number of markers of a leaf, on its line and above it.
#[derive(Default)]
struct Count {
    beside: u32,
    above: u32,
}

impl Count {
    fn elects(&self, is_alone: bool) -> bool {
        matches!((is_alone, self.beside, self.above), (false, 1, _) | (true, 0, 1))
    }
}

/// The image and the part that a marker names.
struct Named {
    namespace: String,
    name: String,
    part: ImagePart,
}

/// Parses a comment. `None` for prose, and for a line with a marker that is commented out as a whole.
fn read(comment: &Comment) -> Option<Result<Named, Cause>> {
    if comment.is_alone && !comment.text.starts_with('{') {
        return None;
    }
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(comment.text) else {
        return Some(Err(Cause::Malformed));
    };
    let are_strings = fields.values().all(Value::is_string);
    let name = fields.get(SIGN).and_then(Value::as_str).filter(|_| are_strings);
    Some(name.map_or(Err(Cause::Malformed), named))
}

fn named(text: &str) -> Result<Named, Cause> {
    let words: Vec<&str> = text.split(':').collect();
    let (namespace, name, part) = match words.as_slice() {
        [namespace, name] => (namespace, name, ImagePart::Image),
        [namespace, name, "name"] => (namespace, name, ImagePart::Name),
        [namespace, name, "tag"] => (namespace, name, ImagePart::Tag),
        [namespace, name, "digest"] => (namespace, name, ImagePart::Digest),
        [_, _, part] if !part.is_empty() => return Err(Cause::Part((*part).to_owned())),
        _ => return Err(Cause::Malformed),
    };
    if namespace.is_empty() || name.is_empty() {
        return Err(Cause::Malformed);
    }
    Ok(Named { namespace: (*namespace).to_owned(), name: (*name).to_owned(), part })
}
