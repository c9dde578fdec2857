//! Writes what became of an Approval into its status. I/O: API writes.

use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use crate::api::{Approval, ApprovalStatus};

/// Writes the status of an Approval, if it is still at this resourceVersion, and returns the new one. If it has changed
/// meanwhile, the result is a conflict, and the decision must be read again.
pub async fn write(
    client: &Client,
    namespace: &str,
    name: &str,
    version: Option<&str>,
    status: &ApprovalStatus,
) -> Result<Option<String>, kube::Error> {
    let api = Api::<Approval>::namespaced(client.clone(), namespace);
    let ApprovalStatus { state, used_at, revision, remaining } = status;
    // Nothing is no list: then the field goes.
    let remaining = Some(remaining).filter(|remaining| !remaining.is_empty());
    let status = json!({"state": state, "usedAt": used_at, "revision": revision, "remaining": remaining});
    let patch = json!({"metadata": {"resourceVersion": version}, "status": status});
    let params = PatchParams { field_manager: Some("holdfast".to_owned()), ..PatchParams::default() };
    let written = api.patch_status(name, &params, &Patch::Merge(patch)).await?;
    Ok(written.resource_version())
}
