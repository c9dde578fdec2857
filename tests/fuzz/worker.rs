//! The process that runs the inputs, one after another, and says which one it is at. I/O: stdout, `/proc`.

use std::io::Write as _;

use anyhow::{Context as _, bail};

use crate::input::make;
use crate::seeds::Seeds;
use crate::target::Target;

/// The stack of the agent's threads.
const STACK: usize = 2 * 1024 * 1024;
/// Memory that one input may take, in KiB.
const MEMORY: u64 = 100 * 1024;

/// Runs inputs from a number on, until it is ended. The number of each is written to stdout before it runs.
pub fn work(target: Target, seed: u64, from: u64) -> anyhow::Result<()> {
    let seeds = Seeds::read()?;
    on_a_small_stack(move || {
        let mut stdout = std::io::stdout();
        let mut before = peak_of("self")?;
        for number in from.. {
            let input = make(target, &seeds, seed, number);
            stdout.write_all(&number.to_le_bytes())?;
            stdout.flush()?;
            if target == Target::Itself {
                misbehave(number)?;
            } else if let Err(said) = target.run(&input) {
                bail!("{said}");
            }
            let peak = peak_of("self")?;
            if peak > before + MEMORY {
                bail!("it takes {} MiB of memory", (peak - before) / 1024);
            }
            before = peak;
        }
        Ok(())
    })?
}

/// Every sort of finding, at numbers that the fuzzer's own test knows.
fn misbehave(number: u64) -> anyhow::Result<()> {
    match number {
        3 => bail!("a property does not hold"),
        5 => drop([0][usize::try_from(number)?..].to_vec()),
        7 => endless(0),
        9 => loop {
            std::hint::black_box(number);
        },
        11 => drop(std::hint::black_box(vec![1_u8; 300 << 20])),
        _ => {}
    }
    Ok(())
}

#[expect(unconditional_recursion, reason = "a stack overflow")]
fn endless(depth: u64) {
    endless(std::hint::black_box(depth + 1));
    std::hint::black_box(depth);
}

/// Runs something with the stack of the agent's threads.
pub fn on_a_small_stack<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(run)?;
    match thread.join() {
        Ok(done) => Ok(done),
        Err(_) => bail!("it panicked"),
    }
}

/// The most memory that a process had, in KiB.
pub fn peak_of(process: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).context("no VmHWM in /proc")?;
    Ok(line.split_whitespace().nth(1).context("no number in VmHWM")?.parse()?)
}
