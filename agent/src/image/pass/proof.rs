//! The proof that an edit changes what it should and nothing else: what a Sync renders to before and after may differ in the
//! images that were set, and nowhere else. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use holdfast_diff::image::edit::{Setting, current};
use holdfast_diff::image::reference::{Reference, is_same_repository};
use holdfast_diff::object::{Manifest, ObjectId};
use serde_json::Value;

/// Differences that are told.
const TOLD: usize = 5;
/// Characters of a value that are told.
const SHOWN: usize = 80;
/// Bytes of a text in which several replacements are looked for.
const LONG: usize = 4096;

/// What was compared.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Objects in which an image changed, each with the names of these images.
    pub objects: Vec<(ObjectId, BTreeSet<String>)>,
    /// What else would change.
    pub others: Vec<String>,
    /// How many others are not named.
    pub omitted: usize,
}

impl Compared {
    fn other(&mut self, said: String) {
        if self.others.len() < TOLD { self.others.push(said) } else { self.omitted += 1 }
    }
}

/// What was set, and what may be told.
pub struct Proof<'a> {
    pub settings: &'a [&'a Setting],
    /// The images that are wanted, by name.
    pub wanted: &'a [(String, Reference)],
    /// Whether values may be told: not where they may come from Secrets.
    pub shows_values: bool,
}

/// Compares what was rendered before and after.
pub fn compare(before: &[Manifest], after: &[Manifest], proof: &Proof<'_>) -> Compared {
    let mut compared = Compared::default();
    let mut known: HashMap<ObjectId, &Manifest> = before.iter().map(|one| (one.id(), one)).collect();
    for manifest in after {
        let id = manifest.id();
        let Some(was) = known.remove(&id) else {
            compared.other(format!("{id} would be new"));
            continue;
        };
        if was.value == manifest.value {
            continue;
        }
        let shows = proof.shows_values && !manifest.kind.is("", "Secret");
        let mut differences = Vec::new();
        walk(&was.value, &manifest.value, &mut String::new(), &mut differences);
        let mut images = BTreeSet::new();
        for (path, one, other) in differences {
            let texts = one.and_then(text).zip(other.and_then(text));
            if let Some(explained) = texts.and_then(|(one, other)| proof.explained(&one, &other)) {
                images.extend(explained);
                continue;
            }
            let values = if shows { format!(": {} → {}", shown(one), shown(other)) } else { String::new() };
            compared.other(format!("{id} {path}{values}"));
        }
        if !images.is_empty() {
            compared.objects.push((id, images));
        }
    }
    let mut gone: Vec<ObjectId> = known.into_keys().collect();
    gone.sort();
    gone.into_iter().for_each(|id| compared.other(format!("{id} would be gone")));
    compared
}

/// A scalar as text.
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
    /// The images by which one text became the other: it is an image of a repository that was set, or what was set stands
    /// in it where the value before stood. `None` if something else changed it.
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

/// Walks both texts side by side; where they part, a value before must stand in the one and the value after in the other.
fn is_replaced(one: &str, other: &str, settings: &[&Setting]) -> bool {
    if one.len().max(other.len()) > LONG {
        return settings.iter().any(|setting| one.replace(&setting.before, &setting.after) == other);
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

#[cfg(test)]
mod tests {
    use holdfast_diff::image::edit::ImagePart;
    use holdfast_diff::yaml;

    use super::*;

    fn setting(part: ImagePart, before: &str, after: &str) -> Setting {
        let (before, after) = (before.to_owned(), after.to_owned());
        Setting {
            image: "web".to_owned(),
            document: 0,
            path: "/a".to_owned(),
            line: 1,
            part,
            before,
            after,
            behind: None,
            group: 0,
        }
    }

    /// Compares two objects in which one field has these values, after `web:1` became `web:2`.
    fn check(before: &str, after: &str) -> Vec<String> {
        told(before, after, true)
    }

    fn told(before: &str, after: &str, shows_values: bool) -> Vec<String> {
        let object = |value: &str| {
            let text = format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: {value}, b: x}}\n"
            );
            yaml::manifests("a.yaml", text.as_bytes()).0
        };
        let setting = setting(ImagePart::Tag, "1.0", "2.0");
        let wanted =
            Reference { repository: "r.io/web".to_owned(), tag: Some("2.0".to_owned()), digest: None };
        let wanted = [("web".to_owned(), wanted)];
        let proof = Proof { settings: &[&setting], wanted: &wanted, shows_values };
        let compared = compare(&object(before), &object(after), &proof);
        let images = compared.objects.iter().flat_map(|(_, images)| images);
        assert!(images.eq(compared.others.is_empty().then_some("web")), "{compared:?}");
        compared.others
    }

    #[test]
    fn only_what_was_set_may_differ() {
        for (before, after) in [
            ("r.io/web:1.0", "r.io/web:2.0"),
            ("'1.0'", "'2.0'"),
            ("release-1.0-of-1.0", "release-2.0-of-2.0"),
            ("release-1.0-of-1.0", "release-2.0-of-1.0"),
            ("r.io/web:0.9", "r.io/web:2.0"),
        ] {
            assert_eq!(check(before, after), Vec::<String>::new(), "{before} {after}");
        }
        for (before, after) in [
            ("r.io/web:1.0", "r.io/web:2.1"),
            ("r.io/other:1.1", "r.io/other:2.0"),
            ("'1.0'", "'2.0-x'"),
            ("x", "z"),
            ("'1.0'", "~"),
        ] {
            assert_eq!(check(before, after).len(), 1, "{before} {after}");
        }
        assert_eq!(check("x", "z"), ["ConfigMap a /data/a: \"x\" → \"z\""]);
        assert_eq!(told("x", "z", false), ["ConfigMap a /data/a"]);
    }
}
