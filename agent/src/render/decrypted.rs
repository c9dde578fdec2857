//! Files that are decrypted as they are read, so that no renderer needs to know of it.
//!
//! Without keys encrypted files are read as they are; what is left encrypted in an object is refused later. Leaves the
//! format to `sops`. Pure, beside the files that it is given.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use holdfast_diff::files::{Entry, Files, FilesError, Resolved};
use holdfast_diff::mask::Masks;

use serde_json::Value;

use super::sops::{self, Keys, SopsError};

/// Files, and the keys for those that are encrypted.
pub struct Decrypted<'a> {
    files: &'a dyn Files,
    keys: Option<&'a Keys>,
    used: Cell<bool>,
    masks: RefCell<Masks>,
}

impl<'a> Decrypted<'a> {
    pub fn new(files: &'a dyn Files, keys: Option<&'a Keys>) -> Self {
        Self { files, keys, used: Cell::new(false), masks: RefCell::default() }
    }

    /// True if a file was decrypted.
    pub fn used(&self) -> bool {
        self.used.get()
    }

    /// The texts that were decrypted so far.
    pub fn masks(&self) -> Masks {
        self.masks.borrow().clone()
    }
}

impl Files for Decrypted<'_> {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        self.files.resolve(path)
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        let Some(bytes) = self.files.read(path)? else { return Ok(None) };
        let Some(format) = self.keys.and_then(|_| sops::detect(path, &bytes)) else { return Ok(Some(bytes)) };
        self.used.set(true);
        let plain = sops::decrypt_noting(path, &bytes, format, self.keys, &mut self.masks.borrow_mut());
        Ok(Some(plain.map_err(|error| FilesError(error.to_string()))?.as_slice().into()))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        self.files.list(path)
    }
}

/// An object that is still encrypted, as a whole or in an entry of a Secret.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    #[error("this object is encrypted by SOPS: set spec.render.decrypt.secretRef to the Secret with its key")]
    Object,
    #[error(transparent)]
    Entry(#[from] SopsError),
}

/// Opens the entries of a Secret that are encrypted files, and says whether there were any. Whatever stays encrypted is an
/// error: it must never be applied.
pub fn open(object: &mut Value, keys: Option<&Keys>) -> Result<bool, SealedError> {
    if object.pointer("/sops/mac").is_some() {
        return Err(SealedError::Object);
    }
    let opened = sops::decrypt_secret_data(object, keys)?;
    if is_sealed(object) {
        return Err(SealedError::Object);
    }
    Ok(opened)
}

/// True if an entry of a Secret is a value as SOPS writes it, out of a file that was taken apart.
fn is_sealed(object: &Value) -> bool {
    const SEALED: &str = "ENC[AES256_GCM,";
    if object.get("kind").and_then(Value::as_str) != Some("Secret") {
        return false;
    }
    let of = |field: &str| object.get(field).and_then(Value::as_object).into_iter().flatten();
    let plain =
        of("stringData").any(|(_, value)| value.as_str().is_some_and(|text| text.starts_with(SEALED)));
    // Kustomize breaks long values into lines.
    let packed = |text: &str| text.split_ascii_whitespace().collect::<String>();
    let bytes = |value: &Value| BASE64_STANDARD.decode(packed(value.as_str()?)).ok();
    plain
        || of("data").any(|(_, value)| bytes(value).is_some_and(|bytes| bytes.starts_with(SEALED.as_bytes())))
}
