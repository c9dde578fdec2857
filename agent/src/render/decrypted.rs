//! Files that are decrypted as they are read, so that no renderer needs to know of it.
//!
//! Without keys encrypted files are read as they are; what is left encrypted in an object is refused later. Leaves the
//! format to `sops`. Pure, beside the files that it is given.

use std::cell::Cell;
use std::sync::Arc;

use holdfast_diff::files::{Entry, Files, FilesError, Place};

use super::sops::{self, Keys};

/// Files, and the keys for those that are encrypted.
pub struct Decrypted<'a> {
    files: &'a dyn Files,
    keys: Option<&'a Keys>,
    used: Cell<bool>,
}

impl<'a> Decrypted<'a> {
    pub fn new(files: &'a dyn Files, keys: Option<&'a Keys>) -> Self {
        Self { files, keys, used: Cell::new(false) }
    }

    /// True if a file was decrypted.
    pub fn used(&self) -> bool {
        self.used.get()
    }
}

impl Files for Decrypted<'_> {
    fn resolve(&self, path: &str) -> Result<Option<Place>, FilesError> {
        self.files.resolve(path)
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        let (Some(bytes), Some(keys)) = (self.files.read(path)?, self.keys) else {
            return self.files.read(path);
        };
        let Some(format) = sops::detect(path, &bytes) else { return Ok(Some(bytes)) };
        self.used.set(true);
        let plain = sops::decrypt(path, &bytes, format, keys);
        Ok(Some(plain.map_err(|error| FilesError(error.to_string()))?.as_slice().into()))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        self.files.list(path)
    }
}
