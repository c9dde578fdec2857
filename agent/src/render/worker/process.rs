//! One worker as a process: how it is started, talked to and ended. A worker that is dropped is killed.
//!
//! I/O: a subprocess.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::frame;
use super::message::Replies;
use super::serve::{DONE, MANIFEST};
use crate::render::RenderError;

/// The verb of the program that makes it a worker.
pub const VERB: &str = "render-worker";
/// Bytes that a worker's last words may have.
const WORDS: u64 = 4096;

/// A process that renders.
pub struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    errors: ChildStderr,
}

/// What became of a message to a worker.
pub enum Outcome {
    Done(Replies),
    /// It did not take the message, or answered nothing at all.
    Deaf,
    /// It ended before it was done.
    Died,
    /// It answers more than may be read.
    TooMuch,
}

/// How a worker ended, and what it said.
pub struct Death {
    pub status: Option<ExitStatus>,
    pub said: String,
}

impl Worker {
    /// Starts a worker that may use so many bytes of memory.
    pub fn start(program: &Path, memory: u64) -> Result<Self, RenderError> {
        let mut command = Command::new(program);
        command
            .arg(VERB)
            .arg(memory.to_string())
            .env_clear()
            // One arena, and what is free goes back to the system, as manifests/deployment.yaml has it for the agent.
            .envs([("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "131072")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let failed = |said: String| RenderError::internal(&format!("cannot start a worker: {said}"));
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(input), Some(output), Some(errors)) => {
                Ok(Self { child, input, output: BufReader::new(output), errors })
            }
            _ => Err(failed("it has no pipes".to_owned())),
        }
    }

    /// Sends a message, and reads the answer, of so many bytes at most.
    pub async fn converse(&mut self, message: &[u8], limit: usize) -> Outcome {
        let sent = async {
            self.input.write_all(message).await?;
            self.input.flush().await
        };
        if sent.await.is_err() {
            return Outcome::Deaf;
        }
        let mut replies = Replies::default();
        let mut left = limit;
        loop {
            let kind = match self.output.read_u8().await {
                Ok(kind) => kind,
                Err(_) if replies.manifests.is_empty() => return Outcome::Deaf,
                Err(_) => return Outcome::Died,
            };
            let bytes = match frame::receive(&mut self.output, left).await {
                Ok(Some(bytes)) => bytes,
                Err(error) if error.kind() == ErrorKind::FileTooLarge => return Outcome::TooMuch,
                Ok(None) | Err(_) => return Outcome::Died,
            };
            left -= bytes.len().min(left);
            match kind {
                MANIFEST => replies.manifests.push(bytes),
                DONE => {
                    replies.done = bytes;
                    return Outcome::Done(replies);
                }
                _ => return Outcome::Died,
            }
        }
    }

    /// Waits for the end of a worker that has ended, or as good as that.
    pub async fn end(self) -> Death {
        let Self { mut child, input, output: _, mut errors } = self;
        drop(input);
        let mut said = Vec::new();
        let words = async {
            // What cannot be read is not said.
            let _ = (&mut errors).take(WORDS).read_to_end(&mut said).await;
            child.wait().await.ok()
        };
        let status = words.await;
        Death { status, said: String::from_utf8_lossy(&said).into_owned() }
    }
}
