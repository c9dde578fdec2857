//! Who may announce news by `POST /hooks/<path>`. Types, no behaviour.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret_ref::SecretRef;

/// Lets a service announce news. The payload is not trusted: a call only triggers a check. The path is in
/// `status.webhookPath`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    /// Service that calls, which decides how a call is verified: by a signature of the body with the token (`Generic`, `GitHub`,
    /// `GHCR`, `Gitea`, `Forgejo`, `Bitbucket`), by the token in a header (`GitLab`, `Harbor`, `ECR`), or by the path alone
    /// (`DockerHub`, `Quay`).
    pub provider: HookProvider,
    /// Secret in the namespace of the resource, with the key `token` of at least 16 characters. It verifies calls, and the path
    /// is derived from it.
    pub secret_ref: SecretRef,
}

/// Service that calls, which decides how a call is verified: by a signature of the body with the token (`Generic`, `GitHub`,
/// `GHCR`, `Gitea`, `Forgejo`, `Bitbucket`), by the token in a header (`GitLab`, `Harbor`, `ECR`), or by the path alone
/// (`DockerHub`, `Quay`).
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum HookProvider {
    /// `X-Signature-256: sha256=<HMAC-SHA256 of the body>`.
    Generic,
    GitHub,
    GitLab,
    Gitea,
    Forgejo,
    Bitbucket,
    /// GitHub's container registry, whose events `package` are signed as GitHub signs.
    #[serde(rename = "GHCR")]
    Ghcr,
    /// Signs nothing: the path is its proof.
    DockerHub,
    /// `Authorization`, as it is set in the project's webhook.
    Harbor,
    /// Signs nothing: the path is its proof.
    Quay,
    /// An EventBridge rule for ECR: the token in `X-Holdfast-Token`, or in `Authorization` as a bearer.
    #[serde(rename = "ECR")]
    Ecr,
}
