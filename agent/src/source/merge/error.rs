//! Why two commits cannot be merged. Pure.

/// Why there is no merge. Conflicts are no error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MergeError {
    #[error("cannot open a Git repository in {folder}: {said}; set the folder of a clone")]
    NoRepository { folder: String, said: String },
    #[error(
        "{name} is not a commit of the repository in {folder}{near}; fetch it, or set an existing branch, tag or commit"
    )]
    NoCommit { name: String, folder: String, near: String },
    #[error(
        "the base and the head have no common ancestor in this clone, which is shallow; fetch the history of both, for example with `git fetch --unshallow`"
    )]
    Shallow,
    #[error("the base and the head have no common ancestor, so they cannot be merged; set other commits")]
    Unrelated,
    #[error(
        "cannot read commit {commit}: {said}; if the clone is shallow or partial, fetch the objects that are missing"
    )]
    Unreadable { commit: String, said: String },
    #[error("cannot make a scratch repository: {said}")]
    Scratch { said: String },
    #[error(
        "the merge failed: {said}; if the clone is shallow or partial, fetch the objects that are missing"
    )]
    Failed { said: String },
}

impl MergeError {
    /// The error of two commits that have no common ancestor in the repository.
    pub(super) fn unrelated(is_shallow: bool) -> Self {
        if is_shallow { Self::Shallow } else { Self::Unrelated }
    }
}
