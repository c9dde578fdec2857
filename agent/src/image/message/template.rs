//! Templates of messages, in the language of Jinja.
//!
//! | variable | content |
//! |---|---|
//! | `subject`, `body` | the text without a template |
//! | `update.namespace`, `update.name` | the ImageUpdate |
//! | `images` | the changes: each has `name`, `repository`, `old`, `new`, `old_tag`, `old_digest`, `tag`, `digest`,
//! `policy`, `files` (each with `file`, `line`, `path`) and `objects` |
//! | `files`, `objects` | those of all images, without duplicates |
//!
//! An unknown value is an empty string. There are `for` and `if`, and the filters `join`, `length`, `first`, `last`,
//! `upper`, `lower` and `short` (of a digest). A line with only a statement produces no line. A name that is not in
//! this table is an error, with its line.
//!
//! A template cannot delay the agent: steps are counted, and everything that could make a text grow without limits
//! (`set`, macros, and the operators `*`, `~` and `+`) is missing. Pure.

use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};
use serde::Serialize;

use super::{Change, Update, Version, WrittenScalar, clean, line};
use crate::error::{Class, StageError};

/// Maximum bytes of a template.
const TEMPLATE: usize = 8 * 1024;
/// Maximum steps of a template.
const FUEL: u64 = 50_000;
/// Maximum bytes that a template may write. The rest is dropped; the message is truncated much earlier.
const WRITTEN: usize = 64 * 1024;
/// Statements that a template may contain.
const STATEMENTS: [&str; 6] = ["for", "endfor", "if", "elif", "else", "endif"];

/// Why a message cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    #[error("line {line} of the template: {said}")]
    Template { line: usize, said: String },
    #[error("the template has more than {TEMPLATE} bytes")]
    TemplateTooLong,
    #[error("the message is empty")]
    Empty,
    #[error("the trailer {key}: {why}")]
    BadTrailer { key: String, why: &'static str },
    #[error("the trailers have more than {limit} bytes")]
    TrailersTooLong { limit: usize },
}

impl StageError for MessageError {
    fn class(&self) -> Class {
        Class::User
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Template { .. } => "Template",
            Self::TemplateTooLong => "TemplateTooLong",
            Self::Empty => "Empty",
            Self::BadTrailer { .. } => "BadTrailer",
            Self::TrailersTooLong { .. } => "TrailersTooLong",
        }
    }
}

#[derive(Serialize)]
struct Variables {
    subject: String,
    body: String,
    update: UpdateVariables,
    images: Vec<ImageVariables>,
    files: Vec<String>,
    objects: Vec<String>,
}

#[derive(Serialize)]
struct UpdateVariables {
    namespace: String,
    name: String,
}

#[derive(Serialize)]
struct ImageVariables {
    name: String,
    repository: String,
    old: String,
    new: String,
    old_tag: String,
    old_digest: String,
    tag: String,
    digest: String,
    policy: String,
    files: Vec<PlaceVariables>,
    objects: Vec<String>,
}

#[derive(Serialize)]
struct PlaceVariables {
    file: String,
    line: usize,
    path: String,
}

/// Renders a template with the changes.
pub fn render(template: &str, update: &Update, changes: &[Change]) -> Result<String, MessageError> {
    if template.len() > TEMPLATE {
        return Err(MessageError::TemplateTooLong);
    }
    bounded(template)?;
    let environment = environment();
    let parsed = environment.template_from_str(template).map_err(|error| said(&error))?;
    let mut written = Written::default();
    let variables = Value::from(Serde(variables(update, changes)));
    parsed.render_captured_to(variables, &mut written).map_err(|error| said(&error))?;
    Ok(String::from_utf8_lossy(&written.0).into_owned())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    // A line with only a statement produces no empty line.
    environment.set_syntax(
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default(),
    );
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.add_filter("upper", |text: String| text.to_uppercase());
    environment.add_filter("lower", |text: String| text.to_lowercase());
    environment.add_filter("short", |text: String| super::short(&text));
    environment.add_filter("length", length);
    environment.add_filter("join", join);
    environment
        .add_filter("first", |list: Value| Ok::<_, Error>(list.try_iter()?.next().unwrap_or_default()));
    environment.add_filter("last", |list: Value| Ok::<_, Error>(list.try_iter()?.last().unwrap_or_default()));
    environment
}

fn length(value: &Value) -> Result<usize, Error> {
    let wrong = || Error::new(ErrorKind::InvalidOperation, "only a list and a text have a length");
    match value.kind() {
        ValueKind::String => Ok(value.as_str().map_or(0, |text| text.chars().count())),
        _ => value.len().ok_or_else(wrong),
    }
}

