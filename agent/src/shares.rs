//! Slots for each tenant. A tenant that uses all of its slots waits, and does not delay others.
//!
//! A slot may be held during I/O, since no other tenant needs it. Resources that all tenants share must not be limited like this.
//! No I/O.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of all tenants.
#[derive(Clone)]
pub struct Shares(Arc<Inner>);

struct Inner {
    slots: u32,
    /// The tenants that use slots or wait for one.
    busy: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// Slots that are held until this is dropped.
pub struct Share {
    permit: Option<OwnedSemaphorePermit>,
    /// Dropped after the permit, so that the last one of a tenant removes its entry.
    _user: User,
}

/// A user of the slots of a tenant, or one that waits for a slot.
struct User {
    inner: Arc<Inner>,
    tenant: String,
    slots: Option<Arc<Semaphore>>,
}

impl Shares {
    /// Creates this number of slots for each tenant, at least one.
    pub fn new(slots: u32) -> Self {
        Self(Arc::new(Inner { slots: slots.max(1), busy: Mutex::default() }))
    }

    /// Waits for a slot of a tenant, after earlier callers of the same tenant.
    pub async fn take(&self, tenant: &str) -> Share {
        self.take_many(tenant, 1).await
    }

    /// Waits for several slots. A caller that requests more than there are gets all of them.
    pub async fn take_many(&self, tenant: &str, slots: u32) -> Share {
        let user = self.user(tenant);
        let free = user.slots.clone();
        // It is never closed, so a permit is always returned.
        let permit = match free {
            Some(free) => free.acquire_many_owned(slots.clamp(1, self.0.slots)).await.ok(),
            None => None,
        };
        Share { permit, _user: user }
    }

    /// Returns the number of tenants that use slots or wait for one.
    pub fn tenants(&self) -> usize {
        self.0.lock().len()
    }

    fn user(&self, tenant: &str) -> User {
        let mut busy = self.0.lock();
        let slots = || Arc::new(Semaphore::new(self.0.slots as usize));
        let slots = busy.entry(tenant.to_owned()).or_insert_with(slots).clone();
        User { inner: self.0.clone(), tenant: tenant.to_owned(), slots: Some(slots) }
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Semaphore>>> {
        self.busy.lock()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        drop(self.permit.take());
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut busy = self.inner.lock();
        drop(self.slots.take());
        if busy.get(&self.tenant).is_some_and(|slots| Arc::strong_count(slots) == 1) {
            busy.remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_tenant_waits_for_its_own_slots_only() {
        let shares = Shares::new(2);
        let held = (shares.take("a").await, shares.take("a").await);
        assert!(shares.take("a").now_or_never().is_none(), "both are in use");
        assert!(shares.take("b").now_or_never().is_some());
        drop(held.0);
        assert!(shares.take("a").now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_wants_more_than_there_is_takes_all_of_it() {
        let shares = Shares::new(4);
        let all = shares.take_many("a", 1000).await;
        assert!(shares.take("a").now_or_never().is_none());
        drop(all);
        assert!(shares.take("a").now_or_never().is_some());
    }

    #[tokio::test]
    async fn two_thousand_tenants_that_went_leave_nothing_behind() {
        let shares = Shares::new(1);
        for tenant in 0..2000 {
            let tenant = format!("tenant-{tenant}");
            let held = shares.take(&tenant).await;
            // Who gives up waiting counts no more.
            let waited = tokio::time::timeout(Duration::from_micros(1), shares.take(&tenant)).await;
            assert!(waited.is_err());
            drop(held);
        }
        assert_eq!(shares.tenants(), 0);
    }
}
