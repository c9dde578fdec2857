//! Who may tell of news by `POST /hooks/<path>`. Types, no behaviour.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sync::SecretRef;

/// Lets a service tell of news. What it says is not believed: it only causes a look. The path is in the status.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    pub provider: HookProvider,
    /// Key token: what signs the calls, and what the path is made of. At least 16 characters.
    pub secret_ref: SecretRef,
}

/// Who calls, and so how it proves that it may.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum HookProvider {
    /// `X-Signature-256: sha256=<HMAC-SHA256 of the body>`.
    Generic,
    GitHub,
    GitLab,
    Gitea,
    Forgejo,
    Bitbucket,
    /// GitHub's container registry: an event of the kind `package`, signed as GitHub does.
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
