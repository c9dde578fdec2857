//! Runs CPU-intensive work without blocking other tasks. No I/O.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Runs work on this thread; its other tasks continue on other threads.
pub fn work<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_runtime_of_one_thread_does_it_as_it_comes() {
        assert_eq!(work(|| 1), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_go_on_meanwhile() {
        let (done, other) = std::sync::mpsc::channel();
        tokio::spawn(async move { done.send(()) });
        let limit = std::time::Duration::from_secs(10);
        let heard = tokio::spawn(async move { work(|| other.recv_timeout(limit)) }).await;
        assert!(heard.is_ok_and(|heard| heard.is_ok()));
    }
}
