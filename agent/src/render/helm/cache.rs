//! A cache of fetched charts on disk, by request and under the digest of the archive. A damaged archive is deleted when it is
//! read, and if there are too many, the least recently used are deleted.
//!
//! A file is written under a temporary name and renamed, so that a kill leaves no partial file. I/O: disk.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use holdfast_diff::digest::Hasher;
use sha2::{Digest as _, Sha256};
use tracing::{debug, warn};

use super::{HelmError, Login};

/// Maximum number of charts in the cache.
const KEPT: usize = 300;

/// A folder of archives.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    kept: usize,
}

/// An archive of the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub path: PathBuf,
    /// SHA-256 of the archive, 64 hex digits.
    pub digest: String,
}

impl Cache {
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, kept: KEPT }
    }

    /// The same, with another maximum.
    #[must_use]
    pub fn keeping(self, kept: usize) -> Self {
        Self { kept, ..self }
    }

    /// Returns the archive of a key with its bytes, if it is in the cache and not damaged.
    pub fn get(&self, key: &str) -> Option<(Stored, Vec<u8>)> {
        let folder = self.folder.join(key);
        for entry in folder.read_dir().ok()?.flatten() {
            let path = entry.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            if path.extension().is_none_or(|extension| extension != "tgz") {
                continue;
            }
            match std::fs::read(&path) {
                Ok(bytes) if sha256(&bytes) == name => {
                    touch(&folder);
                    return Some((Stored { path, digest: name }, bytes));
                }
                Ok(_) => warn!(file = %path.display(), "Cached chart is damaged and is removed"),
                Err(error) => warn!(file = %path.display(), %error, "Cached chart cannot be read"),
            }
            remove(&folder);
            return None;
        }
        None
    }

    /// Stores an archive.
    pub fn put(&self, key: &str, bytes: &[u8]) -> Result<Stored, HelmError> {
        let failed = HelmError::io("keep a chart in the cache folder");
        let (folder, digest) = (self.folder.join(key), sha256(bytes));
        std::fs::create_dir_all(&folder).map_err(&failed)?;
        let path = folder.join(format!("{digest}.tgz"));
        let aside = tempfile::NamedTempFile::new_in(&folder).map_err(&failed)?;
        std::fs::write(aside.path(), bytes).map_err(&failed)?;
        aside.persist(&path).map_err(|error| failed(error.error))?;
        self.shrink(self.kept);
        Ok(Stored { path, digest })
    }

    /// Deletes the least recently used archives.
    fn shrink(&self, kept: usize) {
        let Ok(entries) = self.folder.read_dir() else { return };
        let mut all: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        all.sort();
        let many = all.len().saturating_sub(kept);
        all.iter().take(many).for_each(|(_, folder)| remove(folder));
    }
}

/// 64 hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Marks a folder as used now.
fn touch(folder: &Path) {
    let marked = std::fs::File::open(folder).and_then(|folder| folder.set_modified(SystemTime::now()));
    if let Err(error) = marked {
        debug!(folder = %folder.display(), %error, "Cannot mark a cached chart as used");
    }
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        warn!(folder = %folder.display(), %error, "Cannot remove a cached chart");
    }
}

/// Returns the file name of a request. It depends on the login, since another one may not have access.
pub fn key(parts: &[&str], login: Option<&Login>) -> String {
    let mut hasher = Hasher::default();
    parts.iter().for_each(|part| hasher.text(part));
    if let Some(login) = login {
        hasher.text(&login.id().to_string());
    }
    hasher.finish().to_string()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cache(folder: &tempfile::TempDir) -> Cache {
        Cache::at(folder.path().join("charts"))
    }

    #[test]
    fn what_was_put_comes_back_until_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder);
        assert_eq!(cache.get("a"), None);
        let stored = cache.put("a", b"chart").unwrap();
        assert_eq!(cache.get("a"), Some((stored.clone(), b"chart".to_vec())));
        std::fs::write(&stored.path, b"chaos").unwrap();
        assert_eq!(cache.get("a"), None);
        assert!(!stored.path.exists());
    }

    #[test]
    fn what_a_kill_left_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder);
        std::fs::create_dir_all(folder.path().join("charts/a")).unwrap();
        std::fs::write(folder.path().join("charts/a/.tmp123"), b"half").unwrap();
        assert_eq!(cache.get("a"), None);
        let stored = cache.put("a", b"chart").unwrap();
        assert_eq!(cache.get("a").map(|(stored, _)| stored), Some(stored));
    }

    #[test]
    fn the_least_recently_used_go() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(&folder);
        for (age, key) in [(3, "a"), (2, "b"), (1, "c")] {
            cache.put(key, key.as_bytes()).unwrap();
            let at = SystemTime::now() - Duration::from_hours(age);
            std::fs::File::open(folder.path().join("charts").join(key)).unwrap().set_modified(at).unwrap();
        }
        assert!(cache.get("a").is_some());
        cache.shrink(2);
        assert!(cache.get("b").is_none());
        assert!(cache.get("a").is_some() && cache.get("c").is_some());
    }
}
