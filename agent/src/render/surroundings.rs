//! The files of a repository and what is around them: other repositories, charts, and the budget of the render.
//!
//! Another repository is mounted beside the files, at a path that no repository can have. Pure, beside the files that it
//! is given.

use std::cell::RefCell;
use std::sync::Arc;

use holdfast_diff::budget::{Budget, Limits, Resource};
use holdfast_diff::files::{Entry, Files, FilesError, Place, join};
use holdfast_diff::kustomize::host::{HelmChart, Host};
use holdfast_diff::kustomize::remote;

use super::ask::{Answer, Answers, Ask, ReadRemote, RemoteTree, Trees};
use super::{RenderError, helm_charts};

/// Where other repositories are mounted.
const MOUNT: &str = ".remote\u{1}";
/// How many other repositories one render may read.
const REMOTES: usize = 30;

/// Files, and the outside; and the budget of the render, which counts all that is asked of them.
pub struct Surroundings<'a> {
    files: &'a dyn Files,
    answers: &'a Answers<'a>,
    mounted: RefCell<Vec<(ReadRemote, Arc<dyn Files>)>>,
    budget: Budget,
}

impl<'a> Surroundings<'a> {
    pub fn new(files: &'a dyn Files, answers: &'a Answers<'a>, limits: Limits) -> Self {
        Self { files, answers, mounted: RefCell::default(), budget: Budget::new(limits) }
    }

    /// What is outside.
    pub fn answers(&self) -> &'a Answers<'a> {
        self.answers
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
        let remote = self.mounted.borrow().get(number).map(|(_, files)| files.clone());
        let remote = remote.ok_or_else(|| FilesError(format!("there is no {path}")))?;
        ask(&*remote, rest)
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
        let Some(trees) = self.answers.trees else {
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
            |(read, _): &(ReadRemote, _)| read.repository == repository && read.reference == reference;
        let known = self.mounted.borrow().iter().position(is_it);
        let number = known.unwrap_or(self.mounted.borrow().len());
        if known.is_none() {
            let mounted = self.mount(trees, repository, reference)?;
            self.mounted.borrow_mut().push(mounted);
        }
        let root = format!("{MOUNT}/{number}");
        join(&root, &folder).ok_or_else(|| FilesError(format!("{url} climbs out of its repository")))
    }

    fn chart(&self, chart: &HelmChart, folder: &str) -> Result<Vec<u8>, FilesError> {
        helm_charts::render(self, self.answers, chart, folder)
    }
}

impl Surroundings<'_> {
    /// The tree of another repository, as the question for it was answered.
    fn mount(
        &self,
        trees: &dyn Trees,
        repository: String,
        reference: String,
    ) -> Result<(ReadRemote, Arc<dyn Files>), FilesError> {
        if self.mounted.borrow().len() >= REMOTES {
            return Err(FilesError(format!("the render reads more than {REMOTES} other repositories")));
        }
        let ask = Ask::Remote { repository: repository.clone(), reference: reference.clone() };
        let refused = |error: RenderError| FilesError(error.errors.join("; "));
        let Answer::Remote(RemoteTree { name, place }) = self.answers.get(ask).map_err(refused)? else {
            return Err(FilesError(format!("{repository} was answered by something else than a tree")));
        };
        let files: Box<dyn Files> = trees.open(place).map_err(refused)?;
        let read = ReadRemote { repository, reference, name: name.clone(), commit: place.commit.clone() };
        Ok((read, files.into()))
    }
}
