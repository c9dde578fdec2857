//! What is read from the cache folder: Git trees that a user pushed, and stored renders that an attacker could have put there.
//! I/O: writes into temporary folders.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use holdfast::render::plain;
use holdfast::render::store::{RenderKey, Renders};
use holdfast::source::{GitRef, Location, SourceOptions, Sources};
use holdfast::trust::Domain;
use holdfast_diff::digest::Digest;
use holdfast_diff::files::{Entry, FileKind, Files, FilesError, Resolved, Version, Versioned, name};
use holdfast_tests::objects::Loose;
use tokio::runtime::Runtime;

use crate::input::{File, Input};

/// The ids of the objects of an input: of its commit, and of its files in their order.
const COMMIT: &str = "5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f";
const IDS: [&str; 4] = [
    "6161616161616161616161616161616161616161",
    "6262626262626262626262626262626262626262",
    "6363636363636363636363636363636363636363",
    "6464646464646464646464646464646464646464",
];
const KINDS: [&str; 4] = ["tree", "tree", "blob", "blob"];
const LIMIT: Duration = Duration::from_secs(10);

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a runtime needs nothing but threads"));

/// A tree with a folder, a file and a symlink, object by object.
pub fn tree() -> Input {
    let entry =
        |mode: &str, name: &str, id: u8| [mode.as_bytes(), b" ", name.as_bytes(), b"\0", &[id; 20]].concat();
    let root =
        [entry("40000", "apps", b'b'), entry("120000", "current", b'd'), entry("100644", "x.yaml", b'c')];
    let apps = [entry("100644", "a.yaml", b'c'), entry("100755", "b.json", b'c')];
    let files: [(&str, Vec<u8>); 4] = [
        ("root", root.concat()),
        ("apps", apps.concat()),
        ("file", b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n".to_vec()),
        ("link", b"apps".to_vec()),
    ];
    Input { files: files.map(|(path, bytes)| (path.to_owned(), bytes)).to_vec() }
}

/// Every name that is listed is a good one, what is refused is said in one line, and the walk ends.
pub fn read_tree(input: &Input) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
    let location = Location::parse("file:///nowhere", None).map_err(|error| failed(&error))?;
    let mirror = folder.path().join("mirrors").join(location.place());
    put(&mirror, &input.files).map_err(|error| failed(&error))?;
    let options = SourceOptions {
        allow_file: true,
        guard: Arc::default(),
        on_request: Arc::new(|_, _| {}),
        usage: Arc::default(),
    };
    let sources = Sources::new(folder.path().to_path_buf(), options);
    let reference = GitRef::Commit(COMMIT.to_owned());
    let Ok(checkout) = RUNTIME.block_on(sources.checkout(&location, &reference, LIMIT, LIMIT)) else {
        return Ok(());
    };
    let files = checkout.files();
    match plain::units(&files, "", None) {
        Err(FilesError(said)) if said.contains(char::is_control) => return Err(format!("it says {said:?}")),
        _ => {}
    }
    for folder in ["", "apps", "current"] {
        for entry in files.list(folder).ok().flatten().unwrap_or_default() {
            name::check(entry.name.as_bytes()).map_err(|why| format!("{folder}: {:?} {why}", entry.name))?;
        }
    }
    Ok(())
}

fn put(mirror: &Path, files: &[File]) -> anyhow::Result<()> {
    let objects = Loose::init(mirror)?;
    for ((id, kind), (_, bytes)) in IDS.iter().zip(KINDS).zip(files) {
        objects.put_as(id, kind, bytes)?;
    }
    let person = "Mallory <mallory@example.com> 1700000000 +0000";
    let commit = format!("tree {}\nauthor {person}\ncommitter {person}\n\nForged\n", IDS[0]);
    objects.put_as(COMMIT, "commit", commit.as_bytes())
}

/// A file in the form of a kept render.
pub fn kept_render() -> Input {
    let body = b"{\"reads\":[],\"output\":{\"manifests\":[],\"warnings\":[],\"volatile\":[],\"chart\":null}}";
    let version = env!("CARGO_PKG_VERSION");
    let bytes = [format!("holdfast render 2 {version}\n").as_bytes(), &[b's'; 32], body].concat();
    Input { files: vec![("render".to_owned(), bytes)] }
}

/// No file is taken that was not sealed with the key of the installation.
pub fn find_render(input: &Input) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    let folder = tempfile::tempdir().map_err(failed)?;
    let key = RenderKey {
        domain: Domain::Installation,
        mirror: "mirror".to_owned(),
        options: Digest::of_bytes(b"options"),
    };
    let place = folder.path().join("renders").join(key.place());
    std::fs::create_dir_all(&place).map_err(failed)?;
    for (name, bytes) in &input.files {
        std::fs::write(place.join(name), bytes).map_err(failed)?;
    }
    match Renders::new(folder.path(), Arc::default()).find(&key, &Empty) {
        Some(_) => Err("a forged render is taken".to_owned()),
        None => Ok(()),
    }
}

/// A tree without files.
struct Empty;

impl Files for Empty {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        Ok(path.is_empty().then(|| Resolved { path: String::new(), kind: FileKind::Folder }))
    }

    fn read(&self, _path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        Ok(None)
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        Ok(path.is_empty().then(Vec::new))
    }
}

impl Versioned for Empty {
    fn version(&self, _path: &str) -> Result<Option<Version>, FilesError> {
        Ok(None)
    }
}
