//! The proof that an edit changes only images: the renders of a Sync before and after the edit may differ only in the images that
//! were set. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use base64::Engine as _;
use holdfast_diff::image::edit::{Setting, current};
use holdfast_diff::image::reference::{Reference, is_same_repository};
use holdfast_diff::object::{Manifest, ObjectId};
use serde_json::Value;

use super::renames::Renames;

/// Maximum number of differences that are listed.
const LISTED: usize = 5;
/// Maximum characters of a value that are shown.
const SHOWN: usize = 80;
/// Maximum bytes of a text in which several replacements are searched.
const LONG: usize = 4096;

/// The result of a comparison.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Objects in which an image changed, each with the names of the images.
    pub objects: Vec<(ObjectId, BTreeSet<String>)>,
    /// Other differences.
    pub others: Vec<String>,
    /// Number of other differences that are not listed.
    pub omitted: usize,
}

impl Compared {
    fn other(&mut self, said: String) {
        if self.others.len() < LISTED { self.others.push(said) } else { self.omitted += 1 }
    }
}

/// The changes that are expected, and what may be shown.
pub struct Proof<'a> {
    pub settings: &'a [&'a Setting],
    /// The selected images, by name.
    pub wanted: &'a [(String, Reference)],
    /// True if values may be shown. Values that may come from Secrets are not.
    pub shows_values: bool,
}

/// Compares the renders before and after.
pub fn compare(before: &[Manifest], after: &[Manifest], proof: &Proof<'_>) -> Compared {
    let mut compared = Compared::default();
    let mut known: HashMap<ObjectId, &Manifest> = before.iter().map(|one| (one.id(), one)).collect();
    let mut pairs: Vec<(&Manifest, &Manifest)> = Vec::new();
    let mut new: Vec<&Manifest> = Vec::new();
    for manifest in after {
        match known.remove(&manifest.id()) {
            Some(was) => pairs.push((was, manifest)),
            None => new.push(manifest),
        }
    }
    let mut gone: Vec<&Manifest> = known.into_values().collect();
    gone.sort_by_key(|manifest| manifest.id());
    let is_set = |one: &str, other: &str| proof.explained(one, other).is_some();
    let renames = Renames::find(&mut gone, &mut new, is_set, |was, now| proof.is_explained(was, now));
    pairs.extend(renames.pairs());
    // Checksums depend on the other changes.
    let (mut all, mut followers) = (BTreeSet::new(), Vec::new());
    for (was, manifest) in pairs.iter().filter(|(was, manifest)| was.value != manifest.value) {
        let id = manifest.id();
        let Differences { images, follows, others } = differences(was, manifest, proof, &renames);
        others.into_iter().for_each(|said| compared.other(format!("{id} {said}")));
        all.extend(images.iter().cloned());
        if !images.is_empty() {
            compared.objects.push((id, images));
        } else if follows {
            followers.push(id);
        }
    }
    for id in followers {
        if all.is_empty() {
            compared.other(format!("{id} would have another checksum, though nothing else changes"));
        } else {
            compared.objects.push((id, all.clone()));
        }
    }
    for (name, id) in renames.left(after) {
        compared.other(format!("{id} would still refer to {name}, which gets another name"));
    }
    new.iter().for_each(|manifest| compared.other(format!("{} would be new", manifest.id())));
    gone.iter().for_each(|manifest| compared.other(format!("{} would be gone", manifest.id())));
    compared
}

/// The differences of an object.
#[derive(Default)]
struct Differences {
    /// The images that were set in it.
    images: BTreeSet<String>,
    /// True if it has differences that result from another change: a checksum, or the name of an object.
    follows: bool,
    others: Vec<String>,
}

fn differences(was: &Manifest, now: &Manifest, proof: &Proof<'_>, renames: &Renames) -> Differences {
    let is_secret = now.kind.is("", "Secret");
    let shows = proof.shows_values && !is_secret;
    let (mut all, mut found) = (Vec::new(), Differences::default());
    walk(&was.value, &now.value, &mut String::new(), &mut all);
    for (path, one, other) in all {
        let texts = one.and_then(text).zip(other.and_then(text));
        if is_image_field(&path)
            && other.and_then(Value::as_str).is_some_and(|image| Reference::parse(image).is_none())
        {
            found.others.push(format!("{path} would hold no valid image reference"));
            continue;
        }
        if let Some((one, other)) = &texts {
            if renames.is_renamed(one, other) || is_checksum(&path, one, other) {
                found.follows = true;
                continue;
            }
            let encoded = path.starts_with("/binaryData/") || is_secret && path.starts_with("/data/");
            let explained = if encoded {
                decoded(one).zip(decoded(other)).and_then(|(one, other)| proof.explained(&one, &other))
            } else {
                proof.explained(one, other)
            };
            if let Some(explained) = explained {
                found.images.extend(explained);
                continue;
            }
        }
        let values = if shows { format!(": {} → {}", shown(one), shown(other)) } else { String::new() };
        found.others.push(format!("{path}{values}"));
    }
    found
}

/// Decodes a text in base64.
fn decoded(text: &str) -> Option<String> {
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).ok()?).ok()
}

/// True for a field that contains a complete image reference: that of containers, and similar ones of other kinds.
fn is_image_field(path: &str) -> bool {
    path.ends_with("/image") || path.ends_with("/image/reference")
}

