//! One expression, and its evaluation for an object.
//!
//! An evaluation ends after a bounded number of steps. Leaves parsing to `syntax` and the meaning of the result
//! to `cel`. Pure.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use cel::common::value::CowVal;
use cel::objects::{Key, Map as CelMap};
use cel::{Context, Env, ExecutionError, FunctionContext, Value as CelValue};
use serde_json::{Map, Value};

use super::syntax::{self, CelProblem, LOOP, LOOP_OVER_CONDITIONS, SUM, Tree};

/// Maximum number of steps of one evaluation: items that are visited, and characters or items that are concatenated.
const MAX_STEPS: usize = 20_000;

/// Why an expression has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    NoData(String),
    NoConditions,
    Failed(String),
    NotBoolean(String),
}

#[derive(Clone, Debug)]
pub(super) struct Expression(Tree);

/// An object as expressions read it.
pub(super) struct Facts {
    context: Context<'static, 'static>,
    steps: Arc<AtomicUsize>,
}

impl Expression {
    pub fn compile(source: &str) -> Result<Self, CelProblem> {
        syntax::read(source).map(Self)
    }

    /// True if it reads `status.conditions`.
    pub fn asks_conditions(&self) -> bool {
        self.0.asks_conditions
    }

    /// Returns whether the expression is true for the object.
    pub fn ask(&self, facts: &Facts) -> Result<bool, Doubt> {
        facts.steps.store(MAX_STEPS, Ordering::Relaxed);
        match CelValue::resolve(&self.0.root, &facts.context) {
            Ok(CelValue::Bool(answer)) => Ok(answer),
            Ok(other) => Err(Doubt::NotBoolean(other.type_of().to_string())),
            Err(error) => Err(doubt(error)),
        }
    }
}

impl Facts {
    /// Provides the top-level fields of an object, and `self` and `object` for the whole object: those that
    /// `expressions` read.
    pub fn new<'a>(object: &Map<String, Value>, expressions: impl Iterator<Item = &'a Expression>) -> Self {
        static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));
        let mut context = Context::with_env(ENV.clone());
        let names: BTreeSet<&String> = expressions.flat_map(|expression| &expression.0.variables).collect();
        for name in names {
            if let Some(value) = object.get(name) {
                context.add_variable_from_value(name, convert(value));
            } else if name == "self" || name == "object" {
                context.add_variable_from_value(name, convert_map(object));
            } else if name == "status" || name == "spec" {
                // Makes `has(status.ready)` false while there is no status.
                context.add_variable_from_value(name, convert_map(&Map::new()));
            }
        }
        let steps = Arc::new(AtomicUsize::new(MAX_STEPS));
        for name in [LOOP, LOOP_OVER_CONDITIONS, SUM] {
            let charge = charge(name, steps.clone());
            context.add_function(name, charge).expect("the name is none of the standard library");
        }
        Self { context, steps }
    }
}

type Function = Box<
    dyn for<'c, 'v> Fn(&mut FunctionContext<'c, 'v>) -> Result<CowVal<'c, 'v>, ExecutionError> + Send + Sync,
>;

/// A function that returns its argument and pays for its size.
fn charge(name: &'static str, steps: Arc<AtomicUsize>) -> Function {
    Box::new(move |call| {
        let value = call.args.pop().ok_or_else(ExecutionError::missing_argument_or_target)?;
        let size = value.as_sizer().map_or(0, |sizer| *sizer.size().inner());
        if size == 0 && name == LOOP_OVER_CONDITIONS {
            return Err(ExecutionError::function_error(name, "no conditions"));
        }
        let left = steps.load(Ordering::Relaxed);
        let left = usize::try_from(size).ok().and_then(|size| left.checked_sub(size));
        let left = left.ok_or_else(|| ExecutionError::function_error(name, "out of steps"))?;
        steps.store(left, Ordering::Relaxed);
        Ok(value)
    })
}

/// Values could be secrets, so the message contains only keys and types.
fn doubt(error: ExecutionError) -> Doubt {
    use ExecutionError as E;
    Doubt::Failed(match error {
        E::NoSuchKey(key) => return Doubt::NoData(format!("there is no key `{key}`")),
        E::UndeclaredReference(name) => return Doubt::NoData(format!("there is no field `{name}`")),
        E::IndexOutOfBounds(_) => {
            return Doubt::NoData("a list has fewer items than the expression needs".into());
        }
        E::FunctionError { function, .. } if function == LOOP_OVER_CONDITIONS => return Doubt::NoConditions,
        E::FunctionError { function, .. } if function == LOOP || function == SUM => {
            format!("it takes more than {MAX_STEPS} steps")
        }
        E::FunctionError { function, .. } => format!("`{function}` does not take these values"),
        E::NoSuchOverload(error) => {
            let types = error.argument_types().join(", ");
            format!("`{}` does not apply to {types}", error.function().trim_matches('_'))
        }
        E::UnsupportedBinaryOperator(operator, left, right) => {
            let signs = [("add", "+"), ("sub", "-"), ("mul", "*"), ("div", "/"), ("rem", "%")];
            let sign = signs.iter().find(|(name, _)| *name == operator).map_or(operator, |(_, sign)| sign);
            format!("`{sign}` does not apply to {}, {}", left.type_of(), right.type_of())
        }
        E::UnexpectedType { want, .. } => format!("a value is not {want}"),
        E::DivisionByZero(_) | E::RemainderByZero(_) => "it divides by zero".into(),
        E::Overflow(..) => "a number becomes too large".into(),
        _ => "it does not fit the object".into(),
    })
}

/// Integers become signed if possible: literals are signed, and arithmetic does not mix both.
pub(super) fn convert(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(value) => CelValue::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => CelValue::Int(number),
            (None, Some(number)) => CelValue::UInt(number),
            (None, None) => CelValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(convert).collect())),
        Value::Object(fields) => convert_map(fields),
    }
}

fn convert_map(fields: &Map<String, Value>) -> CelValue {
    let entries = fields.iter().map(|(key, value)| (Key::from(key.as_str()), convert(value)));
    CelValue::Map(CelMap { map: Arc::new(entries.collect()) })
}
