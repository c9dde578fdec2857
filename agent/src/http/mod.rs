//! The one way to make an HTTP request for a resource: certificates, proxies, timeouts, redirects, limits, the text of
//! errors, and above all the guard against destinations that no resource may name.
//!
//! Registries, charts, forges, receivers and Git all use [`Clients`]; their differences are in their own rooms. The client of the
//! API server is a different one.
//!
//! Architecture invariants: no other room makes an HTTP client or opens a connection; a client follows no redirect by
//! itself, since every hop is checked; a credential and a client certificate leave the origin they are meant for with no
//! hop; no error quotes the body of an answer.

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
pub use error::{Failure, Mistrust, causes};
pub use guard::{Guard, Refused};
pub use host::host;
pub use own::Own;
pub use redirect::{Redirects, destination, is_redirect, target};
pub use resolver::reachable;
pub use retry_after::retry_after;
pub use times::Times;
pub use trust::{BadTrust, Trust};

/// How the agent names itself.
pub const USER_AGENT: &str = concat!("holdfast/", env!("CARGO_PKG_VERSION"));
