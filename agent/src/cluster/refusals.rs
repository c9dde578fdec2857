//! A cache of refusals that were analysed. As long as the object, its manifest and the message of the API server are the same, so
//! is the result, and only the apply itself is tried again. No I/O.

use std::collections::HashMap;

use holdfast_diff::digest::Digest;
use holdfast_diff::object::ObjectId;
use parking_lot::Mutex;
use serde_json::Value;

use super::entry;
use super::refusal::ObjectError;
use crate::error::Class;

/// Maximum number of refusals in the cache. If there are more, it is emptied.
const LIMIT: usize = 1000;

/// Each refused manifest with its analysed refusal.
#[derive(Default)]
pub struct Refusals(Mutex<HashMap<ObjectId, (Refused, ObjectError)>>);

/// One refusal of an apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    manifest: Digest,
    live: Digest,
    said: String,
}

impl Refused {
    /// Creates the key of a refusal: the manifest, the live object and the message.
    pub fn of(manifest: Digest, live: &Value, said: &ObjectError) -> Self {
        Self { manifest, live: entry::whole(live), said: said.message.clone() }
    }
}

impl Refusals {
    /// Returns the result of this refusal, if it was analysed.
    pub fn known(&self, object: &ObjectId, refused: &Refused) -> Option<ObjectError> {
        let all = self.0.lock();
        all.get(object).filter(|(known, _)| known == refused).map(|(_, error)| error.clone())
    }

    /// Records that only a user can resolve a refusal.
    pub fn note(&self, object: &ObjectId, refused: Refused, error: &ObjectError) {
        if error.class != Class::User {
            return;
        }
        let mut all = self.0.lock();
        if all.len() >= LIMIT {
            all.clear();
        }
        all.insert(object.clone(), (refused, error.clone()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use holdfast_diff::object::GroupKind;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_is_known_until_the_object_or_git_or_the_words_change() {
        let object = ObjectId::new(Arc::new(GroupKind::new("", "ConfigMap")), "shop", "a");
        let refused = |manifest: &[u8], live: &str, said: &str| {
            let said = ObjectError::user(&object, None, "Invalid", said);
            Refused::of(Digest::of_bytes(manifest), &json!({"data": {"key": live}}), &said)
        };
        let refusals = Refusals::default();
        let error = ObjectError::user(&object, None, "Invalid", "it cannot be");
        refusals.note(&object, refused(b"1", "a", "no"), &error);
        assert!(refusals.known(&object, &refused(b"1", "a", "no")).is_some());
        for other in [refused(b"2", "a", "no"), refused(b"1", "b", "no"), refused(b"1", "a", "never")] {
            assert!(refusals.known(&object, &other).is_none(), "{other:?}");
        }
        let transient = ObjectError::transient(&object, None, "Unreachable", "later");
        refusals.note(&object, refused(b"2", "a", "no"), &transient);
        assert!(refusals.known(&object, &refused(b"2", "a", "no")).is_none());
    }
}
