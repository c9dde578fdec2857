//! Regular expressions of Go that must match a whole text, by the crate `regex`.
//!
//! The syntax is translated by `go`. Pure.

use regex::{Regex, RegexBuilder};

use super::go;

/// Maximum size of a compiled expression, in bytes.
const SIZE: usize = 1 << 20;
/// Maximum length of an expression, in bytes; names have at most 253.
const LENGTH: usize = 16 << 10;

/// An expression that matches a whole text.
#[derive(Clone, Debug)]
pub struct Pattern(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// No condition.
    Any,
    /// An expression without special characters.
    Text(String),
    Regex(Box<Regex>),
}

impl Pattern {
    /// Compiles an expression; the empty one matches everything. The error says what is wrong.
    ///
    /// # Errors
    /// The expression is invalid or too large.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(Kind::Any));
        }
        if text
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '/'))
        {
            return Ok(Self(Kind::Text(text.to_owned())));
        }
        // Anchored before it is parsed, as in kustomize: brackets need not be balanced inside.
        compile(&format!("^(?:{text})$")).map(|regex| Self(Kind::Regex(Box::new(regex))))
    }

    /// True if there is no condition.
    pub fn is_any(&self) -> bool {
        matches!(self.0, Kind::Any)
    }

    pub fn matches(&self, text: &str) -> bool {
        match &self.0 {
            Kind::Any => true,
            Kind::Text(own) => own == text,
            Kind::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Compiles an expression in the syntax of Go. The error says what is wrong.
///
/// # Errors
/// The expression is invalid or too large.
pub fn compile(expression: &str) -> Result<Regex, String> {
    if expression.len() > LENGTH {
        return Err(format!("it is longer than {LENGTH} bytes"));
    }
    let translated = go::translate(expression)?;
    let regex = RegexBuilder::new(&translated).size_limit(SIZE).dfa_size_limit(SIZE).build();
    regex.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it is too large: use fewer or smaller repetitions".to_owned(),
        other => other.to_string().lines().last().unwrap_or_default().trim().to_owned(),
    })
}
