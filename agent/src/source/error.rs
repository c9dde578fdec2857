//! What can go wrong with a repository, and what a person can do about it.
//!
//! Every message names the place without its password. Pure.

use std::error::Error;
use std::io;

use holdfast_diff::files::name::BadName;

use crate::error::{Class, StageError};
use crate::http::Refused;

/// The largest object that is received, unpacked, in bytes. Forges take none that are larger.
pub(super) const OBJECT_LIMIT: usize = 128 * 1024 * 1024;

/// Why a source cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{url}: {why}")]
    BadUrl { url: String, why: String },
    #[error("{0}")]
    BadCredential(String),
    #[error(
        "{url}: file sources are not allowed; start the agent with --allow-file-sources, or use https or ssh"
    )]
    FileNotAllowed { url: String },
    #[error(
        "{url}: the host {host} cannot be found; check the spelling of the host and the DNS of the cluster"
    )]
    UnknownHost { url: String, host: String },
    #[error("{url}: cannot connect: {said}; check host and port, and whether a network policy forbids it")]
    Unreachable { url: String, said: String },
    #[error(
        "{url}: the certificate is not trusted: {said}; put the CA into the key ca.crt of the Secret that secretRef names"
    )]
    UntrustedCertificate { url: String, said: String },
    #[error(
        "{url}: {said}; check the login in the Secret that secretRef names, and its rights on the repository"
    )]
    AuthenticationFailed { url: String, said: String },
    #[error("{url}: there is no such repository, or the login may not see it")]
    RepositoryNotFound { url: String },
    #[error(
        "{url}: the host key does not match known_hosts; if the server's key has changed on purpose, update known_hosts in the Secret"
    )]
    HostKeyMismatch { url: String },
    #[error(
        "{url}: known_hosts does not have the key of the host; add it to the Secret (ssh-keyscan shows it, and a person must check it)"
    )]
    HostKeyUnknown { url: String },
    #[error("{url}: no answer within {seconds} s; check the server, or raise spec.timeout")]
    Timeout { url: String, seconds: u64 },
    #[error("{url}: there is no {reference}{near}")]
    RefNotFound { url: String, reference: String, near: String },
    #[error("{url}: the repository is empty; push a first commit")]
    EmptyRepository { url: String },
    #[error("{range} is not a range of versions: {why}; write one such as >=1.2.0 <2.0.0")]
    BadRange { range: String, why: String },
    #[error("there is no {path} at {revision}; correct spec.path")]
    PathNotFound { path: String, revision: String },
    #[error("{path} at {revision} is a file, not a folder; correct spec.path")]
    PathNotFolder { path: String, revision: String },
    #[error("spec.path {path} climbs out of the repository; name a folder inside of it")]
    PathEscapes { path: String },
    #[error("the symlink {link} leads out of the repository, to {target}; nothing outside of it is read")]
    SymlinkEscapes { link: String, target: String },
    #[error("the symlink {link} leads to {target}, which {why}")]
    BadSymlink { link: String, target: String, why: &'static str },
    #[error(
        "{path} is a submodule, and those are not read; commit its files, or make another Sync of its repository"
    )]
    Submodule { path: String },
    #[error(
        "{entry} {why} at {revision}; names that could lead out of their folder are refused: rename or remove it, and let \
         the git server check what is pushed (receive.fsckObjects)"
    )]
    BadEntry { entry: String, revision: String, why: BadName },
    #[error(
        "the folder {folder} is not a valid git tree at {revision}: {why}; run git fsck, and push a commit with a valid tree"
    )]
    BadTree { folder: String, revision: String, why: String },
    #[error("{path} is nested deeper than {limit} folders; move it up")]
    TooDeep { path: String, limit: usize },
    #[error(
        "more than {limit} entries were read at {revision}; set spec.path to a smaller folder, or remove symlinks to folders"
    )]
    TooManyEntries { revision: String, limit: usize },
    #[error("{path} has {size} bytes; files over {limit} bytes are not read")]
    FileTooLarge { path: String, size: u64, limit: u64 },
    #[error("{url}: {source}")]
    Refused { url: String, source: Refused },
    #[error("{url}: the server redirects {why}; correct the URL")]
    Redirected { url: String, why: &'static str },
    #[error("{url}: the server answers with the status {status}; check the server")]
    Answered { url: String, status: u16 },
    #[error("{url}: the server answers, and not as a git server does; check the URL")]
    NotGit { url: String },
    #[error("{url}: {said}")]
    Git { url: String, said: String },
    #[error(
        "{url}: the repository sends more than {limit} bytes, which is more than is received; keep large files out of it, or raise --cache-limit"
    )]
    TooLarge { url: String, limit: u64 },
    #[error(
        "{url}: the repositories of {domain} use more than their share of the cache folder; it is fetched when there is room: use fewer or smaller repositories, or raise --cache-limit"
    )]
    CacheFull { url: String, domain: String },
    #[error(
        "{url}: the disk of the cache folder is full; it is fetched when there is room: use smaller repositories, or give the folder more room"
    )]
    DiskFull { url: String },
    #[error("cannot use the cache folder {path}: {said}")]
    Cache { path: String, said: String },
}

