//! Files that are decrypted as they are read, so that no renderer needs to know of it.
//!
//! Without keys encrypted files are read as they are; what is left encrypted in an object is refused later. Leaves the
//! format to `sops`. Pure, beside the files that it is given.

use std::cell::Cell;
use std::sync::Arc;

use holdfast_diff::files::{Entry, Files, FilesError, Place};

use serde_json::Value;

use super::sops::{self, Keys, SopsError};

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
        let Some(bytes) = self.files.read(path)? else { return Ok(None) };
        let Some(format) = self.keys.and_then(|_| sops::detect(path, &bytes)) else { return Ok(Some(bytes)) };
        self.used.set(true);
        let plain = sops::decrypt(path, &bytes, format, self.keys);
        Ok(Some(plain.map_err(|error| FilesError(error.to_string()))?.as_slice().into()))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        self.files.list(path)
    }
}

/// An object that is still encrypted, as a whole or in an entry of a Secret.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    #[error(
        "this object is encrypted by SOPS: name the Secret with its key in spec.render.decrypt.secretRef"
    )]
    Object,
    #[error(transparent)]
    Entry(#[from] SopsError),
}

/// Opens the entries of a Secret that are encrypted files. Whatever stays encrypted is an error: it must never be applied.
pub fn open(object: &mut Value, keys: Option<&Keys>) -> Result<(), SealedError> {
    if object.pointer("/sops/mac").is_some() {
        return Err(SealedError::Object);
    }
    sops::decrypt_secret_data(object, keys)?;
    Ok(())
}
