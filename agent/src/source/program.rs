//! The program that runs the Git protocol without HTTP: `ssh`, or `git` for a repository on disk.
//!
//! It is stopped when its connection is closed, or when no caller waits for the response. The start of its standard
//! error is kept. I/O: a subprocess, blocking.

use std::io::{self, BufReader, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Maximum number of bytes of standard error that are kept.
const WORDS: u64 = 64 * 1024;
/// Maximum time for the end of standard error and the exit status, once the response has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(10);
/// Stack size of the thread that reads standard error.
const STACK: usize = 128 * 1024;

/// A running program. It is stopped when this is dropped.
pub struct Program {
    child: Arc<Mutex<Child>>,
    words: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
    ending: AbortHandle,
}

/// The end of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// `None` if it still runs, or was stopped by a signal.
    pub status: Option<i32>,
    /// The start of its standard error.
    pub said: String,
}

/// Standard input and output of the program.
pub struct Pipes {
    pub from: BufReader<ChildStdout>,
    pub to: ChildStdin,
}

impl Program {
    /// Starts a program. It is stopped when `ended` is cancelled.
    pub fn start(
        mut command: Command,
        runtime: &Handle,
        ended: &CancellationToken,
    ) -> io::Result<(Self, Pipes)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(to), Some(from), Some(said)) = pipes else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let child = Arc::new(Mutex::new(child));
        let words = Arc::<Mutex<Vec<u8>>>::default();
        let kept = words.clone();
        let reading = std::thread::Builder::new()
            .name("git words".to_owned())
            .stack_size(STACK)
            .spawn(move || listen(said, &kept))
            .inspect_err(|_| end(&child))?;
        let (dying, ended) = (child.clone(), ended.clone());
        let ending = runtime.spawn(async move {
            ended.cancelled().await;
            end(&dying);
        });
        let program = Self { child, words, reading, ending: ending.abort_handle() };
        Ok((program, Pipes { from: BufReader::new(from), to }))
    }

    /// Returns the exit status and the start of standard error. Both can arrive shortly after the end of the response,
    /// so this waits for a moment.
    pub fn ended(&self) -> Ended {
        let started = Instant::now();
        loop {
            let status = lock(&self.child).try_wait().ok().flatten();
            if (status.is_some() && self.reading.is_finished()) || started.elapsed() > LAST_WORDS {
                let said = String::from_utf8_lossy(&lock(&self.words)).into_owned();
                return Ended { status: status.and_then(|status| status.code()), said };
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.ending.abort();
        end(&self.child);
    }
}

/// Keeps the start of what a program writes and discards the rest, so that the program is not blocked.
fn listen(said: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut said = BufReader::new(said);
    let mut piece = [0; 4096];
    let mut left = WORDS;
    while let Ok(count @ 1..) = said.read(&mut piece) {
        let wanted = count.min(usize::try_from(left).unwrap_or(usize::MAX));
        lock(kept).extend_from_slice(&piece[..wanted]);
        left -= wanted as u64;
    }
}

fn end(child: &Mutex<Child>) {
    let mut child = lock(child);
    // A process that was waited for is not killed, so another process that has its id now is safe.
    let _ = child.kill();
    let _ = child.wait();
}

fn lock<T>(mutex: &Mutex<T>) -> parking_lot::MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Program, Pipes, CancellationToken) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let ended = CancellationToken::new();
        let (program, pipes) = Program::start(command, &Handle::current(), &ended).unwrap();
        (program, pipes, ended)
    }

    #[tokio::test]
    async fn the_start_of_what_it_writes_is_kept() {
        let (program, mut pipes, _) = shell("yes no >&2 & sleep 0.2; kill $!; echo done; exit 3");
        let mut answer = String::new();
        pipes.from.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "done\n");
        let Ended { status, said } = program.ended();
        assert_eq!((status, said.len() as u64), (Some(3), WORDS));
    }

    #[tokio::test]
    async fn it_ends_when_no_caller_waits() {
        let (program, mut pipes, ended) = shell("exec sleep 1000");
        ended.cancel();
        let read = tokio::task::spawn_blocking(move || pipes.from.read(&mut [0; 10]));
        assert!(matches!(read.await.unwrap(), Ok(0)));
        assert_eq!(program.ended().status, None);
    }
}
