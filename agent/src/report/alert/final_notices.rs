//! The last notices to a receiver, sent when its Alert is deleted or gets another receiver: all firing alerts are resolved.
//! Limited in time, so that a receiver that is down delays nothing for long. I/O: HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use jiff::Timestamp;
use tracing::warn;

use super::outbox::{Cadence, Outbox};
use super::receiver::{Retry, Target};
use super::sending::{AT_ONCE, OnTheWay, PAUSE, PAUSE_LIMIT, Shared, sending};
use crate::subject::Subject;

/// Maximum time for the delivery of the last notices.
const LIMIT: Duration = Duration::from_mins(1);
/// Alerts need not stay firing for a minimum time.
const CADENCE: Cadence = Cadence { keep: Duration::ZERO, repeat: None, settle: None };

/// The last notices to one receiver.
pub struct FinalNotices {
    pub shared: Arc<Shared>,
    pub alert: Subject,
    pub outbox: Outbox,
    pub target: Arc<Target>,
    pub on_the_way: OnTheWay,
}

impl FinalNotices {
    /// Sends the resolved notices.
    pub async fn send(mut self) {
        let until = Instant::now() + LIMIT;
        let (mut paused, mut pause) = (Instant::now(), PAUSE);
        self.end();
        while !(self.outbox.is_empty() && self.on_the_way.is_empty()) {
            let now = Instant::now();
            if now >= until {
                warn!(alert = %self.alert, receiver = self.target.kind(), "The last notices were not delivered to the receiver");
                return;
            }
            while paused <= now && self.on_the_way.len() < AT_ONCE {
                let Some(due) = self.outbox.due(now) else { break };
                self.on_the_way.push(sending(&self.shared, &self.target, &self.alert, due));
            }
            let next = self.outbox.next().map_or(until, |next| next.max(paused).min(until));
            let (due, result) = tokio::select! {
                Some(back) = self.on_the_way.next(), if !self.on_the_way.is_empty() => back,
                () = tokio::time::sleep_until(next.into()) => continue,
            };
            let (now, kind) = (Instant::now(), self.target.kind());
            match result.map_err(|error| error.retry()) {
                Ok(reference) => {
                    self.outbox.delivered(&due, reference, CADENCE, now);
                    self.shared.metrics.alert(kind, "ok");
                }
                Err(Retry::Never) => {
                    self.outbox.failed(due, true, now);
                    self.shared.metrics.alert(kind, "dropped");
                    self.end();
                }
                Err(Retry::After(asked)) => {
                    self.outbox.failed(due, false, now);
                    self.shared.metrics.alert(kind, "error");
                    paused = now + asked.map_or(pause, |asked| asked.max(PAUSE));
                    pause = (pause * 2).min(PAUSE_LIMIT);
                    self.end();
                }
            }
        }
    }

    fn end(&mut self) {
        self.outbox.end(CADENCE, Instant::now(), Timestamp::now());
    }
}
