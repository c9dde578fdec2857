//! What the pages share. No I/O but the task of the pulse.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::access::{Access, Visitor};
use super::live::{Live, Offered};
use super::pages::Frame;
use super::pulse::Pulse;
use super::rights::Rights;
use super::seal::Seal;
use super::session::Sessions;

/// How long the API server may be silent before the pages say so. A watch has a bookmark about every minute.
const SILENCE: u64 = 150;

pub struct Desk {
    live: Offered,
    pub access: Access,
    pub rights: Rights,
    pub sessions: Sessions,
    pub seal: Seal,
    pub pulse: Pulse,
}

impl Desk {
    pub fn new(live: Offered, access: Access, stop: CancellationToken) -> Self {
        let pulse = Pulse::new(live.clone(), stop);
        Self {
            live,
            access,
            rights: Rights::default(),
            sessions: Sessions::default(),
            seal: Seal::new(),
            pulse,
        }
    }

    /// What the pages read; `None` while the agent starts, or waits for the Lease.
    pub fn live(&self) -> Option<Arc<Live>> {
        self.live.borrow().clone()
    }

    /// The frame of a page.
    pub fn frame(&self, visitor: Option<&Visitor>, done: Option<&'static str>) -> Frame {
        let silent = self.live().map(|live| (live.silence)().as_secs()).filter(|silent| *silent > SILENCE);
        Frame {
            visitor: visitor.map(|visitor| visitor.name.clone()).unwrap_or_default(),
            proof: visitor.map(|visitor| self.seal.of(&visitor.id)).unwrap_or_default(),
            has_session: visitor.is_some_and(|visitor| visitor.has_session),
            silent,
            done,
            now: jiff::Timestamp::now(),
        }
    }
}
