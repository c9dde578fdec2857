//! How long it is waited for what must come: until nothing has changed for some seconds, and the agent has had the time to do
//! other things since. I/O: through the canary.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::stage::Stage;

/// How long nothing may have changed before what is wrong stays wrong, and how long that takes at least.
const CALM: Duration = Duration::from_secs(5);
const LEAST: Duration = Duration::from_secs(15);
/// Other things that the agent must have done since the last change.
const BEATS: u32 = 5;
/// What changes for so long changes for ever.
const MOST: Duration = Duration::from_mins(5);

pub struct Patience {
    started: Instant,
    last: Value,
    since: Instant,
    beats: u32,
}

impl Patience {
    pub fn new() -> Self {
        Self { started: Instant::now(), last: Value::Null, since: Instant::now(), beats: 0 }
    }

    /// True if what is seen now is not going to change.
    pub async fn is_over(&mut self, stage: &Stage, seen: Value) -> anyhow::Result<bool> {
        if seen != self.last {
            (self.last, self.since, self.beats) = (seen, Instant::now(), 0);
        } else if self.since.elapsed() > CALM && self.started.elapsed() > LEAST {
            if self.beats == BEATS {
                return Ok(true);
            }
            stage.beat().await?;
            self.beats += 1;
        }
        tokio::time::sleep(Duration::from_millis(80)).await;
        Ok(self.started.elapsed() > MOST)
    }

    /// The same for what may stand still for long: what Kubernetes takes down.
    pub async fn is_spent(&self) -> bool {
        tokio::time::sleep(Duration::from_millis(80)).await;
        self.started.elapsed() > MOST
    }
}
