//! The one client of the forges: logins and limits ([`Session`]), pull requests of our own ([`PullRequests`]), and those of
//! others ([`review`]).
//!
//! What the forges call it differs by dialect; the order of the steps is the same for all. Leaves to the callers what is
//! written, and when. I/O: HTTP.

mod action;
mod app;
mod dialect;
mod error;
mod gitea;
mod github;
mod gitlab;
mod login;
mod pace;
mod proposal;
pub mod review;
mod scopes;
mod session;
mod target;
#[cfg(test)]
mod tests;
mod web;

pub use self::action::Action;
use self::dialect::Dialect;
pub use self::error::ForgeError;
pub use self::login::{Login, LoginError};
pub use self::proposal::{Closed, Done, Opened, PullRequests, Wanted};
pub use self::session::{Rate, Session};
pub use self::target::Target;
use self::web::{Answer, Call, Refusal};
use crate::api::Forge;

/// Pages of a list that are read.
const PAGES: usize = 40;

fn dialect(provider: Forge) -> &'static dyn Dialect {
    match provider {
        Forge::GitHub => &github::GitHub,
        Forge::GitLab => &gitlab::GitLab,
        Forge::Gitea => &gitea::Gitea,
    }
}
