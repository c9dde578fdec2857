//! Selects the Syncs of a preview: those that follow the base branch. I/O: disk reads.

use std::path::PathBuf;

use anyhow::bail;
use holdfast_diff::files::{Entry, EntryKind, Files, Walk};
use kube::ResourceExt as _;

use super::super::{files, print};
use crate::api::{GitRef, Sync};
use crate::reconcile::source;
use crate::source::{CloneOnDisk, CommitFiles, Location};
use crate::sync_ref::SyncRef;

/// Maximum bytes of a file that is searched for Syncs.
const LARGEST: usize = 1024 * 1024;

/// Reads the Syncs in the named files. `namespace` is for Syncs that do not set one.
pub fn named(paths: &[PathBuf], namespace: &str) -> anyhow::Result<Vec<(SyncRef, Sync)>> {
    paths.iter().map(|path| Ok(owned(files::sync(path)?, namespace))).collect()
}

/// Returns a Sync with its namespace and name.
pub fn owned(mut sync: Sync, namespace: &str) -> (SyncRef, Sync) {
    let namespace = sync.namespace().unwrap_or_else(|| namespace.to_owned());
    sync.metadata.namespace = Some(namespace.clone());
    (SyncRef::new(namespace, sync.name_any()), sync)
}

/// Returns the Syncs in the YAML and JSON files of a commit. A Sync that cannot be read causes a warning and is left out.
pub fn in_tree(tree: &CommitFiles, namespace: &str) -> anyhow::Result<Vec<(SyncRef, Sync)>> {
    let mut found = Vec::new();
    let mut walk = Walk::default();
    let mut open = vec![String::new()];
    while let Some(folder) = open.pop() {
        for Entry { name, kind } in tree.list(&folder)?.unwrap_or_default() {
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            walk.visit(&path)?;
            match kind {
                EntryKind::Folder => open.push(path),
                EntryKind::File if is_manifest(&name) => found.extend(in_file(tree, &path, namespace)),
                EntryKind::File | EntryKind::Submodule | EntryKind::Dangling => {}
            }
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

fn is_manifest(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

fn in_file(tree: &CommitFiles, path: &str, namespace: &str) -> Vec<(SyncRef, Sync)> {
    let bytes = tree.read(path).ok().flatten().filter(|bytes| bytes.len() <= LARGEST);
    let has = |bytes: &[u8], text: &str| memchr::memmem::find(bytes, text.as_bytes()).is_some();
    let Some(bytes) = bytes.filter(|bytes| has(bytes, "holdfast.dev/") && has(bytes, "Sync")) else {
        return Vec::new();
    };
    let read = files::syncs_of(path, &bytes).unwrap_or_else(|error| vec![Err(error)]);
    let taken = read.into_iter().filter_map(|sync| {
        sync.inspect_err(|error| print::say(format_args!("warning: Syncs are left out: {error}"))).ok()
    });
    taken.map(|sync| owned(sync, namespace)).collect()
}

/// Returns the Syncs that follow the base branch of this repository.
pub fn following(
    syncs: Vec<(SyncRef, Sync)>,
    clone: &CloneOnDisk,
    base: &str,
    place: &str,
) -> anyhow::Result<Vec<(SyncRef, Sync)>> {
    let (remotes, branch) = (clone.remotes(), clone.branch(base));
    let all = syncs.len();
    let is_here = |sync: &Sync| {
        let location = Location::parse(&sync.spec.source.git.url, None);
        location.is_ok_and(|location| remotes.iter().any(|remote| remote.is_same_repository(&location)))
    };
    let mut found: Vec<_> = syncs.into_iter().filter(|(_, sync)| is_here(sync)).collect();
    let here = found.len();
    // A commit may be of any branch.
    if let Some(branch) = &branch {
        found.retain(|(_, sync)| follows(sync.spec.source.git.reference.as_ref(), branch));
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let remotes: Vec<String> = remotes.iter().map(ToString::to_string).collect();
    let remotes = if remotes.is_empty() { "no remote".to_owned() } else { remotes.join(", ") };
    match (all, here, branch) {
        (0, ..) => bail!("there is no Sync {place}; name the file of one with -f"),
        (_, 0, _) => bail!(
            "no Sync {place} has this repository ({remotes}) as its source; name the file of one with -f"
        ),
        (_, _, branch) => bail!(
            "no Sync {place} that has this repository as its source follows the branch {}; name the file of one with -f",
            branch.unwrap_or_default()
        ),
    }
}

/// True if a ref is this branch.
fn follows(reference: Option<&GitRef>, branch: &str) -> bool {
    source::branch(reference).as_deref() == Some(branch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_follows_the_branch_that_it_names_and_main_if_it_names_none() {
        let of = |branch: Option<&str>, tag: Option<&str>, name: Option<&str>| GitRef {
            branch: branch.map(ToOwned::to_owned),
            tag: tag.map(ToOwned::to_owned),
            name: name.map(ToOwned::to_owned),
            ..GitRef::default()
        };
        assert!(follows(None, "main") && !follows(None, "release"));
        assert!(follows(Some(&of(Some("release"), None, None)), "release"));
        assert!(follows(Some(&of(None, None, Some("refs/heads/release"))), "release"));
        assert!(!follows(Some(&of(None, None, Some("refs/tags/release"))), "release"));
        assert!(!follows(Some(&of(None, Some("v1"), None)), "main"));
        // The agent uses the name although there are other fields.
        assert!(follows(Some(&of(Some("other"), Some("v1"), Some("refs/heads/release"))), "release"));
        let both = GitRef {
            semver: Some(">=1".to_owned()),
            name: Some("refs/heads/release".to_owned()),
            ..GitRef::default()
        };
        assert!(follows(Some(&both), "release"));
        let commit = GitRef { commit: Some("1".repeat(40)), ..both };
        assert!(!follows(Some(&commit), "release"));
    }
}
