//! Errors of rendering a chart, and what a user can do about them.
//!
//! Leaves reading the output of Helm to `said`. Pure.

use crate::error::{Class, StageError};
use crate::http::{Refused, host};

/// Why a chart cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelmError {
    #[error("cannot run {program}: {said}; install Helm {needed} or newer, or name its path")]
    HelmMissing { program: String, said: String, needed: &'static str },
    #[error("{program} is Helm {found}, which is too old; install {needed} or newer")]
    HelmTooOld { program: String, found: String, needed: &'static str },
    #[error("chart {chart} not found at {place}{near}")]
    ChartNotFound { chart: String, place: String, near: String },
    #[error("the chart {chart} at {place} has no version in {range}; {newest}")]
    NoVersion { chart: String, place: String, range: String, newest: String },
    #[error("{range} is not a range of versions: {why}; write one such as >=1.2.0 <2.0.0")]
    BadRange { range: String, why: String },
    #[error("{url} is not a chart repository: {why}")]
    BadUrl { url: String, why: String },
    #[error("bad login for charts: {0}")]
    BadLogin(String),
    #[error("values of {part}{}: {said}", at(*.line))]
    ValuesInvalid { part: String, line: Option<u32>, said: String },
    #[error(
        "the chart refuses the values: {said}; correct them, or set spec.render.helm.skipSchemaValidation to render without its \
         values.schema.json"
    )]
    ValuesRefused { said: String },
    #[error("{file}:{line}: {message}")]
    Template { file: String, line: u32, message: String },
    #[error("Helm refuses the chart: {said}")]
    Refused { said: String },
    #[error("rendering took longer than {seconds} s: simplify the templates of the chart")]
    Timeout { seconds: u64 },
    #[error("the chart renders to more than {limit} bytes: split it, or disable objects that are not needed")]
    OutputTooLarge { limit: u64 },
    #[error(
        "rendering needs more than {} MiB of memory: simplify the templates of the chart, split it, or raise the memory limit of \
         the agent's container",
        limit / 1024 / 1024
    )]
    OutOfMemory { limit: u64 },
    #[error("{url}: {source}")]
    Destination { url: String, source: Refused },
    #[error("{url}: {said}")]
    Download { url: String, said: String },
    #[error("{url}: the certificate is not trusted: {said}; put the CA into the key ca.crt of the Secret")]
    UntrustedCertificate { url: String, said: String },
    #[error("{url}: the server refuses the login ({status}); check the Secret, and its rights")]
    LoginRefused { url: String, status: u16 },
    #[error("{url}: not found; check the URL, and the rights of the login")]
    NotFound { url: String },
    #[error("{url} has more than {limit} bytes, which is the limit")]
    TooLarge { url: String, limit: u64 },
    #[error("{url} is not a chart index: {said}")]
    BadIndex { url: String, said: String },
    #[error(
        "{url} has the digest sha256:{found}, but its index or lock file has sha256:{expected}; the archive was changed after it was published: ask its publisher"
    )]
    DigestMismatch { url: String, expected: String, found: String },
    #[error("{archive} cannot be unpacked: {said}")]
    Unpack { archive: String, said: String },
    #[error("{file}: {said}")]
    BadChart { file: String, said: String },
    #[error(
        "{file}: the dependency {name} comes from {repository}, an alias that is only defined on one computer; write the URL of the repository"
    )]
    AliasRepository { file: String, name: String, repository: String },
    #[error(
        "{file} does not match the dependencies of Chart.yaml: {said}; run `helm dependency update`, and commit the result"
    )]
    StaleLock { file: String, said: String },
    #[error("the symlink {link} leads out of the repository; nothing outside of it is read")]
    SymlinkEscapes { link: String },
    #[error("{path} leads out of the repository; nothing outside of it is read")]
    PathEscapes { path: String },
    #[error(
        "the chart renders objects with different names each time: {names}; set values that make the names stable"
    )]
    UnstableNames { names: String },
    #[error("cannot {doing}: {said}")]
    Io { doing: &'static str, said: String },
}

fn at(line: Option<u32>) -> String {
    line.map(|line| format!(", line {line}")).unwrap_or_default()
}

impl HelmError {
    /// Wraps an error of the disk.
    pub(super) fn io(doing: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |error| Self::Io { doing, said: error.to_string() }
    }
}

impl StageError for HelmError {
    fn class(&self) -> Class {
        match self {
            Self::Timeout { .. } | Self::Download { .. } | Self::Io { .. } => Class::Transient,
            _ => Class::User,
        }
    }

    fn common_cause(&self) -> Option<String> {
        match self {
            Self::Destination { url, .. }
            | Self::Download { url, .. }
            | Self::UntrustedCertificate { url, .. }
            | Self::LoginRefused { url, .. } => Some(host(url)),
            Self::HelmMissing { program, .. } | Self::HelmTooOld { program, .. } => Some(program.clone()),
            _ => None,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::HelmMissing { .. } => "HelmMissing",
            Self::HelmTooOld { .. } => "HelmTooOld",
            Self::ChartNotFound { .. } => "ChartNotFound",
            Self::NoVersion { .. } => "ChartVersionNotFound",
            Self::BadRange { .. } => "BadChartRange",
            Self::BadUrl { .. } => "BadChartUrl",
            Self::BadLogin(_) => "BadChartLogin",
            Self::ValuesInvalid { .. } => "ValuesInvalid",
            Self::ValuesRefused { .. } => "ValuesRefused",
            Self::Template { .. } => "TemplateFailed",
            Self::Refused { .. } => "ChartRefused",
            Self::Timeout { .. } => "HelmTimeout",
            Self::OutputTooLarge { .. } => "HelmOutputTooLarge",
            Self::OutOfMemory { .. } => "HelmOutOfMemory",
            Self::Destination { .. } => "DestinationRefused",
            Self::Download { .. } => "ChartDownloadFailed",
            Self::UntrustedCertificate { .. } => "UntrustedCertificate",
            Self::LoginRefused { .. } => "ChartLoginRefused",
            Self::NotFound { .. } => "ChartUrlNotFound",
            Self::TooLarge { .. } => "ChartTooLarge",
            Self::BadIndex { .. } => "BadChartIndex",
            Self::DigestMismatch { .. } => "ChartDigestMismatch",
            Self::Unpack { .. } => "ChartUnpackFailed",
            Self::BadChart { .. } => "BadChart",
            Self::AliasRepository { .. } => "ChartAliasRepository",
            Self::StaleLock { .. } => "ChartLockStale",
            Self::SymlinkEscapes { .. } => "SymlinkEscapes",
            Self::PathEscapes { .. } => "PathEscapes",
            Self::UnstableNames { .. } => "UnstableNames",
            Self::Io { .. } => "HelmIoFailed",
        }
    }
}
