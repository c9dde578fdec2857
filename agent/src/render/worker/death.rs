//! What it means that a worker ended in the middle of a render, in words that say what to do.
//!
//! Pure.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use super::process::Death;
use crate::error::Class;
use crate::render::RenderError;

/// Signals, by their numbers on Linux.
const ABORT: i32 = 6;
const KILL: i32 = 9;
const SEGMENT: i32 = 11;
const TOO_LONG: i32 = 24;

/// The error for a worker that ended.
pub fn of(Death { status, said }: Death, memory: u64, seconds: u64) -> RenderError {
    let signal = status.and_then(|status| status.signal());
    match signal {
        // The system kills when a whole container has no more memory.
        Some(KILL) => RenderError::outside(
            Class::Transient,
            "RenderKilled",
            "the system ended the render, as it does when the container has no more memory: raise its memory limit".to_owned(),
        ),
        Some(ABORT) if said.contains("memory allocation of") => too_large(memory),
        Some(TOO_LONG) => RenderError::outside(
            Class::User,
            "RenderTooSlow",
            format!(
                "the render takes more than {seconds} s of a processor: set spec.path to a smaller folder, or split it into \
                 several Syncs"
            ),
        ),
        Some(ABORT | SEGMENT) if said.contains("stack") || signal == Some(SEGMENT) => RenderError::outside(
            Class::User,
            "RenderTooDeep",
            "the files are nested too deeply to be rendered: flatten them".to_owned(),
        ),
        _ => {
            let status = status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
            tracing::warn!(%status, said = said.trim(), "A render ended because of a defect");
            RenderError::internal(&format!("the render ended because of a defect ({status}); see the log of the agent"))
        }
    }
}

fn too_large(memory: u64) -> RenderError {
    RenderError::outside(
        Class::User,
        "RenderTooLarge",
        format!(
            "the render needs more than {} MiB of memory (--render-memory): set spec.path to a smaller folder, split it into \
             several Syncs, or use fewer aliases and shorter variables",
            memory / (1024 * 1024)
        ),
    )
}

/// The error for a render that comes to more than may be read.
pub fn too_much(limit: usize) -> RenderError {
    RenderError::outside(
        Class::User,
        "RenderTooLarge",
        format!(
            "the render has more than {} MiB of objects, a quarter of --render-memory: split it into several Syncs",
            limit / (1024 * 1024)
        ),
    )
}

/// The error for a render that takes longer than its Sync may.
pub fn too_slow(time: Duration) -> RenderError {
    RenderError::outside(
        Class::Transient,
        "RenderTimeout",
        format!("the render took longer than {} s: raise spec.timeout, or split the Sync", time.as_secs()),
    )
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;
    use crate::error::StageError as _;

    #[test]
    fn each_end_says_what_to_do() {
        let check = |signal: i32, said: &str, name: &str, part: &str| {
            let death = Death { status: Some(ExitStatus::from_raw(signal)), said: said.to_owned() };
            let error = of(death, 256 << 20, 5);
            assert_eq!(error.name(), name, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        check(KILL, "", "RenderKilled", "memory limit");
        check(ABORT, "memory allocation of 90 bytes failed", "RenderTooLarge", "--render-memory");
        check(ABORT, "thread 'main' has overflowed its stack", "RenderTooDeep", "flatten");
        check(SEGMENT, "", "RenderTooDeep", "flatten");
        check(TOO_LONG, "", "RenderTooSlow", "5 s");
        check(ABORT, "", "RenderFault", "defect");
    }
}
