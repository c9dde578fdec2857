//! The last commit that changed a file. A mirror has one commit of a branch, so older ones are fetched one at a time, and only so
//! many. I/O: Git, disk.

use std::time::Duration;

use anyhow::bail;

use crate::source::{Checkout, GitRef, Location, Sources};

/// Commits that are read at most.
const COMMITS: usize = 100;
/// Maximum duration of one fetch.
const LIMIT: Duration = Duration::from_secs(30);

/// How a version of a file came to the branch.
pub struct Change {
    /// The commit that changed the file.
    pub commit: Checkout,
    /// The commit of the branch with which the change arrived: a merge of the other one, or the same.
    pub landed: Checkout,
}

/// The last commit that changed a file. `None` if the file is not in the commit that the walk begins at.
pub async fn last_change(
    sources: &Sources,
    location: &Location,
    from: Checkout,
    file: &str,
) -> anyhow::Result<Option<Change>> {
    let Some(version) = from.version(file)? else { return Ok(None) };
    let mut walk = Walk { sources, location, file, version, left: COMMITS };
    // As `git log --first-parent` and then `git log` simplify history: a parent with the same version is followed.
    let landed = walk.back(from, true).await?;
    let commit = walk.back(landed.clone(), false).await?;
    Ok(Some(Change { commit, landed }))
}

struct Walk<'a> {
    sources: &'a Sources,
    location: &'a Location,
    file: &'a str,
    version: String,
    left: usize,
}

impl Walk<'_> {
    /// The oldest commit with this version that is reached through commits with this version.
    async fn back(&mut self, from: Checkout, only_first: bool) -> anyhow::Result<Checkout> {
        let mut at = from;
        while let Some(before) = self.same(&at, only_first).await? {
            at = before;
        }
        Ok(at)
    }

    /// The first parent that has the same version of the file.
    async fn same(&mut self, of: &Checkout, only_first: bool) -> anyhow::Result<Option<Checkout>> {
        let most = if only_first { 1 } else { usize::MAX };
        for parent in of.parents()?.into_iter().take(most) {
            if self.left == 0 {
                let file = self.file;
                bail!(
                    "{file} has not changed in the last {COMMITS} commits; in a clone, `git log -1 -- {file}` shows the commit"
                );
            }
            self.left -= 1;
            let reference = GitRef::Commit(parent.to_string());
            let parent = self.sources.checkout(self.location, &reference, Duration::MAX, LIMIT).await?;
            if parent.version(self.file)?.as_ref() == Some(&self.version) {
                return Ok(Some(parent));
            }
        }
        Ok(None)
    }
}
