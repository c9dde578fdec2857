//! Writes a status, if it changed, as the smallest merge patch.
//!
//! I/O: API writes.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::api::{Sync, SyncStatus};
use crate::sync_ref::SyncRef;

/// Maximum duration of one write.
const LIMIT: Duration = Duration::from_secs(10);

/// Writes a status. Does nothing if the Sync was deleted.
pub async fn write(
    client: &Client,
    sync: &SyncRef,
    before: &SyncStatus,
    after: &SyncStatus,
) -> Result<(), kube::Error> {
    let api: Api<Sync> = Api::namespaced(client.clone(), sync.namespace());
    patch(&api, sync.name(), before, after).await
}

/// Changes the status of an object from one form to the other. Does nothing if the object was deleted.
pub async fn patch<K, S>(api: &Api<K>, name: &str, before: &S, after: &S) -> Result<(), kube::Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
    S: Serialize,
{
    let value = |status: &S| serde_json::to_value(status).map_err(kube::Error::SerdeError);
    let patch = difference(&value(before)?, &value(after)?);
    if patch.as_object().is_some_and(Map::is_empty) {
        return Ok(());
    }
    let params = PatchParams { field_manager: Some("holdfast".to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"status": patch}));
    match tokio::time::timeout(LIMIT, api.patch_status(name, &params, &patch)).await {
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(()),
        Ok(written) => written.map(drop),
        Err(late) => Err(kube::Error::Service(Box::new(late))),
    }
}

/// Returns the JSON merge patch (RFC 7386) from one value to another.
fn difference(before: &Value, after: &Value) -> Value {
    let (Some(one), Some(other)) = (before.as_object(), after.as_object()) else { return after.clone() };
    let mut patch = Map::new();
    for name in one.keys().filter(|name| !other.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in other {
        match one.get(name) {
            Some(old) if old == value => {}
            Some(old) => {
                patch.insert(name.clone(), difference(old, value));
            }
            None => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::difference;

    #[test]
    fn only_what_changed_is_sent_and_what_went_is_null() {
        let before = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]});
        let after = json!({"a": 1, "b": {"c": 3}, "e": [1, 2]});
        assert_eq!(difference(&before, &after), json!({"b": {"c": 3, "d": null}, "e": [1, 2]}));
        assert_eq!(difference(&before, &before), json!({}));
    }
}
