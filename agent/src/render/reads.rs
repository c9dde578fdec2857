//! What a render read, so that it is known whether another commit renders to the same objects.
//!
//! A render is a function of its options and of what it read: every read is noted with a digest of its result, also of missing
//! files. If all reads have the same results at another commit, nothing needs to be rendered.
//! Pure, beside the files that it is given.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_diff::digest::{Digest, Hasher};
use holdfast_diff::files::{Entry, FileKind, Files, FilesError, Resolved, Versioned};
use serde::{Deserialize, Serialize};

/// A question to the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Question {
    /// Where does the path lead?
    Path,
    /// What are the bytes?
    Bytes,
    /// What does the folder hold?
    Names,
}

/// The questions of a render, and digests of their answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(Box<str>, Question, Digest)>", into = "Vec<(Box<str>, Question, Digest)>")]
pub struct Reads(BTreeMap<(Box<str>, Question), Digest>);

impl From<Vec<(Box<str>, Question, Digest)>> for Reads {
    fn from(all: Vec<(Box<str>, Question, Digest)>) -> Self {
        Self(all.into_iter().map(|(path, question, answer)| ((path, question), answer)).collect())
    }
}

impl From<Reads> for Vec<(Box<str>, Question, Digest)> {
    fn from(reads: Reads) -> Self {
        reads.0.into_iter().map(|((path, question), answer)| (path, question, answer)).collect()
    }
}

impl Reads {
    /// A digest of all that was read; `None` if these files would answer otherwise, or cannot be read.
    pub fn matches(&self, files: &dyn Versioned) -> Option<Digest> {
        let same = |((path, question), digest): (&(Box<str>, Question), &Digest)| {
            answer(files, path, *question) == *digest
        };
        self.0.iter().all(same).then(|| self.digest())
    }

    /// A digest of all that was read.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::default();
        for ((path, question), answer) in &self.0 {
            hasher.text(path);
            hasher.text(&format!("{question:?} {answer}"));
        }
        hasher.finish()
    }

    /// True if something was asked about a path, or what its folder holds.
    pub fn concerns(&self, path: &str) -> bool {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let asked = |path: &str, question| self.0.contains_key(&(Box::from(path), question));
        asked(path, Question::Path) || asked(path, Question::Bytes) || asked(folder, Question::Names)
    }

    /// How many questions there were.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A digest of an answer. That something cannot be read is an answer too.
fn answer(files: &dyn Versioned, path: &str, question: Question) -> Digest {
    match question {
        Question::Path => of_place(&files.resolve(path)),
        Question::Names => of_names(&files.list(path)),
        Question::Bytes => of_bytes(files, path),
    }
}

fn of_place(place: &Result<Option<Resolved>, FilesError>) -> Digest {
    Digest::of_bytes(format!("{place:?}").as_bytes())
}

fn of_names(names: &Result<Option<Vec<Entry>>, FilesError>) -> Digest {
    Digest::of_bytes(format!("{names:?}").as_bytes())
}

/// The bytes are those of git's object: they need not be read.
fn of_bytes(files: &dyn Versioned, path: &str) -> Digest {
    let file = files.resolve(path).map(|place| place.is_some_and(|place| place.kind == FileKind::File));
    let version = file.and_then(|file| if file { files.version(path) } else { Ok(None) });
    Digest::of_bytes(format!("{version:?}").as_bytes())
}

/// Files that note what is asked of them.
pub struct Recorder<'a> {
    files: &'a dyn Versioned,
    reads: RefCell<Reads>,
}

impl<'a> Recorder<'a> {
    pub fn new(files: &'a dyn Versioned) -> Self {
        Self { files, reads: RefCell::default() }
    }

    pub fn into_reads(self) -> Reads {
        self.reads.into_inner()
    }

    fn note(&self, path: &str, question: Question, digest: impl FnOnce() -> Digest) {
        self.reads.borrow_mut().0.entry((path.into(), question)).or_insert_with(digest);
    }
}

impl Files for Recorder<'_> {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        let place = self.files.resolve(path);
        self.note(path, Question::Path, || of_place(&place));
        place
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        self.note(path, Question::Bytes, || of_bytes(self.files, path));
        self.files.read(path)
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        let names = self.files.list(path);
        self.note(path, Question::Names, || of_names(&names));
        names
    }
}
