//! The state that runs of ImageUpdates share, and what is forgotten when one is gone. No I/O.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use tokio::sync::mpsc::UnboundedSender;

use super::agent::Agent;
use super::memory::Memories;
use crate::api::{ImageUpdate, ImageUpdateStatus};
use crate::calls::Calls;
use crate::image::pass::edits::Plain;
use crate::shares::Shares;
use crate::subject::{Kind, Subject};

/// The kind `ImageUpdate`.
pub(super) struct Updates {
    pub agent: Arc<Agent>,
    pub memories: Memories<Subject, Memory>,
    /// Webhook calls of registries.
    pub calls: Calls<Subject>,
    pub passes: Shares,
    /// Receives each ImageUpdate that changed or is gone.
    pub changed: UnboundedSender<Subject>,
}

/// The memory of an ImageUpdate between two passes. All of it can be computed again.
#[derive(Default)]
pub struct Memory {
    /// The UID of the ImageUpdate, since another one can have the same name later.
    pub uid: Option<String>,
    /// The status that was written last. The watch may not have delivered it yet.
    pub status: Option<ImageUpdateStatus>,
    /// The value of `holdfast.dev/reconcile-at` at the last pass.
    pub answered: Option<String>,
    /// When registries were contacted last.
    pub contacted: Option<Timestamp>,
    pub failures: u32,
    /// Files without markers.
    pub plain: Arc<Plain>,
}

impl Updates {
    /// Forgets the ImageUpdates that were deleted while no watch went on.
    pub fn sweep(&self) {
        let there: HashSet<Subject> = self.agent.updates.state().iter().map(|update| name(update)).collect();
        let gone = self.memories.names().into_iter().filter(|update| !there.contains(update));
        gone.for_each(|update| self.forget(&update));
    }

    /// Forgets an ImageUpdate that is gone.
    pub fn forget(&self, update: &Subject) {
        self.memories.forget(update);
        self.calls.take(update);
        self.agent.forget_update(update);
    }
}

/// The name of an ImageUpdate.
pub(super) fn name(update: &ImageUpdate) -> Subject {
    Subject::new(Kind::ImageUpdate, update.namespace().unwrap_or_default(), update.name_any())
}

/// The other ImageUpdates of the namespace.
pub(super) fn others(agent: &Agent, update: &Subject) -> Vec<Arc<ImageUpdate>> {
    let is_other = |other: &Subject| other.namespace == update.namespace && other.name != update.name;
    agent.updates.state().into_iter().filter(|other| is_other(&name(other))).collect()
}
