//! Errors of repositories, each with what a user can do about it.
//!
//! URLs in messages have no password. Pure.

use std::error::Error;

use holdfast_diff::files::name::BadName;
use jiff::Timestamp;

use super::answer::cleaned;
use crate::error::{Class, StageError};
use crate::http::{CertificateProblem, Refused, causes, host};

/// Maximum size of an object that is received, unpacked, in bytes. Forges do not accept larger ones.
pub(super) const OBJECT_LIMIT: usize = 128 * 1024 * 1024;

/// Why a source cannot be read.
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
    #[error("{url}: the certificate of the server is not trusted: {said}; {}", hint(*.why))]
    UntrustedCertificate { url: String, said: String, why: CertificateProblem },
    #[error("{url}: {said}; check the login in the Secret of secretRef, and its rights on the repository")]
    AuthenticationFailed { url: String, said: String },
    #[error(
        "{url}: the server requires a login; set secretRef to a Secret with username and password, or bearerToken"
    )]
    LoginMissing { url: String },
    #[error("{url}: repository not found, or the login has no access to it{said}")]
    RepositoryNotFound { url: String, said: String },
    #[error(
        "{url}: the host key does not match known_hosts{}; if the server's key has changed on purpose, update known_hosts in the Secret", colon(.key)
    )]
    HostKeyMismatch { url: String, key: String },
    #[error(
        "{url}: known_hosts does not have the {kind}key of the host; add it to the Secret (ssh-keyscan shows it; verify it before you trust it)"
    )]
    HostKeyUnknown { url: String, kind: String },
    #[error(
        "{url}: ssh needs the host key, but the Secret in secretRef has no key known_hosts; add it (ssh-keyscan shows it; verify it before you trust it)"
    )]
    NoKnownHosts { url: String },
    #[error(
        "{url}: the server has only host keys that ssh does not accept any more ({offer}); give it an Ed25519 or ECDSA key, or let it sign with rsa-sha2-256"
    )]
    HostKeyKind { url: String, offer: String },
    #[error("{url}: ssh and the server have no algorithm in common: {said}; update the server")]
    NoCommonAlgorithm { url: String, said: String },
    #[error("{url}: {}", missing_program(.program))]
    NoProgram { url: String, program: String },
    #[error("{url}: the server limits requests (HTTP status {status}); the next request is at {until}")]
    Busy { url: String, status: u16, until: Timestamp },
    #[error(
        "{url}: the proxy of the agent requires a login (HTTP status 407); set it in HTTPS_PROXY or HTTP_PROXY of the agent"
    )]
    ProxyLogin { url: String },
    #[error(
        "{url}: the repository uses SHA-256 object names, which are not supported; use one with SHA-1, the default of Git"
    )]
    Sha256 { url: String },
    #[error(
        "{url}: the server supports only the dumb HTTP protocol of Git, which Holdfast does not support; serve the repository with git http-backend, or use ssh"
    )]
    DumbHttp { url: String },
    #[error("{url}: no answer within {seconds} s; check the server, or raise spec.timeout")]
    Timeout { url: String, seconds: u64 },
    #[error("{url}: {reference} not found{near}")]
    RefNotFound { url: String, reference: String, near: String },
    #[error("{url}: the repository is empty; push a first commit")]
    EmptyRepository { url: String },
    #[error("{range} is not a range of versions: {why}; write one such as >=1.2.0 <2.0.0")]
    BadRange { range: String, why: String },
    #[error("path {path} not found at {revision}; check spec.path")]
    PathNotFound { path: String, revision: String },
    #[error("{path} at {revision} is a file, not a folder; check spec.path")]
    PathNotFolder { path: String, revision: String },
    #[error("spec.path {path} leads out of the repository; set a folder inside of it")]
    PathEscapes { path: String },
    #[error(
        "the symlink {link} leads out of the repository, to {target}; nothing outside of it is read: remove it, or exclude it with \
         spec.render.plain.exclude or .holdfastignore"
    )]
    SymlinkEscapes { link: String, target: String },
    #[error(
        "the symlink {link} leads to {target}, which {why}: correct it, or exclude it with spec.render.plain.exclude or \
         .holdfastignore"
    )]
    BadSymlink { link: String, target: String, why: &'static str },
    #[error(
        "{path} is a submodule, which is not read; commit its files, or create another Sync for its repository"
    )]
    Submodule { path: String },
    #[error(
        "{entry} {why} at {revision}; names that could lead out of their folder are refused: rename or remove it, and let the Git server check what is pushed (receive.fsckObjects)"
    )]
    BadEntry { entry: String, revision: String, why: BadName },
    #[error(
        "the folder {folder} is not a valid Git tree at {revision}: {why}; run git fsck, and push a commit with a valid tree"
    )]
    BadTree { folder: String, revision: String, why: String },
    #[error("{path} is nested deeper than {limit} folders; move it up")]
    TooDeep { path: String, limit: usize },
    #[error(
        "more than {limit} entries were read at {revision}; set spec.path to a smaller folder, or remove symlinks to folders"
    )]
    TooManyEntries { revision: String, limit: usize },
    #[error("{said}")]
    Lfs { said: String },
    #[error("{path} has {size} bytes; files over {limit} bytes are not read")]
    FileTooLarge { path: String, size: u64, limit: u64 },
    #[error("{url}: {source}")]
    Refused { url: String, source: Refused },
    #[error("{url}: the server redirects {why}{}", correct(.to.as_deref()))]
    Redirected { url: String, why: &'static str, to: Option<String> },
    #[error("{url}: the server answers with the HTTP status {status}; check the server")]
    Answered { url: String, status: u16 },
    #[error("{url}: no Git server {said}; check the URL")]
    NotGit { url: String, said: String },
    #[error(
        "{url}: the server answers with a web page instead of Git; check the URL and the login (a login page for browsers, such as single sign-on, cannot be used)"
    )]
    WebPage { url: String },
    #[error("{url}: {said}")]
    Git { url: String, said: String },
    #[error(
        "{url}: the repository sends more than {limit} bytes, which is the limit of a fetch; remove large files from it, or raise --cache-limit"
    )]
    TooLarge { url: String, limit: u64 },
    #[error(
        "{url}: the server sends more than {limit} bytes of {part}; check the URL, or remove unused refs"
    )]
    AnswerTooLarge { url: String, part: &'static str, limit: u64 },
    #[error(
        "{url}: the repositories of {domain} use more than their share of the cache folder; it is fetched when there is space; use fewer or smaller repositories, or raise --cache-limit"
    )]
    CacheFull { url: String, domain: String },
    #[error(
        "{url}: the disk of the cache folder is full; it is fetched when there is space; use smaller repositories, or enlarge the volume of the folder"
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
            | Self::Busy { .. }
            | Self::Git { .. }
            | Self::CacheFull { .. }
            | Self::DiskFull { .. }
            | Self::Cache { .. } => Class::Transient,
            _ => Class::User,
        }
    }

    fn common_cause(&self) -> Option<String> {
        match self {
            Self::UnknownHost { url, .. }
            | Self::Unreachable { url, .. }
            | Self::UntrustedCertificate { url, .. }
            | Self::AuthenticationFailed { url, .. }
            | Self::HostKeyMismatch { url, .. }
            | Self::HostKeyUnknown { url, .. }
            | Self::NoKnownHosts { url }
            | Self::HostKeyKind { url, .. }
            | Self::NoCommonAlgorithm { url, .. }
            | Self::NoProgram { url, .. }
            | Self::Busy { url, .. }
            | Self::ProxyLogin { url }
            | Self::Timeout { url, .. }
            | Self::Refused { url, .. }
            | Self::Answered { url, .. } => Some(host(url)),
            Self::DiskFull { .. } | Self::Cache { .. } => Some("cache folder".to_owned()),
            _ => None,
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
            Self::LoginMissing { .. } => "LoginMissing",
            Self::RepositoryNotFound { .. } => "RepositoryNotFound",
            Self::HostKeyMismatch { .. } => "HostKeyMismatch",
            Self::HostKeyUnknown { .. } | Self::NoKnownHosts { .. } => "HostKeyUnknown",
            Self::HostKeyKind { .. } => "HostKeyKind",
            Self::NoCommonAlgorithm { .. } => "NoCommonAlgorithm",
            Self::NoProgram { .. } => "NoProgram",
            Self::Busy { .. } => "ServerBusy",
            Self::ProxyLogin { .. } => "ProxyLogin",
            Self::Sha256 { .. } => "Sha256Repository",
            Self::DumbHttp { .. } => "DumbHttp",
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
            Self::Lfs { .. } => "LfsPointer",
            Self::Refused { .. } => "DestinationRefused",
            Self::Redirected { .. } => "Redirected",
            Self::Answered { .. } => "ServerFailed",
            Self::NotGit { .. } | Self::WebPage { .. } => "NotGit",
            Self::Git { .. } => "GitFailed",
            Self::TooLarge { .. } => "RepositoryTooLarge",
            Self::AnswerTooLarge { .. } => "AnswerTooLarge",
            Self::CacheFull { .. } => "CacheFull",
            Self::DiskFull { .. } => "DiskFull",
            Self::Cache { .. } => "CacheFailed",
        }
    }
}

