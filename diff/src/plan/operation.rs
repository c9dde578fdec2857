//! The operations of a plan on one object. Pure.

use serde::{Deserialize, Serialize};

/// The operation on one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// The object does not exist.
    Create,
    /// The object exists and was not applied by this installation.
    Adopt,
    /// The object belonged to another Sync that no longer claims it: the label changes, nothing is deleted.
    Move,
    /// The object belongs to the Sync and differs from Git.
    Update,
    /// An immutable field differs: the object is deleted and created again.
    Recreate,
    /// The object belongs to the Sync and is no longer in Git.
    Delete,
    /// The object belongs to the Sync, is no longer in Git, and must be kept: the marks of ownership are removed.
    Orphan,
}

impl Operation {
    /// Returns the name of the operation, for messages and as metric label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Adopt => "adopt",
            Self::Move => "move",
            Self::Update => "update",
            Self::Recreate => "recreate",
            Self::Delete => "delete",
            Self::Orphan => "orphan",
        }
    }

    /// True if the object is no longer in Git.
    pub fn removes(self) -> bool {
        matches!(self, Self::Delete | Self::Orphan)
    }

    /// True if the current object is deleted.
    pub fn deletes(self) -> bool {
        matches!(self, Self::Delete | Self::Recreate)
    }
}
