//! What a plan can do to one object. Pure.

use serde::{Deserialize, Serialize};

/// What is done to one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// It does not exist.
    Create,
    /// It exists and was not ours.
    Adopt,
    /// It belonged to another Sync that does not claim it any more: the label changes, nothing is deleted.
    Move,
    /// It is ours and differs.
    Update,
    /// An immutable field differs: deleted and created anew.
    Recreate,
    /// It is ours and git does not have it any more.
    Delete,
    /// It is ours, git does not have it any more, and it must stay: the label is taken off.
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

    /// True if git does not have the object any more.
    pub fn removes(self) -> bool {
        matches!(self, Self::Delete | Self::Orphan)
    }

    /// True if the object that is there now ends.
    pub fn deletes(self) -> bool {
        matches!(self, Self::Delete | Self::Recreate)
    }
}
