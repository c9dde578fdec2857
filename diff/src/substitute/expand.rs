//! Substitutes the expressions of a text.
//!
//! Output and work are bounded. Leaves the syntax to `syntax`, functions to `function`. Pure.

use std::borrow::Cow;
use std::ops::Range;

use super::error::{Finding, SubstituteProblem};
use super::syntax::{Action, Expression, Parser, Part, Word, is_ours};
use super::{Mode, Options, function};

/// Maximum number of bytes by which a text grows, and of the result of one expression.
const MAX_GROWTH: usize = 10_000_000;
/// Maximum number of bytes of values that are read and made for one text.
const MAX_WORK: usize = 200_000_000;
/// Maximum number of errors that are reported for one text.
const MAX_FINDINGS: usize = 100;

pub(super) struct Filled<'a> {
    pub text: String,
    pub substitutions: Vec<Substitution<'a>>,
    pub findings: Vec<Finding<'a>>,
}

/// A substituted expression: the range before, and the length of its value after.
pub(super) struct Substitution<'a> {
    pub name: &'a str,
    pub from: Range<usize>,
    pub to: Range<usize>,
}

pub(super) fn expand<'a>(text: &'a str, options: &Options<'a>) -> Filled<'a> {
    let filled =
        Filled { text: String::with_capacity(text.len()), substitutions: Vec::new(), findings: Vec::new() };
    let mut expander = Expander { text, options, filled, work: 0 };
    expander.run();
    expander.filled
}

struct Expander<'a, 'o> {
    text: &'a str,
    options: &'o Options<'a>,
    filled: Filled<'a>,
    work: usize,
}

type Value<'a> = Result<Cow<'a, str>, Finding<'a>>;

impl<'a> Expander<'a, '_> {
    fn run(&mut self) {
        let mut at = 0;
        while let Some(before) = self.rest(at).find('$') {
            self.keep(at..at + before);
            at = self.dollars(at + before);
            if self.filled.findings.len() >= MAX_FINDINGS {
                return;
            }
        }
        self.keep(at..self.text.len());
    }

    /// Writes the result for the dollars at `at`, and returns where to continue.
    fn dollars(&mut self, at: usize) -> usize {
        let count = self.rest(at).bytes().take_while(|byte| *byte == b'$').count();
        let end = at + count;
        let opens = self.rest(end).starts_with('{');
        let ours = match self.options.mode {
            Mode::Strict => true,
            Mode::Declared => opens && is_ours(self.text, end + 1, self.options),
        };
        if !ours {
            self.keep(at..end);
            return end;
        }
        self.keep(at..at + count / 2);
        match (count % 2, opens) {
            (0, _) => end,
            (_, false) => {
                self.keep(at..=at);
                end
            }
            (_, true) => self.fill(end - 1),
        }
    }

    /// Substitutes the expression at `at`, and returns where to continue.
    fn fill(&mut self, at: usize) -> usize {
        let expression = match Parser::new(self.text, at, self.options).expression() {
            Ok(expression) => expression,
            Err(finding) => {
                self.filled.findings.push(finding);
                self.keep(at..at + 2);
                return at + 2;
            }
        };
        let from = expression.range.clone();
        let start = self.filled.text.len();
        match self.value(&expression) {
            Ok(value) if start + value.len() <= self.text.len() + MAX_GROWTH => {
                self.filled.text.push_str(&value);
            }
            Ok(_) => self.filled.findings.push(wrong(&expression, SubstituteProblem::TooLarge)),
            Err(finding) => self.filled.findings.push(finding),
        }
        let to = start..self.filled.text.len();
        let end = from.end;
        self.filled.substitutions.push(Substitution { name: expression.name, from, to });
        end
    }

    fn value(&mut self, expression: &Expression<'a>) -> Value<'a> {
        let value = self.apply(expression)?;
        self.work(expression, value.len())?;
        Ok(value)
    }

    fn apply(&mut self, expression: &Expression<'a>) -> Value<'a> {
        let set = self.lookup(expression)?;
        let is_set = |also_if_empty: bool| set.as_ref().is_some_and(|v| !(also_if_empty && v.is_empty()));
        match &expression.action {
            Action::Default { word, also_if_empty } if !is_set(*also_if_empty) => {
                return self.word(expression, word);
            }
            Action::Require { message, also_if_empty } if !is_set(*also_if_empty) => {
                let message = (*message).to_owned();
                return Err(wrong(expression, SubstituteProblem::Required { message }));
            }
            _ => {}
        }
        let Some(value) = set else {
            return Err(wrong(expression, SubstituteProblem::Undefined { near: None }));
        };
        match &expression.action {
            Action::Value | Action::Default { .. } | Action::Require { .. } => Ok(value),
            Action::Length => Ok(value.len().to_string().into()),
            Action::Case { upper, all } => Ok(function::case(&value, *upper, *all).into()),
            Action::Slice { offset, length } => {
                let offset = self.word(expression, offset)?;
                let length = length.as_ref().map(|length| self.word(expression, length)).transpose()?;
                let slice = function::slice(&value, &offset, length.as_deref());
                slice.map(|slice| slice.to_owned().into()).map_err(|problem| wrong(expression, problem))
            }
            Action::Trim { pattern, from_end, longest } => {
                let pattern = self.word(expression, pattern)?;
                self.work(expression, value.len().saturating_mul(pattern.len()))?;
                Ok(function::trim(&value, &pattern, *from_end, *longest).to_owned().into())
            }
            Action::Replace { which, pattern, with } => {
                let pattern = self.word(expression, pattern)?;
                let with = self.word(expression, with)?;
                let replaced = function::replace(&value, *which, &pattern, &with, MAX_GROWTH);
                replaced.map(Cow::Owned).ok_or_else(|| wrong(expression, SubstituteProblem::TooLarge))
            }
        }
    }

    /// Returns the value of the variable without its line breaks, if it has one.
    fn lookup(&mut self, expression: &Expression<'a>) -> Result<Option<Cow<'a, str>>, Finding<'a>> {
        let Some(value) = self.options.value(expression.name) else { return Ok(None) };
        self.work(expression, value.len())?;
        let without = || value.replace('\n', "");
        Ok(Some(if value.contains('\n') { without().into() } else { value.into() }))
    }

    fn word(&mut self, expression: &Expression<'a>, word: &Word<'a>) -> Value<'a> {
        let mut whole = Cow::Borrowed("");
        for part in word {
            whole += match part {
                Part::Text(text) => Cow::Borrowed(*text),
                Part::Expression(nested) => self.value(nested)?,
            };
            if whole.len() > MAX_GROWTH {
                return Err(wrong(expression, SubstituteProblem::TooLarge));
            }
        }
        Ok(whole)
    }

    fn work(&mut self, expression: &Expression<'a>, bytes: usize) -> Result<(), Finding<'a>> {
        self.work = self.work.saturating_add(bytes);
        if self.work > MAX_WORK {
            return Err(wrong(expression, SubstituteProblem::TooLarge));
        }
        Ok(())
    }

    fn keep(&mut self, bytes: impl std::slice::SliceIndex<str, Output = str>) {
        self.filled.text.push_str(self.text.get(bytes).unwrap_or_default());
    }

    fn rest(&self, at: usize) -> &'a str {
        self.text.get(at..).unwrap_or_default()
    }
}

fn wrong<'a>(expression: &Expression<'a>, problem: SubstituteProblem) -> Finding<'a> {
    Finding { at: expression.range.start, name: expression.name, problem }
}
