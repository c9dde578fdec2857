//! Merges of repositories that `git` created: the tree equals that of `git merge`, or both report a conflict.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::*;

/// A repository that git created.
struct Made {
    folder: TempDir,
}

impl Made {
    fn new() -> anyhow::Result<Self> {
        let made = Self { folder: tempfile::tempdir()? };
        made.git(&["init", "-q", "-b", "main", "."])?;
        Ok(made)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let (ok, said) = self.tried(arguments)?;
        ensure!(ok, "git {arguments:?}: {said}");
        Ok(said)
    }

    /// Returns whether git succeeded, and its output.
    fn tried(&self, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
        let output = Command::new("git")
            .current_dir(self.path())
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", self.path())
            .output()
            .context("cannot start git")?;
        let text =
            String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr })
                .trim()
                .to_owned();
        Ok((
            output.status.success(),
            if text.is_empty() { String::from_utf8(output.stdout)?.trim().to_owned() } else { text },
        ))
    }

    /// Commits files on a branch, which begins at the current commit if it is new. `None` removes a file.
    fn commit(&self, branch: &str, files: &[(&str, Option<&str>)]) -> anyhow::Result<()> {
        if !self.tried(&["checkout", "-q", branch])?.0 {
            self.git(&["checkout", "-q", "-b", branch])?;
        }
        for (path, content) in files {
            let whole = self.path().join(path);
            match content {
                Some(content) => {
                    std::fs::create_dir_all(whole.parent().context("a file is in a folder")?)?;
                    std::fs::write(whole, content)?;
                }
                None => std::fs::remove_file(whole)?,
            }
        }
        self.git(&["add", "-A"])?;
        self.git(&["commit", "-q", "-m", "a change", "--allow-empty"]).map(|_| ())
    }

    fn clone(&self) -> Result<CloneOnDisk, MergeError> {
        CloneOnDisk::around(self.path())
    }

    /// Merges as Holdfast does it, and as git does it, which must be the same.
    fn check(&self, base: &str, head: &str) -> anyhow::Result<Merged> {
        let clone = self.clone()?;
        let merged = merge(&clone, clone.commit(base)?, clone.commit(head)?, None)?;
        let (clean, said) = self.tried(&["merge-tree", "--write-tree", "--name-only", base, head])?;
        match &merged {
            Merged::Clean(tree) => {
                ensure!(clean, "git has conflicts: {said}");
                let scratch = tree.scratch.repository()?;
                let found = scratch.find_commit(tree.merge.0)?.tree_id()?.to_string();
                let expected = said.lines().next().unwrap_or_default();
                ensure!(found == expected, "{found} is not git's {expected}");
            }
            Merged::Conflicts { files, .. } => ensure!(!clean, "git merges what conflicts in {files:?}"),
        }
        Ok(merged)
    }
}

const TEN: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";

fn conflicts(merged: &Merged) -> Vec<&str> {
    match merged {
        Merged::Clean(_) => Vec::new(),
        Merged::Conflicts { files, .. } => files.iter().map(String::as_str).collect(),
    }
}

#[test]
fn what_both_sides_changed_apart_is_merged_as_git_merges_it() -> anyhow::Result<()> {
    let made = Made::new()?;
    made.commit("main", &[("a/b.yaml", Some(TEN)), ("c.yaml", Some("c\n")), ("d.yaml", Some("d\n"))])?;
    made.commit("head", &[("a/b.yaml", Some(&TEN.replace("9\n", "nine\n"))), ("new/e.yaml", Some("e\n"))])?;
    made.commit("main", &[("a/b.yaml", Some(&TEN.replace("1\n2", "one\n2"))), ("c.yaml", None)])?;
    let Merged::Clean(tree) = made.check("main", "head")? else { anyhow::bail!("there is a conflict") };
    let files = tree.files("the merge", tree.merge)?;
    let read = |path: &str| holdfast_diff::files::Files::read(&files, path);
    let text = read("a/b.yaml")?.context("the file is there")?;
    assert_eq!(&*text, TEN.replace("9\n", "nine\n").replace("1\n2", "one\n2").as_bytes());
    assert!(read("c.yaml")?.is_none() && read("new/e.yaml")?.is_some());
    assert!(!tree.is_nothing());
    // The repository of the user has no new objects.
    let (is_there, _) = made.tried(&["cat-file", "-e", &tree.merge.to_string()])?;
    assert!(!is_there);
    Ok(())
}

