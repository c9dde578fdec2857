//! Hides secret values before a difference leaves this crate: those of Secrets, and those of other kinds that came from a
//! Secret or from decryption. Pure.

mod forms;
mod masks;

use serde_json::{Map, Value};

pub use self::masks::Masks;
use crate::compare::Difference;
use crate::object::GroupKind;
use crate::pointer::child;

/// Replaces a value that is the same on both sides, or the only one.
pub const HIDDEN: &str = "***";
const HIDDEN_BEFORE: &str = "*** (before)";
const HIDDEN_AFTER: &str = "*** (after)";

/// Annotations in which tools keep a copy of the whole object.
const COPIES: [&str; 1] = ["/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"];

/// Masks what is secret in one difference of an object of this kind. Keys stay visible, and whether the
/// value before equals the one after.
///
/// If one side contains a text of `masks`, both are masked: the value before may be the previous secret.
pub fn mask(kind: &GroupKind, masks: &Masks, difference: Difference) -> Difference {
    let is_secret = kind.is("", "Secret");
    let Difference { path, before, after } = difference;
    let touched = [&before, &after].into_iter().flatten().any(|value| masks.touches(value));
    if !is_secret && !touched {
        let path = masks.hide(&path).into_owned();
        return Difference { path, before, after };
    }
    let equal = before == after;
    let (as_before, as_after) = match (&before, &after) {
        (Some(_), Some(_)) if !equal => (HIDDEN_BEFORE, HIDDEN_AFTER),
        _ => (HIDDEN, HIDDEN),
    };
    if !is_secret {
        return Difference {
            before: before.map(|value| scalars(value, as_before, masks)),
            after: after.map(|value| scalars(value, as_after, masks)),
            path: masks.hide(&path).into_owned(),
        };
    }
    Difference {
        before: before.map(|value| hide(&path, value, as_before)),
        after: after.map(|value| hide(&path, value, as_after)),
        path,
    }
}

/// Masks by path: every scalar below `/data` and `/stringData`; above them, only these two.
fn hide(path: &str, value: Value, by: &str) -> Value {
    if secret(path) || COPIES.contains(&path) {
        return scalars(value, by, &Masks::default());
    }
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, field)| {
                    let inner = child(path, &name);
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

/// Masks every scalar, and secret texts in keys.
fn scalars(value: Value, by: &str, masks: &Masks) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, field)| (masks.hide(&name).into_owned(), scalars(field, by, masks)))
            .collect(),
        Value::Array(items) => items.into_iter().map(|item| scalars(item, by, masks)).collect(),
        _ => Value::String(by.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Masks, mask};
    use crate::compare::Difference;
    use crate::object::GroupKind;

    fn masked(path: &str, before: Option<Value>, after: Option<Value>) -> (Option<Value>, Option<Value>) {
        let difference = Difference { path: path.to_owned(), before, after };
        let difference = mask(&GroupKind::new("", "Secret"), &Masks::default(), difference);
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
    fn what_came_from_a_secret_is_hidden_in_every_kind() {
        let mut masks = Masks::default();
        masks.add("hunter2!");
        let check =
            |path: &str, before: Option<Value>, after: Option<Value>, expected: [Option<Value>; 2]| {
                let difference = Difference { path: path.to_owned(), before, after };
                let found = mask(&GroupKind::new("", "ConfigMap"), &masks, difference);
                assert_eq!([found.before, found.after], expected, "{path}");
                assert!(!found.path.contains("hunter2"), "{}", found.path);
            };
        let (before, after) = (Some(json!("*** (before)")), Some(json!("*** (after)")));
        // The value before may be the one that the Secret had before.
        check(
            "/data/url",
            Some(json!("u:old@db")),
            Some(json!("u:hunter2!@db")),
            [before.clone(), after.clone()],
        );
        check("/data/url", Some(json!("u:hunter2!@db")), Some(json!("none")), [before, after]);
        check(
            "/spec/args",
            Some(json!(["--pw=old"])),
            Some(json!(["-v", "--pw=hunter2!"])),
            [Some(json!(["*** (before)"])), Some(json!(["*** (after)", "*** (after)"]))],
        );
        check("/data/hunter2!", None, Some(json!("a")), [None, Some(json!("a"))]);
        check("/data", None, Some(json!({"x-hunter2!": 1})), [None, Some(json!({"x-***": "***"}))]);
        check("/data/a", Some(json!("b")), Some(json!("c")), [Some(json!("b")), Some(json!("c"))]);
    }

    #[test]
    fn the_type_of_a_secret_is_not_a_secret() {
        assert_eq!(masked("/type", None, Some(json!("Opaque"))), (None, Some(json!("Opaque"))));
    }
}
