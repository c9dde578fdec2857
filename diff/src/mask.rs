//! Hides the values of Secrets before a difference leaves this crate. Pure.

use serde_json::{Map, Value};

use crate::compare::Difference;
use crate::object::GroupKind;

/// What stands for a value that is the same on both sides, or the only one.
const HIDDEN: &str = "***";
const HIDDEN_BEFORE: &str = "*** (before)";
const HIDDEN_AFTER: &str = "*** (after)";

/// Annotations in which tools keep a copy of the whole object.
const COPIES: [&str; 1] = ["/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"];

/// Hides what is secret in one difference of an object of this kind. Keys stay visible, and whether the
/// value before equals the one after.
pub fn mask(kind: &GroupKind, difference: Difference) -> Difference {
    if !kind.is("", "Secret") {
        return difference;
    }
    let Difference { path, before, after } = difference;
    let equal = before == after;
    let (as_before, as_after) = match (&before, &after) {
        (Some(_), Some(_)) if !equal => (HIDDEN_BEFORE, HIDDEN_AFTER),
        _ => (HIDDEN, HIDDEN),
    };
    Difference {
        before: before.map(|value| hide(&path, value, as_before)),
        after: after.map(|value| hide(&path, value, as_after)),
        path,
    }
}

/// Hides by place: below `/data` and `/stringData` every scalar, above them only those two.
fn hide(path: &str, value: Value, by: &str) -> Value {
    if secret(path) || COPIES.contains(&path) {
        return scalars(value, by);
    }
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, field)| {
                    let inner = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                    let field = hide(&inner, field, by);
                    (name, field)
                })
                .collect::<Map<_, _>>(),
        ),
        other => other,
    }
}

fn secret(path: &str) -> bool {
    ["/data", "/stringData"]
        .iter()
        .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

fn scalars(value: Value, by: &str) -> Value {
    match value {
        Value::Object(fields) => fields.into_iter().map(|(name, field)| (name, scalars(field, by))).collect(),
        Value::Array(items) => items.into_iter().map(|item| scalars(item, by)).collect(),
        _ => Value::String(by.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::mask;
    use crate::compare::Difference;
    use crate::object::GroupKind;

    fn masked(path: &str, before: Option<Value>, after: Option<Value>) -> (Option<Value>, Option<Value>) {
        let difference = Difference { path: path.to_owned(), before, after };
        let difference = mask(&GroupKind::new("", "Secret"), difference);
        (difference.before, difference.after)
    }

    #[test]
    fn values_are_hidden_and_keys_are_not() {
        assert_eq!(
            masked("/data/password", Some(json!("b2xk")), Some(json!("bmV3"))),
            (Some(json!("*** (before)")), Some(json!("*** (after)")))
        );
        assert_eq!(masked("/data", None, Some(json!({"a": "eA=="}))), (None, Some(json!({"a": "***"}))));
        assert_eq!(
            masked("", None, Some(json!({"kind": "Secret", "stringData": {"a": "x"}}))),
            (None, Some(json!({"kind": "Secret", "stringData": {"a": "***"}})))
        );
    }

    #[test]
    fn the_copy_that_kubectl_keeps_is_hidden() {
        let path = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";
        assert_eq!(masked(path, Some(json!("{...}")), None), (Some(json!("***")), None));
    }

    #[test]
    fn the_type_of_a_secret_is_not_a_secret() {
        assert_eq!(masked("/type", None, Some(json!("Opaque"))), (None, Some(json!("Opaque"))));
    }
}
