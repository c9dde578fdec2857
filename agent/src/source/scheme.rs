//! The ways to reach a repository. A type, no behaviour.

/// How a repository is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Ssh,
    File,
}
