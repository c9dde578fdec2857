//! The program under test: `holdfast`, built in the profile of the suite, as a process. I/O: processes.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::ports;
use crate::tools::progress;
use crate::watchdog::{Folder, Process, tail};
use crate::words::{self, Log};

/// The program, built once in a run.
pub async fn program() -> anyhow::Result<&'static Path> {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    let built = PROGRAM.get_or_try_init(|| async { tokio::task::spawn_blocking(build).await? }).await?;
    Ok(built)
}

/// Builds it as cargo built this suite, with the features of the whole workspace, so that nothing is built twice.
fn build() -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--workspace", "--bin", "holdfast", "--message-format=json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    progress("building the program");
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo build failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let programs = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let built = programs
        .filter(|message| message["target"]["name"] == "holdfast")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    built.context("cargo did not say where it put the program")
}

/// Runs a verb of the command line to its end.
pub async fn holdfast(kubeconfig: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(program().await?);
    command.args(arguments).env("KUBECONFIG", kubeconfig).env("NO_COLOR", "1");
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    for printed in [&output.stdout, &output.stderr] {
        words::check(
            &format!("the output of holdfast {}", arguments.join(" ")),
            &String::from_utf8_lossy(printed),
        )?;
    }
    Ok(output)
}

/// A running agent.
pub struct Agent {
    process: Process,
    port: u16,
    log: Log,
    folder: Folder,
}

impl Agent {
    /// Starts the agent and waits until its caches are synced.
    pub async fn start(kubeconfig: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        Self::start_at(ports::free()?, kubeconfig, arguments).await
    }

    /// The same at a port that is already in use by clients.
    pub async fn start_at(port: u16, kubeconfig: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let folder = Folder::make("agent")?;
        Self::start_in(folder, port, kubeconfig, arguments).await
    }

    async fn start_in(
        folder: Folder,
        port: u16,
        kubeconfig: &Path,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let log = folder.path().join("agent.log");
        let mut command = Command::new(program().await?);
        command
            .args(["agent", "--listen", &format!("127.0.0.1:{port}")])
            .arg("--cache-dir")
            .arg(folder.path().join("cache"))
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("TMPDIR", folder.path())
            // As manifests/base/deployment.yaml sets them.
            .envs([("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "131072")]);
        let process = Process::start("holdfast", &mut command, &log)?;
        let mut agent = Self { process, port, log: Log(log), folder };
        agent.wait_ready(Duration::from_mins(1)).await?;
        Ok(agent)
    }

    /// Kills the agent at once and starts it again, with the same cache.
    pub async fn restart(self, kubeconfig: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let Self { mut process, folder, .. } = self;
        process.kill()?;
        drop(process);
        Self::start_in(folder, ports::free()?, kubeconfig, arguments).await
    }

    async fn wait_ready(&mut self, limit: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < limit {
            self.process.check()?;
            if self.get("readyz").await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the agent is not ready after {limit:?}:\n{}", tail(&self.log.0))
    }

    /// Its cache folder.
    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Where it serves its probes and metrics.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Gets a page of the agent, which must answer with success.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        let answer = reqwest::get(format!("http://127.0.0.1:{}/{path}", self.port)).await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// The sum of the values whose lines start with this; 0 while there are none. An error if the reference has no metric of
    /// this name.
    pub async fn metric(&self, start: &str) -> anyhow::Result<f64> {
        let name = start.split(['{', ' ']).next().unwrap_or_default();
        let reference = std::fs::read_to_string(crate::root().join("agent/docs/reference.md"))?;
        let kinds = ["_count", "_sum", "_bucket"];
        let family = kinds.iter().find_map(|kind| name.strip_suffix(kind)).unwrap_or(name);
        if !reference.contains(&format!("`{family}`")) {
            bail!("agent/docs/reference.md has no metric {family}");
        }
        let text = self.get("metrics").await?;
        let values = text
            .lines()
            .filter(|line| line.starts_with(start))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(values.sum())
    }

    /// Waits for a time in which nothing is to happen, and fails if the agent was not at work in it: it must have asked a
    /// git server at least once, so the time is longer than the shortest interval of its Syncs.
    pub async fn at_work_for(&self, time: Duration) -> anyhow::Result<()> {
        let before = self.metric("holdfast_source_requests_total").await?;
        tokio::time::sleep(time).await;
        let asked = self.metric("holdfast_source_requests_total").await? - before;
        if asked < 1.0 {
            bail!("the agent asked no git server within {time:?}");
        }
        Ok(())
    }

    /// Fails if the agent has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.process.check()
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Kills it.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// Sends SIGTERM and waits.
    pub fn terminate(&mut self, limit: Duration) -> anyhow::Result<(ExitStatus, Duration)> {
        self.process.terminate(limit)
    }

    /// Everything that it wrote so far.
    pub fn output(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.log.0)?)
    }

    /// Fails if its log has a debug form in it.
    pub fn check_words(&self) -> anyhow::Result<()> {
        self.log.check()
    }

    /// Its log lines, each of which must be one JSON object.
    pub fn lines(&self) -> anyhow::Result<Vec<Value>> {
        let text = self.output()?;
        text.lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("not a JSON line: {line}")))
            .collect()
    }

    /// Its resident memory.
    pub fn rss_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS in /proc")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number in VmRSS")?.parse()?;
        Ok(kib / 1024.0)
    }
}
