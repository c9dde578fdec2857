//! What can go wrong with a pull request, and what to do about it. No message has the token in it. Pure.

use std::time::Duration;

use super::action::Action;
use crate::api::Forge;
use crate::error::{Class, StageError};
use crate::http::Refused;

/// A request that a forge did not do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    #[error("cannot derive the repository from the URL {url}: {why}")]
    BadUrl { url: String, why: &'static str },
    #[error("the token for pull requests has letters that HTTP cannot send")]
    BadToken,
    #[error("ca.crt of the Secret is not a certificate in PEM")]
    BadCertificate,
    #[error("{source}")]
    Destination { source: Refused },
    #[error("cannot reach {host}: {said}")]
    Unreachable { host: String, said: String },
    #[error(
        "the certificate of {host} is not trusted: {said}; put the one of its authority into ca.crt of the Secret"
    )]
    Untrusted { host: String, said: String },
    #[error("{host} refuses the token: it is wrong or has expired; make one with {}", .what.rights(*.provider))]
    LoginRefused { host: String, provider: Forge, what: Action },
    #[error(
        "the token may not {what} of {repository}; it needs {}",
        needed(*.what, *.provider, .missing.as_deref())
    )]
    Forbidden {
        what: Action,
        repository: String,
        provider: Forge,
        /// What the forge says that the token does not have.
        missing: Option<String>,
    },
    #[error(
        "repository {repository} not found at {host}, or not visible to this token, which needs {}",
        .what.rights(*.provider)
    )]
    NotFound { host: String, repository: String, provider: Forge, what: Action },
    #[error("there are no commits between {base} and {head} to open a pull request for")]
    NothingToMerge { head: String, base: String },
    #[error("branch {head} or {base} not found at {host}")]
    NoBranch { host: String, head: String, base: String },
    #[error("{host} refuses to {what} with the status {status}; see the log of the forge")]
    Refused { what: Action, host: String, status: u16 },
    #[error("{host} limits requests for {} s", .after.as_secs().max(1))]
    Busy { host: String, after: Duration },
    #[error("{host} refuses to {what}: its limit for this commit or pull request is reached")]
    Full { host: String, what: Action },
    #[error(
        "repository {repository} is archived at {host}, so nothing can be written to it; unarchive it, or suspend this resource"
    )]
    Archived { repository: String, host: String },
    #[error("repository {repository} was moved at {host}; set the URL to its new address")]
    Moved { repository: String, host: String },
    #[error(
        "githubAppPrivateKey is not an RSA key in PEM; download a private key of the App and put all of it there"
    )]
    BadAppKey,
    #[error("githubAppID or githubAppInstallationID is not the id of a GitHub App")]
    BadAppId,
    #[error(
        "the GitHub App is not installed for {repository}; install it there, and check githubAppInstallationID"
    )]
    NotInstalled { repository: String },
    #[error("{host} gives no token for the GitHub App: {said}")]
    NoAppToken { host: String, said: &'static str },
    #[error("{} has no Apps; use a Secret with the key token", called(*.provider))]
    NoApps { provider: Forge },
    #[error("{host} answers with the status {status}")]
    Answered { host: String, status: u16 },
    #[error("{host} redirects {why}; set the URL of the API to where the forge is")]
    Redirected { host: String, why: &'static str },
    #[error("the answer of {host} has more than {limit} bytes")]
    TooLarge { host: String, limit: u64 },
    #[error("{host} does not respond as {} does: {said}; check the URL of the API", called(*.provider))]
    NotTheApi { host: String, provider: Forge, said: &'static str },
}

impl ForgeError {
    /// How long the forge asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { after, .. } => Some(*after),
            _ => None,
        }
    }
}

impl StageError for ForgeError {
    fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. }
            | Self::NothingToMerge { .. }
            | Self::NoBranch { .. }
            | Self::Busy { .. }
            | Self::Answered { .. }
            | Self::TooLarge { .. } => Class::Transient,
            Self::BadUrl { .. }
            | Self::BadToken
            | Self::BadCertificate
            | Self::Destination { .. }
            | Self::Untrusted { .. }
            | Self::LoginRefused { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Full { .. }
            | Self::Archived { .. }
            | Self::Moved { .. }
            | Self::BadAppKey
            | Self::BadAppId
            | Self::NotInstalled { .. }
            | Self::NoAppToken { .. }
            | Self::NoApps { .. }
            | Self::Redirected { .. }
            | Self::NotTheApi { .. } => Class::User,
        }
    }

    fn common_cause(&self) -> Option<String> {
        match self {
            Self::Unreachable { host, .. }
            | Self::Untrusted { host, .. }
            | Self::LoginRefused { host, .. }
            | Self::Busy { host, .. }
            | Self::Answered { host, .. }
            | Self::Redirected { host, .. }
            | Self::NotTheApi { host, .. } => Some(host.clone()),
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::BadUrl { .. } => "BadUrl",
            Self::BadToken => "BadToken",
            Self::BadCertificate => "BadCertificate",
            Self::Destination { .. } => "DestinationRefused",
            Self::Unreachable { .. } => "Unreachable",
            Self::Untrusted { .. } => "Untrusted",
            Self::LoginRefused { .. } => "LoginRefused",
            Self::Forbidden { .. } => "Forbidden",
            Self::NotFound { .. } => "NotFound",
            Self::NothingToMerge { .. } => "NothingToMerge",
            Self::NoBranch { .. } => "NoBranch",
            Self::Refused { .. } => "Refused",
            Self::Busy { .. } => "Busy",
            Self::Full { .. } => "LimitReached",
            Self::Archived { .. } => "Archived",
            Self::Moved { .. } => "Moved",
            Self::BadAppKey => "BadAppKey",
            Self::BadAppId => "BadAppId",
            Self::NotInstalled { .. } => "AppNotInstalled",
            Self::NoAppToken { .. } => "NoAppToken",
            Self::NoApps { .. } => "NoApps",
            Self::Answered { .. } => "Answered",
            Self::Redirected { .. } => "Redirected",
            Self::TooLarge { .. } => "TooLarge",
            Self::NotTheApi { .. } => "NotTheApi",
        }
    }
}

/// What a token needs: first what the forge says that it does not have.
fn needed(what: Action, provider: Forge, missing: Option<&str>) -> String {
    let all = what.rights(provider);
    missing.map_or_else(|| all.to_owned(), |missing| format!("{missing} (in all, {all})"))
}

fn called(provider: Forge) -> &'static str {
    match provider {
        Forge::GitHub => "GitHub",
        Forge::GitLab => "GitLab",
        Forge::Gitea => "Gitea",
    }
}
