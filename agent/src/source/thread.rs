//! Threads for work that blocks while it waits for a server. Servers that do not respond would use up the shared pool.
//!
//! Starts threads; callers limit their number.

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The work did not finish: its thread could not be started, or it panicked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ThreadError {
    #[error("cannot start a thread: {0}")]
    Start(String),
    #[error("a defect ended the task; see the log")]
    Panicked,
}

/// Runs blocking work on its own thread, and waits for the result. The work continues if the caller is dropped.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ThreadError> {
    let (done, result) = oneshot::channel();
    let runtime = Handle::current();
    let work = move || {
        // The work may use the runtime of its caller.
        let _runtime = runtime.enter();
        drop(done.send(work()));
    };
    std::thread::Builder::new()
        .name("git".to_owned())
        .spawn(work)
        .map_err(|error| ThreadError::Start(error.to_string()))?;
    result.await.map_err(|_| ThreadError::Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_of_its_caller_alone() {
        assert_eq!(run(|| 1).await.ok(), Some(1));
        let ended = run(|| assert!(std::hint::black_box(false), "it panics")).await;
        assert!(matches!(ended, Err(ThreadError::Panicked)));
    }
}
