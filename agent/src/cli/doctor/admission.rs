//! Whether the API server refuses an Approval in the name of another user, as the policies of the installation demand. A dry run
//! that must be refused. I/O: API.

use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use super::finding::{Finding, Findings};
use crate::api::Approval;

/// A user that does not exist.
const NO_USER: &str = "holdfast-doctor-no-user";

pub async fn check(client: &Client) -> Vec<Finding> {
    let mut findings = Findings::of("admission");
    let spec = json!({"sync": "holdfast-doctor", "planId": "000000000000", "decision": "Reject", "approver": NO_USER,
        "reason": "a dry run of holdfast doctor"});
    let approval = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Approval",
        "metadata": {"name": "holdfast-doctor"}, "spec": spec});
    let approval: Approval = match serde_json::from_value(approval) {
        Ok(approval) => approval,
        Err(error) => {
            findings
                .error(format!("cannot make an Approval: {error}"), "report this as a defect of holdfast");
            return findings.found;
        }
    };
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let api = Api::<Approval>::default_namespaced(client.clone());
    match api.create(&params, &approval).await {
        Ok(_) => findings.error(
            "the API server accepts Approvals in the name of another user: everybody who may create an Approval may approve as \
             anybody",
            "install the ValidatingAdmissionPolicies of manifests/base/admission.yaml, with their bindings: holdfast install",
        ),
        Err(kube::Error::Api(status)) if status.message.contains("spec.approver must be") => {
            findings.ok("Approvals in the name of another user are refused");
        }
        Err(error) => findings.failed("the policy for Approvals", &error),
    }
    findings.found
}
