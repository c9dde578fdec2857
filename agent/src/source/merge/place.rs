//! The repositories of a merge: one that is only read, and a scratch repository for new objects. I/O: disk.

use std::path::{Path, PathBuf};

use gix::bstr::BStr;
use tempfile::TempDir;

use super::super::repository::options;
use super::super::{CommitId, Location};
use super::MergeError;

/// A repository on disk: the clone of a user, or a mirror.
pub struct CloneOnDisk {
    repo: gix::Repository,
    folder: PathBuf,
}

impl CloneOnDisk {
    /// Finds the repository that a folder is in.
    pub fn around(folder: &Path) -> Result<Self, MergeError> {
        let shown = folder.display().to_string();
        let no = |said: String| MergeError::NoRepository { folder: shown.clone(), said };
        let folder = folder.canonicalize().map_err(|error| no(error.to_string()))?;
        // A clone that another user owns, as in a CI job, is safe to open: nothing of it is run, and only objects and the URLs of
        // remotes are read.
        let options = || options().with(gix::sec::Trust::Full);
        let found = folder.ancestors().find_map(|above| gix::open_opts(above, options()).ok());
        let repo = found.ok_or_else(|| no("there is none in it or above it".to_owned()))?;
        Ok(Self { repo, folder })
    }

    /// Resolves a name to a commit: a branch, a tag, a remote branch, an id or its prefix, `HEAD~1`.
    pub fn commit(&self, name: &str) -> Result<CommitId, MergeError> {
        let missing = |near: String| MergeError::NoCommit {
            name: name.to_owned(),
            folder: self.folder.display().to_string(),
            near,
        };
        // A name that begins with a dash is an option that was mistyped.
        let found = Some(name).filter(|name| !name.is_empty() && !name.starts_with('-'));
        let id = found.and_then(|name| self.repo.rev_parse_single(name).ok());
        let Some(id) = id else {
            let remote = format!("origin/{name}");
            let is_there = !name.is_empty() && self.repo.rev_parse_single(remote.as_str()).is_ok();
            return Err(missing(if is_there { format!(" ({remote} is)") } else { String::new() }));
        };
        let commit = id.object().and_then(gix::Object::peel_to_commit);
        commit
            .map(|commit| CommitId(commit.id))
            .map_err(|error| MergeError::Unreadable { commit: name.to_owned(), said: error.to_string() })
    }

    /// Returns the name of the branch if a name is a local or a remote branch; `None` for anything else.
    pub fn branch(&self, name: &str) -> Option<String> {
        let full = self.repo.find_reference(name).ok()?;
        let full = match full.follow() {
            // HEAD, and the HEAD of a remote
            Some(Ok(followed)) => followed,
            _ => full,
        };
        let full = full.name().as_bstr().to_string();
        if let Some(branch) = full.strip_prefix("refs/heads/") {
            return Some(branch.to_owned());
        }
        let rest = full.strip_prefix("refs/remotes/")?;
        let remotes = self.repo.remote_names();
        let branch = remotes.iter().find_map(|remote| {
            rest.strip_prefix(remote.to_string().as_str())?.strip_prefix('/').map(ToOwned::to_owned)
        });
        branch.or_else(|| rest.split_once('/').map(|(_, branch)| branch.to_owned()))
    }

    /// Returns the URLs of the remotes without passwords. URLs that are not supported are left out.
    pub fn remotes(&self) -> Vec<Location> {
        let mut found = Vec::new();
        for name in self.repo.remote_names() {
            let Ok(remote) = self.repo.find_remote(AsRef::<BStr>::as_ref(&name)) else { continue };
            let Some(url) = remote.url(gix::remote::Direction::Fetch) else { continue };
            let mut url = url.clone();
            url.set_password(None);
            let text = url.to_bstring().to_string();
            let text = if text.starts_with('/') { format!("file://{text}") } else { text };
            found.extend(Location::parse(&text, None));
        }
        found
    }

    /// The folder that was named.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The repository of one merge. It is deleted when it is dropped.
pub struct Scratch {
    folder: TempDir,
}

impl Scratch {
    /// Creates an empty repository that has another one as an alternate, and its shallow boundary if it has one.
    pub fn beside(clone: &CloneOnDisk) -> Result<Self, MergeError> {
        let failed = |said: String| MergeError::Scratch { said };
        let io = |error: std::io::Error| failed(error.to_string());
        let folder = tempfile::tempdir().map_err(io)?;
        gix::init_bare(folder.path()).map_err(|error| failed(error.to_string()))?;
        let objects = clone.repo.objects.store_ref().path().canonicalize().map_err(io)?;
        let Some(objects) = objects.to_str().filter(|path| !path.contains('\n')) else {
            return Err(failed(format!("objects cannot be read from the path {}", objects.display())));
        };
        let info = folder.path().join("objects/info");
        std::fs::create_dir_all(&info).map_err(io)?;
        std::fs::write(info.join("alternates"), format!("{objects}\n")).map_err(io)?;
        if clone.repo.is_shallow().unwrap_or(false) {
            let borders = clone.repo.shallow_file().map_err(|error| failed(error.to_string()))?;
            std::fs::copy(borders, folder.path().join("shallow")).map_err(io)?;
        }
        Ok(Self { folder })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn repository(&self) -> Result<gix::Repository, MergeError> {
        gix::open_opts(self.folder(), options())
            .map_err(|error| MergeError::Scratch { said: error.to_string() })
    }
}
