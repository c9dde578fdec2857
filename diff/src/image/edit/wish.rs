//! Combines the requests of markers and targets for one file into one list of settings.
//!
//! Equal requests are merged, contradicting ones become a problem, and fulfilled ones are
//! removed. A request that cannot be edited is a problem too; the others continue. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::marker::{Places, buried, places};
use super::problem::{Cause, Problem};
use super::{EditError, ImagePart, Marker, Setting, Settings, Target, Wanted, WantedImage, apply, value};
use crate::yaml::Document;
use crate::yaml::edit::{Leaf, Role, leaves, line};

/// Maximum number of aliases and merges of one scalar that are followed.
const REPEATS: usize = 200;

/// The requests for a file. The request of a target is made completely or not at all: a new tag beside an old
/// digest would be an image that no policy selected.
pub(super) struct EditRequests<'f> {
    pub file: Arc<str>,
    text: &'f [u8],
    pub documents: &'f [Document<'f>],
    /// Including fulfilled ones.
    all: Vec<Setting>,
    /// The number of the current marker or target.
    group: usize,
    /// Groups of which a part cannot be made.
    broken: HashSet<usize>,
    unknown: Vec<Marker>,
    foreign: Vec<Marker>,
    /// Scalars with other content than their marker or target requires: they are not written.
    held: HashSet<(usize, String)>,
    /// Aliases that have the marker of the scalar that they repeat.
    marked: HashSet<(usize, String)>,
    problems: Vec<Problem>,
}