#[test]
fn a_file_that_one_side_moved_takes_the_changes_of_the_other() -> anyhow::Result<()> {
    let made = Made::new()?;
    made.commit("main", &[("old/web.yaml", Some(TEN)), ("k.yaml", Some("k\n"))])?;
    made.commit("head", &[("old/web.yaml", None), ("new/web.yaml", Some(TEN))])?;
    made.commit("main", &[("old/web.yaml", Some(&TEN.replace("5\n", "five\n")))])?;
    let merged = made.check("main", "head")?;
    assert_eq!(conflicts(&merged), Vec::<&str>::new());
    Ok(())
}

#[test]
fn conflicts_name_their_files() -> anyhow::Result<()> {
    let made = Made::new()?;
    made.commit("main", &[("a.yaml", Some(TEN)), ("b.yaml", Some(TEN)), ("c.yaml", Some("c\n"))])?;
    made.commit("head", &[("a.yaml", Some(&TEN.replace("5\n", "five\n"))), ("b.yaml", None)])?;
    made.commit("main", &[("a.yaml", Some(&TEN.replace("5\n", "fünf\n"))), ("b.yaml", Some("b\n"))])?;
    assert_eq!(conflicts(&made.check("main", "head")?), ["a.yaml", "b.yaml"]);
    // Both add a file of one name.
    made.commit("one", &[("n.yaml", Some("one\n"))])?;
    made.git(&["checkout", "-q", "main"])?;
    made.commit("two", &[("n.yaml", Some("two\n"))])?;
    assert_eq!(conflicts(&made.check("one", "two")?), ["n.yaml"]);
    Ok(())
}

#[test]
fn one_side_that_has_the_other_needs_no_merge() -> anyhow::Result<()> {
    let made = Made::new()?;
    made.commit("main", &[("a.yaml", Some("a\n"))])?;
    made.commit("head", &[("a.yaml", Some("b\n"))])?;
    let Merged::Clean(forward) = made.check("main", "head")? else { anyhow::bail!("there is a conflict") };
    assert_eq!(forward.merge, made.clone()?.commit("head")?);
    let Merged::Clean(merged) = made.check("head", "main")? else { anyhow::bail!("there is a conflict") };
    assert!(merged.is_nothing());
    Ok(())
}

#[test]
fn two_common_ancestors_are_merged_first() -> anyhow::Result<()> {
    let made = Made::new()?;
    made.commit("main", &[("a.yaml", Some(TEN))])?;
    made.commit("head", &[("a.yaml", Some(&TEN.replace("9\n", "nine\n")))])?;
    made.commit("main", &[("a.yaml", Some(&TEN.replace("2\n", "two\n")))])?;
    let (main, head) = (made.git(&["rev-parse", "main"])?, made.git(&["rev-parse", "head"])?);
    made.git(&["merge", "-q", "-m", "cross", &head])?;
    made.git(&["checkout", "-q", "head"])?;
    made.git(&["merge", "-q", "-m", "cross", &main])?;
    made.commit("head", &[("b.yaml", Some("b\n"))])?;
    made.commit("main", &[("c.yaml", Some("c\n"))])?;
    assert_eq!(conflicts(&made.check("main", "head")?), Vec::<&str>::new());
    Ok(())
}

#[test]
fn a_merge_driver_of_a_clone_is_not_run() -> anyhow::Result<()> {
    let made = Made::new()?;
    let run = made.path().join("run");
    made.commit("main", &[("a.yaml", Some(TEN)), (".gitattributes", Some("* merge=evil\n"))])?;
    made.git(&["config", "merge.evil.driver", &format!("touch {}", run.display())])?;
    made.commit("head", &[("a.yaml", Some(&TEN.replace("9\n", "nine\n")))])?;
    made.commit("main", &[("a.yaml", Some(&TEN.replace("2\n", "two\n")))])?;
    let clone = made.clone()?;
    let merged = merge(&clone, clone.commit("main")?, clone.commit("head")?, None)?;
    assert!(matches!(merged, Merged::Clean(_)) && !run.exists());
    Ok(())
}

