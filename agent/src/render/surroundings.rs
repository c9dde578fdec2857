//! The files of a repository and their surroundings: other repositories, charts, and the budget of the render.
//!
//! Another repository is mounted beside the files, at a path that no repository can have. Pure, beside the files that it
//! is given.

use std::cell::RefCell;
use std::sync::Arc;

use holdfast_diff::budget::{Budget, Limits, Resource};
use holdfast_diff::files::{Entry, FileKind, Files, FilesError, Resolved, join};
use holdfast_kustomize::remote;
use holdfast_kustomize::{HelmChart, Host};

use super::ask::{Answer, Answers, Ask, ReadRemote, RemoteTree, Trees};
use super::{RenderError, helm_charts};

/// Where other repositories are mounted.
const MOUNT: &str = ".remote\u{1}";
/// How many other repositories, and files of web servers, one render may read.
const REMOTES: usize = 60;

/// Files, the outside, and the budget of the render, which counts all reads and requests.
pub struct Surroundings<'a> {
    files: &'a dyn Files,
    answers: &'a Answers<'a>,
    mounted: RefCell<Vec<(ReadRemote, Arc<dyn Files>)>>,
    warnings: RefCell<Vec<String>>,
    budget: Budget,
}

impl<'a> Surroundings<'a> {
    pub fn new(files: &'a dyn Files, answers: &'a Answers<'a>, limits: Limits) -> Self {
        Self {
            files,
            answers,
            mounted: RefCell::default(),
            warnings: RefCell::default(),
            budget: Budget::new(limits),
        }
    }

    /// The outside of the render.
    pub fn answers(&self) -> &'a Answers<'a> {
        self.answers
    }

    /// Warnings about files from other servers.
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.borrow().clone()
    }

    /// The commits of other repositories that were read, and the files of web servers.
    pub fn remotes(&self) -> Vec<ReadRemote> {
        self.mounted.borrow().iter().map(|(read, _)| read.clone()).collect()
    }

    /// Reads the files that a path belongs to, by its path in them.
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

/// Returns the number of the repository that a path belongs to, and the path in it.
fn mounted(path: &str) -> Option<(usize, &str)> {
    let rest = path.strip_prefix(MOUNT)?.strip_prefix('/')?;
    let (number, rest) = rest.split_once('/').unwrap_or((rest, ""));
    Some((number.parse().ok()?, rest))
}

impl Files for Surroundings<'_> {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        self.spend(Resource::Visits, 1)?;
        let place = self.ask(path, |files, path| files.resolve(path))?;
        let mount = mounted(path).map(|(number, _)| format!("{MOUNT}/{number}"));
        Ok(place.map(|place| match mount {
            Some(mount) => Resolved { path: join(&mount, &place.path).unwrap_or(mount), ..place },
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
        let Some(trees) = self.answers.trees else { return Err(not_allowed(url)) };
        let Some(remote::Spec { repository, folder, reference }) = remote::parse(url) else {
            return Err(FilesError(format!("{url} is neither a Git repository nor a file: correct the URL")));
        };
        let is_it = |(read, _): &(ReadRemote, _)| matches!(read, ReadRemote::Tree { repository: own, reference: by, .. } if *own == repository && *by == reference);
        let known = self.mounted.borrow().iter().position(is_it);
        let number = known.unwrap_or(self.mounted.borrow().len());
        if known.is_none() {
            let mounted =
                self.mount(trees, repository, reference).map_err(|error| self.no_file(url, error))?;
            self.mounted.borrow_mut().push(mounted);
        }
        let root = format!("{MOUNT}/{number}");
        join(&root, &folder).ok_or_else(|| FilesError(format!("{url} leads out of its repository")))
    }

    fn remote_file(&self, url: &str) -> Result<Option<String>, FilesError> {
        if self.answers.trees.is_none() {
            return Err(not_allowed(url));
        }
        if is_repository(url) {
            return Ok(None);
        }
        let is_it =
            |(read, _): &(ReadRemote, _)| matches!(read, ReadRemote::File { url: own, .. } if own == url);
        let name = file_name(url);
        let known = self.mounted.borrow().iter().position(is_it);
        if let Some(number) = known {
            return Ok(Some(format!("{MOUNT}/{number}/{name}")));
        }
        let (digest, bytes) =
            match self.answers.get(Ask::File { url: url.to_owned() }).map_err(|error| refused(&error))? {
                Answer::File { digest, bytes, warning } => {
                    self.warnings.borrow_mut().extend(warning.clone());
                    (digest.clone(), bytes.as_slice().into())
                }
                Answer::NoFile(_) => return Ok(None),
                _ => return Err(FilesError(format!("{url} was answered by something else than a file"))),
            };
        let mut mounted = self.mounted.borrow_mut();
        if mounted.len() >= REMOTES {
            return Err(too_many());
        }
        let read = ReadRemote::File { url: url.to_owned(), digest };
        mounted.push((read, Arc::new(OneFile { name: name.to_owned(), bytes })));
        Ok(Some(format!("{MOUNT}/{}/{name}", mounted.len() - 1)))
    }

    fn chart(&self, chart: &HelmChart, folder: &str) -> Result<Vec<u8>, FilesError> {
        helm_charts::render(self, self.answers, chart, folder)
    }
}

impl Surroundings<'_> {
    /// Returns the tree of another repository from the answer to its request.
    fn mount(
        &self,
        trees: &dyn Trees,
        repository: String,
        reference: String,
    ) -> Result<(ReadRemote, Arc<dyn Files>), FilesError> {
        if self.mounted.borrow().len() >= REMOTES {
            return Err(too_many());
        }
        let ask = Ask::Remote { repository: repository.clone(), reference: reference.clone() };
        let Answer::Remote(RemoteTree { name, place }) =
            self.answers.get(ask).map_err(|error| refused(&error))?
        else {
            return Err(FilesError(format!("{repository} was answered by something else than a tree")));
        };
        let files: Box<dyn Files> = trees.open(place).map_err(|error| refused(&error))?;
        let read =
            ReadRemote::Tree { repository, reference, name: name.clone(), commit: place.commit.clone() };
        Ok((read, files.into()))
    }

    /// Returns the error of a URL that is neither a repository nor a file.
    fn no_file(&self, url: &str, error: FilesError) -> FilesError {
        let digest = Ask::File { url: url.to_owned() }.digest();
        let answer = self.answers.given.iter().find(|(given, _)| *given == digest);
        match answer.map(|(_, answer)| &**answer) {
            Some(Answer::NoFile(why)) => FilesError(format!("{why}; and as a Git repository: {error}")),
            _ => error,
        }
    }

    /// Replaces mounted paths in a text by their URLs.
    pub fn named(&self, text: &str) -> String {
        let mut named = text.to_owned();
        for (number, (read, _)) in self.mounted.borrow().iter().enumerate().rev() {
            let mount = format!("{MOUNT}/{number}");
            named = match read {
                ReadRemote::Tree { repository, .. } => {
                    named.replace(&format!("{mount}/"), &format!("{repository}//"))
                }
                ReadRemote::File { url, .. } => named.replace(&format!("{mount}/{}", file_name(url)), url),
            };
        }
        named
    }
}

