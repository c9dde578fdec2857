//! Flux's markers: comments that name the image of the scalar beside them.
//!
//! A comment is a marker if all of it is a JSON object of strings with `$imagepolicy`. Pure.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::ImagePart;
use super::comment::{Comment, SIGN, comments};
use super::problem::{Cause, Problem};
use super::read::documents;
use crate::yaml::Document;
use crate::yaml::edit::{Leaf, Role, leaves};
use crate::yaml::place::Lines;

/// A scalar with a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Counts from 0, without documents that hold nothing.
    pub document: usize,
    /// Of the scalar, as RFC 6901 writes it.
    pub path: String,
    /// Of the marker.
    pub line: u32,
    pub namespace: String,
    pub name: String,
    pub part: ImagePart,
    /// What the scalar says now, without quotes.
    pub value: String,
}

/// The markers of a file, in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub markers: Vec<Marker>,
    pub problems: Vec<Problem>,
}

/// True for a file that has to be read for its markers.
pub fn has_marker(text: &[u8]) -> bool {
    match str::from_utf8(text) {
        Ok(text) => text.contains(SIGN),
        Err(_) => text.windows(SIGN.len()).any(|window| window == SIGN.as_bytes()),
    }
}

/// Finds the markers of a file. A file without any is not parsed; one that cannot be read is a problem.
pub fn markers(file: &str, text: &[u8]) -> Found {
    if !has_marker(text) {
        return Found::default();
    }
    let name = file.into();
    match documents(&name, text) {
        Ok(documents) => {
            let mut found = Found::default();
            for place in places(text, &documents) {
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

/// The markers of documents, and what is wrong with others, each with its line. The marker on the line of a scalar
/// counts before one above it.
pub(super) fn places(text: &[u8], documents: &[Document]) -> Vec<Result<Marker, (u32, Cause)>> {
    let bytes = text;
    let text = str::from_utf8(bytes).unwrap_or_default();
    let lines = Lines::new(bytes);
    let mut numbers = Vec::new();
    let mut all: Vec<Leaf> = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        all.extend(leaves(document));
        numbers.resize(all.len(), number);
    }
    let mut places: Vec<(u32, bool, Result<(usize, Named), Cause>)> = Vec::new();
    // of each marked leaf: how many markers are on its line, and how many above it
    let mut marked: HashMap<usize, (u32, u32)> = HashMap::new();
    for comment in comments(text, &all) {
        let Some(named) = read(&comment) else { continue };
        let place = named.and_then(|named| Ok((comment.leaf(text, &all)?, named)));
        if let Ok((at, _)) = place {
            let (beside, above) = marked.entry(at).or_default();
            *(if comment.is_alone { above } else { beside }) += 1;
        }
        places.push((lines.place(comment.at).0, comment.is_alone, place));
    }
    let marker = |line, is_alone, (at, named): (usize, Named)| {
        let counts = marked.get(&at).copied().unwrap_or_default();
        if !matches!((is_alone, counts), (false, (1, _)) | (true, (0, 1))) {
            return Err(Cause::Second);
        }
        let leaf = all.get(at).ok_or(Cause::Misplaced)?;
        let Role::Value(path) = &leaf.role else { return Err(Cause::Misplaced) };
        let document = numbers.get(at).copied().unwrap_or_default();
        let (path, value) = (path.clone(), leaf.text.to_owned());
        let Named { namespace, name, part } = named;
        Ok(Marker { document, path, line, namespace, name, part, value })
    };
    let marker = |(line, is_alone, place): (u32, bool, Result<_, _>)| {
        place.and_then(|place| marker(line, is_alone, place)).map_err(|cause| (line, cause))
    };
    places.into_iter().map(marker).collect()
}

/// What a marker names.
struct Named {
    namespace: String,
    name: String,
    part: ImagePart,
}

/// Reads a comment. None for prose, and for a line with a marker that is commented out as a whole.
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