#[test]
fn what_cannot_be_merged_says_why() -> anyhow::Result<()> {
    let said =
        |result: Result<Merged, MergeError>| result.err().map(|error| error.to_string()).unwrap_or_default();
    let made = Made::new()?;
    made.commit("main", &[("a.yaml", Some("a\n"))])?;
    made.git(&["checkout", "-q", "--orphan", "other"])?;
    made.commit("other", &[("b.yaml", Some("b\n"))])?;
    let clone = made.clone()?;
    let sides = (clone.commit("main")?, clone.commit("other")?);
    assert!(said(merge(&clone, sides.0, sides.1, None)).contains("no common ancestor, so they"));
    for (name, part) in
        [("none", "none is not a commit"), ("", "is not a commit"), ("--all", "is not a commit")]
    {
        let found = clone.commit(name).map_err(|error| error.to_string());
        assert!(found.as_ref().is_err_and(|said| said.contains(part)), "{name}: {found:?}");
    }
    let empty = tempfile::tempdir()?;
    let found = CloneOnDisk::around(empty.path()).err().map(|error| error.to_string());
    assert!(found.is_some_and(|said| said.contains("set the folder of a clone")));
    Ok(())
}

#[test]
fn a_shallow_clone_merges_with_the_ancestor_that_a_forge_names() -> anyhow::Result<()> {
    let made = Made::new()?;
    made.commit("main", &[("a.yaml", Some(TEN))])?;
    let ancestor = made.git(&["rev-parse", "main"])?;
    made.commit("head", &[("a.yaml", Some(&TEN.replace("9\n", "nine\n")))])?;
    made.commit("main", &[("a.yaml", Some(&TEN.replace("2\n", "two\n")))])?;
    let shallow = Made { folder: tempfile::tempdir()? };
    let url = format!("file://{}", made.path().display());
    shallow.git(&["init", "-q", "--bare", "."])?;
    for name in ["main", "head"] {
        shallow.git(&["fetch", "-q", "--depth=1", &url, &format!("{name}:refs/heads/{name}")])?;
    }
    let clone = shallow.clone()?;
    let (base, head) = (clone.commit("main")?, clone.commit("head")?);
    let alone = merge(&clone, base, head, None).err().map(|error| error.to_string());
    assert!(alone.is_some_and(|said| said.contains("--unshallow")));
    shallow.git(&["fetch", "-q", "--depth=1", &url, &ancestor])?;
    let clone = shallow.clone()?;
    let merged = merge(&clone, base, head, CommitId::parse(&ancestor))?;
    assert!(matches!(merged, Merged::Clean(_)));
    Ok(())
}

#[test]
fn a_branch_is_known_by_its_names_and_a_commit_is_none() -> anyhow::Result<()> {
    let made = Made::new()?;
    made.commit("main", &[("a.yaml", Some("a\n"))])?;
    made.commit("feature/x", &[("a.yaml", Some("b\n"))])?;
    made.git(&["remote", "add", "origin", "https://alice:hunter2@git.example.com/org/config.git"])?;
    made.git(&["update-ref", "refs/remotes/origin/release/1", "main"])?;
    let clone = made.clone()?;
    let branch = |name: &str| clone.branch(name);
    assert_eq!(branch("main").as_deref(), Some("main"));
    assert_eq!(branch("refs/heads/feature/x").as_deref(), Some("feature/x"));
    assert_eq!(branch("origin/release/1").as_deref(), Some("release/1"));
    assert_eq!(branch("HEAD").as_deref(), Some("feature/x"));
    assert_eq!(branch(&clone.commit("main")?.to_string()), None);
    let remotes: Vec<String> = clone.remotes().iter().map(ToString::to_string).collect();
    assert_eq!(remotes, ["https://git.example.com/org/config.git"]);
    Ok(())
}
