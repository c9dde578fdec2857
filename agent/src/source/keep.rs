//! Removes unused mirrors, and keeps the cache folder within its limit.
//!
//! A mirror that was not used for an hour is removed, and so are files of killed processes. If the folder is too large, the least
//! recently used files of the trust domain that uses most are removed; mirrors that a Sync uses are removed last. I/O: disk.

use std::path::Path;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::ssh::FOLDER;
use super::{MirrorEntry, Sources};
use crate::disk::{self, Item, excess, leftovers};

/// A mirror that nothing has used for so long is out of use. A Sync that looks less often fetches afresh each time.
const IDLE: Duration = Duration::from_hours(1);
/// Interval of the sweep.
const PERIOD: Duration = Duration::from_mins(1);
/// Minimum time between two sweeps while the folder is too large.
const PAUSE: Duration = Duration::from_secs(1);
/// The subfolders of the cache folder, and the depth of what is removed as a unit.
const ROOMS: [(&str, usize); 4] = [(MIRRORS, 2), ("renders", 2), ("charts", 1), ("chart-indexes", 1)];
/// The folder for temporary files is cleared before the first connection of the process.
static TEMPORARY_FOLDER: Once = Once::new();
/// The folder of mirrors; it has one folder for each trust domain.
pub(super) const MIRRORS: &str = "mirrors";
/// The prefix of temporary files, as the crate `tempfile` names them.
const TEMPORARY: &str = ".tmp";

impl Sources {
    /// Keeps the cache folder within its limit until the process ends.
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let sources = self.clone();
            self.blocking(move || sources.sweep(IDLE)).await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
                () = self.options.usage.exceeded() => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    async fn blocking(&self, work: impl FnOnce() + Send + 'static) {
        if let Err(error) = tokio::task::spawn_blocking(work).await {
            warn!(%error, "Cannot clean the cache folder");
        }
    }

    /// Removes files that a killed process left. Must be called before anything is written.
    pub(super) fn clear(&self) {
        leftovers::of_dead_processes(&self.folder, FOLDER);
        // The folder for temporary files is shared by the process: later it contains the keys of open connections.
        TEMPORARY_FOLDER.call_once(|| leftovers::of_dead_processes(&std::env::temp_dir(), FOLDER));
        leftovers::beginning_with(&self.folder, TEMPORARY);
        for (room, depth) in ROOMS {
            for item in disk::items(&self.folder.join(room), depth) {
                leftovers::beginning_with(&item.path, TEMPORARY);
            }
        }
    }

    /// Removes mirrors that were idle for this long, and the least used files if the folder is too large.
    pub fn sweep(&self, idle: Duration) {
        self.forget_idle(idle);
        self.remove_strays(idle);
        self.shrink();
    }

    /// Closes mirrors that nothing uses any more: no Sync, no ImageUpdate and no base, or not with these credentials.
    fn forget_idle(&self, idle: Duration) {
        self.mirrors.lock().retain(|_, known| {
            known.forget_answers(idle);
            // A caller that holds the mirror is about to use it.
            let unused = known.used.lock().elapsed() >= idle && Arc::strong_count(&known.mirror) == 1;
            if !unused || known.mirror.is_held() {
                return true;
            }
            let folder = known.mirror.retire();
            debug!(folder = %folder.display(), "Removed a mirror that nothing uses");
            false
        });
    }

    /// Removes folders that belong to no mirror of this process.
    fn remove_strays(&self, idle: Duration) {
        for Item { path, used, .. } in disk::items(&self.folder.join(MIRRORS), 2) {
            // A mirror with a number was a replacement, which a new process never opens.
            let is_old = path.extension().is_some() || age(used) >= idle;
            // Locked, so that it is not opened meanwhile.
            let open = self.open.lock();
            if is_old && !open.contains(&path) {
                remove(&path);
            }
        }
    }

    fn shrink(&self) {
        let mut items = Vec::new();
        for (room, depth) in ROOMS {
            items.extend(disk::items(&self.folder.join(room), depth));
        }
        let usage = &self.options.usage;
        let room = usage.measured(&items);
        let sum: u64 = items.iter().map(|item| item.bytes).sum();
        if sum <= room {
            return;
        }
        let (held, free): (Vec<Item>, Vec<Item>) =
            items.into_iter().partition(|item| self.open.lock().contains(&item.path));
        let held_bytes: u64 = held.iter().map(|item| item.bytes).sum();
        let mut gone = excess(free, room.saturating_sub(held_bytes));
        gone.extend(excess(held, room));
        let bytes: u64 = gone.iter().map(|item| item.bytes).sum();
        for item in &gone {
            self.evict(&item.path);
            usage.gone(item);
        }
        info!(
            bytes,
            limit = usage.limit(),
            items = gone.len(),
            "Removed the least used files from the cache folder"
        );
    }

    /// Removes a file or folder. An open mirror is fetched again when it is needed.
    fn evict(&self, path: &Path) {
        let mut known: Vec<MirrorEntry> = self.mirrors.lock().values().cloned().collect();
        known.retain(|known| known.mirror.folder() == path);
        for known in known {
            known.forget_answers(Duration::ZERO);
            known.mirror.retire();
        }
        // The parent folders stay; they are few and empty.
        remove(path);
    }
}

impl MirrorEntry {
    /// Removes old responses that no request is using.
    fn forget_answers(&self, idle: Duration) {
        self.answers.lock().retain(|_, line| {
            let old = |line: &super::entry::Line| {
                let answer = line.try_lock().ok();
                answer
                    .is_some_and(|answer| answer.as_ref().is_none_or(|answer| answer.asked.elapsed() >= idle))
            };
            Arc::strong_count(line) > 1 || !old(line)
        });
        let mut moved = self.moved.lock();
        moved.retain(|_, at: &mut Instant| at.elapsed() < IDLE);
    }
}

fn age(used: SystemTime) -> Duration {
    SystemTime::now().duration_since(used).unwrap_or_default()
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        warn!(folder = %folder.display(), %error, "Cannot remove a folder of the cache");
    }
}
