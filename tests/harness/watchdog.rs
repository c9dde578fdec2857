//! Ends every process and removes every folder of a run, however the run ends: also after a panic, Ctrl-C or SIGKILL.
//!
//! A small shell, in a process group of its own, reads what was started from a pipe. When the pipe closes, because its
//! other end is gone for whatever reason, it ends all of it. I/O: processes.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use parking_lot::Mutex;

/// Reads `pid N`, `gone N` and `dir PATH` lines; at the end of them it ends what is left, gently, then not.
const SCRIPT: &str = r#"
pids=; dirs=
while IFS=' ' read -r what value; do
  case $what in
    pid) pids="$value $pids" ;;
    gone) left=; for pid in $pids; do [ "$pid" = "$value" ] || left="$left $pid"; done; pids=$left ;;
    dir) dirs="$dirs
$value" ;;
  esac
done
for pid in $pids; do kill -TERM "-$pid" 2>/dev/null; done
i=0
while [ $i -lt 50 ]; do
  alive=; for pid in $pids; do kill -0 "-$pid" 2>/dev/null && alive=1; done
  [ -z "$alive" ] && break
  sleep 0.1; i=$((i+1))
done
for pid in $pids; do kill -KILL "-$pid" 2>/dev/null; done
printf '%s\n' "$dirs" | while IFS= read -r dir; do [ -n "$dir" ] && rm -rf -- "$dir"; done
"#;

/// The pipe to the watchdog of this process.
fn watchdog() -> anyhow::Result<&'static Mutex<ChildStdin>> {
    static PIPE: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    if let Some(pipe) = PIPE.get() {
        return Ok(pipe);
    }
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("cannot start sh")?;
    let pipe = shell.stdin.take().context("sh has no stdin")?;
    Ok(PIPE.get_or_init(|| Mutex::new(pipe)))
}

fn tell(line: &str) -> anyhow::Result<()> {
    let mut pipe = watchdog()?.lock();
    writeln!(pipe, "{line}").context("the watchdog is gone")
}

/// A folder that is gone when the run is, in memory where the machine has such a place.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn make(name: &str) -> anyhow::Result<Self> {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix(&format!("holdfast-{name}-")).tempdir_in(base)?;
        let path = folder.keep();
        tell(&format!("dir {}", path.display()))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left is removed by the watchdog.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process in a group of its own, ended when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a process whose output goes to a file.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let process = Self { name: name.to_owned(), child, log: log.to_path_buf() };
        tell(&format!("pid {}", process.pid()))?;
        Ok(process)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error with the end of its output if it has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended ({status}):\n{}", self.name, tail(&self.log));
        }
        Ok(())
    }

    /// Sends a signal by name.
    pub fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let status =
            Command::new("kill").args([&format!("-{signal}"), "--", &format!("-{}", self.pid())]).status()?;
        if !status.success() {
            bail!("{} is not there to be sent {signal}", self.name);
        }
        Ok(())
    }

    /// Ends it at once.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if self.child.try_wait()?.is_none() {
            self.signal("KILL")?;
            self.child.wait()?;
        }
        tell(&format!("gone {}", self.pid()))
    }

    /// Asks it to end, and waits at most for `limit`. Says how it ended and how long that took.
    pub fn terminate(&mut self, limit: Duration) -> anyhow::Result<(ExitStatus, Duration)> {
        let started = Instant::now();
        self.signal("TERM")?;
        while started.elapsed() < limit {
            if let Some(status) = self.child.try_wait()? {
                tell(&format!("gone {}", self.pid()))?;
                return Ok((status, started.elapsed()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("{} did not end within {limit:?} of SIGTERM:\n{}", self.name, tail(&self.log))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What cannot be ended here is ended by the watchdog.
        let _ = self.kill();
    }
}

/// The last lines of a file.
pub fn tail(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
