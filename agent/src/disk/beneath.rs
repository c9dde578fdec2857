//! The only writer of files whose names come from outside: Git, chart archives, dependencies of charts.
//!
//! It writes relative to an open folder, one name at a time, and follows no symlink. So neither a name nor existing
//! files can lead a write out of the folder. I/O: disk writes.

use std::fs::File;
use std::io::{Error, ErrorKind, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use holdfast_diff::files::name;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

/// Only the owner may read the files, since charts can contain secret values.
const FILE: Mode = Mode::from_raw_mode(0o600);
const FOLDER: Mode = Mode::from_raw_mode(0o700);
const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An open folder, below which files are written.
pub struct Beneath(OwnedFd);

impl Beneath {
    /// Opens an existing folder. Its own path is chosen by the caller, and may contain symlinks.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        Ok(Self(openat(CWD, folder, OPEN, Mode::empty())?))
    }

    /// Creates a folder and its parents, if they do not exist.
    pub fn make_folder(&self, path: &str) -> std::io::Result<()> {
        if path.is_empty() {
            return Ok(());
        }
        checked(path)?;
        self.enter(path).map(|_| ())
    }

    /// Writes a file and creates its parent folders. An existing file is replaced.
    pub fn write(&self, path: &str, bytes: &[u8]) -> std::io::Result<()> {
        checked(path)?;
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.enter(folder)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&folder, file, flags, FILE)?;
        File::from(file).write_all(bytes)
    }

    /// Opens a folder by names that are checked, and creates missing folders.
    fn enter(&self, path: &str) -> std::io::Result<OwnedFd> {
        let mut folder = self.0.try_clone()?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match mkdirat(&folder, name, FOLDER) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            folder = openat(&folder, name, OPEN | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(folder)
    }
}

fn checked(path: &str) -> std::io::Result<()> {
    name::check_path(path).map_err(|why| {
        let said = format!("a part of {} {why}", name::shown(path.as_bytes()));
        Error::new(ErrorKind::InvalidInput, said)
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn files_are_written_below_the_folder_and_readable_by_the_owner_only() {
        let root = tempfile::tempdir().unwrap();
        let beneath = Beneath::open(root.path()).unwrap();
        beneath.write("a/b/c.yaml", b"long content").unwrap();
        beneath.write("a/b/c.yaml", b"short").unwrap();
        beneath.write("top", b"").unwrap();
        beneath.make_folder("x/y").unwrap();
        beneath.make_folder("").unwrap();
        assert_eq!(fs::read(root.path().join("a/b/c.yaml")).unwrap(), b"short");
        assert!(root.path().join("x/y").is_dir());
        let mode = |path: &str| fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("a/b/c.yaml"), mode("a/b")), (0o600, 0o700));
    }

    #[test]
    fn no_name_leads_out() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let beneath = Beneath::open(&folder).unwrap();
        for path in ["", "/etc/x", "../x", "a/../../x", "a//x", "./x", "a\0b", ".git/config", "a\\x"] {
            assert_eq!(beneath.write(path, b"x").unwrap_err().kind(), ErrorKind::InvalidInput, "{path:?}");
        }
        assert!(beneath.make_folder("../y").is_err());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let root = tempfile::tempdir().unwrap();
        let (folder, outside) = (root.path().join("folder"), root.path().join("outside"));
        fs::create_dir(&folder).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), b"as it was").unwrap();
        symlink(&outside, folder.join("up")).unwrap();
        symlink(outside.join("file"), folder.join("file")).unwrap();
        symlink(outside.join("new"), folder.join("new")).unwrap();
        let beneath = Beneath::open(&folder).unwrap();
        for path in ["up/x", "up/file", "file", "new"] {
            assert!(beneath.write(path, b"x").is_err(), "{path}");
        }
        assert!(beneath.make_folder("up/folder").is_err());
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"as it was");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }
}