/// The one file behind a URL.
struct OneFile {
    name: String,
    bytes: Arc<[u8]>,
}

impl Files for OneFile {
    fn resolve(&self, path: &str) -> Result<Option<Resolved>, FilesError> {
        let is_it = path == self.name;
        Ok(is_it.then(|| Resolved { path: path.to_owned(), kind: FileKind::File }))
    }

    fn read(&self, path: &str) -> Result<Option<Arc<[u8]>>, FilesError> {
        Ok((path == self.name).then(|| self.bytes.clone()))
    }

    fn list(&self, _: &str) -> Result<Option<Vec<Entry>>, FilesError> {
        Ok(None)
    }
}

/// The last part of the path of a URL, as a name of a file.
fn file_name(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if matches!(name, "" | "." | "..") { "file" } else { name }
}

/// True for a URL that is written as that of a git repository, and not of a file.
fn is_repository(url: &str) -> bool {
    let address = url.split_once("://").map_or(url, |(_, address)| address);
    let path = address.split(['?', '#']).next().unwrap_or(address).to_ascii_lowercase();
    let is_file = [".yaml", ".yml", ".json"].iter().any(|extension| path.ends_with(extension));
    let marks = path.contains("//") || format!("{path}/").contains(".git/") || path.contains("/_git/");
    marks && !is_file && remote::parse(url).is_some()
}

fn refused(error: &RenderError) -> FilesError {
    FilesError(error.errors.join("; "))
}

fn not_allowed(url: &str) -> FilesError {
    FilesError(format!(
        "bases in other repositories and files of web servers are not allowed: copy {url} into the repository, or set \
         --allow-remote-bases"
    ))
}

fn too_many() -> FilesError {
    FilesError(format!("the render reads more than {REMOTES} other repositories and files of web servers"))
}

#[cfg(test)]
mod tests {
    use super::{file_name, is_repository};

    #[test]
    fn a_url_of_a_repository_is_told_from_that_of_a_file() {
        for (url, expected) in [
            ("https://github.com/o/r//deploy?ref=v1", true),
            ("https://git.example.com/o/r.git/deploy", true),
            ("https://git.example.com/o/r.git", true),
            ("https://dev.azure.com/o/p/_git/r/deploy", true),
            ("https://github.com/o/r/releases/download/v1/install.yaml", false),
            ("https://git.example.com/cgit/r.git/plain/install.yaml", false),
            ("https://git.example.com/api/v4/projects/1/files/a/raw?ref=main", false),
            ("https://github.com/o/r/deploy?ref=v1", false),
        ] {
            assert_eq!(is_repository(url), expected, "{url}");
        }
        assert_eq!(file_name("https://a.example.com/x/install.yaml?ref=a/b"), "install.yaml");
        assert_eq!(file_name("https://a.example.com/x/.."), "file");
    }
}
