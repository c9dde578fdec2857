//! Random histories of commits and of others' writes, on a real API server, with an oracle that knows what must come of
//! them: `fuzz histories [--minutes N] [--seed N] [--from N] [--count N] [--parallel N] [--out DIR]`,
//! `fuzz histories --replay FILE`.
//!
//! The same seed and number make the same history. A history that ends otherwise than the oracle says is made as small as
//! it gets, and written to a file with the evidence that is needed to judge it. I/O: processes, network, disk.

mod canary;
mod editor;
mod fragment;
mod history;
mod kinds;
mod oracle;
mod patience;
mod run;
mod shrink;
mod stage;
mod world;
mod writers;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use holdfast_tests::tools::progress;
use serde_json::{Value, json};

pub use editor::edit;
use history::History;
use kinds::Kind;
use run::Verdict;
use stage::Stage;

/// What is to be run.
pub struct Plan {
    pub seed: u64,
    pub from: u64,
    pub count: u64,
    pub time: Duration,
    pub parallel: usize,
    pub out: PathBuf,
    /// How long one finding may be made smaller.
    pub shrink: Duration,
    pub replay: Option<PathBuf>,
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(kinds::all);

/// Findings after which it is enough.
const ENOUGH: usize = 30;

/// Runs what is planned, and returns a line for people and machines, and whether nothing was found.
pub fn run(plan: &Plan) -> anyhow::Result<(Value, bool)> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let stage = Stage::start().await?;
        match &plan.replay {
            Some(file) => replay(&stage, plan, file).await,
            None => all(&stage, plan).await,
        }
    })
}

async fn all(stage: &Stage, plan: &Plan) -> anyhow::Result<(Value, bool)> {
    let started = Instant::now();
    let (next, done, found) = (AtomicU64::new(plan.from), AtomicU64::new(0), AtomicUsize::new(0));
    let worker = || async {
        let mut files = Vec::new();
        while started.elapsed() < plan.time && found.load(Ordering::Relaxed) < ENOUGH {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= plan.from.saturating_add(plan.count) {
                break;
            }
            let history = history::make(plan.seed, number, &KINDS);
            let namespace = format!("h-{number}");
            let outcome = run::run(stage, &KINDS, &history, &namespace).await;
            let outcome = outcome.with_context(|| format!("seed {}, number {number}", plan.seed))?;
            if let Some(verdict) = outcome {
                found.fetch_add(1, Ordering::Relaxed);
                files.push(finding(stage, plan, number, history, verdict).await?);
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(50) {
                progress(&format!(
                    "{done} histories, {} findings, {:?}",
                    found.load(Ordering::Relaxed),
                    started.elapsed()
                ));
            }
        }
        anyhow::Ok(files)
    };
    let workers = (0..plan.parallel).map(|_| worker());
    let files = futures::future::try_join_all(workers).await?.concat();
    let line = json!({"fuzz": "histories", "seed": plan.seed, "from": plan.from, "histories": done.into_inner(),
        "seconds": started.elapsed().as_secs_f64(), "findings": files});
    Ok((line, files.is_empty()))
}

/// Makes a finding small, prints it, and writes it to a file.
async fn finding(
    stage: &Stage,
    plan: &Plan,
    number: u64,
    history: History,
    verdict: Verdict,
) -> anyhow::Result<PathBuf> {
    let first = shown(&verdict);
    progress(&format!("a finding, seed {}, number {number}:\n{first}", plan.seed));
    let namespace = format!("s-{number}");
    let (small, verdict) = if plan.shrink.is_zero() {
        (history.clone(), verdict)
    } else {
        shrink::shrink(stage, &KINDS, history.clone(), verdict, &namespace, plan.shrink).await?
    };
    let value = json!({
        "seed": plan.seed, "number": number, "first": first.lines().collect::<Vec<_>>(),
        "violations": shown(&verdict).lines().collect::<Vec<_>>(),
        "story": story(&small), "history": small, "whole": history, "evidence": verdict.evidence,
    });
    std::fs::create_dir_all(&plan.out)?;
    let path = plan.out.join(format!("histories-{}-{number}.json", plan.seed));
    std::fs::write(&path, serde_json::to_string_pretty(&value)?)?;
    progress(&format!(
        "the smallest of seed {}, number {number}:\n{}\n{}\n{}",
        plan.seed,
        story(&small).join("\n"),
        shown(&verdict),
        path.display()
    ));
    Ok(path)
}

fn shown(verdict: &Verdict) -> String {
    verdict.violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A history in words.
fn story(history: &History) -> Vec<String> {
    let mut lines = vec![format!("slots {:?}, {:?}", history.slots, history.mode)];
    for (at, op) in history.ops.iter().enumerate() {
        let wait = if op.quiet { "" } else { ", and at once" };
        lines.push(format!("{}. {}{wait}", at + 1, act(history, &op.act)));
    }
    lines
}

fn act(history: &History, act: &history::Act) -> String {
    let kind =
        |slot: usize| history.slots.get(slot).and_then(|name| KINDS.iter().find(|kind| kind.name == name));
    let choice = |slot: usize, choice: &history::Choice| {
        let kind = kind(slot);
        let name = kind.and_then(|kind| kind.aspects.get(choice.aspect)).map_or("?", |aspect| aspect.name);
        let part = kind.map(|kind| kind.part(choice.aspect, choice.variant)).unwrap_or_default();
        format!("{name} = {part}")
    };
    match act {
        history::Act::Commit(edits) => {
            let edits = edits.iter().map(|edit| match edit {
                history::Edit::Set(slot, of) => format!("slot {slot}: {}", choice(*slot, of)),
                other => format!("{other:?}"),
            });
            format!("commit {}", edits.collect::<Vec<_>>().join("; "))
        }
        history::Act::Write { slot, write } => {
            use history::Write;
            let of = match write {
                Write::Edit(of)
                | Write::Patch(of)
                | Write::Verb(of)
                | Write::ClientApply(of)
                | Write::Replace(of)
                | Write::Create(of) => Some(of),
                Write::Operator { choice, .. } | Write::ServerApply { choice, .. } => Some(choice),
                Write::Delete | Write::Autoscale(_) | Write::Strip | Write::Copy { .. } => None,
            };
            let of = of.map(|of| choice(*slot, of)).unwrap_or_default();
            format!("slot {slot}: {write:?} {of}")
        }
        history::Act::Approve => "approve what waits".to_owned(),
        history::Act::Kill(wait) => format!("kill the agent after {wait} ms"),
    }
}

/// Runs the history of a finding again.
async fn replay(stage: &Stage, plan: &Plan, file: &Path) -> anyhow::Result<(Value, bool)> {
    let text = std::fs::read(file).with_context(|| file.display().to_string())?;
    let value: Value = serde_json::from_slice(&text)?;
    let history: History = serde_json::from_value(value["history"].clone())?;
    let outcome = run::run(stage, &KINDS, &history, "replay").await?;
    let clean = outcome.is_none();
    let line = match outcome {
        None => json!({"fuzz": "histories", "replay": file, "findings": []}),
        Some(verdict) => {
            progress(&format!("{}\n{}", story(&history).join("\n"), shown(&verdict)));
            let path = plan.out.join("histories-replay.json");
            std::fs::create_dir_all(&plan.out)?;
            std::fs::write(&path, serde_json::to_string_pretty(&verdict.evidence)?)?;
            json!({"fuzz": "histories", "replay": file, "findings": [path]})
        }
    };
    Ok((line, clean))
}
