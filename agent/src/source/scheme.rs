//! The transports of a repository. A type, no behaviour.

/// The transport by which a repository is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Ssh,
    File,
}
