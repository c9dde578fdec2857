//! What a render asks of the outside, and what it was answered: charts by Helm, and bases in other repositories.
//!
//! A render is a function of its files and of answers. Where an answer is missing it ends, says what it asks for, and is
//! made again with the answer: so nothing of it waits, and nothing is held, while a server or Helm takes its time. Pure.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::files::Versioned;
use serde::{Deserialize, Serialize};

use super::helm::Release;
use super::{File, RenderError, bytes};
use crate::error::StageError;

/// A question to the outside.
#[derive(Serialize, Deserialize)]
pub enum Ask {
    /// The chart's own `values.yaml`.
    Values(ChartFrom),
    /// What a chart renders to.
    Template(ChartFrom, Box<Release>),
    /// The tree of a ref of another repository; an empty ref is the default branch.
    Remote { repository: String, reference: String },
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

/// The answer to a question.
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
    Refused(RenderError),
}

/// Which commit of another repository was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadRemote {
    pub repository: String,
    pub reference: String,
    /// Of the ref that it was found by.
    pub name: String,
    pub commit: String,
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
    /// What the commit was found by, for messages.
    pub name: String,
}

/// The files of a commit. The first thing that cannot be read says more by itself than a renderer can say of it.
pub trait TreeFiles: Versioned {
    fn trouble(&self) -> Option<Box<dyn StageError>>;
}

/// Opens trees on disk.
pub trait Trees: Send + Sync {
    fn open(&self, place: &TreePlace) -> Result<Box<dyn TreeFiles>, RenderError>;
}

impl Ask {
    /// Names the question.
    pub fn digest(&self) -> Digest {
        // What has no strange keys can be written as JSON.
        Digest::of_bytes(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// What is outside of a render: whether it may be asked, and what was answered so far.
#[derive(Default)]
pub struct Answers<'a> {
    pub charts: bool,
    /// What opens the trees of other repositories; `None` if they are not allowed.
    pub trees: Option<&'a dyn Trees>,
    pub given: &'a [(Digest, Arc<Answer>)],
    missing: RefCell<Option<Ask>>,
}

impl<'a> Answers<'a> {
    pub fn new(charts: bool, trees: Option<&'a dyn Trees>, given: &'a [(Digest, Arc<Answer>)]) -> Self {
        Self { charts, trees, given, missing: RefCell::default() }
    }

    /// The answer to a question. If there is none yet the render is of no use, whatever it comes to.
    pub fn get(&self, ask: Ask) -> Result<&Answer, RenderError> {
        let digest = ask.digest();
        let found = self.given.iter().find(|(given, _)| *given == digest);
        match found.map(|(_, answer)| &**answer) {
            Some(Answer::Refused(error)) => Err(error.clone()),
            Some(answer) => Ok(answer),
            None => {
                self.missing.borrow_mut().get_or_insert(ask);
                Err(RenderError::internal("an answer is missing"))
            }
        }
    }

    /// What the render asked for and was not answered.
    pub fn into_missing(self) -> Option<Ask> {
        self.missing.into_inner()
    }
}
