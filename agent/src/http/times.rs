//! How long requests may take. Pure.

use std::time::Duration;

/// How long requests may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// A connection.
    pub connect: Duration,
    /// Between two parts of an answer.
    pub silence: Option<Duration>,
    /// A request with its answer. A request may have a limit of its own.
    pub total: Option<Duration>,
}

impl Times {
    /// How long a connection may take, whatever is asked.
    pub const CONNECT: Duration = Duration::from_secs(10);
}
