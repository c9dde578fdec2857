//! What can go wrong with a pull request, and what to do about it. No message has the token in it. Pure.

use std::time::Duration;

use crate::api::Forge;
use crate::error::{Class, StageError};
use crate::http::Refused;

/// No pull request was opened, changed or closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullRequestError {
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
    #[error("{host} refuses the token: it is wrong or has expired; make one with {}", rights(*.provider))]
    LoginRefused { host: String, provider: Forge },
    #[error("the token may not {what} of {repository}; it needs {}", rights(*.provider))]
    Forbidden { what: &'static str, repository: String, provider: Forge },
    #[error(
        "repository {repository} not found at {host}, or not visible to this token, which needs {}",
        rights(*.provider)
    )]
    NotFound { host: String, repository: String, provider: Forge },
    #[error("there are no commits between {base} and {head} to open a pull request for")]
    NothingToMerge { head: String, base: String },
    #[error("branch {head} or {base} not found at {host}")]
    NoBranch { host: String, head: String, base: String },
    #[error("{host} refuses to {what} with the status {status}; see the log of the forge")]
    Refused { what: &'static str, host: String, status: u16 },
    #[error("{host} limits requests{}", wait(*.after))]
    Busy { host: String, after: Option<Duration> },
    #[error("{host} answers with the status {status}")]
    Answered { host: String, status: u16 },
    #[error("{host} redirects {why}; set pullRequest.url to where the forge is")]
    Redirected { host: String, why: &'static str },
    #[error("the answer of {host} has more than {limit} bytes")]
    TooLarge { host: String, limit: u64 },
    #[error("{host} does not respond as {} does: {said}; check pullRequest.url", called(*.provider))]
    NotTheApi { host: String, provider: Forge, said: &'static str },
}

impl PullRequestError {
    /// How long the forge asks to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { after, .. } => *after,
            _ => None,
        }
    }
}

impl StageError for PullRequestError {
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
            Self::Answered { .. } => "Answered",
            Self::Redirected { .. } => "Redirected",
            Self::TooLarge { .. } => "TooLarge",
            Self::NotTheApi { .. } => "NotTheApi",
        }
    }
}

/// What a token must be allowed.
fn rights(provider: Forge) -> &'static str {
    match provider {
        Forge::GitHub => {
            "the permissions Pull requests and Contents: read and write (fine-grained), or the scope repo (classic)"
        }
        Forge::GitLab => "the scope api and the role Developer in the project",
        Forge::Gitea => {
            "the scopes write:repository and write:issue, and the right to write to the repository"
        }
    }
}

fn called(provider: Forge) -> &'static str {
    match provider {
        Forge::GitHub => "GitHub",
        Forge::GitLab => "GitLab",
        Forge::Gitea => "Gitea",
    }
}

fn wait(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |after| format!(" for {} s", after.as_secs()))
}
