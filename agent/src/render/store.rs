//! Renders on disk, below the cache folder: what was rendered once is not rendered again, by no Sync and after no restart.
//!
//! A render is found by its options, and is taken if the files would answer all that it asked as they did then. Nothing
//! that came from a Secret or was encrypted is ever written. A file that is not whole is thrown away. I/O: disk.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use holdfast_diff::digest::Digest;
use holdfast_diff::files::Versioned;
use holdfast_diff::object::Manifest;
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use super::reads::Reads;

/// Bytes that all renders together may have on disk.
const LIMIT: u64 = 512 * 1024 * 1024;
/// Renders that are kept of the same options.
const KEPT: usize = 4;
/// The form of the files.
const FORM: &str = concat!("holdfast render 1 ", env!("CARGO_PKG_VERSION"), "\n");

/// The renders below a folder.
pub struct Renders {
    folder: PathBuf,
    limit: u64,
    /// Bytes on disk, once they were counted.
    size: Mutex<Option<u64>>,
    /// Held while something is rendered, so that two Syncs do not render the same side by side.
    busy: Mutex<HashMap<Digest, Arc<Mutex<()>>>>,
}

/// A render that is kept.
#[derive(Serialize, Deserialize)]
pub struct Stored {
    pub reads: Reads,
    pub manifests: Vec<Manifest>,
    pub warnings: Vec<String>,
}

impl Renders {
    /// The renders below a folder, which need not exist and may be lost at any time.
    pub fn new(cache: &Path) -> Self {
        Self::limited(cache, LIMIT)
    }

    fn limited(cache: &Path, limit: u64) -> Self {
        Self { folder: cache.join("renders"), limit, size: Mutex::default(), busy: Mutex::default() }
    }

    /// Waits until nobody else renders by these options, and runs.
    pub fn alone<T>(&self, options: Digest, run: impl FnOnce() -> T) -> T {
        let turn = lock(&self.busy).entry(options).or_default().clone();
        let held = lock(&turn);
        let done = run();
        drop(held);
        let mut busy = lock(&self.busy);
        if Arc::strong_count(&turn) == 2 {
            busy.remove(&options);
        }
        done
    }

    /// The render by these options that read what these files hold.
    pub fn find(&self, options: Digest, files: &dyn Versioned) -> Option<Stored> {
        for path in self.of(options) {
            match read(&path) {
                Ok(stored) if stored.reads.matches(files).is_some() => {
                    // Only the order in which renders are forgotten depends on it.
                    let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                    return Some(stored);
                }
                Ok(_) => {}
                Err(error) => {
                    warn!(path = %path.display(), %error, "Kept render is damaged and is thrown away");
                    let _ = fs::remove_file(&path);
                }
            }
        }
        None
    }

    /// Keeps a render. What cannot be written is only slower next time.
    pub fn put(&self, options: Digest, stored: &Stored) {
        if let Err(error) = self.write(options, stored) {
            warn!(folder = %self.folder.display(), %error, "Cannot keep a render");
        }
    }

    fn write(&self, options: Digest, stored: &Stored) -> std::io::Result<()> {
        let folder = self.folder.join(options.to_string());
        fs::create_dir_all(&folder)?;
        let bytes = pack(stored)?;
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(&bytes)?;
        file.persist(folder.join(stored.reads.digest().to_string())).map_err(|error| error.error)?;
        for old in self.of(options).into_iter().skip(KEPT) {
            fs::remove_file(old)?;
        }
        self.bound(bytes.len() as u64)
    }

    /// Forgets what was not used for the longest time, once there is too much.
    fn bound(&self, added: u64) -> std::io::Result<()> {
        let mut size = lock(&self.size);
        let now = size.map_or(u64::MAX, |size| size.saturating_add(added));
        if now <= self.limit {
            *size = Some(now);
            return Ok(());
        }
        let mut files = Vec::new();
        for folder in self.folder.read_dir()? {
            for file in folder?.path().read_dir()? {
                let file = file?;
                let metadata = file.metadata()?;
                files.push((metadata.modified()?, metadata.len(), file.path()));
            }
        }
        files.sort();
        let mut sum: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        let room = self.limit - self.limit / 5;
        for (_, bytes, path) in files {
            if sum <= room {
                break;
            }
            debug!(path = %path.display(), "Forgetting a render");
            fs::remove_file(&path)?;
            sum -= bytes;
            // Only an empty folder goes.
            let _ = path.parent().map(fs::remove_dir);
        }
        *size = Some(sum);
        Ok(())
    }

    /// The files of these options, the one that was used last first.
    fn of(&self, options: Digest) -> Vec<PathBuf> {
        let entries = self.folder.join(options.to_string()).read_dir().into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort_by(|one, other| other.cmp(one));
        files.into_iter().map(|(_, path)| path).collect()
    }
}

fn pack(stored: &Stored) -> std::io::Result<Vec<u8>> {
    let mut body = ZlibEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut body, stored)?;
    let body = body.finish()?;
    let sum = Digest::of_bytes(&body).to_string();
    Ok([FORM.as_bytes(), sum.as_bytes(), b"\n", &body].concat())
}

fn read(path: &Path) -> std::io::Result<Stored> {
    let bytes = fs::read(path)?;
    let bad = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let rest = bytes.strip_prefix(FORM.as_bytes()).ok_or_else(bad)?;
    let (sum, body) = rest.split_at_checked(33).ok_or_else(bad)?;
    if sum.trim_ascii_end() != Digest::of_bytes(body).to_string().as_bytes() {
        return Err(bad());
    }
    let mut text = String::new();
    ZlibDecoder::new(body).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
