//! Creates Approvals for decisions in pull requests, and writes the result of an Approval to its status. I/O: API writes.

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use crate::api::{Approval, ApprovalSpec, ApprovalStatus};

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
    // An empty list removes the field.
    let remaining = Some(remaining).filter(|remaining| !remaining.is_empty());
    let status = json!({"state": state, "usedAt": used_at, "revision": revision, "remaining": remaining});
    let patch = json!({"metadata": {"resourceVersion": version}, "status": status});
    let params = PatchParams { field_manager: Some("holdfast".to_owned()), ..PatchParams::default() };
    let written = api.patch_status(name, &params, &Patch::Merge(patch)).await?;
    Ok(written.resource_version())
}

/// Creates an Approval out of a pull request. One that is there already is the same one: its name is that of the comment.
pub async fn create(
    client: &Client,
    namespace: &str,
    name: &str,
    spec: ApprovalSpec,
) -> Result<(), kube::Error> {
    let api = Api::<Approval>::namespaced(client.clone(), namespace);
    let params = PostParams { field_manager: Some("holdfast".to_owned()), ..PostParams::default() };
    match api.create(&params, &Approval::new(name, spec)).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        created => created.map(drop),
    }
}
