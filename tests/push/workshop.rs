//! What the tests of a push share: a repository of git's own on disk with a clone, and commits of ours for it. I/O: disk, processes.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use holdfast::source::{
    Checkout, Credential, GitRef, Location, NewCommit, Person, PushError, PushTarget, Pushed, Signer,
    SourceOptions, Sources,
};
use holdfast_diff::files::Files as _;
use holdfast_tests::watchdog::Folder;
use jiff::Timestamp;

/// How long a push of a test may take.
pub const LIMIT: Duration = Duration::from_secs(30);

/// When all commits of ours are made.
pub const AT: i64 = 1_700_000_000;

/// A repository of git's own, a clone of it, and sources that push to it.
pub struct Workshop {
    pub bare: PathBuf,
    pub clone: PathBuf,
    pub sources: Sources,
    pub folder: Folder,
}

/// Runs `git` and returns what it printed.
pub fn git(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = git_command(folder).args(arguments).output().context("cannot start git")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "git {arguments:?} failed: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub fn git_command(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder).stdin(Stdio::null());
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    git.env("GIT_TERMINAL_PROMPT", "0");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "Alice")
            .env(format!("GIT_{role}_EMAIL"), "alice@example.com")
            .env(format!("GIT_{role}_DATE"), format!("@{AT} +0000"));
    }
    git
}

pub fn sources(folder: &Path) -> Sources {
    let options = SourceOptions {
        allow_file: true,
        guard: Arc::default(),
        on_request: Arc::new(|_, _| {}),
        usage: Arc::default(),
    };
    Sources::new(folder.join("cache"), options)
}

pub fn alice() -> anyhow::Result<Person> {
    let at = Timestamp::from_second(AT)?;
    Ok(Person { name: "Alice".to_owned(), email: "alice@example.com".to_owned(), at })
}

/// A commit with these files changed.
pub fn commit(base: &Checkout, changes: &[(&str, &[u8])], message: &str) -> anyhow::Result<NewCommit> {
    Ok(NewCommit {
        base: base.clone(),
        changes: changes.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect(),
        grafts: Vec::new(),
        author: alice()?,
        committer: alice()?,
        message: message.to_owned(),
        signer: None,
    })
}

/// A login with these keys of a Secret, or none.
pub fn credential(entries: &[(&str, &str)]) -> anyhow::Result<Credential> {
    if entries.is_empty() {
        return Ok(Credential::default());
    }
    Ok(Credential::from_secret(&data(entries))?)
}

pub fn signer(entries: &[(&str, &str)]) -> anyhow::Result<Arc<Signer>> {
    Ok(Arc::new(Signer::from_secret(&data(entries))?))
}

fn data(entries: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    entries.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect()
}

/// What a file holds.
pub fn read(checkout: &Checkout, path: &str) -> anyhow::Result<Vec<u8>> {
    let bytes = checkout.files().read(path)?.with_context(|| format!("there is no {path}"))?;
    Ok(bytes.to_vec())
}

impl Workshop {
    /// With one commit, which has the file `a.yaml`.
    pub fn new() -> anyhow::Result<Self> {
        let folder = Folder::make("push")?;
        let (bare, clone) = (folder.path().join("bare.git"), folder.path().join("clone"));
        git(folder.path(), &["init", "--quiet", "--bare", "-b", "main", "bare.git"])?;
        // The strictest server there is, and one that keeps packs as they came.
        git(&bare, &["config", "receive.fsckObjects", "true"])?;
        git(&bare, &["config", "receive.unpackLimit", "1"])?;
        git(folder.path(), &["init", "--quiet", "-b", "main", "clone"])?;
        git(&clone, &["remote", "add", "origin", &bare.display().to_string()])?;
        let workshop = Self { bare, clone, sources: sources(folder.path()), folder };
        workshop.human(&[("a.yaml", "image: web:1\n")], "Begin")?;
        Ok(workshop)
    }

    pub fn location(&self) -> anyhow::Result<Location> {
        Ok(Location::parse(&format!("file://{}", self.bare.display()), None)?)
    }

    /// Another user commits files and pushes them to `main`. Returns the commit.
    pub fn human(&self, files: &[(&str, &str)], message: &str) -> anyhow::Result<String> {
        for (path, content) in files {
            self.write(path, content.as_bytes())?;
        }
        self.human_push(message, "main")
    }

    /// Another user commits all files of the clone and force-pushes them.
    pub fn human_push(&self, message: &str, branch: &str) -> anyhow::Result<String> {
        git(&self.clone, &["add", "--all"])?;
        git(&self.clone, &["commit", "--quiet", "--allow-empty", "-m", message])?;
        git(&self.clone, &["push", "--quiet", "--force", "origin", &format!("HEAD:refs/heads/{branch}")])?;
        Ok(git(&self.clone, &["rev-parse", "HEAD"])?.trim().to_owned())
    }

    pub fn write(&self, path: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.clone.join(path);
        std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        Ok(std::fs::write(path, content)?)
    }

    /// Writes a hook of the server: a script of the shell.
    pub fn hook(&self, name: &str, script: &str) -> anyhow::Result<()> {
        let path = self.bare.join("hooks").join(name);
        std::fs::create_dir_all(self.bare.join("hooks"))?;
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
    }

    /// The head of a branch, as it is now.
    pub async fn checkout(&self, branch: &str) -> anyhow::Result<Checkout> {
        let reference = GitRef::Branch(branch.to_owned());
        Ok(self.sources.checkout(&self.location()?, &reference, Duration::ZERO, LIMIT).await?)
    }

    /// Pushes to `main`, on top of a checkout of it.
    pub async fn push(&self, commit: &NewCommit) -> Result<Pushed, PushError> {
        let location = self.location().map_err(|_| PushError::Timeout { url: String::new(), seconds: 0 })?;
        self.sources.push(&location, "main", &PushTarget::head_of(&commit.base), commit, LIMIT).await
    }

    /// Changes `a.yaml` on `main` and pushes that.
    pub async fn update(&self, content: &str) -> anyhow::Result<Result<Pushed, PushError>> {
        let head = self.checkout("main").await?;
        Ok(self.push(&commit(&head, &[("a.yaml", content.as_bytes())], "Update")?).await)
    }

    /// What the server has at a ref or commit.
    pub fn at(&self, reference: &str) -> anyhow::Result<String> {
        Ok(git(&self.bare, &["rev-parse", reference])?.trim().to_owned())
    }

    pub fn show(&self, what: &str) -> anyhow::Result<String> {
        git(&self.bare, &["show", what])
    }

    /// The subjects of a branch, newest first.
    pub fn subjects(&self, branch: &str) -> anyhow::Result<Vec<String>> {
        let log = git(&self.bare, &["log", "--format=%s", branch])?;
        Ok(log.lines().map(ToOwned::to_owned).collect())
    }
}

/// The commit that was pushed.
pub fn pushed(outcome: Result<Pushed, PushError>) -> anyhow::Result<String> {
    match outcome? {
        Pushed::Commit(id) => Ok(id.to_string()),
        Pushed::Nothing => anyhow::bail!("there was nothing to push"),
    }
}
