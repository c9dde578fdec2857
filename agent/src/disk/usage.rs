//! The usage of the cache folder by trust domain, and what to evict if it is too large.
//!
//! The least recently used files of the domain that uses most are evicted first, so no domain can evict files of others or prevent
//! their fetches. I/O: reads the sizes of files; removes nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::policy::CACHE_LIMIT;

/// Maximum depth of measured folders.
const DEPTH: usize = 8;

/// The usage of the cache folder.
pub struct Usage {
    limit: u64,
    /// Bytes of each domain: as measured, and written since.
    domains: Mutex<HashMap<String, u64>>,
    /// Notified if the limit is exceeded, so that files must be removed.
    over: Notify,
    /// True if the disk is full, whatever the limit is.
    full: AtomicBool,
    /// True if the last write failed, which is logged once.
    failing: AtomicBool,
}

/// A file or folder that can be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub path: PathBuf,
    pub domain: String,
    pub bytes: u64,
    pub used: SystemTime,
}

impl Default for Usage {
    fn default() -> Self {
        Self::new(CACHE_LIMIT)
    }
}

impl Usage {
    /// Creates the usage with a limit in bytes.
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            domains: Mutex::default(),
            over: Notify::new(),
            full: AtomicBool::default(),
            failing: AtomicBool::default(),
        }
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Counts bytes that were written.
    pub fn grow(&self, domain: &str, bytes: u64) {
        let mut domains = self.domains();
        let own = domains.entry(domain.to_owned()).or_default();
        *own = own.saturating_add(bytes);
        if domains.values().sum::<u64>() > self.limit {
            self.over.notify_one();
        }
        drop(domains);
        if self.failing.swap(false, Ordering::Relaxed) {
            info!("The cache folder can be written again");
        }
    }

    /// Records that a write failed. Only the first failure in a row is logged.
    pub fn failed(&self, path: &Path, error: &std::io::Error) {
        if error.kind() == std::io::ErrorKind::StorageFull {
            self.no_room();
        }
        if !self.failing.swap(true, Ordering::Relaxed) {
            warn!(path = %path.display(), %error, "Cannot write to the cache folder");
        }
    }

    /// Records that the disk is full.
    pub fn no_room(&self) {
        self.full.store(true, Ordering::Relaxed);
        self.over.notify_one();
    }

    /// True if a domain may fetch more: there is space, or others use more than their share.
    pub fn admits(&self, domain: &str) -> bool {
        let domains = self.domains();
        let sum: u64 = domains.values().sum();
        let share = self.limit / (domains.len().max(1) as u64);
        sum <= self.limit || domains.get(domain).is_none_or(|own| *own < share)
    }

    /// Waits until the limit is exceeded.
    pub async fn exceeded(&self) {
        self.over.notified().await;
    }

    /// Records the measured items, and returns the number of bytes that may stay. If the disk was full, half of the
    /// current number.
    pub fn measured(&self, items: &[Item]) -> u64 {
        let mut measured: HashMap<String, u64> = HashMap::new();
        for Item { domain, bytes, .. } in items {
            *measured.entry(domain.clone()).or_default() += bytes;
        }
        let sum: u64 = measured.values().sum();
        *self.domains() = measured;
        if self.full.swap(false, Ordering::Relaxed) {
            sum / 2
        } else if sum > self.limit {
            self.limit - self.limit / 5
        } else {
            sum
        }
    }

    /// Subtracts a removed item.
    pub fn gone(&self, item: &Item) {
        if let Some(own) = self.domains().get_mut(&item.domain) {
            *own = own.saturating_sub(item.bytes);
        }
    }

    fn domains(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.domains.lock()
    }
}

/// Returns the items to remove so that the rest has at most this number of bytes.
pub fn excess(items: Vec<Item>, room: u64) -> Vec<Item> {
    let mut sum: u64 = items.iter().map(|item| item.bytes).sum();
    let mut domains: HashMap<String, (u64, Vec<Item>)> = HashMap::new();
    for item in items {
        let (bytes, own) = domains.entry(item.domain.clone()).or_default();
        *bytes += item.bytes;
        own.push(item);
    }
    // The least recently used item is last, where it is removed first.
    domains.values_mut().for_each(|(_, own)| own.sort_by_key(|item| std::cmp::Reverse(item.used)));
    let mut gone = Vec::new();
    while sum > room {
        let Some((bytes, own)) =
            domains.values_mut().filter(|(_, own)| !own.is_empty()).max_by_key(|(bytes, _)| *bytes)
        else {
            break;
        };
        gone.extend(own.pop().inspect(|item| {
            *bytes -= item.bytes;
            sum -= item.bytes;
        }));
    }
    gone
}

