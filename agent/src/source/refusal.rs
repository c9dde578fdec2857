//! Why a push failed, and what a user can do about it.
//!
//! Servers report the reason only as text, which is matched here. Pure.

use std::fmt;

use super::write::WriteError;
use super::{CommitId, SourceError};
use crate::error::{Class, StageError};
use crate::http::host;

/// Why a commit is not, or may not be, on the server.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PushError {
    /// Another push came first. Nothing was lost: fetch, edit and push again.
    #[error("{url}: {branch} moved in the meantime{}", to(.now.as_ref()))]
    Moved { url: String, branch: String, now: Option<CommitId> },
    #[error("{url}: {reason}: {branch}{}; {}", colon(.said), .reason.hint())]
    Refused { url: String, branch: String, reason: Refusal, said: String },
    /// The commit was sent, but no response arrived. The branch shows whether the commit arrived.
    #[error("{url}: the commit {commit} was sent to {branch}, but no answer arrived{}", colon(.said))]
    Unknown { url: String, branch: String, commit: CommitId, said: String },
    /// Nothing was sent.
    #[error(
        "{url}: no answer within {seconds} s, and nothing was pushed; check the server, or allow more time"
    )]
    Timeout { url: String, seconds: u64 },
    #[error("{0}")]
    Write(#[from] WriteError),
    #[error("{0}")]
    Source(#[from] SourceError),
}

impl StageError for PushError {
    fn class(&self) -> Class {
        match self {
            Self::Moved { .. } | Self::Unknown { .. } | Self::Timeout { .. } => Class::Transient,
            Self::Refused { reason, .. } => reason.class(),
            Self::Write(error) => error.class(),
            Self::Source(error) => error.class(),
        }
    }

    fn common_cause(&self) -> Option<String> {
        match self {
            Self::Timeout { url, .. } => Some(host(url)),
            Self::Source(error) => error.common_cause(),
            Self::Moved { .. } | Self::Refused { .. } | Self::Unknown { .. } | Self::Write(_) => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Moved { .. } => "BranchMoved",
            Self::Refused { reason, .. } => reason.name(),
            Self::Unknown { .. } => "PushUnknown",
            Self::Timeout { .. } => "PushTimeout",
            Self::Write(error) => error.name(),
            Self::Source(error) => error.name(),
        }
    }
}

fn to(now: Option<&CommitId>) -> String {
    now.map(|now| format!(", to {now}")).unwrap_or_default()
}

fn colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// The reason why a server rejects a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Protected,
    Hook,
    ReadOnly,
    Archived,
    Gone,
    NameTaken,
    TooLarge,
    Shallow,
    Other,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protected => "the branch is protected",
            Self::Hook => "a hook of the server declined the push",
            Self::ReadOnly => "the login or key may read but not write",
            Self::Archived => "the repository is archived",
            Self::Gone => "the branch does not exist any more",
            Self::NameTaken => "another branch conflicts with this name",
            Self::TooLarge => "the server has no space for the push",
            Self::Shallow => "the server accepts no push from a shallow clone",
            Self::Other => "the server refuses the push",
        })
    }
}

/// Messages of servers, in lower case, and their meaning. The first match counts: messages of a single server come
/// first, and messages that any hook could write come last.
const WORDS: &[(Refusal, &[&str])] = &[
    (Refusal::Archived, &["was archived", "is archived", "has been archived"]),
    (
        Refusal::Protected,
        &[
            "protected branch",
            "is protected",
            "gh006",
            "gh013",
            "rule violations",
            "tf402455",
            "not allowed to push to branch",
            "prohibited by gerrit",
        ],
    ),
    (
        Refusal::ReadOnly,
        &[
            "marked as read only",
            "not authorized to write",
            "not have write access",
            "not allowed to push code",
            "not allowed to upload code",
            "write access to repository not granted",
            "genericcontribute",
            "denied to ",
            "http status 403",
        ],
    ),
    (
        Refusal::TooLarge,
        &[
            "exceeds maximum",
            "exceeds github's file size limit",
            "exceed the maximum",
            "exceeded its quota",
            "no space left",
            "http status 413",
        ],
    ),
    (Refusal::Shallow, &["shallow update not allowed"]),
    (Refusal::Hook, &["hook declined"]),
    (Refusal::ReadOnly, &["read only", "read-only", "readonly", "no write access"]),
    (Refusal::TooLarge, &["quota", "too large", "larger than"]),
];

/// Reasons of `ng` if the branch has moved to another commit meanwhile.
const LATE: &[&str] = &[
    "non-fast-forward",
    "non-fast forward",
    "fetch first",
    "stale info",
    "cannot lock ref",
    "unable to lock",
    "failed to lock",
    "failed to update ref",
    "lock failure",
    "lock error",
    "incorrect old value",
    "reference already exists",
    "reference has changed",
    "but expected",
];