impl<'f> EditRequests<'f> {
    pub fn new(file: Arc<str>, text: &'f [u8], documents: &'f [Document<'f>]) -> Self {
        let (all, broken, marked, problems) = (Vec::new(), HashSet::new(), HashSet::new(), Vec::new());
        let (unknown, foreign, held) = (Vec::new(), Vec::new(), HashSet::new());
        Self { file, text, documents, all, group: 0, broken, unknown, foreign, held, marked, problems }
    }

    /// Adds the requests of the markers of the namespace.
    pub fn markers(&mut self, wanted: &Wanted) {
        let has = |name: &str| wanted.images.iter().any(|image| image.name == name);
        let Places { markers, aliases } = places(self.text, self.documents);
        self.marked = aliases.into_iter().map(|alias| (alias.document, alias.path)).collect();
        for (line, namespace, name) in buried(self.text, self.documents) {
            if namespace == wanted.namespace && has(&name) {
                self.refuse(Some(name), line, Cause::Buried);
            }
        }
        for place in markers {
            self.group += 1;
            let marker = match place {
                Ok(marker) if marker.namespace == wanted.namespace => marker,
                Ok(marker) => {
                    self.foreign.extend(Some(marker).filter(|marker| has(&marker.name)));
                    continue;
                }
                Err((line, cause)) => {
                    self.problem(None, line, cause);
                    continue;
                }
            };
            let Some(image) = wanted.images.iter().find(|image| image.name == marker.name) else {
                self.unknown.push(marker);
                continue;
            };
            if image.tag.is_some() || image.digest.is_some() {
                let Marker { document, path, part, value, line: _, namespace: _, name: _ } = marker;
                self.set_from(image, document, &path, part, value);
            }
        }
    }

    /// Adds the requests of a target.
    pub fn target(&mut self, image: &WantedImage, target: &Target) {
        self.group += 1;
        match target {
            Target::File { file: _, document, path, part } => self.set(image, *document, path, *part),
            Target::Kustomization { file: _, name } => self.kustomization(image, name.as_deref()),
            Target::HelmValues { file: _, path } => self.helm(image, path),
        }
    }

    /// Requests the part of the image for the scalar at a path.
    pub fn set(&mut self, image: &WantedImage, document: usize, path: &str, part: ImagePart) {
        let before = self.before(document, path);
        self.set_from(image, document, path, part, before);
    }

    fn set_from(
        &mut self,
        image: &WantedImage,
        document: usize,
        path: &str,
        part: ImagePart,
        before: String,
    ) {
        let line = self.line(document, path);
        let is_null = self
            .documents
            .get(document)
            .and_then(|found| found.value.pointer(path))
            .is_some_and(Value::is_null);
        let before = if is_null { String::new() } else { before };
        match value::text(image, part, path, &before) {
            Ok(after) => {
                let (image, path) = (image.name.clone(), path.to_owned());
                let (group, behind, repeats) = (self.group, None, Vec::new());
                let setting =
                    Setting { image, document, path, line, part, before, after, behind, repeats, group };
                self.all.push(setting);
            }
            Err(cause) => {
                self.held.insert((document, path.to_owned()));
                self.problem(Some(image), line, cause);
            }
        }
    }

    /// Requests a text for the scalar at a path.
    pub fn wish(&mut self, image: &WantedImage, document: usize, path: &str, part: ImagePart, after: String) {
        let (line, before) = (self.line(document, path), self.before(document, path));
        let (image, path) = (image.name.clone(), path.to_owned());
        let (group, behind, repeats) = (self.group, None, Vec::new());
        self.all.push(Setting { image, document, path, line, part, before, after, behind, repeats, group });
    }

    /// Requests a new field after another one in the mapping at a path.
    pub fn add(&mut self, image: &WantedImage, mapping: &str, field: (&str, ImagePart, &str), behind: &str) {
        let (name, part, after) = field;
        let line = self.line(0, &format!("{mapping}/{behind}"));
        let (image, path) = (image.name.clone(), format!("{mapping}/{name}"));
        let (before, after, behind) = (String::new(), after.to_owned(), Some(behind.to_owned()));
        let (document, group, repeats) = (0, self.group, Vec::new());
        self.all.push(Setting { image, document, path, line, part, before, after, behind, repeats, group });
    }

    /// Records that the current marker or target is invalid.
    pub fn problem(&mut self, image: Option<&WantedImage>, line: u32, cause: Cause) {
        self.broken.insert(self.group);
        self.refuse(image.map(|image| image.name.clone()), line, cause);
    }

    fn refuse(&mut self, image: Option<String>, line: u32, cause: Cause) {
        self.problems.push(Problem { file: self.file.clone(), line, image, cause });
    }

    /// Returns the line of a path, or of its document.
    pub fn line(&self, document: usize, path: &str) -> u32 {
        let document = self.documents.get(document);
        document.map_or(1, |document| line(document, path).unwrap_or(document.line))
    }

    /// Returns the settings that can be made.
    pub fn settle(mut self) -> Settings {
        self.pinned_beside();
        let mut groups: BTreeMap<usize, Vec<Setting>> = BTreeMap::new();
        let mut fulfilled = Vec::new();
        for setting in self.agreed() {
            if is_fulfilled(self.documents, &setting) {
                fulfilled.push(setting);
            } else if !self.broken.contains(&setting.group) {
                let repeats = self.repeats(&setting);
                groups.entry(setting.group).or_default().push(Setting { repeats, ..setting });
            }
        }
        let mut set = Vec::new();
        self.sift(&mut set, groups.into_values().collect());
        let Self { unknown, foreign, mut problems, .. } = self;
        set.sort_by_key(|setting| (setting.document, setting.line));
        problems.sort_by_key(|problem| problem.line);
        problems.dedup();
        Settings { set, fulfilled, unknown, foreign, problems }
    }

    /// Returns the current text of the scalar; for an alias, its value.
    fn before(&self, document: usize, path: &str) -> String {
        let Some(document) = self.documents.get(document) else { return String::new() };
        let is_it = |role: &Role| matches!(role, Role::Value(value) if value == path);
        match leaves(document).into_iter().find(|leaf| is_it(&leaf.role)) {
            Some(leaf) => leaf.text.to_owned(),
            None => text_of(document.value.pointer(path)),
        }
    }

    /// A tag beside a digest that stays has no effect, so it is not set.
    fn pinned_beside(&mut self) {
        let beside = |wish: &Setting| -> Option<String> {
            let (mapping, _) = wish.path.rsplit_once('/')?;
            let path = format!("{mapping}/digest");
            let held = self.documents.get(wish.document)?.value.pointer(&path)?.as_str()?;
            let goes = self.all.iter().any(|other| other.document == wish.document && other.path == path);
            (!held.is_empty() && !goes).then_some(path)
        };
        let tags = self.all.iter().filter(|wish| wish.part == ImagePart::Tag && wish.behind.is_none());
        let found: Vec<_> = tags
            .filter_map(|wish| Some((wish.group, wish.image.clone(), wish.document, beside(wish)?)))
            .collect();
        for (group, image, document, path) in found {
            if self.broken.insert(group) {
                let line = self.line(document, &path);
                self.refuse(Some(image), line, Cause::PinnedBeside { path });
            }
        }
    }

    /// Returns the permitted places at which aliases and merges repeat a scalar: a complete image may be repeated
    /// anywhere, and a part of one only if the alias has the same marker.
    fn repeats(&self, setting: &Setting) -> Vec<String> {
        let mut setting = setting.clone();
        let is_alias = |leaf: &Leaf| matches!(leaf.role, Role::Alias { .. });
        let document = self.documents.get(setting.document);
        if !document.is_some_and(|document| leaves(document).iter().any(is_alias)) {
            return Vec::new();
        }
        for _ in 0..REPEATS {
            let error = apply(&self.file, self.text, std::slice::from_ref(&setting)).err();
            let Some(EditError::Elsewhere { path, .. }) = error else { break };
            let is_meant =
                setting.part == ImagePart::Image || self.marked.contains(&(setting.document, path.clone()));
            if !is_meant || setting.repeats.contains(&path) {
                break;
            }
            setting.repeats.push(path);
        }
        setting.repeats
    }

    /// Merges the requests for each place. Those that contradict each other are marked as broken.
    fn agreed(&mut self) -> Vec<Setting> {
        let mut places: HashMap<(usize, String), usize> = HashMap::new();
        let mut agreed: Vec<Setting> = Vec::new();
        for wish in std::mem::take(&mut self.all) {
            let place = (wish.document, wish.path.clone());
            if self.held.contains(&place) {
                self.broken.insert(wish.group);
                continue;
            }
            let Some(first) = places.get(&place).and_then(|at| agreed.get(*at)) else {
                places.insert(place, agreed.len());
                agreed.push(wish);
                continue;
            };
            if first.after != wish.after {
                self.broken.extend([first.group, wish.group]);
                let Setting { image, path, line, after: other, .. } = wish;
                let one = first.after.clone();
                self.refuse(Some(image), line, Cause::Disagree { path, one, other });
            }
        }
        agreed
    }

    /// Adds groups of requests to those that can be edited together, and drops the others.
    fn sift(&mut self, possible: &mut Vec<Setting>, mut groups: Vec<Vec<Setting>>) {
        let held = possible.len();
        possible.extend(groups.iter().flatten().cloned());
        let Err(error) = apply(&self.file, self.text, possible) else { return };
        possible.truncate(held);
        if groups.len() > 1 {
            let rest = groups.split_off(groups.len() / 2);
            self.sift(possible, groups);
            self.sift(possible, rest);
        } else if let Some(Setting { path, line, image, .. }) =
            groups.pop().and_then(|group| group.into_iter().next())
        {
            let (line, cause) = Cause::of(error, &path, line);
            self.refuse(Some(image), line, cause);
        }
    }
}

/// True if the scalar has that text already, for every reader: a number with the same digits does not.
fn is_fulfilled(documents: &[Document], wish: &Setting) -> bool {
    let value = documents.get(wish.document).and_then(|document| document.value.pointer(&wish.path));
    wish.behind.is_none() && value.and_then(Value::as_str) == Some(&wish.after)
}

fn text_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
        _ => String::new(),
    }
}
