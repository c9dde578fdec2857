//! Renders on disk, below the cache folder: what was rendered once is not rendered again, by no Sync and after no restart.
//!
//! A render is found by the trust domain of its Sync, the repository and login, and its options. It is taken if the files
//! would answer all that it asked as they did then, and if it was this installation that wrote it. Nothing that came from a
//! Secret or was encrypted is ever written. A file that is not whole, or not ours, is thrown away. I/O: disk.

mod seal;

use std::fs::{self, DirBuilder};
use std::io::{Read as _, Write};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use holdfast_diff::digest::{Digest, Hasher};
use holdfast_diff::files::Versioned;
use serde::{Deserialize, Serialize};
use tracing::warn;

use self::seal::{SEAL, Sealer};
use super::RenderOutput;
use super::reads::Reads;
use crate::disk::Usage;
use crate::shares::{Share, Shares};
use crate::trust::Domain;

/// Renders that are kept of the same options.
const KEPT: usize = 4;
/// The form of the files.
const FORM: &str = concat!("holdfast render 2 ", env!("CARGO_PKG_VERSION"), "\n");
/// Bytes that a render may have, unpacked. A larger one is not kept.
const LIMIT: u64 = 128 * 1024 * 1024;

/// The renders below a folder.
pub struct Renders {
    folder: PathBuf,
    /// `None` if there is no chance to be had for a key: then nothing is kept.
    sealer: Option<Sealer>,
    usage: Arc<Usage>,
    /// One render at a time of the same, so that two Syncs do not render it side by side.
    turns: Shares,
}

/// Whose render it is, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderKey {
    pub domain: Domain,
    /// The repository and the login.
    pub mirror: String,
    /// Everything that a render depends on beside the files.
    pub options: Digest,
}

impl RenderKey {
    /// Where the renders are, below the folder of all.
    pub fn place(&self) -> String {
        let mut hasher = Hasher::default();
        hasher.text(&self.mirror);
        hasher.text(&self.options.to_string());
        format!("{}/{}", self.domain, hasher.finish())
    }
}

/// A render that is kept.
#[derive(Serialize, Deserialize)]
pub struct Stored {
    pub reads: Reads,
    pub output: RenderOutput,
}

impl Renders {
    /// The renders below a folder, which need not exist and may be lost at any time.
    pub fn new(cache: &Path, usage: Arc<Usage>) -> Self {
        let key = cache.join("keys/renders");
        let sealer = match Sealer::open(&key) {
            Ok((sealer, put)) => {
                if let Err(error) = put {
                    warn!(path = %key.display(), %error, "Renders are not cached across a restart: the key cannot be written");
                }
                Some(sealer)
            }
            Err(error) => {
                warn!(%error, "Renders are not cached: a random key cannot be generated");
                None
            }
        };
        Self { folder: cache.join("renders"), sealer, usage, turns: Shares::new(1) }
    }

    /// Waits until no other render of the same trust domain, tree and options is running.
    pub async fn turn(&self, key: &RenderKey, tree: &str) -> Share {
        self.turns.take(&format!("{}/{tree}", key.place())).await
    }

    /// The render by these options that read what these files hold.
    pub fn find(&self, key: &RenderKey, files: &dyn Versioned) -> Option<Stored> {
        let sealer = self.sealer.as_ref()?;
        let place = key.place();
        for path in self.of(&place) {
            match read(sealer, &place, &path) {
                Ok(stored) if stored.reads.matches(files).is_some() => {
                    // Only the order in which renders are forgotten depends on it.
                    let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                    return Some(stored);
                }
                Ok(_) => {}
                Err(error) => {
                    warn!(path = %path.display(), %error, "Cached render cannot be used and is removed");
                    let _ = fs::remove_file(&path);
                }
            }
        }
        None
    }

    /// Keeps a render. What cannot be written is only slower next time. One that read nothing would fit every tree.
    pub fn put(&self, key: &RenderKey, stored: &Stored) {
        let Some(sealer) = &self.sealer else { return };
        if stored.reads.is_empty() {
            return;
        }
        let place = key.place();
        let kept = pack(sealer, &place, stored).and_then(|bytes| self.keep(&place, stored, &bytes));
        match kept {
            Ok(bytes) => self.usage.grow(&key.domain.to_string(), bytes),
            Err(error) => self.usage.failed(&self.folder, &error),
        }
    }

    fn keep(&self, place: &str, stored: &Stored, bytes: &[u8]) -> std::io::Result<u64> {
        let folder = self.folder.join(place);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(bytes)?;
        file.persist(folder.join(stored.reads.digest().to_string())).map_err(|error| error.error)?;
        for old in self.of(place).into_iter().skip(KEPT) {
            fs::remove_file(old)?;
        }
        Ok(bytes.len() as u64)
    }

    /// The files at a place, the one that was used last first.
    fn of(&self, place: &str) -> Vec<PathBuf> {
        let entries = self.folder.join(place).read_dir().into_iter().flatten().flatten();
        let mut files: Vec<_> = entries
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        files.sort_by(|one, other| other.cmp(one));
        files.into_iter().map(|(_, path)| path).collect()
    }
}

fn pack(sealer: &Sealer, place: &str, stored: &Stored) -> std::io::Result<Vec<u8>> {
    let mut body = Bounded { inner: ZlibEncoder::new(Vec::new(), Compression::fast()), left: LIMIT };
    serde_json::to_writer(&mut body, stored)?;
    let body = body.inner.finish()?;
    let seal = sealer.seal(place, &body);
    Ok([FORM.as_bytes(), &seal, &body].concat())
}

