//! The one way to make an HTTP request for a resource: certificates, proxies, timeouts, redirects, limits, the text of
//! errors, and above all the guard against destinations that no resource may name.
//!
//! Registries, charts, forges, receivers and Git all use [`Clients`]; their differences are in their own rooms. The client of the
//! API server is a different one.
//!
//! Architecture invariants: no other room makes an HTTP client or opens a connection; a client follows no redirect by
//! itself, since every hop is checked; credentials and client certificates are not sent to another origin;
//! no error quotes the body of a response.

mod address;
mod body;
mod client;
mod destination;
mod error;
mod guard;
mod host;
mod own;
mod proxy;
mod redirect;
mod resolver;
mod retry_after;
mod times;
mod trust;

pub use body::{piece, read};
pub use client::{Clients, Request};
pub use destination::{BadDestination, Destination};
pub use error::{CertificateProblem, Failure, causes};
pub use guard::{Guard, Refused};
pub use host::host;
pub use own::Own;
pub use redirect::{Redirects, destination, is_redirect, target};
pub use resolver::{accepts, reachable};
pub use retry_after::retry_after;
pub use times::Times;
pub use trust::{BadTrust, Trust};

/// The user agent.
pub const USER_AGENT: &str = concat!("holdfast/", env!("CARGO_PKG_VERSION"));
