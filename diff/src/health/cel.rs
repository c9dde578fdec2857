//! Health of custom kinds, by expressions in CEL.
//!
//! A check has up to three expressions. The rules for every kind come first, then `failed`, `in_progress`
//! and `current`; if none of them is true, the object is in progress. The fields of the object are variables, and
//! `self` and `object` are the whole object. Leaves parsing and limits to `cel/`. Pure.

mod expression;
mod rule;
mod syntax;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use rule::rule_holds;
pub use syntax::CelProblem;

use super::object::{Condition, Object};
use super::{Health, Status, generic};
use expression::{Doubt, Expression, Facts};

const CURRENT: &str = "current";
const FAILED: &str = "failed";
const IN_PROGRESS: &str = "inProgress";

/// When an object of a kind is current, failed or in progress.
///
/// # Guarantees
///
/// Only an expression that is true counts. Missing data is never health, nor is `all` over conditions that do not exist
/// (vacuous truth), even if a filter removed them. Evaluation ends after a bounded number of steps.
#[derive(Clone, Debug)]
pub struct Check {
    current: Expression,
    failed: Option<Expression>,
    in_progress: Option<Expression>,
}

/// The checks of a Sync, by group and kind.
#[derive(Clone, Debug, Default)]
pub struct Checks(BTreeMap<String, BTreeMap<String, Check>>);

/// An expression that cannot be used: ``the expression `current` is empty: ...``.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the expression `{expression}` {problem}")]
pub struct CelError {
    /// `current`, `failed` or `inProgress`.
    pub expression: &'static str,
    pub problem: CelProblem,
}

/// An expression that cannot be evaluated.
pub(super) struct Unanswered {
    expression: &'static str,
    doubt: Doubt,
}

/// What it means if `failed` or `inProgress` reads a field that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoData {
    /// It may be a mistake in a check of a user, so it is reported, and the object is not healthy.
    Report,
    /// It means neither failure nor progress.
    IsNo,
}

impl Check {
    /// Compiles the expressions of a check.
    ///
    /// # Errors
    ///
    /// The text is not CEL, is too long or too deep, or calls an unknown function.
    pub fn compile(current: &str, failed: Option<&str>, in_progress: Option<&str>) -> Result<Self, CelError> {
        let compile = |expression, source: &str| {
            Expression::compile(source).map_err(|problem| CelError { expression, problem })
        };
        Ok(Self {
            current: compile(CURRENT, current)?,
            failed: failed.map(|source| compile(FAILED, source)).transpose()?,
            in_progress: in_progress.map(|source| compile(IN_PROGRESS, source)).transpose()?,
        })
    }

    /// Evaluates a live object by the rules for every kind and then by the expressions.
    pub fn judge(&self, object: &Value) -> Health {
        let Some(fields) = object.as_object() else {
            return Health::unknown("this is not an object");
        };
        let object = Object::new(object);
        let judged = generic::first(object).map_or_else(|| self.verdict(object, fields, NoData::Report), Ok);
        judged.unwrap_or_else(|unanswered| Health::in_progress(unanswered.words()))
    }

    /// Evaluates the expressions.
    pub(super) fn verdict(
        &self,
        object: Object,
        fields: &Map<String, Value>,
        no_data: NoData,
    ) -> Result<Health, Unanswered> {
        let expressions = [(FAILED, &self.failed), (IN_PROGRESS, &self.in_progress)];
        let optional = expressions.into_iter().filter_map(|(name, e)| Some((name, e.as_ref()?)));
        let facts = Facts::new(fields, optional.clone().map(|(_, e)| e).chain([&self.current]));
        for (expression, rule) in optional {
            match rule.ask(&facts) {
                Ok(true) if is_vacuous(rule, object) => {}
                Ok(true) if expression == FAILED => return Ok(Health::failed(words(object, Status::Failed))),
                Ok(true) => return Ok(Health::in_progress(words(object, Status::InProgress))),
                Ok(false) | Err(Doubt::NoConditions) => {}
                Err(Doubt::NoData(_)) if no_data == NoData::IsNo => {}
                Err(doubt) => return Err(Unanswered { expression, doubt }),
            }
        }
        match self.current.ask(&facts) {
            Ok(true) if is_vacuous(&self.current, object) => Ok(Health::in_progress(NO_CONDITIONS)),
            Ok(true) => Ok(Health::current(words(object, Status::Current))),
            Ok(false) => Ok(Health::in_progress(words(object, Status::InProgress))),
            Err(doubt @ Doubt::NoConditions) if has_conditions(object) => {
                Err(Unanswered { expression: CURRENT, doubt })
            }
            Err(Doubt::NoConditions) => Ok(Health::in_progress(NO_CONDITIONS)),
            Err(doubt) => Err(Unanswered { expression: CURRENT, doubt }),
        }
    }
}

