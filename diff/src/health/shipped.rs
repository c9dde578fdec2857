//! The built-in checks, for kinds of well-known operators.
//!
//! They are in `shipped.yaml`, which a test compiles completely. A kind is listed if the rules of kstatus
//! and the condition `Ready` are not enough for it: the kinds of Flux, for example, are not. Pure.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::cel::{CelError, Check, Checks, NoData, telling};
use super::object::Object;
use super::{Health, Status};
use crate::yaml;

static SHIPPED: LazyLock<Checks> =
    LazyLock::new(|| compile().expect("a test compiles every check that is shipped"));

/// The name of the check for Crossplane's managed resources of every kind.
const MANAGED: &str = "*";

/// Evaluates the built-in check of an object.
pub(super) fn judge(object: Object, fields: &Map<String, Value>) -> Option<Health> {
    let check = SHIPPED.get(object.group(), object.kind()).or_else(|| {
        let managed = object.condition("Synced").is_some() && object.condition("Ready").is_some();
        SHIPPED.get(MANAGED, MANAGED).filter(|_| managed)
    })?;
    if is_stale(object) {
        return Some(Health::in_progress("its controller has not seen the newest change yet"));
    }
    let unsaid = |_| {
        let reported = telling(object, Status::InProgress);
        Health::in_progress(
            reported.unwrap_or_else(|| "its controller has not reported its state yet".into()),
        )
    };
    Some(check.verdict(object, fields, NoData::IsNo).unwrap_or_else(unsaid))
}

/// True if the observed generation is an older one: of the newest condition, or of the status if that is a
/// string, as in Argo Rollouts.
fn is_stale(object: Object) -> bool {
    let of_conditions =
        object.items("/status/conditions").iter().filter_map(|c| c.get("observedGeneration")?.as_i64());
    let of_status = object.text("/status/observedGeneration").parse().ok();
    let observed = of_conditions.max().or(of_status);
    observed.zip(object.int("/metadata/generation")).is_some_and(|(observed, newest)| observed < newest)
}

fn compile() -> Result<Checks, CelError> {
    let (documents, _) = yaml::read("shipped.yaml", include_bytes!("shipped.yaml"));
    let mut checks = Checks::default();
    for entry in documents.iter().filter_map(|document| document.value.as_array()).flatten() {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let check = Check::compile(text("current").unwrap_or_default(), text("failed"), text("inProgress"))?;
        let kinds = entry.get("kinds").and_then(Value::as_array).into_iter().flatten();
        for kind in kinds.filter_map(Value::as_str) {
            checks.insert(text("group").unwrap_or_default(), kind, check.clone());
        }
    }
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_check_compiles() {
        let (documents, errors) = yaml::read("shipped.yaml", include_bytes!("shipped.yaml"));
        assert_eq!(errors, []);
        for entry in documents.iter().filter_map(|document| document.value.as_array()).flatten() {
            let keys: Vec<&String> = entry.as_object().into_iter().flat_map(Map::keys).collect();
            let known = ["group", "kinds", "current", "failed", "inProgress"];
            assert!(keys.iter().all(|key| known.contains(&key.as_str())), "{entry}");
            assert!(["group", "kinds", "current"].iter().all(|key| entry.get(key).is_some()), "{entry}");
        }
        let compiled = compile().map(|checks| checks.get("cert-manager.io", "Certificate").is_some());
        assert_eq!(compiled, Ok(true));
    }
}
