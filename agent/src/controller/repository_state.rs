//! What is kept of the Repositories between their runs, and forgotten when one is gone. No I/O.

use std::collections::HashSet;
use std::sync::Arc;

use kube::ResourceExt as _;

use super::agent::Agent;
use super::memory::Memories;
use crate::api::{Repository, RepositoryStatus};
use crate::calls::Calls;
use crate::review::pass::memory::Memory as Pulls;
use crate::shares::Shares;
use crate::subject::{self, Subject};

/// The kind `Repository`.
pub(super) struct Repositories {
    pub agent: Arc<Agent>,
    pub memories: Memories<Subject, Memory>,
    /// Webhook calls of forges.
    pub calls: Calls<Subject>,
    pub passes: Shares,
}

/// The memory of a Repository between two passes.
#[derive(Default)]
pub struct Memory {
    /// The UID of the Repository, since another one can have the same name later.
    pub uid: Option<String>,
    /// The generation of the pull requests that are remembered.
    pub generation: Option<i64>,
    /// The status that was written last. The watch may not have delivered it yet.
    pub status: Option<RepositoryStatus>,
    /// The value of `holdfast.dev/reconcile-at` at the last pass.
    pub answered: Option<String>,
    /// When the forge was asked for the open pull requests last.
    pub listed: Option<jiff::Timestamp>,
    pub failures: u32,
    pub pulls: Option<Pulls>,
}

impl Repositories {
    /// Forgets the Repositories that were deleted while no watch went on.
    pub fn sweep(&self) {
        let there: HashSet<Subject> = self.agent.repositories.state().iter().map(|one| name(one)).collect();
        let gone = self.memories.names().into_iter().filter(|repository| !there.contains(repository));
        gone.for_each(|repository| self.forget(&repository));
    }

    /// Forgets a Repository that is gone.
    pub fn forget(&self, repository: &Subject) {
        self.memories.forget(repository);
        self.calls.take(repository);
        self.agent.forget_repository(repository);
    }
}

/// The name of a Repository.
pub(super) fn name(repository: &Repository) -> Subject {
    Subject::new(subject::Kind::Repository, repository.namespace().unwrap_or_default(), repository.name_any())
}
