//! The web UI: what needs a person, why, who did it, and what that person may do about it. A listener of its own.
//!
//! A page is a pure function (`pages`) of a view value (`home`, `sync`, `images`), and the same value is served as JSON. The values
//! come out of the watches that the agent has anyway (`live`), so a page costs the API server no request; what a visitor
//! may see and do is decided by Kubernetes alone (`access`, `rights`). Leaves the listening to `server`. I/O: HTTP, and API
//! requests about the rights and the deeds of visitors.
//!
//! Architecture invariants: every text of Git, the cluster or a forge goes through `pages::text`; no page has a script or a
//! style of its own; nothing is written by a GET; nothing is fetched from another host.

mod access;
mod act;
mod act_images;
mod answer;
mod assets;
mod desk;
mod forge_links;
mod form;
mod graph;
mod guarded;
mod home;
mod images;
mod live;
mod logs;
mod needs;
mod object;
mod object_routes;
mod objects;
mod oidc;
mod pages;
mod plan;
mod pulls;
mod pulse;
mod query;
mod rights;
mod routes;
mod seal;
mod session;
mod sign_in;
mod stream;
mod sync;
#[cfg(test)]
mod tests;
mod visit;
mod who;

use std::sync::Arc;

use axum::Router;
use tokio_util::sync::CancellationToken;

pub use self::access::{Access, BadProxy, Proxy};
use self::desk::Desk;
pub use self::live::{Changed, Desired, Live, Offered, Pull, Pulls, Renders};
pub use self::oidc::{Names, Oidc, Provider};

/// A key for [`Access::Own`].
pub fn key() -> String {
    session::identifier()
}

/// The pages. They end their streams once `stop` is cancelled.
pub fn routes(live: Offered, access: Access, stop: CancellationToken) -> Router {
    routes::routes(Arc::new(Desk::new(live, access, stop)))
}
