//! The syntax of an expression: a name, and the function that is applied to its value.
//!
//! Leaves values to `expand`. Pure.

use std::ops::Range;

use super::error::{Finding, SubstituteProblem};
use super::{Mode, Options, is_name};

/// Maximum nesting of expressions.
const MAX_NESTING: usize = 32;

pub(super) struct Expression<'a> {
    pub name: &'a str,
    /// Its range, from `${` to `}`.
    pub range: Range<usize>,
    pub action: Action<'a>,
}

/// The function of an expression.
pub(super) enum Action<'a> {
    Value,
    Length,
    Case { upper: bool, all: bool },
    Default { word: Word<'a>, also_if_empty: bool },
    Require { message: &'a str, also_if_empty: bool },
    Slice { offset: Word<'a>, length: Option<Word<'a>> },
    Trim { pattern: Word<'a>, from_end: bool, longest: bool },
    Replace { which: Which, pattern: Word<'a>, with: Word<'a> },
}

/// The matches that are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    First,
    All,
    AtStart,
    AtEnd,
}

/// A sequence of text and expressions.
pub(super) type Word<'a> = Vec<Part<'a>>;

pub(super) enum Part<'a> {
    Text(&'a str),
    Expression(Expression<'a>),
}

/// The operators after a name; a longer one comes before a prefix of it.
const OPERATORS: [&str; 21] = [
    ":=", ":-", ":?", ":+", ":", "=", "-", "?", "+", "^^", "^", ",,", ",", "##", "#", "%%", "%", "//", "/#",
    "/%", "/",
];

pub(super) struct Parser<'a, 'o> {
    text: &'a str,
    at: usize,
    depth: usize,
    options: &'o Options<'o>,
}

type Parsed<'a, T> = Result<T, Finding<'a>>;

/// The start of the current expression, and its name.
type Head<'a> = (usize, &'a str);

impl<'a, 'o> Parser<'a, 'o> {
    /// Creates a parser of the expression whose `${` is at `at`.
    pub fn new(text: &'a str, at: usize, options: &'o Options<'o>) -> Self {
        Self { text, at, depth: 0, options }
    }

    pub fn expression(&mut self) -> Parsed<'a, Expression<'a>> {
        let start = self.at;
        let (name, counts) = name_behind(self.text, start + 2);
        let head = (start, name);
        if name.is_empty() {
            return Err(wrong(head, SubstituteProblem::NoName));
        }
        if let Some(bad) = bad_name(self.text, start + 2 + usize::from(counts), name) {
            return Err(wrong((start, bad), SubstituteProblem::BadName));
        }
        self.at += 2 + usize::from(counts) + name.len();
        self.enter(head)?;
        let action = if counts { Action::Length } else { self.action(head)? };
        self.close(head)?;
        self.depth -= 1;
        Ok(Expression { name, range: start..self.at, action })
    }

    fn action(&mut self, head: Head<'a>) -> Parsed<'a, Action<'a>> {
        let Some(operator) = OPERATORS.into_iter().find(|operator| self.eat(operator)) else {
            return Ok(Action::Value);
        };
        let also_if_empty = operator != "-" && operator != "?";
        Ok(match operator {
            ":=" | ":-" | "=" | "-" => {
                Action::Default { word: self.word(head, &['}'], false)?, also_if_empty }
            }
            ":?" | "?" => {
                let start = self.at;
                self.word(head, &['}'], false)?;
                let message = self.text.get(start..self.at).unwrap_or_default();
                Action::Require { message, also_if_empty }
            }
            ":" => self.slice(head)?,
            "^" | "^^" | "," | ",," => {
                Action::Case { upper: operator.starts_with('^'), all: operator.len() == 2 }
            }
            "#" | "##" | "%" | "%%" => Action::Trim {
                pattern: self.filled_word(
                    head,
                    &['}'],
                    false,
                    "needs a pattern behind its `#` or `%`: add it",
                )?,
                from_end: operator.starts_with('%'),
                longest: operator.len() == 2,
            },
            "/" => self.replace(head, Which::First)?,
            "//" => self.replace(head, Which::All)?,
            "/#" => self.replace(head, Which::AtStart)?,
            "/%" => self.replace(head, Which::AtEnd)?,
            other => return Err(wrong(head, SubstituteProblem::Unsupported(other))),
        })
    }

    fn slice(&mut self, head: Head<'a>) -> Parsed<'a, Action<'a>> {
        const MISSING: &str = "needs a number behind each `:`: add it";
        let offset = self.filled_word(head, &[':', '}'], false, MISSING)?;
        let mut length = None;
        while self.eat(":") {
            length = Some(Word::new());
        }
        if length.is_some() {
            length = Some(self.filled_word(head, &['}'], false, MISSING)?);
        }
        Ok(Action::Slice { offset, length })
    }

    fn replace(&mut self, head: Head<'a>, which: Which) -> Parsed<'a, Action<'a>> {
        let pattern = self.filled_word(head, &['/'], true, "needs a text between its slashes: add it")?;
        while self.eat("/") {}
        let with = self.word(head, &['}'], true)?;
        Ok(Action::Replace { which, pattern, with })
    }

    fn filled_word(
        &mut self,
        head: Head<'a>,
        stop: &[char],
        escapes: bool,
        missing: &'static str,
    ) -> Parsed<'a, Word<'a>> {
        if self.rest().starts_with(stop) {
            return Err(wrong(head, SubstituteProblem::Malformed(missing)));
        }
        self.word(head, stop, escapes)
    }

    /// Parses up to one of the characters of `stop`. A backslash or a dollar escapes if `escapes` is set.
    fn word(&mut self, head: Head<'a>, stop: &[char], escapes: bool) -> Parsed<'a, Word<'a>> {
        let mut parts = Word::new();
        let mut from = self.at;
        while let Some(c) = self.rest().chars().next() {
            if self.rest().starts_with("${") {
                self.keep(from, &mut parts);
                self.nested(head, &mut parts)?;
                from = self.at;
            } else if escapes && ["$$", "\\/", "\\\\"].iter().any(|escape| self.rest().starts_with(escape)) {
                self.keep(from, &mut parts);
                from = self.at + 1;
                self.at += 2;
            } else if stop.contains(&c) {
                self.keep(from, &mut parts);
                return Ok(parts);
            } else {
                self.at += c.len_utf8();
            }
        }
        Err(wrong(head, SubstituteProblem::NotClosed))
    }

    /// Keeps the text from `from` up to the current position.
    fn keep(&self, from: usize, parts: &mut Word<'a>) {
        let text = self.text.get(from..self.at).unwrap_or_default();
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
    }

    /// Parses an expression inside another one. One that is not declared is text, up to its own `}`.
    fn nested(&mut self, head: Head<'a>, parts: &mut Word<'a>) -> Parsed<'a, ()> {
        if is_ours(self.text, self.at + 2, self.options) {
            parts.push(Part::Expression(self.expression()?));
            return Ok(());
        }
        let start = self.at;
        self.enter(head)?;
        self.at += 2;
        self.keep(start, parts);
        parts.extend(self.word(head, &['}'], false)?);
        let end = self.at;
        self.close(head)?;
        self.keep(end, parts);
        self.depth -= 1;
        Ok(())
    }

    fn enter(&mut self, head: Head<'a>) -> Parsed<'a, ()> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(wrong(head, SubstituteProblem::TooDeep(MAX_NESTING)));
        }
        Ok(())
    }

    fn close(&mut self, head: Head<'a>) -> Parsed<'a, ()> {
        if self.eat("}") {
            return Ok(());
        }
        let at_end = self.rest().is_empty();
        let malformed = SubstituteProblem::Malformed("continues with invalid text: correct it");
        Err(wrong(head, if at_end { SubstituteProblem::NotClosed } else { malformed }))
    }

    fn eat(&mut self, mark: &str) -> bool {
        let found = self.rest().starts_with(mark);
        if found {
            self.at += mark.len();
        }
        found
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

/// True if the expression whose `${` ends at `at` is to be substituted.
pub(super) fn is_ours(text: &str, at: usize, options: &Options) -> bool {
    match options.mode {
        Mode::Strict => true,
        Mode::Declared => options.value(name_behind(text, at).0).is_some(),
    }
}

/// Returns the name at `at`, and whether it follows the `#` that requests a length.
fn name_behind(text: &str, at: usize) -> (&str, bool) {
    let rest = text.get(at..).unwrap_or_default();
    let (rest, counts) = rest.strip_prefix('#').map_or((rest, false), |rest| (rest, true));
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (rest.get(..end).unwrap_or_default(), counts)
}

/// Returns the text at `at` that is not a valid name: `app-name`, `app.name`, `1`. A dash after a name starts a
/// default, but text that continues like a name is more likely meant as one: that default can be written with `:-`.
fn bad_name<'a>(text: &'a str, at: usize, name: &str) -> Option<&'a str> {
    let rest = text.get(at..).unwrap_or_default();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let whole = rest.get(..rest.find(|c| !is_part(c)).unwrap_or(rest.len())).unwrap_or_default();
    if !is_name(name) {
        return Some(whole);
    }
    let behind = rest.get(whole.len()..).unwrap_or_default();
    let ends = behind.starts_with('}') || OPERATORS.iter().any(|operator| behind.starts_with(operator));
    (ends && whole.trim_end_matches('-') != name).then_some(whole)
}

fn wrong((at, name): Head, problem: SubstituteProblem) -> Finding {
    Finding { at, name, problem }
}
