//! What markers and targets want of one file, made one list that can be carried out.
//!
//! Wishes that agree become one, those that contradict each other become a problem, and those that are
//! fulfilled go. What then cannot be edited is a problem too, and the rest goes on. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::marker::places;
use super::problem::{Cause, Problem};
use super::{ImagePart, Marker, Setting, Settings, Target, Wanted, WantedImage, apply, value};
use crate::yaml::Document;
use crate::yaml::edit::{Role, leaves, line};

/// What is wanted of a file.
pub(super) struct Wishes<'f> {
    pub file: Arc<str>,
    text: &'f [u8],
    pub documents: &'f [Document<'f>],
    /// Fulfilled ones too.
    all: Vec<Setting>,
    unknown: Vec<Marker>,
    problems: Vec<Problem>,
}

impl<'f> Wishes<'f> {
    pub fn new(file: Arc<str>, text: &'f [u8], documents: &'f [Document<'f>]) -> Self {
        Self { file, text, documents, all: Vec::new(), unknown: Vec::new(), problems: Vec::new() }
    }

    /// What the markers of the namespace want.
    pub fn markers(&mut self, wanted: &Wanted) {
        for place in places(self.text, self.documents) {
            let marker = match place {
                Ok(marker) if marker.namespace == wanted.namespace => marker,
                Ok(_) => continue,
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

    /// What a target wants.
    pub fn target(&mut self, image: &WantedImage, target: &Target) {
        match target {
            Target::File { file: _, document, path, part } => self.set(image, *document, path, *part),
            Target::Kustomization { file: _, name } => self.kustomization(image, name.as_deref()),
            Target::HelmValues { file: _, path } => self.helm(image, path),
        }
    }

    /// The scalar at a path is to hold the part of the image.
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
        match value::text(image, part, path, &before) {
            Ok(after) => {
                let (image, path) = (image.name.clone(), path.to_owned());
                self.all.push(Setting { image, document, path, line, part, before, after, behind: None });
            }
            Err(cause) => self.problem(Some(image), line, cause),
        }
    }

    /// The scalar at a path is to hold this text.
    pub fn wish(&mut self, image: &WantedImage, document: usize, path: &str, part: ImagePart, after: String) {
        let (line, before) = (self.line(document, path), self.before(document, path));
        let (image, path) = (image.name.clone(), path.to_owned());
        self.all.push(Setting { image, document, path, line, part, before, after, behind: None });
    }

    /// The mapping at a path is to get a field behind another.
    pub fn add(&mut self, image: &WantedImage, mapping: &str, field: (&str, ImagePart, &str), behind: &str) {
        let (name, part, after) = field;
        let line = self.line(0, &format!("{mapping}/{behind}"));
        let (image, path) = (image.name.clone(), format!("{mapping}/{name}"));
        let (before, after, behind) = (String::new(), after.to_owned(), Some(behind.to_owned()));
        self.all.push(Setting { image, document: 0, path, line, part, before, after, behind });
    }

    pub fn problem(&mut self, image: Option<&WantedImage>, line: u32, cause: Cause) {
        let image = image.map(|image| image.name.clone());
        self.problems.push(Problem { file: self.file.clone(), line, image, cause });
    }

    /// The line of a path, or of its document.
    pub fn line(&self, document: usize, path: &str) -> u32 {
        let document = self.documents.get(document);
        document.map_or(1, |document| line(document, path).unwrap_or(document.line))
    }

    /// What can be made of the wishes.
    pub fn settle(mut self) -> Settings {
        self.agree();
        self.all.retain(|wish| !is_fulfilled(self.documents, wish));
        let all = std::mem::take(&mut self.all);
        let mut wishes = Vec::new();
        self.sift(&mut wishes, all);
        let Self { unknown, mut problems, .. } = self;
        wishes.sort_by_key(|wish| (wish.document, wish.line));
        problems.sort_by_key(|problem| problem.line);
        problems.dedup();
        Settings { set: wishes, unknown, problems }
    }

    /// The scalar's text as it stands; where an alias brings it, its value.
    fn before(&self, document: usize, path: &str) -> String {
        let Some(document) = self.documents.get(document) else { return String::new() };
        let is_it = |role: &Role| matches!(role, Role::Value(value) if value == path);
        match leaves(document).into_iter().find(|leaf| is_it(&leaf.role)) {
            Some(leaf) => leaf.text.to_owned(),
            None => text_of(document.value.pointer(path)),
        }
    }

    /// Leaves one wish for each place, and none where they contradict each other.
    fn agree(&mut self) {
        let mut places: HashMap<(usize, String), usize> = HashMap::new();
        let mut agreed: Vec<Option<Setting>> = Vec::new();
        for wish in std::mem::take(&mut self.all) {
            let Some(at) = places.get(&(wish.document, wish.path.clone())) else {
                places.insert((wish.document, wish.path.clone()), agreed.len());
                agreed.push(Some(wish));
                continue;
            };
            let Some(first) = agreed.get_mut(*at) else { continue };
            if let Some(other) = first.take_if(|first| first.after != wish.after) {
                let cause = Cause::Disagree { path: wish.path, one: other.after, other: wish.after };
                self.refuse(wish.image, wish.line, cause);
            }
        }
        self.all = agreed.into_iter().flatten().collect();
    }

    /// Adds wishes to those that can be edited together, and drops those that cannot.
    fn sift(&mut self, possible: &mut Vec<Setting>, wishes: Vec<Setting>) {
        let (held, count) = (possible.len(), wishes.len());
        possible.extend(wishes);
        let Err(error) = apply(&self.file, self.text, possible) else { return };
        let mut wishes = possible.split_off(held);
        if count > 1 {
            let rest = wishes.split_off(count / 2);
            self.sift(possible, wishes);
            self.sift(possible, rest);
        } else if let Some(Setting { path, line, image, .. }) = wishes.pop() {
            let (line, cause) = Cause::of(error, &path, line);
            self.refuse(image, line, cause);
        }
    }

    fn refuse(&mut self, image: String, line: u32, cause: Cause) {
        self.problems.push(Problem { file: self.file.clone(), line, image: Some(image), cause });
    }
}

/// True if the scalar is that text already, for every reader: a number that looks like it is not.
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
