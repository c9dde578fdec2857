//! What a worker forbids itself before it reads anything: memory, time, files, processes. That no program gains rights is
//! for the pod to say (`allowPrivilegeEscalation: false`), and holds for workers too.
//!
//! I/O: system calls, `/proc/self`.

use std::io::{Error, Result};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are open at once: the pipes, and packs of mirrors while they are opened.
const FILES: u64 = 128;

/// Confines this process for good. It may write to so many bytes of memory beyond what it has now.
pub fn confine(memory: u64) -> Result<()> {
    let base = status("VmData:")?.saturating_mul(1024);
    both(Resource::Data, base.saturating_add(memory))?;
    both(Resource::Core, 0)?;
    // Nothing is written but the answer, which goes into a pipe.
    both(Resource::Fsize, 0)?;
    both(Resource::Nofile, FILES)?;
    // Of no effect for root, who runs no agent but in tests.
    both(Resource::Nproc, 0)
}

/// Gives the process so much time of a processor from now on.
pub fn give_time(time: Duration) -> Result<()> {
    let current = used()?.saturating_add(time.as_secs().max(1)).saturating_add(1);
    let Rlimit { maximum, .. } = getrlimit(Resource::Cpu);
    setrlimit(Resource::Cpu, Rlimit { current: Some(current), maximum }).map_err(Error::from)
}

/// Memory that this process takes now, in bytes.
pub fn resident() -> Result<u64> {
    Ok(status("VmRSS:")?.saturating_mul(1024))
}

/// Seconds of a processor that this process has used.
fn used() -> Result<u64> {
    /// Ticks of a second, on every Linux.
    const TICKS: u64 = 100;
    let text = std::fs::read_to_string("/proc/self/stat")?;
    // The name of the program, in brackets, may hold spaces.
    let (_, fields) = text.rsplit_once(')').unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Ok(ticks.sum::<u64>() / TICKS)
}

/// A number of `/proc/self/status`, in KiB.
fn status(name: &str) -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| Error::other(format!("/proc/self/status has no {name}")))
}

fn both(resource: Resource, limit: u64) -> Result<()> {
    // What is lower already stays.
    let limit = getrlimit(resource).maximum.map_or(limit, |maximum| maximum.min(limit));
    setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) }).map_err(Error::from)
}
