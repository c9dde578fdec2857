//! The seal of stored renders: only files that this installation wrote are read back.
//!
//! The key is random and stays in a file of the cache folder that only the agent may read. Everything of a tenant that is
//! written there has a name that is a digest, or is written beneath a folder of its own, so nothing of a tenant can name
//! that file. If it is lost, everything is rendered again. I/O: disk.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::fs::OFlags;
use sha2::Sha256;

/// The bytes of a seal, and of the key.
pub const SEAL: usize = 32;

/// Seals bytes and checks seals.
pub struct Sealer([u8; SEAL]);

impl Sealer {
    /// The key in a file, or a new one, which is put there. If it cannot be put there, it holds for this process.
    pub fn open(file: &Path) -> std::io::Result<(Self, std::io::Result<()>)> {
        if let Ok(key) = read(file) {
            return Ok((Self(key), Ok(())));
        }
        let mut key = [0; SEAL];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
        Ok((Self(key), write(file, &key)))
    }

    /// The seal of bytes that were put at a place. Elsewhere it does not hold.
    pub fn seal(&self, place: &str, bytes: &[u8]) -> [u8; SEAL] {
        self.mac(place, bytes).finalize().into_bytes().into()
    }

    pub fn holds(&self, seal: &[u8], place: &str, bytes: &[u8]) -> bool {
        self.mac(place, bytes).verify_slice(seal).is_ok()
    }

    fn mac(&self, place: &str, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(&(place.len() as u64).to_le_bytes());
        mac.update(place.as_bytes());
        mac.update(bytes);
        mac
    }
}

/// Reads a key file, if only this user can read and write it.
fn read(file: &Path) -> std::io::Result<[u8; SEAL]> {
    let mut file = OpenOptions::new().read(true).custom_flags(nofollow()).open(file)?;
    let metadata = file.metadata()?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    if !own || metadata.mode() & 0o077 != 0 || metadata.len() != SEAL as u64 {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut key = [0; SEAL];
    file.read_exact(&mut key)?;
    Ok(key)
}

fn write(file: &Path, key: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(key)
}

fn nofollow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn open(file: &Path) -> Sealer {
        let (sealer, put) = Sealer::open(file).unwrap();
        put.unwrap();
        sealer
    }

    #[test]
    fn a_seal_holds_for_its_bytes_and_place_and_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys/renders");
        let seal = open(&file).seal("a", b"bytes");
        let again = open(&file);
        assert!(again.holds(&seal, "a", b"bytes"));
        assert!(!again.holds(&seal, "b", b"bytes") && !again.holds(&seal, "a", b"others"));
        assert!(!again.holds(&[], "a", b"bytes") && !again.holds(&seal[..8], "a", b"bytes"));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_others_could_know_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, [7; SEAL]).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        open(&file);
        assert_ne!(std::fs::read(&file).unwrap(), [7; SEAL]);
        std::fs::write(&file, b"short").unwrap();
        open(&file);
        assert_eq!(std::fs::read(&file).unwrap().len(), SEAL);
        let elsewhere = folder.path().join("elsewhere");
        std::fs::rename(&file, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        open(&file);
        assert_ne!(std::fs::read(&file).unwrap(), std::fs::read(&elsewhere).unwrap());
    }
}
