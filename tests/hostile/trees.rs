//! Git objects as nobody's git writes them: any bytes as a tree, under any name. Servers that do not check what is pushed
//! take them. I/O: disk, `git`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use holdfast_tests::forge::Repository;
use sha2::{Digest as _, Sha256};

/// Where objects are put.
pub trait Objects {
    /// Writes an object, and returns its id, 40 hex digits.
    fn put(&self, kind: &str, bytes: &[u8]) -> anyhow::Result<String>;
}

/// The objects of a repository on disk, written as they are. Their ids are not git's, which no reader checks.
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
}

impl Objects for Loose {
    fn put(&self, kind: &str, bytes: &[u8]) -> anyhow::Result<String> {
        let whole = [format!("{kind} {}\0", bytes.len()).as_bytes(), bytes].concat();
        let id = Sha256::digest(&whole).iter().take(20).fold(String::new(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        });
        let (folder, file) = id.split_at(2);
        let folder = self.folder.join(folder);
        std::fs::create_dir_all(&folder)?;
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&whole)?;
        std::fs::write(folder.join(file), packed.finish()?)?;
        Ok(id)
    }
}

/// The clone of a repository at the forge.
impl Objects for Repository {
    fn put(&self, kind: &str, bytes: &[u8]) -> anyhow::Result<String> {
        let file = self.clone.join(".git/object");
        std::fs::write(&file, bytes)?;
        let file = file.to_str().context("a path is text")?;
        Ok(self.git(&["hash-object", "-w", "-t", kind, "--literally", file])?.trim().to_owned())
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

/// A chart in the folder `chart`, with an entry of any name among its templates, and a ConfigMap in the folder `good`.
pub fn chart(objects: &dyn Objects, mode: &str, name: &[u8], content: &str) -> anyhow::Result<String> {
    let blob = |text: &str| objects.put("blob", text.as_bytes());
    let bad = match mode {
        "40000" => tree(objects, &[("100644", b"x.yaml", &blob(content)?)])?,
        _ => blob(content)?,
    };
    let templates = tree(objects, &[(mode, name, &bad)])?;
    let about = blob("apiVersion: v2\nname: evil\nversion: 1.0.0\n")?;
    let chart = tree(objects, &[("100644", b"Chart.yaml", &about), ("40000", b"templates", &templates)])?;
    let good = tree(objects, &[("100644", b"a.yaml", &blob(GOOD)?)])?;
    let root = tree(objects, &[("40000", b"chart", &chart), ("40000", b"good", &good)])?;
    commit(objects, &root)
}

/// What stands in the folder `good`.
const GOOD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

/// Folders inside of one another, each holding the next one several times: few objects, `width ^ depth` paths.
pub fn nested(objects: &dyn Objects, depth: usize, width: usize) -> anyhow::Result<String> {
    let leaf = objects.put("blob", GOOD.as_bytes())?;
    let mut below = tree(objects, &[("100644", b"a.yaml", &leaf)])?;
    let names: Vec<String> = (0..width).map(|number| format!("f{number:05}")).collect();
    for _ in 0..depth {
        let entries: Vec<(&str, &[u8], &str)> =
            names.iter().map(|name| ("40000", name.as_bytes(), below.as_str())).collect();
        below = tree(objects, &entries)?;
    }
    commit(objects, &below)
}
