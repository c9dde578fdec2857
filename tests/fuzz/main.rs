//! Unusual inputs for everything that reads what users push to Git:
//! `fuzz [yaml|kustomization|patch|tree|cache] [--minutes N] [--seed N] [--inputs N]`, `fuzz replay FILE`; and histories of
//! commits and writes for the engine: `fuzz histories`, see [`histories`].
//!
//! Inputs are mutations of good ones, and are the same for the same seed. A panic, a stack overflow, a property that does
//! not hold, two seconds of work or a hundred megabytes for one input are findings: each is written to a file. One JSON
//! line a target on stdout; the exit code is 1 if there are findings. I/O: processes, disk.
#![expect(clippy::print_stdout, reason = "figures go to stdout")]

mod disk;
mod finding;
mod histories;
mod input;
mod mutate;
mod seeds;
mod supervisor;
mod target;
mod tree;
mod values;
mod worker;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::json;

use finding::Finding;
use supervisor::{Outcome, Plan};
use target::Target;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["replay", file] => return replay(Path::new(file)),
        ["work", target, seed, from] => {
            worker::work(target.parse()?, seed.parse()?, from.parse()?)?;
            return Ok(ExitCode::SUCCESS);
        }
        ["histories", "edit", change, file] => {
            histories::edit(Path::new(change), Path::new(file))?;
            return Ok(ExitCode::SUCCESS);
        }
        ["histories", ..] => return engine(&words),
        _ => {}
    }
    let minutes: f64 = option(&words, "--minutes")?.unwrap_or(10.0);
    let plan = |target| {
        anyhow::Ok(Plan {
            target,
            seed: option(&words, "--seed")?.unwrap_or(1),
            time: Duration::from_secs_f64(minutes * 60.0),
            inputs: option(&words, "--inputs")?.unwrap_or(u64::MAX),
        })
    };
    let targets: Vec<Target> = match words.first() {
        Some(name) if !name.starts_with("--") => vec![name.parse()?],
        _ => Target::ALL.to_vec(),
    };
    let mut clean = true;
    for target in targets {
        let plan = plan(target)?;
        let Outcome { inputs, seconds, peak, findings } = supervisor::run(&plan)?;
        clean &= findings.is_empty();
        println!(
            "{}",
            json!({"fuzz": target.name(), "seed": plan.seed, "inputs": inputs, "seconds": seconds,
                "peak_bytes": peak, "findings": findings})
        );
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs histories against the engine.
fn engine(words: &[&str]) -> anyhow::Result<ExitCode> {
    let minutes = |name: &str, or: f64| {
        let minutes: f64 = option(words, name)?.unwrap_or(or);
        anyhow::Ok(Duration::from_secs_f64(minutes * 60.0))
    };
    let plan = histories::Plan {
        seed: option(words, "--seed")?.unwrap_or(1),
        from: option(words, "--from")?.unwrap_or(0),
        count: option(words, "--count")?.unwrap_or(u64::MAX),
        time: minutes("--minutes", 10.0)?,
        parallel: option(words, "--parallel")?.unwrap_or(6),
        out: option(words, "--out")?.unwrap_or_else(|| std::env::temp_dir().join("holdfast-fuzz")),
        shrink: minutes("--shrink", 3.0)?,
        replay: option(words, "--replay")?,
    };
    let (line, clean) = histories::run(&plan)?;
    println!("{line}");
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The value behind an option.
fn option<T: std::str::FromStr>(words: &[&str], name: &str) -> anyhow::Result<Option<T>>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let Some(at) = words.iter().position(|word| *word == name) else { return Ok(None) };
    let Some(value) = words.get(at + 1) else { bail!("{name} needs a number") };
    Ok(Some(value.parse().with_context(|| format!("{name} {value}"))?))
}

/// Runs the input of a finding again: what it did then, it does now.
fn replay(file: &Path) -> anyhow::Result<ExitCode> {
    let Finding { target, why, input, .. } = Finding::read(file)?;
    println!("then: {why}");
    let started = std::time::Instant::now();
    let said = worker::on_a_small_stack(move || target.run(&input))?;
    println!("now: {} after {:?}", said.as_ref().err().map_or("nothing", String::as_str), started.elapsed());
    Ok(if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