impl Checks {
    /// Adds a check, and replaces the previous one of the kind.
    pub fn insert(&mut self, group: impl Into<String>, kind: impl Into<String>, check: Check) {
        self.0.entry(group.into()).or_default().insert(kind.into(), check);
    }

    pub fn get(&self, group: &str, kind: &str) -> Option<&Check> {
        self.0.get(group)?.get(kind)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Unanswered {
    fn words(&self) -> String {
        let name = self.expression;
        match &self.doubt {
            Doubt::NoData(why) => format!("the check `{name}` has no data: {why}"),
            Doubt::NoConditions => {
                format!("the check `{name}` has no data: no condition that it reads is reported yet")
            }
            Doubt::Failed(why) => format!("the check `{name}` cannot be evaluated: {why}"),
            Doubt::NotBoolean(what) => format!("the check `{name}` is neither true nor false, but {what}"),
        }
    }
}

const NO_CONDITIONS: &str = "its controller has reported no conditions yet";

/// True if the expression is only true because there are no conditions.
fn is_vacuous(expression: &Expression, object: Object) -> bool {
    expression.asks_conditions() && !has_conditions(object)
}

fn has_conditions(object: Object) -> bool {
    !object.items("/status/conditions").is_empty()
}

/// Fields in which operators write a message beside the conditions, the most informative first.
const TEXTS: [&str; 8] = [
    "/status/message",
    "/status/error",
    "/status/error/message",
    "/status/failureMessage",
    "/status/failureReason",
    "/status/phaseReason",
    "/status/operationState/message",
    "/status/health/message",
];

fn words(object: Object, status: Status) -> String {
    let otherwise = match status {
        Status::Current => "it meets its check",
        Status::Failed => "it has failed",
        _ if object.get("/status").is_none() => "its controller has not reported its state yet",
        _ => "it does not meet its check yet",
    };
    telling(object, status).unwrap_or_else(|| otherwise.to_owned())
}

/// Returns a message from the object: of the condition Ready, of the first condition that is not true, or a text
/// field.
pub(super) fn telling(object: Object, status: Status) -> Option<String> {
    if status == Status::Current {
        let ready = object.condition("Ready").filter(Condition::is_true);
        return ready.map(|ready| ready.words("it is ready")).or_else(|| phase(object));
    }
    let ready = object.condition("Ready").filter(|ready| !ready.is_true());
    let not_ready = object.condition("NotReady").filter(Condition::is_true);
    let parents = object.items("/status/parents").iter();
    let of_parents = parents.flat_map(|parent| Object::new(parent).items("/conditions"));
    let conditions = object.items("/status/conditions").iter().chain(of_parents).map(condition);
    let (no, unknown): (Vec<_>, Vec<_>) = conditions
        .filter(|condition| !condition.is_true() && !condition.status.is_empty())
        .partition(Condition::is_false);
    let conditions: Vec<Condition> = ready.into_iter().chain(not_ready).chain(no).chain(unknown).collect();
    let messages = conditions.iter().map(|condition| condition.message);
    let reasons = conditions.iter().map(|condition| condition.reason);
    let texts = TEXTS.into_iter().map(|path| object.text(path));
    let words = messages.chain(reasons).chain(texts).find(|words| !words.is_empty());
    words.map(|words| words.trim_end_matches('.').to_owned()).or_else(|| phase(object))
}

fn phase(object: Object) -> Option<String> {
    let names = [
        ("/status/phase", "phase"),
        ("/status/state", "state"),
        ("/status/health", "health"),
        ("/status/health/status", "health"),
    ];
    let said = names.map(|(path, name)| (name, object.text(path)));
    let said = said.iter().filter(|(_, said)| !said.is_empty());
    let said: Vec<String> = said.map(|(name, said)| format!("its {name} is {said}")).collect();
    Some(said.join(" and ")).filter(|said| !said.is_empty())
}

fn condition(entry: &Value) -> Condition<'_> {
    let entry = Object::new(entry);
    Condition {
        status: entry.text("/status"),
        reason: entry.text("/reason"),
        message: entry.text("/message"),
        observed_generation: entry.int("/observedGeneration"),
    }
}
