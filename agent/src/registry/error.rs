//! The errors of registries, with their class and what to do. No message has a secret. Pure.

use std::fmt::Display;
use std::time::Duration;

use crate::error::{Class, StageError};
use crate::http::Refused;

/// A failed request to a repository.
#[derive(Clone, Debug, thiserror::Error)]
#[error("image repository {repository}: {trouble}")]
pub struct RegistryError {
    /// The name in messages: `docker.io/library/nginx`.
    pub repository: String,
    #[source]
    pub trouble: RequestError,
}

/// The error, without the repository.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    #[error("{0}")]
    BadRepository(String),
    #[error("the Secret of the login cannot be used: {0}")]
    BadLogin(String),
    #[error(
        "{host} requires a login, and none is configured for it{said}; reference a Secret that has one, and check the name"
    )]
    LoginNeeded { host: String, said: String },
    #[error(
        "{host} refuses the login with {status}{said}; check that the Secret is right and not expired, and its rights"
    )]
    LoginRefused { host: String, status: u16, said: String },
    #[error("{host} issues tokens at a URL without TLS, so the login is not sent")]
    TokensWithoutTls { host: String },
    #[error("not found at {host}{said}; check the name and the rights of the login")]
    NoSuchRepository { host: String, said: String },
    #[error("there is no tag {tag}{said}")]
    NoSuchTag { tag: String, said: String },
    #[error("{tag} has no layer of type {kind}")]
    NoLayer { tag: String, kind: &'static str },
    #[error("{tag} has no creation time: {said}")]
    NotCreated { tag: String, said: String },
    #[error("{host} has reached its rate limit{}", again(*after))]
    RateLimited { host: String, after: Option<Duration> },
    #[error("{host} answers with {status}{said}{}", again(*after))]
    Unavailable { host: String, status: u16, said: String, after: Option<Duration> },
    #[error("{source}")]
    Destination { source: Refused },
    #[error("cannot reach {host}: {said}")]
    Unreachable { host: String, said: String },
    #[error("no answer within {seconds} s")]
    Timeout { seconds: u64 },
    #[error("TLS with {host} failed: {said}; {}", tls_hint(*.has_certificate))]
    Untrusted { host: String, said: String, has_certificate: bool },
    #[error("{host} answers with a web page instead of the registry API; check the host")]
    NotARegistry { host: String },
    #[error("{host} answers with {status}{said}")]
    Refused { host: String, status: u16, said: String },
    #[error("invalid response of {host}: {said}")]
    BadAnswer { host: String, said: String },
    #[error("{host} links a next page of tags {why}")]
    BadLink { host: String, why: &'static str },
    #[error("{host} redirects {why}")]
    BadRedirect { host: String, why: &'static str },
    #[error("the answer of {host} is larger than {limit} bytes")]
    TooLarge { host: String, limit: usize },
    #[error("it has more than {limit} tags; delete old ones")]
    TooManyTags { limit: usize },
    #[error("the digest of what {host} sent is {found}, but should be {expected}")]
    DigestMismatch { host: String, expected: String, found: String },
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

fn again(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |after| format!("; retrying in {} s", after.as_secs().max(1)))
}

/// What to do if TLS fails: the authority of the certificate may be unknown, or the server may not use TLS.
fn tls_hint(has_certificate: bool) -> &'static str {
    if has_certificate { "set a Secret with its ca.crt" } else { "set insecure if the registry has no TLS" }
}

impl RequestError {
    /// The static name of the variant: a label of metrics, a reason of conditions.
    pub fn name(&self) -> &'static str {
        match self {
            Self::BadRepository(_) => "BadRepository",
            Self::BadLogin(_) => "BadLogin",
            Self::LoginNeeded { .. } => "LoginNeeded",
            Self::LoginRefused { .. } => "LoginRefused",
            Self::TokensWithoutTls { .. } => "TokensWithoutTls",
            Self::NoSuchRepository { .. } => "NoSuchRepository",
            Self::NoSuchTag { .. } => "NoSuchTag",
            Self::NoLayer { .. } => "NoLayer",
            Self::NotCreated { .. } => "NotCreated",
            Self::RateLimited { .. } => "RateLimited",
            Self::Unavailable { .. } => "Unavailable",
            Self::Destination { .. } => "DestinationRefused",
            Self::Unreachable { .. } => "Unreachable",
            Self::Timeout { .. } => "Timeout",
            Self::Untrusted { .. } => "Untrusted",
            Self::NotARegistry { .. } => "NotARegistry",
            Self::Refused { .. } => "Refused",
            Self::BadAnswer { .. } => "BadAnswer",
            Self::BadLink { .. } => "BadLink",
            Self::BadRedirect { .. } => "BadRedirect",
            Self::TooLarge { .. } => "TooLarge",
            Self::TooManyTags { .. } => "TooManyTags",
            Self::DigestMismatch { .. } => "DigestMismatch",
            Self::Client(_) => "Client",
        }
    }

    pub fn class(&self) -> Class {
        match self {
            Self::BadRepository(_)
            | Self::BadLogin(_)
            | Self::LoginNeeded { .. }
            | Self::LoginRefused { .. }
            | Self::TokensWithoutTls { .. }
            | Self::NoSuchRepository { .. }
            | Self::NoSuchTag { .. }
            | Self::NoLayer { .. }
            | Self::NotCreated { .. }
            | Self::Destination { .. }
            | Self::Untrusted { .. }
            | Self::NotARegistry { .. }
            | Self::TooManyTags { .. } => Class::User,
            Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Refused { .. }
            | Self::BadAnswer { .. }
            | Self::BadLink { .. }
            | Self::BadRedirect { .. }
            | Self::TooLarge { .. }
            | Self::DigestMismatch { .. } => Class::Transient,
            Self::Client(_) => Class::Internal,
        }
    }

    /// Returns the pause that the host requests.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { after, .. } | Self::Unavailable { after, .. } => *after,
            _ => None,
        }
    }

    /// True if the error is about the content of one tag, and other tags are not affected.
    pub fn is_of_tag(&self) -> bool {
        match self {
            Self::NoSuchTag { .. }
            | Self::NoLayer { .. }
            | Self::NotCreated { .. }
            | Self::BadAnswer { .. }
            | Self::TooLarge { .. }
            | Self::DigestMismatch { .. } => true,
            Self::Refused { status, .. } => (400..500).contains(status),
            _ => false,
        }
    }

    /// Returns the same error with the time until the next request to the host.
    pub(super) fn within(self, wait: Duration) -> Self {
        let after = Some(wait);
        match self {
            Self::RateLimited { host, .. } => Self::RateLimited { host, after },
            Self::Unavailable { host, status, said, .. } => Self::Unavailable { host, status, said, after },
            other => other,
        }
    }

    /// True if the same request may soon succeed.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable { .. } | Self::Unreachable { .. })
    }

    /// Returns the error of a repository.
    pub fn at(self, repository: &impl Display) -> RegistryError {
        RegistryError { repository: repository.to_string(), trouble: self }
    }
}