impl Refusal {
    /// Classifies a message of a server, if it is known.
    pub(super) fn of(text: &str) -> Option<Self> {
        let low = text.to_lowercase();
        let known = WORDS.iter().find(|(_, words)| words.iter().any(|word| low.contains(word)));
        known.map(|(refusal, _)| *refusal)
    }

    /// True if the reason of `ng` is only that another push came first.
    pub(super) fn is_late(reason: &str) -> bool {
        let low = reason.to_lowercase();
        LATE.iter().any(|word| low.contains(word))
    }

    /// Returns what the user can do.
    fn hint(self) -> &'static str {
        match self {
            Self::Protected => "let this login push to it, or push to another branch and open a pull request",
            Self::Hook => "correct what the hook rejects",
            Self::ReadOnly => {
                "give the deploy key or the token write access, and check that the repository exists"
            }
            Self::Archived => "unarchive it, or suspend the updates",
            Self::Gone => "create it again, or set another one",
            Self::NameTaken => "choose another name, or remove the other one",
            Self::TooLarge => "free space on the server, or raise its limit",
            Self::Shallow => "set receive.shallowUpdate on the server",
            Self::Other => "check the log of the server",
        }
    }

    fn class(self) -> Class {
        match self {
            // The cause is unknown, so it may be temporary.
            Self::Other | Self::TooLarge => Class::Transient,
            _ => Class::User,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Protected => "BranchProtected",
            Self::Hook => "HookDeclined",
            Self::ReadOnly => "LoginReadOnly",
            Self::Archived => "RepositoryArchived",
            Self::Gone => "BranchGone",
            Self::NameTaken => "BranchNameTaken",
            Self::TooLarge => "PushTooLarge",
            Self::Shallow => "ShallowRefused",
            Self::Other => "PushRefused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<Refusal>) {
        assert_eq!(Refusal::of(text), expected, "{text}");
    }

    #[test]
    fn the_words_of_servers_are_understood() {
        // Gitea and Forgejo
        check(
            "pre-receive hook declined: Gitea: Not allowed to push to protected branch main",
            Some(Refusal::Protected),
        );
        check(
            "Gitea: Deploy Key: 1:agent is not authorized to write to alice/config.",
            Some(Refusal::ReadOnly),
        );
        check("mirror repository is read-only", Some(Refusal::ReadOnly));
        // GitHub
        check(
            "GH006: Protected branch update failed for refs/heads/main.; protected branch hook declined",
            Some(Refusal::Protected),
        );
        check("push declined due to repository rule violations", Some(Refusal::Protected));
        check(
            "ERROR: The key you are authenticating with has been marked as read only.",
            Some(Refusal::ReadOnly),
        );
        check("ERROR: Permission to org/config.git denied to deploy-bot.", Some(Refusal::ReadOnly));
        check("ERROR: Write access to repository not granted.", Some(Refusal::ReadOnly));
        check("ERROR: This repository was archived so it is read-only.", Some(Refusal::Archived));
        check(
            "GH001: Large files detected; file a exceeds GitHub's file size limit",
            Some(Refusal::TooLarge),
        );
        // GitLab
        check(
            "GitLab: You are not allowed to push code to protected branches on this project.",
            Some(Refusal::Protected),
        );
        check("ERROR: This deploy key does not have write access to this project.", Some(Refusal::ReadOnly));
        check("GitLab: You are not allowed to push code to this project.", Some(Refusal::ReadOnly));
        check(
            "Your push has been rejected, because this repository has exceeded its quota",
            Some(Refusal::TooLarge),
        );
        // git itself, and the server before it
        check("pre-receive hook declined: only on weekdays", Some(Refusal::Hook));
        check("hook declined", Some(Refusal::Hook));
        check("pre-receive hook declined: apps/ is read-only on Fridays", Some(Refusal::Hook));
        check("shallow update not allowed", Some(Refusal::Shallow));
        check("Received HTTP status 403", Some(Refusal::ReadOnly));
        check("Received HTTP status 413", Some(Refusal::TooLarge));
        check("deny updating a hidden ref", None);
        check("Received HTTP status 502", None);
    }

    #[test]
    fn who_was_too_late_is_told_apart() {
        let check = |reason: &str, expected| assert_eq!(Refusal::is_late(reason), expected, "{reason}");
        check("failed to update ref", true);
        check("cannot lock ref 'refs/heads/main': is at a but expected b", true);
        check("incorrect old value provided", true);
        check("non-fast-forward", true);
        check("reference already exists", true);
        check("pre-receive hook declined", false);
        check("unpacker error", false);
    }

    #[test]
    fn an_error_says_what_to_do() {
        let error = PushError::Refused {
            url: "https://example.com/a".to_owned(),
            branch: "main".to_owned(),
            reason: Refusal::Hook,
            said: "pre-receive hook declined: only on weekdays".to_owned(),
        };
        assert_eq!(
            error.to_string(),
            "https://example.com/a: a hook of the server declined the push: main: pre-receive hook declined: only \
             on weekdays; correct what the hook rejects"
        );
        assert_eq!((error.name(), error.class()), ("HookDeclined", Class::User));
    }
}
