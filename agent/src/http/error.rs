//! Why a request failed. No message quotes what a server sent. Pure.

use std::error::Error;
use std::io;

use super::Refused;

/// A request without a response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("no connection within the time limit")]
    ConnectTimeout,
    #[error("no answer within the time limit")]
    Timeout,
    #[error("cannot connect: {said}")]
    Connect { said: String },
    #[error("{said}")]
    Tls {
        said: String,
        /// The problem of the server's certificate, if that is the reason.
        certificate: Option<CertificateProblem>,
    },
    #[error("the connection broke: {said}")]
    Broken { said: String },
    #[error("the answer has more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("it redirects {why}")]
    Redirected {
        why: &'static str,
        /// The target: scheme, host and path, if it is a URL.
        to: Option<String>,
    },
    #[error("the HTTP client cannot be made: {said}")]
    Client { said: String },
}

/// Why a certificate is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateProblem {
    /// The certificate is signed by an unknown authority.
    Authority,
    /// The certificate is for other names.
    Name,
    /// The certificate is expired or not valid yet.
    Time,
    Other,
}

impl Failure {
    /// Classifies an error of the HTTP library.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        if let Some(refused) = causes(error).find_map(|cause| cause.downcast_ref::<Refused>()) {
            return Self::Refused(refused.clone());
        }
        if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
            let certificate = certificate_problem(tls);
            return Self::Tls { said: broken_tls(tls), certificate };
        }
        let said = || root(error).to_string();
        match (error.is_timeout(), error.is_connect()) {
            (true, true) => Self::ConnectTimeout,
            (true, false) => Self::Timeout,
            (false, true) => Self::Connect { said: said() },
            (false, false) => Self::Broken { said: said() },
        }
    }
}

/// Returns an error and its sources.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| below(*error))
}

fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // The error in an io::Error is not its source, but the error itself.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// Returns the innermost cause. The outer errors are less precise, and may contain the URL.
pub(super) fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

fn certificate_problem(error: &rustls::Error) -> Option<CertificateProblem> {
    use rustls::CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else { return None };
    Some(match bad {
        Bad::UnknownIssuer | Bad::Other(_) => CertificateProblem::Authority,
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => CertificateProblem::Name,
        Bad::Expired | Bad::ExpiredContext { .. } | Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            CertificateProblem::Time
        }
        _ => CertificateProblem::Other,
    })
}

/// Describes a TLS error. The names in a certificate are not repeated.
fn broken_tls(error: &rustls::Error) -> String {
    use rustls::CertificateError as Bad;
    let said = match error {
        rustls::Error::InvalidMessage(_) => "the port does not use TLS",
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer => "certificate signed by an unknown authority",
            Bad::Expired | Bad::ExpiredContext { .. } => "the certificate has expired",
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => "the certificate is not valid yet",
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "the certificate is for another host name"
            }
            Bad::Revoked => "the certificate is revoked",
            Bad::Other(why) if why.to_string().contains("CaUsedAsEndEntity") => {
                "the certificate of the server is a CA certificate, or self-signed"
            }
            _ => "the certificate is not valid",
        },
        other => return other.to_string(),
    };
    said.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_in_words() {
        use rustls::{CertificateError as Bad, Error, InvalidMessage};
        for error in [
            (
                Error::InvalidCertificate(Bad::UnknownIssuer),
                "signed by an unknown authority",
                Some(CertificateProblem::Authority),
            ),
            (Error::InvalidCertificate(Bad::Expired), "has expired", Some(CertificateProblem::Time)),
            (Error::InvalidCertificate(Bad::NotValidYet), "not valid yet", Some(CertificateProblem::Time)),
            (
                Error::InvalidCertificate(Bad::NotValidForName),
                "for another host name",
                Some(CertificateProblem::Name),
            ),
            (
                Error::InvalidCertificate(Bad::BadSignature),
                "the certificate is not valid",
                Some(CertificateProblem::Other),
            ),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), "does not use TLS", None),
            (Error::DecryptError, "decrypt", None),
        ] {
            let (error, expected, certificate) = error;
            assert_eq!(certificate_problem(&error), certificate, "{error}");
            assert!(broken_tls(&error).contains(expected), "{}", broken_tls(&error));
        }
    }
}