fn hint(why: CertificateProblem) -> &'static str {
    match why {
        CertificateProblem::Authority => "put the CA into the key ca.crt of the Secret that secretRef names",
        CertificateProblem::Name => {
            "write the URL with a name that the certificate has, or give the server a certificate for this one"
        }
        CertificateProblem::Time => "renew the certificate of the server, or correct the clock of the node",
        CertificateProblem::Other => "give the server another certificate",
    }
}

fn colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

fn missing_program(program: &str) -> String {
    let what = format!("there is no program {program} in the image of the agent");
    match program {
        "ssh" => {
            format!("{what}; use the image that has it (docker build --target ssh), or a URL with https")
        }
        _ => format!("{what}; use a URL with https"),
    }
}

fn correct(to: Option<&str>) -> String {
    match to.map(|to| to.strip_suffix("/info/refs").ok_or(to)) {
        Some(Ok(repository)) => format!("; if the repository is at {repository} now, write that as the URL"),
        Some(Err(page)) => format!(
            ", to {page}, which is not a repository; check the URL and the login (a login page for browsers, such as single sign-on, cannot be used)"
        ),
        None => "; correct the URL".to_owned(),
    }
}

/// Classifies an error of the library that neither the transport nor the server explains. Its text can contain names
/// that a tenant chose, so only phrases with spaces are matched, which a URL cannot contain.
pub fn of_library(url: &str, error: &(dyn Error + 'static)) -> SourceError {
    let said = messages(error);
    let low = said.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| low.contains(word));
    let url = url.to_owned();
    if has(&["no space left on device", "disk quota exceeded"]) {
        return SourceError::DiskFull { url };
    }
    if has(&["allocation limit", "too large to fit in memory"]) {
        return SourceError::TooLarge { url, limit: OBJECT_LIMIT as u64 };
    }
    let protocol = if has(&["failed to fill whole buffer", "unexpected end of file", "unexpected eof"]) {
        "the response of the server ends too early"
    } else if has(&["could not be parsed", "failed to decode the first four hex bytes"]) {
        "the response of the server does not follow the Git protocol"
    } else {
        return SourceError::Git { url, said: cleaned(&said) };
    };
    let said = format!("{protocol}; check the server and the proxies in front of it ({})", cleaned(&said));
    SourceError::Git { url, said }
}

/// The messages of an error and all its sources, each once.
pub(super) fn messages(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if !text.is_empty() && !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}
