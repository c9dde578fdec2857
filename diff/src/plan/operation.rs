//! What a plan can do to one object. Pure.

use serde::{Deserialize, Serialize};

/// What is done to one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// It does not exist.
    Create,
    /// It exists and was not applied by this installation.
    Adopt,
    /// It belonged to another Sync that no longer claims it: the label changes, nothing is deleted.
    Move,
    /// It belongs to the Sync and differs from Git.
    Update,
    /// An immutable field differs: deleted and created anew.
    Recreate,
    /// It belongs to the Sync and is no longer in Git.
    Delete,
    /// It belongs to the Sync, is no longer in Git, and must be kept: the label is removed.
    Orphan,
}

impl Operation {
    /// The word for people, and the metric's label.
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

    /// True if the object that is there now ends.
    pub fn deletes(self) -> bool {
        matches!(self, Self::Delete | Self::Recreate)
    }
}