fn read(sealer: &Sealer, place: &str, path: &Path) -> std::io::Result<Stored> {
    let bad = |said: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, said);
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LIMIT).read_to_end(&mut bytes)?;
    let rest = bytes.strip_prefix(FORM.as_bytes()).ok_or_else(|| bad("it is of another version"))?;
    let (seal, body) = rest.split_at_checked(SEAL).ok_or_else(|| bad("it is cut"))?;
    // Only bytes that this installation wrote are unpacked.
    if !sealer.holds(seal, place, body) {
        return Err(bad("its seal does not hold"));
    }
    let mut text = Vec::new();
    ZlibDecoder::new(body).take(LIMIT + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LIMIT {
        return Err(bad("it is too large"));
    }
    let stored: Stored = serde_json::from_slice(&text)?;
    if stored.reads.is_empty() { Err(bad("it read nothing, and would fit every tree")) } else { Ok(stored) }
}

/// A writer that takes so many bytes.
struct Bounded<W> {
    inner: W,
    left: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(std::io::ErrorKind::FileTooLarge)?;
        self.inner.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use holdfast_diff::files::{Entry, Files, FilesError, Resolved, Version};

    use std::sync::Arc;

    use super::*;
    use crate::render::reads::Recorder;

    /// One file, and its content's name.
    struct One(u8);

    impl Files for One {
        fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
            let kind = holdfast_diff::files::FileKind::File;
            Ok((path == "a.yaml").then(|| Resolved { path: path.to_owned(), kind }))
        }

        fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
            Ok((path == "a.yaml").then(|| vec![self.0].into()))
        }

        fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
            let kind = holdfast_diff::files::EntryKind::File;
            Ok(path.is_empty().then(|| vec![Entry { name: "a.yaml".to_owned(), kind }]))
        }
    }

    impl Versioned for One {
        fn version(&self, path: &str) -> Result<Option<Version>, FilesError> {
            Ok((path == "a.yaml").then_some(Version([self.0; 20])))
        }
    }

    fn stored(files: &One) -> Stored {
        let recorder = Recorder::new(files);
        recorder.list("").unwrap();
        recorder.read("a.yaml").unwrap();
        recorder.read("b.yaml").unwrap();
        Stored { reads: recorder.into_reads(), output: RenderOutput::default() }
    }

    fn renders(folder: &Path) -> Renders {
        Renders::new(folder, Arc::default())
    }

    fn key(namespace: &str, mirror: &str, options: &[u8]) -> RenderKey {
        let domain = Domain::Namespace(namespace.into());
        RenderKey { domain, mirror: mirror.to_owned(), options: Digest::of_bytes(options) }
    }

    #[test]
    fn a_render_is_found_again_while_its_files_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let own = key("a", "m", b"options");
        renders(folder.path()).put(&own, &stored(&One(1)));
        let renders = renders(folder.path());
        assert!(renders.find(&own, &One(1)).is_some());
        assert!(renders.find(&own, &One(2)).is_none());
        for other in [key("b", "m", b"options"), key("a", "n", b"options"), key("a", "m", b"others")] {
            assert!(renders.find(&other, &One(1)).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_render_that_is_damaged_or_not_ours_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let own = key("a", "m", b"options");
        let renders = renders(folder.path());
        let put = || {
            renders.put(&own, &stored(&One(1)));
            renders.of(&own.place()).pop().unwrap()
        };
        let path = put();
        let good = fs::read(&path).unwrap();
        for at in [0, FORM.len(), FORM.len() + SEAL, good.len() - 1] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            fs::write(put(), bytes).unwrap();
            assert!(renders.find(&own, &One(1)).is_none());
            assert!(!path.exists());
        }
        // Another installation's, with a seal of its own.
        let elsewhere = tempfile::tempdir().unwrap();
        let theirs = self::renders(elsewhere.path());
        theirs.put(&own, &stored(&One(1)));
        fs::copy(theirs.of(&own.place()).pop().unwrap(), put()).unwrap();
        assert!(renders.find(&own, &One(1)).is_none());
        // A valid file of another key.
        let other = key("b", "m", b"options");
        fs::create_dir_all(folder.path().join("renders").join(other.place())).unwrap();
        let there = folder.path().join("renders").join(other.place()).join("x");
        fs::copy(put(), &there).unwrap();
        assert!(renders.find(&other, &One(1)).is_none());
        assert!(renders.find(&own, &One(1)).is_some());
    }

    #[test]
    fn a_render_that_read_nothing_is_neither_kept_nor_taken() {
        let folder = tempfile::tempdir().unwrap();
        let own = key("a", "m", b"options");
        let renders = renders(folder.path());
        let nothing = Stored { reads: Recorder::new(&One(1)).into_reads(), output: RenderOutput::default() };
        renders.put(&own, &nothing);
        assert_eq!(renders.of(&own.place()).len(), 0);
        let place = own.place();
        let sealer = renders.sealer.as_ref().unwrap();
        let bytes = pack(sealer, &place, &nothing).unwrap();
        fs::create_dir_all(renders.folder.join(&place)).unwrap();
        fs::write(renders.folder.join(&place).join("x"), bytes).unwrap();
        assert!(renders.find(&own, &One(1)).is_none());
    }

    #[tokio::test]
    async fn a_render_waits_for_its_like_and_for_nothing_else() {
        use futures::FutureExt as _;
        let folder = tempfile::tempdir().unwrap();
        let renders = renders(folder.path());
        let held = renders.turn(&key("a", "m", b"options"), "tree").await;
        assert!(renders.turn(&key("a", "m", b"options"), "tree").now_or_never().is_none());
        for (other, tree) in [("b", "tree"), ("a", "other")] {
            assert!(renders.turn(&key(other, "m", b"options"), tree).now_or_never().is_some());
        }
        drop(held);
        assert!(renders.turn(&key("a", "m", b"options"), "tree").now_or_never().is_some());
    }
}
