//! The files of a commit as they will be when some of them are changed. Pure, beside the files that it is given.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::files::{Entry, Files, FilesError, Resolved, Version, Versioned};

/// Files, some of which are changed.
pub struct Changed<'a> {
    files: &'a dyn Versioned,
    changed: HashMap<&'a str, Arc<[u8]>>,
}

impl<'a> Changed<'a> {
    /// `changed` by clean paths.
    pub fn new(files: &'a dyn Versioned, changed: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        Self { files, changed: changed.map(|(path, bytes)| (path, bytes.into())).collect() }
    }

    /// The bytes of what a path leads to, if they are changed.
    fn changed(&self, path: &str) -> Result<Option<&Arc<[u8]>>, FilesError> {
        let place = self.files.resolve(path)?;
        Ok(place.and_then(|place| self.changed.get(&*place.path)))
    }
}

impl Files for Changed<'_> {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        self.files.resolve(path)
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        match self.changed(path)? {
            Some(bytes) => Ok(Some(bytes.clone())),
            None => self.files.read(path),
        }
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        self.files.list(path)
    }
}

impl Versioned for Changed<'_> {
    /// The id of a changed file: one that no blob of Git has, so that it differs from the previous content.
    fn version(&self, path: &str) -> Result<Option<Version>, FilesError> {
        let Some(bytes) = self.changed(path)? else { return self.files.version(path) };
        let text = Digest::of_bytes(bytes).to_string();
        let mut name = [0; 20];
        name.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Ok(Some(Version(name)))
    }
}
