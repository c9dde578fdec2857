//! Turns at something that there are few of: processes that render. They are shared out among tenants, so that no tenant
//! keeps the others waiting, however much it asks for.
//!
//! A tenant never has all of them, unless there is one only; of those who wait, that tenant is next which has the fewest
//! and used the least of late. A turn is held while a process of this machine works, and never while anything waits for a
//! network. No I/O.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// After this time half of what a tenant used is forgotten.
const HALF: Duration = Duration::from_secs(30);
/// Seconds of use that are no longer remembered.
const FORGOTTEN: f64 = 0.01;

/// So many turns, shared by all tenants.
#[derive(Clone)]
pub struct Turns(Arc<Mutex<State>>);

struct State {
    free: usize,
    /// The most that one tenant has at once.
    share: usize,
    tenants: HashMap<String, Tenant>,
    /// Those who wait, in the order in which they came.
    waiting: VecDeque<(String, oneshot::Sender<()>)>,
}

/// What a tenant has, and what it used.
struct Tenant {
    running: usize,
    /// Seconds, fewer and fewer with time.
    used: f64,
    at: Instant,
}

/// A turn, until it is dropped.
pub struct Turn {
    turns: Turns,
    tenant: String,
    since: Instant,
}

/// A caller that waits, and may give up.
struct Waiter {
    turns: Turns,
    tenant: String,
    granted: oneshot::Receiver<()>,
    took: bool,
}

impl Turns {
    /// So many turns, at least one.
    pub fn new(count: usize) -> Self {
        let count = count.max(1);
        let state = State {
            free: count,
            share: count.saturating_sub(1).max(1),
            tenants: HashMap::new(),
            waiting: VecDeque::new(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Waits for a turn of a tenant.
    pub async fn take(&self, tenant: &str) -> Turn {
        self.queue(tenant).wait().await
    }

    fn queue(&self, tenant: &str) -> Waiter {
        let (grant, granted) = oneshot::channel();
        let mut state = self.lock();
        state.waiting.push_back((tenant.to_owned(), grant));
        state.grant();
        drop(state);
        Waiter { turns: self.clone(), tenant: tenant.to_owned(), granted, took: false }
    }

    /// How many tenants are remembered.
    pub fn tenants(&self) -> usize {
        self.lock().tenants.len()
    }

    fn release(&self, tenant: &str, used: Duration) {
        let mut state = self.lock();
        state.free += 1;
        if let Some(tenant) = state.tenants.get_mut(tenant) {
            tenant.running = tenant.running.saturating_sub(1);
            tenant.used += used.as_secs_f64();
        }
        state.grant();
        state.sweep();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    /// Gives free turns to those who wait and may have one.
    fn grant(&mut self) {
        self.waiting.retain(|(_, grant)| !grant.is_closed());
        while self.free > 0
            && let Some(next) = self.next()
            && let Some((tenant, grant)) = self.waiting.remove(next)
        {
            if grant.send(()).is_ok() {
                self.free -= 1;
                let now = Instant::now();
                let entry = self.tenants.entry(tenant).or_insert(Tenant { running: 0, used: 0.0, at: now });
                entry.running += 1;
            }
        }
    }

    /// The place of who is next.
    fn next(&mut self) -> Option<usize> {
        let now = Instant::now();
        self.tenants.values_mut().for_each(|tenant| tenant.age(now));
        let has = |tenant: &str| self.tenants.get(tenant).map_or((0, 0.0), |it| (it.running, it.used));
        let all = self.waiting.iter().enumerate().map(|(at, (tenant, _))| (at, has(tenant)));
        let may = all.filter(|(_, (running, _))| *running < self.share);
        let least = may
            .min_by(|(_, (runs, used)), (_, (others, other))| runs.cmp(others).then(used.total_cmp(other)));
        least.map(|(at, _)| at)
    }

    /// Forgets the tenants that use nothing any more.
    fn sweep(&mut self) {
        let now = Instant::now();
        self.tenants.retain(|_, tenant| {
            tenant.age(now);
            tenant.running > 0 || tenant.used > FORGOTTEN
        });
    }
}

impl Tenant {
    fn age(&mut self, now: Instant) {
        let halves = now.duration_since(self.at).as_secs_f64() / HALF.as_secs_f64();
        self.used *= 0.5_f64.powf(halves);
        self.at = now;
    }
}

impl Waiter {
    async fn wait(mut self) -> Turn {
        // It is sent for sure: who waits is never forgotten.
        let _ = (&mut self.granted).await;
        self.took = true;
        Turn { turns: self.turns.clone(), tenant: self.tenant.clone(), since: Instant::now() }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // What was granted to who gave up goes to the next.
        if !self.took && self.granted.try_recv().is_ok() {
            self.turns.release(&self.tenant, Duration::ZERO);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.release(&self.tenant, self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn no_tenant_has_all_turns() {
        let turns = Turns::new(3);
        let held = (turns.take("a").await, turns.take("a").await);
        assert!(turns.take("a").now_or_never().is_none(), "one is left for others");
        let other = turns.take("b").now_or_never();
        assert!(other.is_some());
        drop(held);
        assert!(turns.take("a").now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_used_less_is_next_however_many_wait_before() {
        let turns = Turns::new(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let first = turns.take("greedy").await;
        let mut tasks = Vec::new();
        for tenant in ["greedy", "greedy", "greedy", "modest"] {
            let (turns, order) = (turns.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                let _turn = turns.take(tenant).await;
                order.lock().push(tenant);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }));
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        drop(first);
        futures::future::join_all(tasks).await;
        let order = order.lock().clone();
        assert_eq!(order, ["modest", "greedy", "greedy", "greedy"]);
    }

    #[tokio::test]
    async fn who_gives_up_leaves_nothing_behind() {
        let turns = Turns::new(1);
        for tenant in 0..2000 {
            let tenant = format!("tenant-{tenant}");
            let held = turns.take(&tenant).await;
            assert!(turns.take("other").now_or_never().is_none());
            // One that was granted and never taken.
            let waiting = Box::pin(turns.take("third"));
            let mut waiting = waiting;
            assert!((&mut waiting).now_or_never().is_none());
            drop(held);
            drop(waiting);
        }
        drop(turns.take("last").await);
        assert!(turns.tenants() <= 1, "{}", turns.tenants());
        assert!(turns.take("last").now_or_never().is_some(), "the turn came back");
    }
}
