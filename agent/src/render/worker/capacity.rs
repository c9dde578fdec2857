//! How much of the container's memory goes to what: the agent, its workers, and Helm. All of it fits together, or the agent
//! says at its start that it does not.
//!
//! I/O: the limit of the control group, in [`Capacity::here`].

use std::num::NonZero;
use std::path::Path;

/// A MiB.
const MIB: u64 = 1024 * 1024;
/// What the agent itself takes, with room for large installations.
const AGENT: u64 = 192 * MIB;
/// What one run of Helm may take: less, and it renders no large chart; more is seldom of use.
const HELM: (u64, u64) = (128 * MIB, 512 * MIB);
/// The most workers, and the most runs of Helm.
const MOST: usize = 8;

/// What renders may use at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub workers: usize,
    /// Runs of Helm.
    pub helm: usize,
    /// Bytes of memory of each.
    pub helm_memory: u64,
    /// False if the memory is too small even for one of each.
    pub fits: bool,
}

impl Capacity {
    /// What this container and its processors have room for.
    pub fn here(render_memory: u64) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
        let limit = files.into_iter().find_map(|file| limit(Path::new(file)));
        Self::of(limit, render_memory, processors)
    }

    /// Two workers if there is room for them, so that no tenant keeps the others waiting; then as many as there are
    /// processors.
    fn of(memory: Option<u64>, render_memory: u64, processors: usize) -> Self {
        let wanted = processors.clamp(2, MOST);
        let Some(memory) = memory else {
            return Self { workers: wanted, helm: wanted, helm_memory: HELM.1, fits: true };
        };
        let room = memory.saturating_sub(AGENT);
        let helm_memory = (room / 4).clamp(HELM.0, HELM.1);
        let rest = room.saturating_sub(helm_memory);
        let times = |bytes: u64| usize::try_from(bytes / render_memory.max(1)).unwrap_or(usize::MAX);
        let workers = times(rest).clamp(1, wanted);
        let used = render_memory.saturating_mul(workers as u64);
        let more = usize::try_from(rest.saturating_sub(used) / helm_memory).unwrap_or(usize::MAX);
        let fits = used <= rest && helm_memory <= room;
        Self { workers, helm: more.saturating_add(1).min(wanted), helm_memory, fits }
    }
}

/// The limit that a file of a control group holds, if it is one.
fn limit(file: &Path) -> Option<u64> {
    /// What the first version of control groups says if there is no limit is about this.
    const NONE: u64 = 1 << 60;
    let text = std::fs::read_to_string(file).ok()?;
    text.trim().parse().ok().filter(|limit| *limit < NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_runs_at_a_time_fits_into_the_memory() {
        for memory in (512..8192).step_by(64) {
            for render in [64, 128, 256, 512] {
                let capacity = Capacity::of(Some(memory * MIB), render * MIB, 4);
                let Capacity { workers, helm, helm_memory, fits } = capacity;
                let used = AGENT + render * MIB * workers as u64 + helm_memory * helm as u64;
                assert!(!fits || used <= memory * MIB, "{memory} MiB, {render} MiB: {capacity:?}");
                assert!(fits || workers == 1 && helm == 1, "{memory} MiB, {render} MiB: {capacity:?}");
            }
        }
    }

    #[test]
    fn the_manifests_have_room_for_two_workers() {
        let Capacity { workers, helm, fits, .. } = Capacity::of(Some(1024 * MIB), 256 * MIB, 2);
        assert_eq!((workers, helm, fits), (2, 1, true));
        // Without a limit, and with one that is too small.
        assert!(Capacity::of(None, 256 * MIB, 1).fits);
        assert!(!Capacity::of(Some(256 * MIB), 256 * MIB, 4).fits);
    }
}
