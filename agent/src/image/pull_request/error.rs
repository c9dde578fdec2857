//! What can go wrong with a pull request, and what to do about it. No message has the token in it. Pure.

use std::time::Duration;

use crate::api::Forge;
use crate::error::{Class, StageError};

/// No pull request was opened, changed or closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullRequestError {
    #[error("no repository of a forge can be read from the URL {url}: {why}")]
    BadUrl { url: String, why: &'static str },
    #[error("the token for pull requests has letters that HTTP cannot send")]
    BadToken,
    #[error("the certificates of ca.crt cannot be read: {said}")]
    BadCertificate { said: String },
    #[error("cannot reach {host}: {said}")]
    Unreachable { host: String, said: String },
    #[error(
        "the certificate of {host} is not trusted: {said}; put the one of its authority into ca.crt of the Secret"
    )]
    Untrusted { host: String, said: String },
    #[error("{host} refuses the token: it is wrong or has expired; make one with {}", rights(*.provider))]
    LoginRefused { host: String, provider: Forge },
    #[error("the token may not {what} of {repository}: {said}; it needs {}", rights(*.provider))]
    Forbidden { what: &'static str, repository: String, provider: Forge, said: String },
    #[error(
        "{host} knows no repository {repository}, or does not show it to this token, which needs {}: {said}",
        rights(*.provider)
    )]
    NotFound { host: String, repository: String, provider: Forge, said: String },
    #[error("there is nothing between {base} and {head} that a pull request could be about")]
    NothingToMerge { head: String, base: String },
    #[error("{host} does not know the branch {head}, or {base}: {said}")]
    NoBranch { host: String, head: String, base: String, said: String },
    #[error("the forge refuses to {what}: {said}")]
    Refused { what: &'static str, said: String },
    #[error("{host} asks to be left alone{}", wait(*.after))]
    Busy { host: String, after: Option<Duration> },
    #[error("{host} answers with {status}{said}")]
    Answered { host: String, status: u16, said: String },
    #[error("{host} leads to {to}, which is not followed; set pullRequest.url to where the forge is")]
    Redirected { host: String, to: String },
    #[error("the answer of {host} has more than {limit} bytes")]
    TooLarge { host: String, limit: usize },
    #[error("{host} does not answer as {} does: {said}; is pullRequest.url that of the forge?", called(*.provider))]
    NotTheApi { host: String, provider: Forge, said: String },
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
            | Self::BadCertificate { .. }
            | Self::Untrusted { .. }
            | Self::LoginRefused { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Redirected { .. }
            | Self::NotTheApi { .. } => Class::User,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::BadUrl { .. } => "BadUrl",
            Self::BadToken => "BadToken",
            Self::BadCertificate { .. } => "BadCertificate",
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
