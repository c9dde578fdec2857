//! What a render requests from outside its repository, and the answers: charts by Helm, and bases in other repositories.
//!
//! A render is a function of its files and the answers. If an answer is missing, the render ends with the request, and is
//! repeated with the answer: so it holds nothing while a server or Helm is slow. Pure.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use holdfast_diff::digest::{Digest, Hasher};
use holdfast_diff::files::Versioned;
use serde::{Deserialize, Serialize};

use super::helm::Release;
use super::{File, RenderError, bytes};
use crate::error::{Class, StageError};

/// A request to the outside.
#[derive(Serialize, Deserialize)]
pub enum Ask {
    /// The chart's own `values.yaml`.
    Values(ChartFrom),
    /// The result of rendering a chart.
    Template(ChartFrom, Box<Release>),
    /// The tree of a ref of another repository; an empty ref is the default branch.
    Remote { repository: String, reference: String },
    /// The file behind a URL of http.
    File { url: String },
}

/// Where a chart comes from.
#[derive(Serialize, Deserialize)]
pub enum ChartFrom {
    /// What `spec.render.helm.chart` names, which is fetched before the render.
    Given,
    /// A folder of the tree, and the charts beside it that it is made of. True if the logins of the Sync are for what it
    /// does not have.
    Folder { path: String, files: Vec<File>, logins: bool },
    /// A chart repository over HTTP. The version is a range.
    Repository { url: String, name: String, version: String },
    /// `oci://host/path/chart`. The version is a range.
    Oci { url: String, version: String },
}

/// The answer to a request.
#[derive(Serialize, Deserialize)]
pub enum Answer {
    /// Empty if there is none.
    Values(#[serde(with = "bytes")] Vec<u8>),
    /// The documents of a chart, and those of a second render if that is another one.
    Template {
        files: Vec<File>,
        again: Option<Vec<File>>,
    },
    Remote(RemoteTree),
    File {
        /// `sha256:` and 64 hex digits.
        digest: String,
        #[serde(with = "bytes")]
        bytes: Vec<u8>,
        warning: Option<String>,
    },
    /// There is no file, with the reason: the URL may be that of a repository.
    NoFile(String),
    Refused(RenderError),
}

/// What was read from elsewhere: a commit of another repository, or a file of a web server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadRemote {
    Tree {
        repository: String,
        reference: String,
        /// Of the ref that it was found by.
        name: String,
        commit: String,
    },
    File {
        url: String,
        /// `sha256:` and 64 hex digits.
        digest: String,
    },
}

impl ReadRemote {
    /// The digest of everything that was read of other servers, in its order.
    pub fn digest(all: &[Self]) -> Digest {
        let mut hasher = Hasher::default();
        for remote in all {
            let parts: &[&String] = match remote {
                Self::Tree { repository, reference, name, commit } => &[repository, reference, name, commit],
                Self::File { url, digest } => &[url, digest],
            };
            parts.iter().for_each(|part| hasher.text(part));
        }
        hasher.finish()
    }
}

/// The tree of another repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RemoteTree {
    /// Of the ref that it was found by.
    pub name: String,
    pub place: TreePlace,
}

/// A tree on disk: a mirror, and a commit in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreePlace {
    pub mirror: PathBuf,
    pub commit: String,
    /// The name that the commit was found by, for messages.
    pub name: String,
}

/// The files of a commit. The first read error is more precise than the message of a renderer about it.
pub trait TreeFiles: Versioned {
    fn trouble(&self) -> Option<Box<dyn StageError>>;
}

/// Opens trees on disk.
pub trait Trees: Send + Sync {
    fn open(&self, place: &TreePlace) -> Result<Box<dyn TreeFiles>, RenderError>;
}

impl Ask {
    /// Returns the key of a request.
    pub fn digest(&self) -> Digest {
        // What has no strange keys can be written as JSON.
        Digest::of_bytes(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The outside of a render: which requests are allowed, and the answers so far.
#[derive(Default)]
pub struct Answers<'a> {
    pub charts: bool,
    /// Opens the trees of other repositories; `None` if they are not allowed.
    pub trees: Option<&'a dyn Trees>,
    pub given: &'a [(Digest, Arc<Answer>)],
    missing: RefCell<Option<Ask>>,
    /// The first error that is not caused by a mistake in Git alone.
    trouble: RefCell<Option<RenderError>>,
}

impl<'a> Answers<'a> {
    pub fn new(charts: bool, trees: Option<&'a dyn Trees>, given: &'a [(Digest, Arc<Answer>)]) -> Self {
        Self { charts, trees, given, missing: RefCell::default(), trouble: RefCell::default() }
    }

    /// Returns the answer to a request. If there is none yet, the result of the render is discarded.
    pub fn get(&self, ask: Ask) -> Result<&Answer, RenderError> {
        let digest = ask.digest();
        let found = self.given.iter().find(|(given, _)| *given == digest);
        match found.map(|(_, answer)| &**answer) {
            Some(Answer::Refused(error)) => {
                if error.class() != Class::User {
                    self.trouble.borrow_mut().get_or_insert_with(|| error.clone());
                }
                Err(error.clone())
            }
            Some(answer) => Ok(answer),
            None => {
                self.missing.borrow_mut().get_or_insert(ask);
                Err(RenderError::internal("an answer is missing"))
            }
        }
    }

    /// Returns the error of a render, with the class of the outside error if that is the reason.
    pub fn explain(&self, error: RenderError) -> RenderError {
        match &*self.trouble.borrow() {
            Some(trouble) => error.because_of(trouble),
            None => error,
        }
    }

    /// Returns the requests of the render that have no answer.
    pub fn into_missing(self) -> Option<Ask> {
        self.missing.into_inner()
    }
}