fn join(list: &Value, between: Option<String>) -> Result<String, Error> {
    let between = between.unwrap_or_default();
    let mut text = String::new();
    for (index, item) in list.try_iter()?.enumerate() {
        if index > 0 {
            text.push_str(&between);
        }
        text.push_str(&item.to_string());
        if text.len() > WRITTEN {
            return Err(Error::new(ErrorKind::InvalidOperation, "the joined text is too long"));
        }
    }
    Ok(text)
}

fn variables(update: &Update, changes: &[Change]) -> Variables {
    let unique = |all: Vec<String>| {
        let mut known = std::collections::HashSet::new();
        all.into_iter().filter(|item| known.insert(item.clone())).collect::<Vec<_>>()
    };
    let places = changes.iter().flat_map(|change| &change.places);
    let objects = changes.iter().flat_map(|change| &change.objects);
    let Update { namespace, name } = update;
    Variables {
        subject: super::subject(changes),
        body: super::body(update, changes),
        update: UpdateVariables { namespace: clean(namespace), name: clean(name) },
        images: changes.iter().map(image).collect(),
        files: unique(places.map(|place| clean(&place.file)).collect()),
        objects: unique(objects.map(|object| clean(object)).collect()),
    }
}

fn image(change: &Change) -> ImageVariables {
    let Change { image, repository, old, new, places, objects, policy } = change;
    let part = |part: &Option<String>| part.as_deref().map(clean).unwrap_or_default();
    let Version { tag, digest } = new;
    let place = |place: &WrittenScalar| {
        let WrittenScalar { file, line, path } = place;
        PlaceVariables { file: clean(file), line: *line, path: clean(path) }
    };
    ImageVariables {
        name: clean(image),
        repository: clean(repository),
        old: old.as_ref().map(ToString::to_string).unwrap_or_default(),
        new: new.to_string(),
        old_tag: old.as_ref().map(|old| part(&old.tag)).unwrap_or_default(),
        old_digest: old.as_ref().map(|old| part(&old.digest)).unwrap_or_default(),
        tag: part(tag),
        digest: part(digest),
        policy: clean(policy),
        files: places.iter().map(place).collect(),
        objects: objects.iter().map(|object| clean(object)).collect(),
    }
}

/// Refuses constructs that could make a text grow without limits.
fn bounded(template: &str) -> Result<(), MessageError> {
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let line = template[..template.len() - rest.len() + at].matches('\n').count() + 1;
        let inside = &rest[at + 1..];
        rest = match inside.chars().next() {
            Some('#') => inside.split_once("#}").map_or("", |(_, after)| after),
            Some('{') => expression(&inside[1..], "}}", line)?,
            Some('%') => {
                let statement = inside[1..].trim_start_matches(['-', '+']).trim_start();
                let end = statement.find(|character: char| !character.is_alphanumeric() && character != '_');
                let word = &statement[..end.unwrap_or(statement.len())];
                if !STATEMENTS.contains(&word) {
                    let said = format!("unknown statement {word}; supported are for and if");
                    return Err(MessageError::Template { line, said });
                }
                expression(&inside[1..], "%}", line)?
            }
            _ => inside,
        };
    }
    Ok(())
}

/// Skips an expression, and returns the text after its end.
fn expression<'a>(text: &'a str, end: &str, line: usize) -> Result<&'a str, MessageError> {
    let body = text.trim_start_matches(['-', '+']);
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in body.char_indices() {
        if let Some(open) = quote {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                _ if character == open => quote = None,
                _ => {}
            }
            continue;
        }
        if body[at..].starts_with(end) {
            return Ok(&body[at + end.len()..]);
        }
        match character {
            '"' | '\'' => quote = Some(character),
            '+' if body[at + 1..].starts_with(end) => {}
            '*' | '~' | '+' => {
                let said = format!("operator {character} is not supported; write values one after the other");
                return Err(MessageError::Template { line, said });
            }
            _ => {}
        }
    }
    Ok("")
}

/// Returns the error of a template.
fn said(error: &Error) -> MessageError {
    let what = match error.kind() {
        ErrorKind::OutOfFuel => "it takes too many steps".to_owned(),
        ErrorKind::UndefinedError => "it uses a value that does not exist".to_owned(),
        kind => kind.to_string(),
    };
    let detail = error.detail().filter(|_| error.kind() != ErrorKind::OutOfFuel);
    let text = detail.map_or_else(|| what.clone(), |detail| format!("{what}: {detail}"));
    MessageError::Template { line: error.line().unwrap_or(1), said: line(&text) }
}

/// Keeps this many bytes, and drops the rest.
#[derive(Default)]
struct Written(Vec<u8>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = WRITTEN.saturating_sub(self.0.len());
        self.0.extend_from_slice(&bytes[..bytes.len().min(left)]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
