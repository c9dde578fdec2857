//! Whose a live object is, as one Sync sees it, and what applying it then is called.
//!
//! Labels and annotations are claims that every writer can set and that backup tools copy; whether a mark is valid is known to who
//! has the key, so that comes as a value. Pure.

use serde_json::Value;

use crate::applyset::PART_OF;
use crate::fields;
use crate::operation::Operation;

/// Whose a live object is, as one Sync sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Applied for this Sync: its mark is valid.
    Ours,
    /// Applied for another Sync. Named where this Sync may know its name.
    Others(Option<String>),
    /// It carries the marks of this Sync, and none that is valid for this object: it is a copy, a forgery, or it was
    /// deleted and created again by another client.
    Copied,
    /// Not applied by this installation.
    Foreign,
}

impl Standing {
    /// True if applying changes whose the object is, though perhaps no value.
    pub fn changes(&self) -> bool {
        *self != Self::Ours
    }

    /// What applying an object that exists is called, and why.
    pub fn operation(&self, live: &Value, set: &str) -> (Operation, String) {
        let label = live.pointer("/metadata/labels").and_then(|labels| labels.get(PART_OF));
        let (operation, reason) = match self {
            Self::Ours if fields::applied(live).is_none() => {
                (Operation::Update, "its managedFields were removed, so its fields have no owner")
            }
            Self::Ours if label.and_then(Value::as_str) != Some(set) => (Operation::Update, "lost its label"),
            Self::Ours => (Operation::Update, "differs from git"),
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
