//! What markers and targets want of one file, made one list that can be carried out.
//!
//! Wishes that agree become one, those that contradict each other become a problem, and those that are
//! fulfilled go. What then cannot be edited is a problem too, and the rest goes on. Pure.

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
    wishes: Vec<Setting>,
    unknown: Vec<Marker>,
    problems: Vec<Problem>,
}

impl<'f> Wishes<'f> {
    pub fn new(file: Arc<str>, text: &'f [u8], documents: &'f [Document<'f>]) -> Self {
        Self { file, text, documents, wishes: Vec::new(), unknown: Vec::new(), problems: Vec::new() }
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
                self.set(image, marker.document, &marker.path, marker.part);
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
        match value::text(image, part, path, &before) {
            Ok(after) => self.wish(image, document, path, part, after),
            Err(cause) => self.problem(Some(image), self.line(document, path), cause),
        }
    }

    /// The scalar at a path is to hold this text.
    pub fn wish(&mut self, image: &WantedImage, document: usize, path: &str, part: ImagePart, after: String) {
        let (line, before) = (self.line(document, path), self.before(document, path));
        let (image, path) = (image.name.clone(), path.to_owned());
        self.wishes.push(Setting { image, document, path, line, part, before, after, behind: None });
    }

    /// The mapping at a path is to get a field behind another.
    pub fn add(&mut self, image: &WantedImage, mapping: &str, field: (&str, ImagePart, &str), behind: &str) {
        let (name, part, after) = field;
        let line = self.line(0, &format!("{mapping}/{behind}"));
        let (image, path) = (image.name.clone(), format!("{mapping}/{name}"));
        let (before, after, behind) = (String::new(), after.to_owned(), Some(behind.to_owned()));
        self.wishes.push(Setting { image, document: 0, path, line, part, before, after, behind });
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
        self.wishes.retain(|wish| !is_fulfilled(self.documents, wish));
        self.try_out();
        let Self { mut wishes, unknown, mut problems, .. } = self;
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
        let mut agreed: Vec<Setting> = Vec::new();
        let mut at_odds: Vec<(usize, String)> = Vec::new();
        for wish in std::mem::take(&mut self.wishes) {
            let place = (wish.document, wish.path.clone());
            match agreed.iter().find(|other| (other.document, &other.path) == (place.0, &place.1)) {
                Some(other) if other.after != wish.after => {
                    let (one, other) = (other.after.clone(), wish.after);
                    let cause = Cause::Disagree { path: wish.path, one, other };
                    let (file, line) = (self.file.clone(), wish.line);
                    self.problems.push(Problem { file, line, image: Some(wish.image), cause });
                    at_odds.push(place);
                }
                Some(_) => {}
                None => agreed.push(wish),
            }
        }
        agreed.retain(|wish| {
            !at_odds.iter().any(|(document, path)| (*document, path) == (wish.document, &wish.path))
        });
        self.wishes = agreed;
    }

    /// Drops what cannot be edited.
    fn try_out(&mut self) {
        if apply(&self.file, self.text, &self.wishes).is_ok() {
            return;
        }
        let mut possible: Vec<Setting> = Vec::new();
        for wish in std::mem::take(&mut self.wishes) {
            possible.push(wish);
            let Err(error) = apply(&self.file, self.text, &possible) else { continue };
            let Some(Setting { path, line, image, .. }) = possible.pop() else { continue };
            let (line, cause) = Cause::of(error, &path, line);
            self.problems.push(Problem { file: self.file.clone(), line, image: Some(image), cause });
        }
        self.wishes = possible;
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
