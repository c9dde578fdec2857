//! Access to the fields of a live object for the rules of health: numbers, texts and conditions by path.
//!
//! Pure.

use serde_json::Value;

#[derive(Clone, Copy)]
pub(super) struct Object<'a>(&'a Value);

/// One entry of `status.conditions`. Missing fields are empty.
#[derive(Clone, Copy)]
pub(super) struct Condition<'a> {
    pub status: &'a str,
    pub reason: &'a str,
    pub message: &'a str,
    pub observed_generation: Option<i64>,
}

impl Condition<'_> {
    pub fn is_true(&self) -> bool {
        self.status == "True"
    }

    pub fn is_false(&self) -> bool {
        self.status == "False"
    }

    /// Returns the message of the condition, or its reason, or else `otherwise`.
    pub fn words(&self, otherwise: &str) -> String {
        let words = [self.message, self.reason, otherwise].into_iter().find(|words| !words.is_empty());
        words.unwrap_or_default().trim_end_matches('.').to_owned()
    }
}

impl<'a> Object<'a> {
    pub fn new(value: &'a Value) -> Self {
        Self(value)
    }

    pub fn group(self) -> &'a str {
        self.text("/apiVersion").split_once('/').map_or("", |(group, _)| group)
    }

    pub fn kind(self) -> &'a str {
        self.text("/kind")
    }

    pub fn get(self, pointer: &str) -> Option<&'a Value> {
        self.0.pointer(pointer)
    }

    pub fn int(self, pointer: &str) -> Option<i64> {
        self.get(pointer)?.as_i64()
    }

    /// Returns a text; empty if there is none.
    pub fn text(self, pointer: &str) -> &'a str {
        self.get(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn items(self, pointer: &str) -> &'a [Value] {
        self.get(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    pub fn condition(self, kind: &str) -> Option<Condition<'a>> {
        let condition =
            self.items("/status/conditions").iter().find(|condition| condition["type"] == kind)?;
        let text = |key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default();
        Some(Condition {
            status: text("status"),
            reason: text("reason"),
            message: text("message"),
            observed_generation: condition.get("observedGeneration").and_then(Value::as_i64),
        })
    }

    /// True once the controller of a kind with observed generations has observed the object.
    pub fn is_observed(self) -> bool {
        self.int("/status/observedGeneration").is_some()
    }
}
