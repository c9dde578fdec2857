//! The time limits of requests. Pure.

use std::time::Duration;

/// The time limits of requests.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Maximum time for connecting.
    pub connect: Duration,
    /// Maximum time between two parts of a response.
    pub silence: Option<Duration>,
    /// Maximum time of a request with its response. A request may have a limit of its own.
    pub total: Option<Duration>,
}

impl Times {
    /// The default maximum time for connecting.
    pub const CONNECT: Duration = Duration::from_secs(10);
}
