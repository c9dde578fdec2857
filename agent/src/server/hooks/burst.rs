//! Limits the checks that a burst of calls causes: the first call causes one at once, and calls within the next second cause
//! one more, at the end of that second. So no news is missed. I/O: timers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::OnCall;
use crate::subject::Subject;

/// The shortest time between two checks of an owner.
const PAUSE: Duration = Duration::from_secs(1);

/// The bursts of all owners.
#[derive(Clone)]
pub struct Bursts {
    on_call: OnCall,
    /// Owners that were just checked, and whether they were called since.
    pauses: Arc<Mutex<HashMap<Subject, bool>>>,
}

impl Bursts {
    pub fn new(on_call: OnCall) -> Self {
        Self { on_call, pauses: Arc::default() }
    }

    /// Requests a check, now or at the end of the pause.
    pub fn call(&self, owner: Subject) {
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

    /// True if the owner was called during the pause, so that another pause begins.
    fn again(&self, owner: &Subject) -> bool {
        let mut pauses = self.pauses.lock();
        let again = pauses.get_mut(owner).is_some_and(std::mem::take);
        if !again {
            pauses.remove(owner);
        }
        again
    }
}
