//! Whether the CustomResourceDefinitions are installed, served, and those of this program. I/O: API.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;

use super::finding::{Finding, Findings};
use crate::VERSION;
use crate::cli::crd;
use crate::cli::install::ready::is_established;

/// Maximum number of fields that a message names.
const NAMED: usize = 5;
/// How the definitions are replaced.
const REMEDY: &str =
    "apply those of this version: holdfast crd | kubectl apply --server-side --force-conflicts -f -";

pub async fn check(client: &Client) -> Vec<Finding> {
    let mut findings = Findings::of("definitions");
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for wanted in crd::all() {
        let name = wanted.name_any();
        match api.get_opt(&name).await {
            Ok(Some(found)) => judge(&name, &wanted, &found, &mut findings),
            Ok(None) => findings.error(
                format!("{name} is not installed"),
                "install Holdfast: holdfast install, or kubectl apply -k manifests/",
            ),
            Err(error) => findings.failed(&name, &error),
        }
    }
    findings.found
}

fn judge(
    name: &str,
    wanted: &CustomResourceDefinition,
    found: &CustomResourceDefinition,
    findings: &mut Findings,
) {
    if !is_established(found) {
        let conditions = found.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let said: Vec<String> =
            conditions.filter(|one| one.status == "False").filter_map(|one| one.message.clone()).collect();
        findings.error(
            format!("{name} is not served: {}", said.join("; ")),
            format!("see its conditions: kubectl describe customresourcedefinition {name}"),
        );
        return;
    }
    let (wanted, found) = (fields(wanted), fields(found));
    let missing: Vec<&String> = wanted.difference(&found).collect();
    let more: Vec<&String> = found.difference(&wanted).collect();
    if !missing.is_empty() {
        findings
            .error(format!("{name} is older than holdfast {VERSION}: it lacks {}", list(&missing)), REMEDY);
    } else if !more.is_empty() {
        findings.warning(
            format!("{name} differs from that of holdfast {VERSION}: it has {} too", list(&more)),
            "use the version of holdfast that belongs to the installation, or replace the definitions",
        );
    } else {
        findings.ok(format!("{name} is that of holdfast {VERSION}"));
    }
}

fn list(names: &[&String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED).map(|name| name.as_str()).collect();
    let more = names.len().saturating_sub(NAMED);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// Returns the fields of all versions, with their types, defaults, values and rules, as texts that can be compared. Descriptions
/// do not count.
fn fields(definition: &CustomResourceDefinition) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for version in &definition.spec.versions {
        let schema = version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        let schema = serde_json::to_value(schema).unwrap_or_default();
        collect(&schema, &version.name, &mut found);
    }
    found
}

fn collect(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let Some(parts) = schema.as_object() else { return };
    for (name, part) in parts {
        match name.as_str() {
            "description" => {}
            "properties" => {
                for (field, schema) in part.as_object().into_iter().flatten() {
                    collect(schema, &format!("{path}.{field}"), found);
                }
            }
            "items" => collect(part, &format!("{path}[]"), found),
            "additionalProperties" if part.is_object() => collect(part, &format!("{path}.*"), found),
            "type" => drop(found.insert(format!("{path} ({})", part.as_str().unwrap_or_default()))),
            "x-kubernetes-validations" => {
                let rules = part.as_array().into_iter().flatten();
                found.extend(rules.map(|rule| format!("{path} (rule {})", rule["rule"])));
            }
            other => drop(found.insert(format!("{path} ({other} {part})"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn served(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
        let status = serde_json::json!({"acceptedNames": {"kind": "", "plural": ""}, "storedVersions": [],
            "conditions": [{"type": "Established", "status": "True", "reason": "", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        definition.status = serde_json::from_value(status).ok();
        definition
    }

    #[test]
    fn a_definition_of_another_version_is_noticed_and_the_fields_are_named() {
        let wanted = crd::all().remove(0);
        let judged = |found: &CustomResourceDefinition| {
            let mut findings = Findings::of("definitions");
            judge("syncs.holdfast.dev", &wanted, found, &mut findings);
            findings.found.remove(0)
        };
        assert_eq!(judged(&served(wanted.clone())).result, Verdict::Ok);
        assert_eq!(judged(&wanted).result, Verdict::Error);
        let mut value = serde_json::to_value(served(wanted.clone())).expect("JSON");
        let spec = &mut value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        spec["description"] = "another text".into();
        let same: CustomResourceDefinition = serde_json::from_value(value.clone()).expect("a definition");
        assert_eq!(judged(&same).result, Verdict::Ok);
        let spec = &mut value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let removed = spec["properties"].as_object_mut().expect("fields").remove("prune");
        let older: CustomResourceDefinition = serde_json::from_value(value.clone()).expect("a definition");
        let finding = judged(&older);
        assert!(
            finding.result == Verdict::Error && finding.message.contains("v1alpha1.spec.prune"),
            "{finding:?}"
        );
        let spec = &mut value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        spec["properties"]["prune"] = removed.clone().expect("it was there");
        spec["properties"]["later"] = removed.expect("it was there");
        let newer: CustomResourceDefinition = serde_json::from_value(value).expect("a definition");
        let finding = judged(&newer);
        assert!(finding.result == Verdict::Warning && finding.message.contains("spec.later"), "{finding:?}");
    }
}
