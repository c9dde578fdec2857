//! The fuzzer finds what there is to find, and finds nothing in the readers within a moment.
//!
//! Long runs are for people: `cargo run --release -p holdfast-tests --bin fuzz`. I/O: processes.

use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// Runs the fuzzer, and returns what it tells of its target.
fn fuzz(target: &str, inputs: u64) -> anyhow::Result<(Output, Value)> {
    let inputs = inputs.to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .args([target, "--seed", "7", "--minutes", "3", "--inputs", &inputs])
        .output()?;
    let told = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((output, told))
}

#[test]
fn every_sort_of_finding_is_found() -> anyhow::Result<()> {
    let (output, told) = fuzz("itself", 20)?;
    ensure!(!output.status.success(), "it found nothing");
    ensure!(told["inputs"] == 20, "{told}");
    let files = told["findings"].as_array().context("no findings")?;
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read(file.as_str().context("a file")?)?;
        let finding: Value = serde_json::from_slice(&text)?;
        let why = finding["why"].as_str().context("why")?.to_owned();
        found.push((finding["number"].as_u64().context("a number")?, why));
    }
    let expected = [
        (3, "a property does not hold"),
        (5, "panicked"),
        (7, "overflowed its stack"),
        (9, "it takes more than"),
        (11, "MiB of memory"),
    ];
    let alike =
        |((number, why), (at, word)): (&(u64, String), (u64, &str))| *number == at && why.contains(word);
    ensure!(found.len() == expected.len() && found.iter().zip(expected).all(alike), "{found:#?}");
    Ok(())
}

#[test]
fn some_inputs_break_no_reader() -> anyhow::Result<()> {
    for (target, inputs) in
        [("yaml", 400), ("kustomization", 150), ("patch", 400), ("tree", 300), ("cache", 200)]
    {
        let (output, told) = fuzz(target, inputs)?;
        ensure!(output.status.success(), "{told}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// The histories are the same in each run, as far as they begin within a minute.
#[test]
fn a_minute_of_histories_finds_nothing() -> anyhow::Result<()> {
    let output = Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .args(["histories", "--seed", "7", "--count", "60"])
        .args(["--minutes", "1", "--parallel", "4", "--shrink", "0"])
        .output()?;
    // The histories that failed are on stderr, with what was expected.
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(line["histories"].as_u64().is_some_and(|histories| histories > 0), "{line}");
    Ok(())
}
