//! Why a receiver did not accept a notice, and whether a retry can succeed.
//!
//! Every message names the kind of the receiver and its host, and no secret. Pure.

use std::time::Duration;

use http::StatusCode;

use crate::http::Refused;

/// What to do with a notice that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Retry, not before the time that the receiver requested.
    After(Option<Duration>),
    /// The content was refused and would be refused again.
    Never,
}

/// Why a notice was not accepted. `to` is the kind and the host of the receiver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    #[error("the notice cannot be written as JSON: {said}")]
    Unwritable { said: String },
    #[error("{to}: {source}")]
    Refused { to: String, source: Refused },
    #[error("{to}: cannot connect: {said}; check host and port, and whether a network policy forbids it")]
    Unreachable { to: String, said: String },
    #[error("{to}: the TLS connection failed: {said}; check the scheme of the URL and the certificate")]
    Tls { to: String, said: String },
    #[error("{to}: no answer within {} s; the notice is sent again, and may arrive twice", .limit.as_secs())]
    Timeout { to: String, limit: Duration },
    #[error("{to}: the connection broke before the answer: {said}")]
    Broken { to: String, said: String },
    #[error("{to} answered {status} and redirects to {target}; redirects are not followed; correct the URL")]
    Redirected { to: String, status: StatusCode, target: String },
    #[error("{to} answered {status}{}", hint(*.status))]
    Answered { to: String, status: StatusCode, after: Option<Duration> },
    #[error("{to} answered 400 Bad Request, since this port uses TLS; write https:// in the URL")]
    WantsTls { to: String },
    #[error("{to} refused the content: {said}")]
    ContentRefused { to: String, said: String },
    #[error("{to} answered with the error {said}")]
    Denied { to: String, said: String },
    #[error("{to} sent an invalid answer; check the URL")]
    NotUnderstood { to: String },
}

impl DeliveryError {
    /// Returns whether to retry.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unwritable { .. } | Self::ContentRefused { .. } => Retry::Never,
            Self::Answered { after, .. } => Retry::After(*after),
            Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::Timeout { .. }
            | Self::Broken { .. }
            | Self::Redirected { .. }
            | Self::WantsTls { .. }
            | Self::Denied { .. }
            | Self::NotUnderstood { .. } => Retry::After(None),
        }
    }

    /// The static name of the variant: a label of metrics, a reason of conditions.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unwritable { .. } => "Unwritable",
            Self::Refused { .. } => "DestinationRefused",
            Self::Unreachable { .. } => "Unreachable",
            Self::Tls { .. } => "Tls",
            Self::Timeout { .. } => "Timeout",
            Self::Broken { .. } => "Broken",
            Self::Redirected { .. } => "Redirected",
            Self::Answered { .. } => "Answered",
            Self::WantsTls { .. } => "WantsTls",
            Self::ContentRefused { .. } => "ContentRefused",
            Self::Denied { .. } => "Denied",
            Self::NotUnderstood { .. } => "NotUnderstood",
        }
    }
}

/// What a user can do about a status.
fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 => "; check the login in the URL or in the Secret",
        404 | 405 | 410 => "; check the path of the URL",
        _ => "",
    }
}
