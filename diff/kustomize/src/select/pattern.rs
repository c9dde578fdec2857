//! Go's regular expressions, which must match all of a text, by the crate `regex`.
//!
//! The syntax is translated by `go`. Pure.

use regex::{Regex, RegexBuilder};

use super::go;

/// The size of a compiled expression, in bytes: an expression that asks for more is refused.
const SIZE: usize = 1 << 20;
/// The longest expression, in bytes; names have at most 253.
const LENGTH: usize = 16 << 10;

/// An expression for all of a text.
#[derive(Clone, Debug)]
pub struct Pattern(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// Nothing was asked for.
    Any,
    /// Nothing in the expression is special.
    Text(String),
    Regex(Box<Regex>),
}

impl Pattern {
    /// Compiles an expression; the empty one matches everything. The error says what is wrong with it.
    ///
    /// # Errors
    /// If it is no expression, or too large.
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
        // Anchored before it is read, as the original does: brackets need not be balanced inside.
        compile(&format!("^(?:{text})$")).map(|regex| Self(Kind::Regex(Box::new(regex))))
    }

    /// True if nothing was asked for.
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

/// Compiles an expression in Go's syntax. The error says what is wrong with it.
///
/// # Errors
/// If it is no expression, or too large.
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
