//! What an error means for the one who must act: its class alone decides retry, `Stalled` and alerting.
//!
//! Every stage has an error enum of its own; each can say its class, its static name and a hint. Pure.

use serde::{Deserialize, Serialize};

/// Who can end an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Class {
    /// A person must change something in git, in the Sync, or in the cluster: `Stalled`.
    User,
    /// It may pass by itself: retried with backoff.
    Transient,
    /// A defect of Holdfast.
    Internal,
}

/// What `reconcile`, `report` and the metrics need to know of a stage's error.
pub trait StageError: std::error::Error {
    fn class(&self) -> Class;

    /// The static name of the variant, CamelCase: a condition's reason and a metric's label.
    fn name(&self) -> &'static str;
}
