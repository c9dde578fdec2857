//! Git objects as they are written, without git: any bytes as a tree. I/O: disk.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha2::{Digest as _, Sha256};

/// Where objects are put.
pub trait Objects {
    /// Writes an object, and returns its id, 40 hex digits.
    fn put(&self, kind: &str, bytes: &[u8]) -> anyhow::Result<String>;
}

/// The objects of a repository on disk. Their ids are not git's, which no reader checks.
pub struct Loose {
    folder: PathBuf,
}

impl Loose {
    /// A bare repository in a folder.
    pub fn init(folder: &Path) -> anyhow::Result<Self> {
        for below in ["objects/pack", "refs/heads"] {
            std::fs::create_dir_all(folder.join(below))?;
        }
        std::fs::write(folder.join("HEAD"), "ref: refs/heads/main\n")?;
        std::fs::write(folder.join("config"), "[core]\n\trepositoryformatversion = 0\n\tbare = true\n")?;
        Ok(Self { folder: folder.join("objects") })
    }

    /// Writes an object under this id.
    pub fn put_as(&self, id: &str, kind: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (folder, file) = id.split_at(2);
        let folder = self.folder.join(folder);
        std::fs::create_dir_all(&folder)?;
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(format!("{kind} {}\0", bytes.len()).as_bytes())?;
        packed.write_all(bytes)?;
        Ok(std::fs::write(folder.join(file), packed.finish()?)?)
    }
}

impl Objects for Loose {
    fn put(&self, kind: &str, bytes: &[u8]) -> anyhow::Result<String> {
        let whole = [format!("{kind} {}\0", bytes.len()).as_bytes(), bytes].concat();
        let id = Sha256::digest(&whole).iter().take(20).fold(String::new(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        });
        self.put_as(&id, kind, bytes)?;
        Ok(id)
    }
}

/// The bytes of a tree: mode, name and id of each entry, in this order.
pub fn tree_bytes(entries: &[(&str, &[u8], &str)]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend([mode.as_bytes(), b" ", name, b"\0"].concat());
        for at in (0..id.len()).step_by(2) {
            bytes.push(u8::from_str_radix(id.get(at..at + 2).context("an id has 40 digits")?, 16)?);
        }
    }
    Ok(bytes)
}

/// Writes a tree.
pub fn tree(objects: &dyn Objects, entries: &[(&str, &[u8], &str)]) -> anyhow::Result<String> {
    objects.put("tree", &tree_bytes(entries)?)
}

/// Writes a commit of a tree.
pub fn commit(objects: &dyn Objects, tree: &str) -> anyhow::Result<String> {
    let person = "Mallory <mallory@example.com> 1700000000 +0000";
    let text = format!("tree {tree}\nauthor {person}\ncommitter {person}\n\nForged\n");
    objects.put("commit", text.as_bytes())
}
