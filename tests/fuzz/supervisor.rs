//! Watches the process that runs the inputs: when it dies, or takes too long, its input is a finding, and another process
//! goes on behind it. I/O: processes, disk.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use holdfast_tests::controlplane::cpu_seconds;
use holdfast_tests::tools::progress;

use crate::finding::Finding;
use crate::input::make;
use crate::seeds::Seeds;
use crate::target::Target;
use crate::worker::peak_of;

/// Processor seconds that an input may take; a program that is not optimised takes some times as long.
const SLOW: f64 = if cfg!(debug_assertions) { 10.0 } else { 2.0 };
/// Findings after which it is enough.
const ENOUGH: usize = 20;
/// How often the process is checked.
const LOOK: Duration = Duration::from_millis(50);
/// No input has begun yet.
const NONE: u64 = u64::MAX;

/// What is to be run.
pub struct Plan {
    pub target: Target,
    pub seed: u64,
    pub time: Duration,
    pub inputs: u64,
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    pub inputs: u64,
    pub seconds: f64,
    /// The most memory that a process had.
    pub peak: u64,
    /// Files of findings.
    pub findings: Vec<PathBuf>,
}

/// Runs inputs until the time is over, all are run, or there are enough findings.
pub fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    let seeds = Seeds::read()?;
    let folder = std::env::temp_dir().join("holdfast-fuzz");
    let started = Instant::now();
    let mut outcome = Outcome::default();
    while outcome.inputs < plan.inputs && outcome.findings.len() < ENOUGH {
        let mut worker = Worker::start(plan, outcome.inputs)?;
        let end = worker.watch(plan, started)?;
        outcome.peak = outcome.peak.max(worker.peak);
        if let Some(number) = worker.number() {
            outcome.inputs = number + 1;
        }
        let why = match end {
            End::Time => break,
            End::Slow => format!("it takes more than {SLOW} s"),
            End::Died => worker.said()?,
        };
        let number = worker.number().with_context(|| format!("no input was run: {why}"))?;
        let (Plan { target, seed, .. }, input) = (plan, make(plan.target, &seeds, plan.seed, number));
        let path = Finding { target: *target, seed: *seed, number, why, input }.write(&folder)?;
        progress(&format!("fuzz: a finding; `fuzz replay {}`", path.display()));
        outcome.findings.push(path);
    }
    outcome.inputs = outcome.inputs.min(plan.inputs);
    outcome.seconds = started.elapsed().as_secs_f64();
    Ok(outcome)
}

/// Why a process runs no more.
enum End {
    Time,
    Slow,
    Died,
}

/// A process that runs inputs.
struct Worker {
    child: Child,
    /// The input that it is at.
    at: Arc<AtomicU64>,
    reading: Option<JoinHandle<()>>,
    /// What it says when it ends.
    saying: Option<JoinHandle<String>>,
    peak: u64,
}

impl Worker {
    fn start(plan: &Plan, from: u64) -> anyhow::Result<Self> {
        let words = [plan.target.name().to_owned(), plan.seed.to_string(), from.to_string()];
        let mut child = Command::new(std::env::current_exe()?)
            .arg("work")
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (mut stdout, mut stderr) =
            (child.stdout.take().context("a pipe")?, child.stderr.take().context("a pipe")?);
        let at = Arc::new(AtomicU64::new(NONE));
        let told = at.clone();
        let reading = std::thread::spawn(move || {
            let mut number = [0; 8];
            while stdout.read_exact(&mut number).is_ok() {
                told.store(u64::from_le_bytes(number), Ordering::Relaxed);
            }
        });
        let saying = std::thread::spawn(move || {
            let mut said = Vec::new();
            // What was said before the error is enough.
            let _ = stderr.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        Ok(Self { child, at, reading: Some(reading), saying: Some(saying), peak: 0 })
    }

    /// Waits until it ends, or must be ended.
    fn watch(&mut self, plan: &Plan, started: Instant) -> anyhow::Result<End> {
        let pid = self.child.id();
        let (mut at, mut since) = (NONE, 0.0);
        let end = loop {
            if self.child.try_wait()?.is_some() {
                break End::Died;
            }
            let now = self.at.load(Ordering::Relaxed);
            // It may end during the check.
            let spent = cpu_seconds(pid).unwrap_or(since);
            self.peak = self.peak.max(peak_of(&pid.to_string()).unwrap_or(0) * 1024);
            if now != at {
                (at, since) = (now, spent);
            } else if at != NONE && spent > since + SLOW {
                break End::Slow;
            }
            if started.elapsed() > plan.time || (at != NONE && at >= plan.inputs) {
                break End::Time;
            }
            std::thread::sleep(LOOK);
        };
        if !matches!(end, End::Died) {
            self.child.kill()?;
            self.child.wait()?;
        }
        if let Some(reading) = self.reading.take() {
            reading.join().map_err(|_| anyhow::anyhow!("the reader of the numbers panicked"))?;
        }
        Ok(end)
    }

    fn number(&self) -> Option<u64> {
        Some(self.at.load(Ordering::Relaxed)).filter(|number| *number != NONE)
    }

    /// How it ended, and what it said.
    fn said(&mut self) -> anyhow::Result<String> {
        let status = self.child.wait()?;
        let said = self.saying.take().and_then(|saying| saying.join().ok()).unwrap_or_default();
        Ok(format!("{status}: {}", said.trim().lines().take(20).collect::<Vec<_>>().join("\n")))
    }
}
