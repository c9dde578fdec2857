//! What a render may ask for beside the files of its repository: charts, and bases in other repositories.
//!
//! Another repository is mounted beside the files, at a path that no repository can have. I/O: through what it is given.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use holdfast_diff::budget::{Budget, Resource};
use holdfast_diff::files::{Entry, Files, FilesError, Place, join};
use holdfast_diff::kustomize::host::{HelmChart, Host};
use holdfast_diff::kustomize::remote;
use tokio::runtime::Handle;

use super::NO_HELM;
use super::chart::Charts;
use super::helm::{Limits, Runner};
use super::helm_charts;
use crate::http::Guard;

/// Where other repositories are mounted.
const MOUNT: &str = ".remote\u{1}";

/// Other repositories. Called where it may block.
pub trait Remotes: Send + Sync {
    /// The tree of a ref, a branch, a tag or a commit; empty is the default branch.
    fn open(&self, repository: &str, reference: &str) -> Result<Remote, FilesError>;
}

/// The tree of another repository.
#[derive(Clone)]
pub struct Remote {
    pub commit: String,
    /// Of the ref that it was found by.
    pub name: String,
    pub files: Arc<dyn Files + Send + Sync>,
}

/// Which commit of another repository was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRemote {
    pub repository: String,
    pub reference: String,
    /// Of the ref that it was found by.
    pub name: String,
    pub commit: String,
}

/// What may be asked for beside files.
#[derive(Clone)]
pub struct Outside {
    pub charts: Option<Charts>,
    /// `None`: not allowed.
    pub remotes: Option<Arc<dyn Remotes>>,
}

impl Outside {
    /// Charts by this program, kept below a folder. Must be called on the runtime that is to run it.
    pub fn new(helm: &Path, cache: &Path, guard: Arc<Guard>, remotes: Option<Arc<dyn Remotes>>) -> Self {
        let runner = Arc::new(Runner::new(helm, cache, Limits::default(), guard));
        Self { charts: Some(Charts { runner, runtime: Handle::current() }), remotes }
    }

    pub fn charts(&self) -> Option<&Charts> {
        self.charts.as_ref()
    }
}

/// Files, and the outside; and the budget of the render, which counts all that is asked of them.
pub struct Surroundings<'a> {
    files: &'a dyn Files,
    outside: Option<&'a Outside>,
    mounted: RefCell<Vec<(ReadRemote, Remote)>>,
    budget: Budget,
}

impl<'a> Surroundings<'a> {
    pub fn new(files: &'a dyn Files, outside: Option<&'a Outside>) -> Self {
        Self { files, outside, mounted: RefCell::default(), budget: Budget::default() }
    }

    /// The commits of other repositories that were read.
    pub fn remotes(&self) -> Vec<ReadRemote> {
        self.mounted.borrow().iter().map(|(read, _)| read.clone()).collect()
    }

    /// Asks the files that a path belongs to, by the path that it has in them.
    fn ask<T>(
        &self,
        path: &str,
        ask: impl FnOnce(&dyn Files, &str) -> Result<T, FilesError>,
    ) -> Result<T, FilesError> {
        let Some((number, rest)) = mounted(path) else { return ask(self.files, path) };
        let remote = self.mounted.borrow().get(number).map(|(_, remote)| remote.clone());
        let remote = remote.ok_or_else(|| FilesError(format!("there is no {path}")))?;
        ask(&*remote.files, rest)
    }
}

/// The number of the repository that a path belongs to, and the path in it.
fn mounted(path: &str) -> Option<(usize, &str)> {
    let rest = path.strip_prefix(MOUNT)?.strip_prefix('/')?;
    let (number, rest) = rest.split_once('/').unwrap_or((rest, ""));
    Some((number.parse().ok()?, rest))
}

impl Files for Surroundings<'_> {
    fn resolve(&self, path: &str) -> Result<Option<Place>, FilesError> {
        self.spend(Resource::Visits, 1)?;
        let place = self.ask(path, |files, path| files.resolve(path))?;
        let mount = mounted(path).map(|(number, _)| format!("{MOUNT}/{number}"));
        Ok(place.map(|place| match mount {
            Some(mount) => Place { path: join(&mount, &place.path).unwrap_or(mount), ..place },
            None => place,
        }))
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        self.spend(Resource::Visits, 1)?;
        let bytes = self.ask(path, |files, path| files.read(path))?;
        self.spend(Resource::Bytes, bytes.as_ref().map_or(0, |bytes| bytes.len()))?;
        Ok(bytes)
    }

    fn list(&self, path: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        let entries = self.ask(path, |files, path| files.list(path))?;
        self.spend(Resource::Visits, 1 + entries.as_ref().map_or(0, Vec::len))?;
        Ok(entries)
    }

    fn budget(&self) -> Option<&Budget> {
        Some(&self.budget)
    }
}

impl Host for Surroundings<'_> {
    fn remote(&self, url: &str) -> Result<String, FilesError> {
        let Some(remotes) = self.outside.and_then(|outside| outside.remotes.as_ref()) else {
            return Err(FilesError(format!(
                "remote resources are not allowed: copy {url} into the repository, or start the agent with \
                 --allow-remote-bases"
            )));
        };
        let Some(remote::Spec { repository, folder, reference }) = remote::parse(url) else {
            return Err(FilesError(format!(
                "{url} is no git repository: only bases in git are fetched; copy the file into the repository"
            )));
        };
        let is_it =
            |(read, _): &(ReadRemote, Remote)| read.repository == repository && read.reference == reference;
        let known = self.mounted.borrow().iter().position(is_it);
        let number = known.unwrap_or(self.mounted.borrow().len());
        if known.is_none() {
            let remote = remotes.open(&repository, &reference)?;
            let (commit, name) = (remote.commit.clone(), remote.name.clone());
            let read = ReadRemote { repository, reference, name, commit };
            self.mounted.borrow_mut().push((read, remote));
        }
        let root = format!("{MOUNT}/{number}");
        join(&root, &folder).ok_or_else(|| FilesError(format!("{url} climbs out of its repository")))
    }

    fn chart(&self, chart: &HelmChart, folder: &str) -> Result<Vec<u8>, FilesError> {
        let missing = || FilesError(NO_HELM.to_owned());
        let charts = self.outside.and_then(Outside::charts).ok_or_else(missing)?;
        helm_charts::render(charts, self, chart, folder)
    }
}
