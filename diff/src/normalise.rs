//! Rewrites a manifest into the form that the API server and the controllers of Kubernetes store, if applying the
//! original form would cause a fight, or hide who owns a value. The meaning of the manifest does not change.
//!
//! Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::object::GroupKind;

/// The paths of certificate bundles that another process may inject.
const BUNDLES: [&str; 2] = ["/spec/conversion/webhook/clientConfig", "/spec"];

/// Bundles that are placeholders: empty, and a single line break.
const PLACEHOLDERS: [&str; 3] = ["", "Cg==", "\n"];

/// Removes `null` from the manifest of an object of a built-in kind, where it requests the removal of a field. In
/// custom kinds and definitions it may be a value. Returns the original manifest if it had a `null`.
pub fn without_nulls(kind: &GroupKind, manifest: &mut Value) -> Option<Value> {
    let group = kind.group.as_str();
    let is_custom = group.contains('.') && !group.ends_with(".k8s.io") || group == "apiextensions.k8s.io";
    if is_custom || !has_null(manifest) {
        return None;
    }
    let before = manifest.clone();
    strip(manifest);
    Some(before)
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.values().any(|field| field.is_null() || has_null(field)),
        Value::Array(items) => items.iter().any(has_null),
        _ => false,
    }
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Removes `status` from a manifest, since only controllers write it. Returns true if it had content.
pub fn without_status(manifest: &mut Value) -> bool {
    take(Some(manifest), "status").is_some_and(|status| says(&status))
}

/// True if a value is more than the empty fields that generators write.
fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(says),
        Value::Object(fields) => fields.values().any(says),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Normalises the manifest of an object of a kind.
pub fn normalise(kind: &GroupKind, manifest: &mut Value) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Secret") => secret(manifest),
        ("", "Namespace") => {
            // The server sets them, and only the subresource `finalize` may change them.
            take(manifest.get_mut("spec"), "finalizers");
        }
        ("rbac.authorization.k8s.io", "ClusterRole") if manifest.get("aggregationRule").is_some() => {
            // A controller sets the rules of all roles that are aggregated.
            take(Some(manifest), "rules");
        }
        ("admissionregistration.k8s.io", _) => {
            let webhooks = manifest.get_mut("webhooks").and_then(Value::as_array_mut);
            webhooks.into_iter().flatten().for_each(|webhook| bundle(webhook.get_mut("clientConfig")));
        }
        ("apiextensions.k8s.io" | "apiregistration.k8s.io", _) => {
            BUNDLES.into_iter().for_each(|path| bundle(manifest.pointer_mut(path)));
        }
        _ => {}
    }
}

fn take(from: Option<&mut Value>, name: &str) -> Option<Value> {
    from?.as_object_mut()?.remove(name)
}

/// Removes a CA bundle that is only a placeholder, since another controller sets it.
fn bundle(config: Option<&mut Value>) {
    let Some(config) = config else { return };
    let placeholder = |bundle: &Value| {
        bundle.is_null() || bundle.as_str().is_some_and(|text| PLACEHOLDERS.contains(&text.trim()))
    };
    if config.get("caBundle").is_some_and(placeholder) {
        take(Some(config), "caBundle");
    }
}

/// Converts `stringData` to `data`, and removes line breaks from base64. No manager would own the values of
/// `stringData` after an apply, so a change of them would not be detected.
fn secret(secret: &mut Value) {
    let Some(fields) = secret.as_object_mut() else { return };
    if let Some(Value::Object(data)) = fields.get_mut("data") {
        for value in data.values_mut() {
            if let Value::String(text) = value {
                text.retain(|character| !character.is_ascii_whitespace());
            }
        }
    }
    let all_text = |texts: &Map<String, Value>| texts.values().all(Value::is_string);
    if !fields.get("stringData").and_then(Value::as_object).is_some_and(all_text) {
        return;
    }
    let Some(Value::Object(texts)) = fields.remove("stringData") else { return };
    let data = fields.entry("data").or_insert(Value::Null);
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    if let Value::Object(data) = data {
        for (key, text) in texts {
            data.insert(key, STANDARD.encode(text.as_str().unwrap_or_default()).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(group: &str, kind: &str, mut manifest: Value, expected: &Value) {
        normalise(&GroupKind::new(group, kind), &mut manifest);
        assert_eq!(manifest, *expected);
    }

    #[test]
    fn a_secret_is_written_as_it_is_stored() {
        check(
            "",
            "Secret",
            json!({"data": {"a": "YQ==\n", "b": "Yg=="}, "stringData": {"b": "B", "c": "C"}}),
            &json!({"data": {"a": "YQ==", "b": "Qg==", "c": "Qw=="}}),
        );
        check("", "Secret", json!({"data": null, "stringData": {"b": "B"}}), &json!({"data": {"b": "Qg=="}}));
        // What is not text is for the server to refuse.
        check("", "Secret", json!({"stringData": {"b": 1}}), &json!({"stringData": {"b": 1}}));
    }

    #[test]
    fn null_asks_for_removal_in_kinds_of_kubernetes_only() {
        let check = |group: &str, expected: Value, had: bool| {
            let mut manifest = json!({"spec": {"a": null, "list": [{"b": null, "c": 1}]}});
            let before = without_nulls(&GroupKind::new(group, "Thing"), &mut manifest);
            assert_eq!((manifest, before.is_some()), (expected, had), "{group}");
        };
        check("apps", json!({"spec": {"list": [{"c": 1}]}}), true);
        check("helm.example.com", json!({"spec": {"a": null, "list": [{"b": null, "c": 1}]}}), false);
    }

    #[test]
    fn status_is_left_out_and_what_generators_write_there_says_nothing() {
        for (status, says) in
            [(json!({"ready": 1}), true), (json!({"conditions": [], "names": {"kind": ""}}), false)]
        {
            let mut manifest = json!({"spec": {}, "status": status});
            assert_eq!(without_status(&mut manifest), says);
            assert_eq!(manifest, json!({"spec": {}}));
        }
    }

    #[test]
    fn what_controllers_write_is_left_to_them() {
        check(
            "rbac.authorization.k8s.io",
            "ClusterRole",
            json!({"aggregationRule": {}, "rules": []}),
            &json!({"aggregationRule": {}}),
        );
        check("rbac.authorization.k8s.io", "ClusterRole", json!({"rules": []}), &json!({"rules": []}));
        check("", "Namespace", json!({"spec": {"finalizers": ["kubernetes"]}}), &json!({"spec": {}}));
    }

    #[test]
    fn a_bundle_is_ours_only_if_git_has_one() {
        let webhooks =
            |bundle: &Value| json!({"webhooks": [{"clientConfig": {"url": "u", "caBundle": bundle}}]});
        let kind = "ValidatingWebhookConfiguration";
        for placeholder in [json!(null), json!(""), json!("Cg==")] {
            let without = json!({"webhooks": [{"clientConfig": {"url": "u"}}]});
            check("admissionregistration.k8s.io", kind, webhooks(&placeholder), &without);
        }
        check("admissionregistration.k8s.io", kind, webhooks(&json!("QUJD")), &webhooks(&json!("QUJD")));
        check(
            "apiextensions.k8s.io",
            "CustomResourceDefinition",
            json!({"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": "Cg=="}}}}}),
            &json!({"spec": {"conversion": {"webhook": {"clientConfig": {}}}}}),
        );
    }
}