/// True for an annotation in which a chart writes the digest of other rendered content.
fn is_checksum(path: &str, one: &str, other: &str) -> bool {
    let Some((mapping, name)) = path.rsplit_once('/') else { return false };
    let name = name.to_ascii_lowercase();
    let is_digest = |text: &str| text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    mapping.ends_with("/metadata/annotations")
        && (name.contains("checksum") || name.contains("hash") || name.contains("sha256"))
        && one.len() == other.len()
        && is_digest(one)
        && is_digest(other)
}

/// Returns a scalar as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn shown(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

type Difference<'v> = (String, Option<&'v Value>, Option<&'v Value>);

fn walk<'v>(one: &'v Value, other: &'v Value, path: &mut String, found: &mut Vec<Difference<'v>>) {
    let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
    let length = path.len();
    match (one, other) {
        _ if one == other => {}
        (Value::Object(one), Value::Object(other)) => {
            let new = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(new) {
                path.push('/');
                path.push_str(&escaped(key));
                match (one.get(key), other.get(key)) {
                    (Some(one), Some(other)) => walk(one, other, path, found),
                    (one, other) => found.push((path.clone(), one, other)),
                }
                path.truncate(length);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                let _ = write!(path, "/{at}");
                walk(one, other, path, found);
                path.truncate(length);
            }
        }
        (one, other) => found.push((path.clone(), Some(one), Some(other))),
    }
}

impl Proof<'_> {
    /// True if two objects only differ in their names and in the expected changes.
    fn is_explained(&self, was: &Manifest, now: &Manifest) -> bool {
        let mut renamed = was.clone();
        if let (Some(name), Some(new)) =
            (renamed.value.pointer_mut("/metadata/name"), now.value.pointer("/metadata/name"))
        {
            name.clone_from(new);
        }
        let Differences { images, follows: _, others } =
            differences(&renamed, now, self, &Renames::default());
        others.is_empty() && !images.is_empty()
    }

    /// Returns the images that explain the change of a text: it is an image of a repository that was set, or the new
    /// value replaces the previous one in it. `None` if something else changed.
    fn explained(&self, one: &str, other: &str) -> Option<BTreeSet<String>> {
        let images = self.settings.iter().map(|setting| setting.image.clone());
        let alone = |image: &String| {
            let settings: Vec<&Setting> =
                self.settings.iter().copied().filter(|setting| setting.image == *image).collect();
            self.is_image(one, other, image, &settings) || is_replaced(one, other, &settings)
        };
        let all: BTreeSet<String> = images.collect();
        if let Some(image) = all.iter().find(|image| alone(image)) {
            return Some(BTreeSet::from([image.clone()]));
        }
        is_replaced(one, other, self.settings).then_some(all)
    }

    fn is_image(&self, one: &str, other: &str, image: &str, settings: &[&Setting]) -> bool {
        let (Some(one), Some(other)) = (Reference::parse(one), Reference::parse(other)) else { return false };
        let was_set = |repository: &str| {
            let before = settings.iter().filter_map(|setting| current(&setting.before, setting.part));
            before.map(|image| image.repository).any(|before| is_same_repository(&before, repository))
        };
        self.wanted.iter().filter(|(name, _)| name == image).any(|(_, wanted)| {
            let (tag, digest) = (other.tag.as_ref(), other.digest.as_ref());
            is_same_repository(&wanted.repository, &other.repository)
                && (is_same_repository(&wanted.repository, &one.repository) || was_set(&one.repository))
                && tag.is_none_or(|tag| Some(tag) == wanted.tag.as_ref())
                && digest.is_none_or(|digest| Some(digest) == wanted.digest.as_ref())
                && (tag.is_some() || digest.is_some())
        })
    }
}

/// Compares both texts from left to right; where they differ, one must have the previous value and the other one the
/// new value.
fn is_replaced(one: &str, other: &str, settings: &[&Setting]) -> bool {
    if one.len().max(other.len()) > LONG {
        return are_lines_replaced(one, other, settings);
    }
    let mut open = vec![(0, 0)];
    let mut seen = HashSet::new();
    while let Some((at, to)) = open.pop() {
        if at == one.len() && to == other.len() {
            return true;
        }
        if !seen.insert((at, to)) {
            continue;
        }
        let (rest, next) =
            (one.as_bytes().get(at..).unwrap_or_default(), other.as_bytes().get(to..).unwrap_or_default());
        for Setting { before, after, .. } in settings {
            if !before.is_empty() && rest.starts_with(before.as_bytes()) && next.starts_with(after.as_bytes())
            {
                open.push((at + before.len(), to + after.len()));
            }
        }
        if !rest.is_empty() && rest.first() == next.first() {
            open.push((at + 1, to + 1));
        }
    }
    false
}

/// Does the same for a long text, line by line.
fn are_lines_replaced(one: &str, other: &str, settings: &[&Setting]) -> bool {
    let is_replaced = |(one, other): (&str, &str)| {
        let replaced =
            || settings.iter().any(|setting| one.replace(&setting.before, &setting.after) == other);
        one == other || one.len().max(other.len()) <= LONG && is_replaced(one, other, settings) || replaced()
    };
    one.split('\n').count() == other.split('\n').count()
        && one.split('\n').zip(other.split('\n')).all(is_replaced)
}

#[cfg(test)]
mod tests;
