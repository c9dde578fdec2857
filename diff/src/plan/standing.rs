//! Who owns a live object, from the view of one Sync, and which operation an apply to it is.
//!
//! Labels and annotations are claims that every writer can set and that backup tools copy; only the holder of the key can verify a
//! mark, so the result is passed in as a value. Pure.

use serde_json::Value;

use crate::applyset::PART_OF;
use crate::fields;
use crate::operation::Operation;

/// The owner of a live object, from the view of one Sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Applied for this Sync: its mark is valid.
    Ours,
    /// Applied for another Sync; its name if this Sync may know it.
    Others(Option<String>),
    /// It carries the marks of this Sync, but they are not valid for this object: it is a copy or a forgery, or another client
    /// deleted and created it again.
    Copied,
    /// Not applied by this installation.
    Foreign,
}

impl Standing {
    /// True if an apply changes the owner of the object, even if it changes no value.
    pub fn changes(&self) -> bool {
        *self != Self::Ours
    }

    /// Returns the operation that an apply to an existing object is, and its reason.
    pub fn operation(&self, live: &Value, set: &str) -> (Operation, String) {
        let label = live.pointer("/metadata/labels").and_then(|labels| labels.get(PART_OF));
        let (operation, reason) = match self {
            Self::Ours if fields::applied(live).is_none() => {
                (Operation::Update, "its managedFields were removed, so its fields have no owner")
            }
            Self::Ours if label.and_then(Value::as_str) != Some(set) => (Operation::Update, "lost its label"),
            Self::Ours => (Operation::Update, "differs from Git"),
            Self::Others(Some(sync)) => return (Operation::Move, format!("was part of Sync {sync}")),
            Self::Others(None) => (Operation::Move, "was part of another Sync"),
            Self::Copied => (
                Operation::Adopt,
                "carries the marks of this Sync and was not applied by it (copied or forged)",
            ),
            Self::Foreign if label.is_some() => (Operation::Adopt, "is part of another ApplySet"),
            Self::Foreign => (Operation::Adopt, "exists and was not managed"),
        };
        (operation, reason.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Standing;
    use crate::applyset::PART_OF;
    use crate::operation::Operation;

    fn live(label: Option<&str>, managers: &Value) -> Value {
        let labels = label.map(|label| json!({PART_OF: label}));
        json!({"metadata": {"name": "a", "labels": labels, "managedFields": managers}})
    }

    #[test]
    fn what_an_apply_is_called_depends_on_the_mark_and_not_on_the_label() {
        let ours = json!([{"manager": "holdfast", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {}}}]);
        let check = |standing: Standing, live: &Value, operation, part: &str| {
            let (found, reason) = standing.operation(live, "set");
            assert_eq!(found, operation, "{standing:?}: {reason}");
            assert!(reason.contains(part), "{standing:?}: {reason}");
        };
        check(Standing::Ours, &live(Some("set"), &ours), Operation::Update, "differs");
        check(Standing::Ours, &live(None, &ours), Operation::Update, "label");
        check(Standing::Ours, &live(Some("set"), &json!([{}])), Operation::Update, "managedFields");
        check(Standing::Copied, &live(Some("set"), &ours), Operation::Adopt, "copied or forged");
        check(Standing::Others(None), &live(Some("other"), &ours), Operation::Move, "another Sync");
        check(Standing::Others(Some("a/b".to_owned())), &live(Some("other"), &ours), Operation::Move, "a/b");
        check(Standing::Foreign, &live(Some("other"), &ours), Operation::Adopt, "another ApplySet");
        check(Standing::Foreign, &live(None, &json!([])), Operation::Adopt, "not managed");
    }
}
