//! Runs the real Helm: with an environment and a home of its own, within limits of time, memory and output, and without
//! a way to any network.
//!
//! Helm is the head of a process group. However a run ends, also when it is dropped, the group is killed and its head is
//! reaped. I/O: a subprocess.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::{HelmError, Limits, NEEDED, said};

/// How much of stderr is kept; the rest is read and dropped.
const STDERR: usize = 64 * 1024;
/// Where nothing listens: the discard port of loopback.
const NOWHERE: &str = "http://127.0.0.1:9";
/// How many processors Helm uses.
const PROCESSORS: u64 = 2;
/// Seconds of a processor beyond what the limit of time gives.
const SPARE: u64 = 10;
/// What of the memory limit Go uses before it collects harder; stacks and code need the rest.
const HEAP: u64 = 80;

/// What a run printed.
#[derive(Debug)]
pub struct Output {
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// Runs Helm in `home`, a private folder.
pub async fn run(
    program: &Path,
    arguments: &[OsString],
    home: &Path,
    limits: &Limits,
) -> Result<Output, HelmError> {
    let missing = |error: std::io::Error| HelmError::HelmMissing {
        program: program.display().to_string(),
        said: error.to_string(),
        needed: NEEDED,
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment(home, limits.memory))
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(missing)?;
    let group = Group::of(&child)?;
    group.limit(limits)?;
    let done = tokio::time::timeout(limits.time, talk(&mut child, limits)).await;
    let (status, output) = match done {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => return Err(end(child, group, error).await),
        Err(_) => return Err(end(child, group, timeout(limits.time)).await),
    };
    group.ended();
    judge(status, output, limits.memory)
}

fn timeout(limit: Duration) -> HelmError {
    HelmError::Timeout { seconds: limit.as_secs() }
}

/// All that Helm knows of its surroundings.
fn environment(home: &Path, memory: u64) -> Vec<(&'static str, OsString)> {
    let below = |name: &str| home.join(name).into_os_string();
    let mut all = vec![
        ("HOME", home.as_os_str().to_owned()),
        ("TMPDIR", home.as_os_str().to_owned()),
        ("HELM_CACHE_HOME", below("cache")),
        ("HELM_CONFIG_HOME", below("config")),
        ("HELM_DATA_HOME", below("data")),
        ("HELM_PLUGINS", below("plugins")),
        ("KUBECONFIG", below("kubeconfig")),
        ("GOMEMLIMIT", format!("{}B", memory / 100 * HEAP).into()),
        ("GOTRACEBACK", "none".into()),
        ("GOMAXPROCS", PROCESSORS.to_string().into()),
    ];
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        all.push((name, NOWHERE.into()));
    }
    all
}

/// Reads both outputs to their end, and waits for it.
async fn talk(child: &mut Child, limits: &Limits) -> Result<(ExitStatus, Output), HelmError> {
    let failed = HelmError::io("read what Helm prints");
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed(std::io::ErrorKind::BrokenPipe.into()));
    };
    let (stdout, stderr) = tokio::try_join!(stdout_of(stdout, limits.output), stderr_of(stderr))?;
    let status = child.wait().await.map_err(failed)?;
    Ok((status, Output { stdout, stderr }))
}

async fn stdout_of(mut pipe: impl AsyncRead + Unpin, limit: u64) -> Result<Vec<u8>, HelmError> {
    let mut read = Vec::new();
    let count = (&mut pipe).take(limit + 1).read_to_end(&mut read).await;
    count.map_err(HelmError::io("read what Helm prints"))?;
    if read.len() as u64 > limit { Err(HelmError::OutputTooLarge { limit }) } else { Ok(read) }
}

async fn stderr_of(mut pipe: impl AsyncRead + Unpin) -> Result<String, HelmError> {
    let mut kept = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        let count = pipe.read(&mut chunk).await.map_err(HelmError::io("read what Helm prints"))?;
        let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else { break };
        kept.extend(read.iter().take(STDERR - kept.len()));
    }
    Ok(String::from_utf8_lossy(&kept).into_owned())
}

fn judge(status: ExitStatus, output: Output, memory: u64) -> Result<Output, HelmError> {
    const KILL: i32 = 9;
    if status.success() {
        Ok(output)
    } else if status.signal() == Some(KILL) {
        // The system kills when a whole container has no more memory.
        Err(HelmError::OutOfMemory { limit: memory })
    } else {
        Err(said::error(&output.stderr, memory))
    }
}

/// Kills the group and reaps its head.
async fn end(mut child: Child, group: Group, error: HelmError) -> HelmError {
    drop(group);
    match child.kill().await {
        Ok(()) => error,
        Err(failed) => HelmError::io("end Helm")(failed),
    }
}

/// A process group that is killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Result<Self, HelmError> {
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let gone = || HelmError::Io { doing: "start Helm", said: "it has no process id".to_owned() };
        pid.map(|pid| Self(Some(pid))).ok_or_else(gone)
    }

    /// Limits the memory that is written to; Go reserves much more than it uses, so that addresses say nothing. And the
    /// time of processors, so that Helm ends even if the agent is killed: while the agent lives its clock is faster.
    fn limit(&self, limits: &Limits) -> Result<(), HelmError> {
        let failed = |error: rustix::io::Errno| HelmError::io("limit what Helm may use")(error.into());
        let set = |resource, limit| {
            prlimit(self.0, resource, Rlimit { current: Some(limit), maximum: Some(limit) }).map_err(failed)
        };
        set(Resource::Data, limits.memory)?;
        set(Resource::Cpu, PROCESSORS * limits.time.as_secs() + SPARE)?;
        set(Resource::Core, 0)?;
        Ok(())
    }

    /// The head was reaped: its id may be another's soon.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It has ended by itself, if this fails.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}
