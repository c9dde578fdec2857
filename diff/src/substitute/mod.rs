//! Variables in objects: `${name}` and related expressions, substituted as Flux does it after a build.
//!
//! An object is written as YAML, substituted as one text, and parsed again: so `replicas: ${n}` becomes a
//! number, and so does `"${n}"` in a manifest. The result is that of Flux, except that
//!
//! - `${a:?message}` is an error where `a` is empty, `${a:+b}` always, and `${a-b}` works;
//! - `${a%[0-9]}` and `${a/#b/}` have their documented meaning;
//! - a default is only evaluated if it is needed, and a nested expression can be combined with text;
//! - no expression extends beyond the field in which it starts, long lines are not broken inside
//!   one, and no character is split.
//!
//! Leaves the syntax to `syntax`, values to `expand`, functions to `function` and `glob`, and the names of
//! fields to `place`. The files and lines of errors are the caller's. Pure.

mod error;
mod expand;
mod function;
mod glob;
mod place;
mod reread;
mod syntax;
mod texts;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::yaml::near::nearest;
use crate::yaml::write_to_read;

pub use error::{SubstituteError, SubstituteProblem};

use error::Finding;
use expand::expand;
use place::Places;

/// The annotations and labels, with their values, by which an object opts out.
const OPT_OUTS: [(&str, &str); 2] =
    [("holdfast.dev/substitute", "Disabled"), ("kustomize.toolkit.fluxcd.io/substitute", "disabled")];

/// The settings of a substitution. It cannot be printed: values may be secret.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Values by name. Line breaks in a value are removed. Names for which [`is_name`] is false never match.
    pub vars: &'a BTreeMap<String, String>,
    pub mode: Mode,
}

impl<'a> Options<'a> {
    fn value(&self, name: &str) -> Option<&'a str> {
        self.vars.get(name).filter(|_| is_name(name)).map(String::as_str)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Every `${` starts an expression, `$$` is a dollar, and a name that has neither a value nor a
    /// default is an error.
    Strict,
    /// Only expressions with a name in `vars`, and their escapes `$${name}`, are changed.
    Declared,
}

/// True for valid names of variables: letters, digits and `_`, but no leading digit.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Substitutes the variables of an object.
///
/// Labels, annotations, data and environment variables stay strings, or are an error.
///
/// An object without `${` is not changed, and neither is one with the annotation or label
/// `holdfast.dev/substitute: Disabled` or `kustomize.toolkit.fluxcd.io/substitute: disabled`.
///
/// # Errors
/// Returns all errors, in the order in which the fields are written; the object is not changed.
pub fn substitute(value: &mut Value, options: &Options) -> Result<(), Vec<SubstituteError>> {
    if !mentions_variables(value) || opts_out(value) {
        return Ok(());
    }
    let written = write_to_read(value);
    let mut filled = expand(&written, options);
    let places = Places::new(&written);
    filled.findings.extend(places.crossings(&filled.substitutions));
    if filled.findings.is_empty() {
        if filled.text == written {
            return Ok(());
        }
        match reread::object(&written, &filled) {
            Ok(object) => {
                let turned = texts::turned(&object, texts::texts(value));
                if !turned.is_empty() {
                    return Err(turned);
                }
                *value = object;
                return Ok(());
            }
            Err(finding) => filled.findings.push(finding),
        }
    }
    let path = |finding: &Finding| places.path(finding.at);
    Err(errors(filled.findings, options, path))
}

/// A string that is quoted in the file of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// JSON pointer (RFC 6901).
    pub path: String,
    pub written: String,
}

/// Substitutes the variables of an object as [`substitute`] does, but quoted strings stay strings, whatever the values
/// are.
///
/// # Errors
/// As [`substitute`].
pub fn with_quoted(
    value: &mut Value,
    quoted: &[Quoted],
    options: &Options,
) -> Result<(), Vec<SubstituteError>> {
    if quoted.is_empty() || opts_out(value) {
        return substitute(value, options);
    }
    let mut object = value.clone();
    let (mut texts, mut errors) = (Vec::new(), Vec::new());
    // A field whose own name is substituted could not be found again.
    for Quoted { path, written } in quoted.iter().filter(|quoted| !quoted.path.contains("${")) {
        let Some(place) = object.pointer_mut(path).filter(|place| place.as_str() == Some(written.as_str()))
        else {
            continue;
        };
        *place = Value::String(String::new());
        match text(written, options) {
            Ok(text) => texts.push((path, text)),
            Err(mistakes) => {
                errors.extend(
                    mistakes.into_iter().map(|mistake| SubstituteError { path: path.clone(), ..mistake }),
                );
            }
        }
    }
    if let Err(mistakes) = substitute(&mut object, options) {
        errors.extend(mistakes);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    for (path, text) in texts {
        if let Some(place) = object.pointer_mut(path) {
            *place = Value::String(text);
        }
    }
    *value = object;
    Ok(())
}

/// Substitutes the variables of a text.
///
/// # Errors
/// Returns all errors, in the order of the text.
pub fn text(input: &str, options: &Options) -> Result<String, Vec<SubstituteError>> {
    let filled = expand(input, options);
    if filled.findings.is_empty() {
        return Ok(filled.text);
    }
    Err(errors(filled.findings, options, |_| String::new()))
}

fn errors(
    mut findings: Vec<Finding>,
    options: &Options,
    path: impl Fn(&Finding) -> String,
) -> Vec<SubstituteError> {
    findings.sort_by_key(|finding| finding.at);
    let error = |finding: Finding| {
        let path = path(&finding);
        let problem = match finding.problem {
            SubstituteProblem::Undefined { .. } => {
                let names = options.vars.keys().filter(|name| is_name(name));
                let near = nearest(finding.name, names).map(ToOwned::to_owned);
                SubstituteProblem::Undefined { near }
            }
            other => other,
        };
        SubstituteError { variable: finding.name.to_owned(), path, problem }
    };
    findings.into_iter().map(error).collect()
}

/// True if a text or the name of a field in the value contains `${`.
fn mentions_variables(value: &Value) -> bool {
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::String(text) if text.contains("${") => return true,
            Value::Array(items) => left.extend(items),
            Value::Object(fields) if fields.keys().any(|name| name.contains("${")) => return true,
            Value::Object(fields) => left.extend(fields.values()),
            _ => {}
        }
    }
    false
}

fn opts_out(value: &Value) -> bool {
    ["annotations", "labels"].iter().any(|field| {
        let marks = &value["metadata"][field];
        OPT_OUTS.iter().any(|(name, disabled)| {
            marks[name].as_str().is_some_and(|value| value.trim().eq_ignore_ascii_case(disabled))
        })
    })
}