/// Returns the folders at a depth below a folder, each as an item. The first name below is the domain, if there is
/// one.
pub fn items(folder: &Path, depth: usize) -> Vec<Item> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut found = vec![folder.to_path_buf()];
    for _ in 0..depth {
        found = found.iter().flat_map(|folder| folders(folder)).collect();
    }
    let item = |path: PathBuf| {
        let domain = name(if depth > 1 { path.parent().unwrap_or(&path) } else { folder });
        let (bytes, used) = measure(&path, DEPTH);
        Item { path, domain, bytes, used }
    };
    found.into_iter().map(item).collect()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let is_folder = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.filter(is_folder).map(|entry| entry.path()).collect()
}

/// Returns the bytes below a folder, and when it was used last. Symlinks are not followed.
fn measure(path: &Path, depth: usize) -> (u64, SystemTime) {
    let Ok(metadata) = path.symlink_metadata() else { return (0, SystemTime::UNIX_EPOCH) };
    let mut sum = if metadata.is_dir() { 0 } else { metadata.len() };
    let mut used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    if metadata.is_dir() && depth > 0 {
        for entry in path.read_dir().into_iter().flatten().flatten() {
            let (bytes, at) = measure(&entry.path(), depth - 1);
            sum += bytes;
            used = used.max(at);
        }
    }
    (sum, used)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn item(domain: &str, name: &str, bytes: u64, age: u64) -> Item {
        let used = SystemTime::UNIX_EPOCH + Duration::from_secs(1000 - age);
        Item { path: name.into(), domain: domain.to_owned(), bytes, used }
    }

    fn names(items: Vec<Item>) -> Vec<String> {
        items.into_iter().map(|item| item.path.display().to_string()).collect()
    }

    #[test]
    fn the_largest_domain_gives_way_first_with_what_it_used_first() {
        let all = vec![
            item("a", "a-old", 10, 900),
            item("b", "b-old", 40, 30),
            item("b", "b-new", 40, 1),
            item("b", "b-mid", 40, 20),
        ];
        assert!(names(excess(all.clone(), 130)).is_empty());
        assert_eq!(names(excess(all.clone(), 100)), ["b-old"]);
        assert_eq!(names(excess(all.clone(), 50)), ["b-old", "b-mid"]);
        assert_eq!(names(excess(all.clone(), 20)), ["b-old", "b-mid", "b-new"]);
        assert_eq!(excess(all, 0).len(), 4);
    }

    #[test]
    fn a_domain_that_takes_no_more_than_its_share_may_always_fetch() {
        let usage = Usage::new(100);
        usage.grow("a", 95);
        assert!(usage.admits("a") && usage.admits("b"));
        usage.grow("b", 10);
        assert!(!usage.admits("a") && usage.admits("b") && usage.admits("c"));
        assert_eq!(usage.measured(&[item("a", "a", 120, 1)]), 80);
        usage.gone(&item("a", "a", 60, 1));
        assert!(usage.admits("a"));
        assert_eq!(usage.measured(&[item("a", "a", 60, 1)]), 60);
        usage.no_room();
        assert_eq!(usage.measured(&[item("a", "a", 60, 1)]), 30);
    }

    #[test]
    fn folders_are_measured_by_domain() {
        let root = tempfile::tempdir().unwrap();
        for (path, bytes) in [("x/one/a", 10), ("x/one/b/c", 5), ("y/two/a", 7)] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; bytes]).unwrap();
        }
        let mut found: Vec<(String, u64)> =
            items(root.path(), 2).into_iter().map(|item| (item.domain, item.bytes)).collect();
        found.sort();
        assert_eq!(found, [("x".to_owned(), 15), ("y".to_owned(), 7)]);
        assert_eq!(items(&root.path().join("x"), 1)[0].domain, "x");
        assert!(items(&root.path().join("missing"), 2).is_empty());
    }
}