impl RegistryError {
    /// Returns the pause that the registry requests. `None`: the interval of the caller applies.
    pub fn retry_after(&self) -> Option<Duration> {
        self.trouble.retry_after()
    }
}

impl StageError for RegistryError {
    fn class(&self) -> Class {
        self.trouble.class()
    }

    fn name(&self) -> &'static str {
        self.trouble.name()
    }

    fn common_cause(&self) -> Option<String> {
        match &self.trouble {
            RequestError::LoginRefused { .. }
            | RequestError::TokensWithoutTls { .. }
            | RequestError::RateLimited { .. }
            | RequestError::Unavailable { .. }
            | RequestError::Destination { .. }
            | RequestError::Unreachable { .. }
            | RequestError::Timeout { .. }
            | RequestError::Untrusted { .. }
            | RequestError::NotARegistry { .. } => self.repository.split('/').next().map(str::to_owned),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_host_are_common_to_its_repositories() {
        let common = |trouble| {
            RegistryError { repository: "docker.io/library/nginx".to_owned(), trouble }.common_cause()
        };
        let docker = Some("docker.io".to_owned());
        assert_eq!(common(RequestError::Timeout { seconds: 5 }), docker);
        let [host, said] = ["registry-1.docker.io", "refused"].map(str::to_owned);
        assert_eq!(common(RequestError::Unreachable { host, said }), docker);
        assert_eq!(common(RequestError::TooManyTags { limit: 5 }), None);
    }

    #[test]
    fn an_error_says_when_it_is_asked_again() {
        let limited = |after| RequestError::RateLimited { host: "docker.io".to_owned(), after };
        assert_eq!(limited(None).to_string(), "docker.io has reached its rate limit");
        let minute = Some(Duration::from_mins(1));
        let error =
            RegistryError { repository: "docker.io/library/nginx".to_owned(), trouble: limited(minute) };
        let said = "image repository docker.io/library/nginx: docker.io has reached its rate limit; retrying in 60 s";
        assert_eq!(error.to_string(), said);
        assert_eq!((error.name(), error.class()), ("RateLimited", Class::Transient));
        assert_eq!(error.retry_after(), minute);
    }
}