impl StageError for SourceError {
    fn class(&self) -> Class {
        match self {
            Self::UnknownHost { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Answered { .. }
            | Self::Git { .. }
            | Self::CacheFull { .. }
            | Self::DiskFull { .. }
            | Self::Cache { .. } => Class::Transient,
            _ => Class::User,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::BadUrl { .. } => "BadUrl",
            Self::BadCredential(_) => "BadCredential",
            Self::FileNotAllowed { .. } => "FileNotAllowed",
            Self::UnknownHost { .. } => "UnknownHost",
            Self::Unreachable { .. } => "Unreachable",
            Self::UntrustedCertificate { .. } => "UntrustedCertificate",
            Self::AuthenticationFailed { .. } => "AuthenticationFailed",
            Self::RepositoryNotFound { .. } => "RepositoryNotFound",
            Self::HostKeyMismatch { .. } => "HostKeyMismatch",
            Self::HostKeyUnknown { .. } => "HostKeyUnknown",
            Self::Timeout { .. } => "Timeout",
            Self::RefNotFound { .. } => "RefNotFound",
            Self::EmptyRepository { .. } => "EmptyRepository",
            Self::BadRange { .. } => "BadRange",
            Self::PathNotFound { .. } => "PathNotFound",
            Self::PathNotFolder { .. } => "PathNotFolder",
            Self::PathEscapes { .. } => "PathEscapes",
            Self::SymlinkEscapes { .. } => "SymlinkEscapes",
            Self::BadSymlink { .. } => "BadSymlink",
            Self::Submodule { .. } => "Submodule",
            Self::BadEntry { .. } => "BadEntry",
            Self::BadTree { .. } => "BadTree",
            Self::TooDeep { .. } => "TooDeep",
            Self::TooManyEntries { .. } => "TooManyEntries",
            Self::FileTooLarge { .. } => "FileTooLarge",
            Self::Refused { .. } => "DestinationRefused",
            Self::Redirected { .. } => "Redirected",
            Self::Answered { .. } => "ServerFailed",
            Self::NotGit { .. } => "NotGit",
            Self::Git { .. } => "GitFailed",
            Self::TooLarge { .. } => "RepositoryTooLarge",
            Self::CacheFull { .. } => "CacheFull",
            Self::DiskFull { .. } => "DiskFull",
            Self::Cache { .. } => "CacheFailed",
        }
    }
}

/// What an error of a transport means, and what ssh wrote, if it was ssh. What ssh wrote is not repeated, since the server
/// has a part in it.
pub fn classify(url: &str, host: &str, error: &(dyn Error + 'static), ssh: Option<&str>) -> SourceError {
    let said = told(error, "");
    let low = format!("{said} {}", ssh.unwrap_or_default()).to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| low.contains(word));
    let url = url.to_owned();
    if has(&["no space left on device", "disk quota exceeded"]) {
        return SourceError::DiskFull { url };
    }
    if has(&["allocation limit", "too large to fit in memory"]) {
        return SourceError::TooLarge { url, limit: OBJECT_LIMIT as u64 };
    }
    if has(&[
        "remote host identification has changed",
        "host key verification failed",
        "no matching host key",
    ]) {
        if has(&["has changed", "offending"]) {
            return SourceError::HostKeyMismatch { url };
        }
        return SourceError::HostKeyUnknown { url };
    }
    if has(&["could not resolve hostname", "name or service not known", "no address associated"]) {
        return SourceError::UnknownHost { url, host: host.to_owned() };
    }
    if has(&["timed out", "timeout", "deadline"]) {
        return SourceError::Unreachable { url, said: "no answer in time".to_owned() };
    }
    let lost = [
        "connection refused",
        "no route to host",
        "network is unreachable",
        "connection reset",
        "connection closed",
    ];
    if let Some(words) = lost.iter().find(|words| low.contains(**words)) {
        return SourceError::Unreachable { url, said: (*words).to_owned() };
    }
    if has(&["permission denied", "authentication", "credentials", "unauthorized", "forbidden"]) {
        return SourceError::AuthenticationFailed { url, said: "the server refuses the login".to_owned() };
    }
    if has(&[
        "not found",
        "does not exist",
        "no such file",
        "does not appear to be a git repository",
        "cannot find repository",
    ]) {
        return SourceError::RepositoryNotFound { url };
    }
    let said = match ssh {
        Some(_) => "the ssh connection ended before git answered; check the path and the rights of the key"
            .to_owned(),
        None => said,
    };
    SourceError::Git { url, said }
}

/// The messages of an error and all its sources, each once, and what ssh said.
pub(super) fn told(error: &(dyn Error + 'static), stderr: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !text.is_empty() && !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        // The source of an `io::Error` is that of what it wraps: look at what it wraps too.
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            let text = inner.to_string();
            if !parts.iter().any(|part| part.contains(&text)) {
                parts.push(text);
            }
        }
        next = error.source();
    }
    let stderr = stderr.trim();
    if !stderr.is_empty() {
        parts.push(stderr.replace('\n', " "));
    }
    parts.join(": ")
}
