//! Renders in processes of their own: the same program, without an environment, with limits that it sets itself before it
//! reads anything. What a small repository expands to, and a fault in a parser, end a worker and never the agent.
//!
//! A few workers at most, shared out among tenants by turns. One that has served may serve again, for a tenant as good as
//! for another: it keeps nothing but what is in freed memory. The last ones end soon after there is nothing to do.
//! Leaves what is rendered to `order`. I/O: processes.

mod capacity;
mod confine;
mod death;
mod frame;
mod message;
mod process;
mod serve;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

pub use capacity::Capacity;
pub use serve::serve;

use super::RenderError;
use super::order::{Attempt, Given, Order};
use super::turns::Turns;
use message::Sent;
use process::{Outcome, Worker};

/// How long a worker waits for something to do.
const IDLE: Duration = Duration::from_secs(10);
/// The most seconds of a processor that a render may use, whatever its Sync allows.
const PROCESSOR: Duration = Duration::from_mins(2);

/// The reasons of renders that were ended for what they take: the same render would be ended again.
pub const ENDED: &[&str] = &["RenderTooLarge", "RenderTooSlow", "RenderTooDeep"];

/// The workers of an agent.
#[derive(Clone)]
pub struct Workers(Arc<Inner>);

struct Inner {
    program: PathBuf,
    /// Bytes that a worker may use.
    memory: u64,
    turns: Turns,
    idle: Mutex<Idle>,
}

/// Workers that wait, and whether something ends them in time.
#[derive(Default)]
struct Idle {
    workers: Vec<(Instant, Worker)>,
    swept: bool,
}

impl Workers {
    /// So many workers, of this program.
    pub fn new(program: PathBuf, memory: u64, count: usize) -> Self {
        Self(Arc::new(Inner { program, memory, turns: Turns::new(count), idle: Mutex::default() }))
    }

    /// Renders as far as the answers go, when it is the tenant's turn.
    pub async fn attempt(&self, order: &Order, given: &Given, tenant: &str) -> Attempt {
        let _turn = self.0.turns.take(tenant).await;
        let seconds = order.time.min(PROCESSOR).as_secs().max(1);
        let sent = Sent { order, given, seconds };
        match tokio::time::timeout(order.time, self.converse(&sent)).await {
            Ok(Ok(attempt)) => attempt,
            Ok(Err(error)) => Attempt::failed(error),
            Err(_) => Attempt::failed(death::too_slow(order.time)),
        }
    }

    async fn converse(&self, sent: &Sent<'_>) -> Result<Attempt, RenderError> {
        let message = frame::encode(sent).map_err(|error| RenderError::internal(&error.to_string()))?;
        let kept = self.take();
        let was_kept = kept.is_some();
        let mut worker = match kept {
            Some(worker) => worker,
            None => Worker::start(&self.0.program, self.0.memory)?,
        };
        let mut outcome = worker.converse(&message, output(self.0.memory)).await;
        // One that waited may have been killed by the system meanwhile: that is not this render's.
        if was_kept && matches!(outcome, Outcome::Deaf) {
            worker = Worker::start(&self.0.program, self.0.memory)?;
            outcome = worker.converse(&message, output(self.0.memory)).await;
        }
        match outcome {
            Outcome::Done(replies) => {
                let (attempt, stays) = tokio::task::spawn_blocking(move || replies.read())
                    .await
                    .map_err(|error| RenderError::internal(&error.to_string()))??;
                if stays {
                    self.put(worker);
                }
                Ok(attempt)
            }
            Outcome::TooMuch => Err(death::too_much(output(self.0.memory))),
            Outcome::Deaf | Outcome::Died => Err(death::of(worker.end().await, self.0.memory, sent.seconds)),
        }
    }

    fn take(&self) -> Option<Worker> {
        self.idle().workers.pop().map(|(_, worker)| worker)
    }

    /// Keeps a worker for a while.
    fn put(&self, worker: Worker) {
        let mut idle = self.idle();
        idle.workers.push((Instant::now(), worker));
        if !std::mem::replace(&mut idle.swept, true) {
            let workers = self.clone();
            tokio::spawn(async move { workers.sweep().await });
        }
    }

    /// Ends workers that waited for too long, until none waits.
    async fn sweep(&self) {
        loop {
            let next = {
                let mut idle = self.idle();
                idle.workers.retain(|(since, _)| since.elapsed() < IDLE);
                idle.swept = !idle.workers.is_empty();
                idle.workers.iter().map(|(since, _)| *since + IDLE).min()
            };
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => return,
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.0.idle.lock()
    }
}

/// Bytes of JSON that a render may come to: in the agent they take several times as much for a moment.
fn output(memory: u64) -> usize {
    usize::try_from(memory / 4).unwrap_or(usize::MAX)
}
