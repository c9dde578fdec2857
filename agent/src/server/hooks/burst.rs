//! Makes one look of a burst of calls: the first call causes one at once, and those that come within a second of a look
//! cause one more, at the end of that second. So nothing that is told of is missed. I/O: timers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{HookOwner, OnCall};

/// How long after a look the next one comes at the earliest.
const PAUSE: Duration = Duration::from_secs(1);

/// The bursts of all owners.
#[derive(Clone)]
pub struct Bursts {
    on_call: OnCall,
    /// Owners that were just looked at, and whether they were called since.
    pauses: Arc<Mutex<HashMap<HookOwner, bool>>>,
}

impl Bursts {
    pub fn new(on_call: OnCall) -> Self {
        Self { on_call, pauses: Arc::default() }
    }

    /// Causes a look, now or soon.
    pub fn call(&self, owner: HookOwner) {
        {
            let mut pauses = self.pauses.lock();
            if let Some(again) = pauses.get_mut(&owner) {
                *again = true;
                return;
            }
            pauses.insert(owner.clone(), false);
        }
        (self.on_call)(owner.clone());
        let bursts = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PAUSE).await;
                if !bursts.again(&owner) {
                    break;
                }
                (bursts.on_call)(owner.clone());
            }
        });
    }

    /// True if the owner was called in the pause that is over, and so has another one.
    fn again(&self, owner: &HookOwner) -> bool {
        let mut pauses = self.pauses.lock();
        let again = pauses.get_mut(owner).is_some_and(std::mem::take);
        if !again {
            pauses.remove(owner);
        }
        again
    }
}
