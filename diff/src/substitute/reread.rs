//! Parses a substituted text as an object, or finds the variable that broke it.
//!
//! Pure.

use serde_json::Value;

use super::error::{Finding, SubstituteProblem};
use super::expand::{Filled, Substitution};
use crate::yaml::read;

/// Parses a substituted text as one mapping. If that fails, finds the variable whose value causes the
/// failure when all before it are substituted.
pub(super) fn object<'a>(written: &str, filled: &Filled<'a>) -> Result<Value, Finding<'a>> {
    let problem = match mapping(&filled.text) {
        Ok(object) => return Ok(object),
        Err(problem) => problem,
    };
    let breaks = |count: usize| mapping(&partly(written, filled, count)).is_err();
    // With `low` substitutions it is an object, with `high` substitutions it is not.
    let (mut low, mut high) = (0, filled.substitutions.len());
    while high - low > 1 {
        let middle = low.midpoint(high);
        if breaks(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    let culprit = filled.substitutions.get(low);
    Err(Finding {
        at: culprit.map_or(0, |substitution| substitution.from.start),
        name: culprit.map_or("", |substitution| substitution.name),
        problem,
    })
}

fn mapping(text: &str) -> Result<Value, SubstituteProblem> {
    let (mut documents, errors) = read("", text.as_bytes());
    match (documents.pop(), documents.is_empty() && errors.is_empty()) {
        (Some(document), true) if document.value.is_object() => Ok(document.value),
        (_, true) => Err(SubstituteProblem::NotAnObject),
        _ => Err(SubstituteProblem::NotYaml),
    }
}

/// Returns the text with only the first substitutions made.
fn partly(written: &str, filled: &Filled, count: usize) -> String {
    let mut text = String::new();
    let mut at = 0;
    for (index, Substitution { from, to, .. }) in filled.substitutions.iter().enumerate() {
        text.push_str(filled.text.get(at..to.start).unwrap_or_default());
        let piece = if index < count { filled.text.get(to.clone()) } else { written.get(from.clone()) };
        text.push_str(piece.unwrap_or_default());
        at = to.end;
    }
    text.push_str(filled.text.get(at..).unwrap_or_default());
    text
}
