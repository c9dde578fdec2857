//! The objects of one list, on their way into the view. No I/O.

use holdfast_diff::object::ObjectId;

use crate::cluster::entry::{Entry, Sight};
use crate::sync_ref::SyncRef;

/// What a list said of one kind.
#[derive(Default)]
pub struct Listed {
    pub(super) members: Vec<(ObjectId, Entry)>,
    pub(super) copies: Vec<(ObjectId, SyncRef)>,
}

/// Copies that are kept of one list.
const COPIES: usize = 1000;

impl Listed {
    /// Takes one object of the list.
    pub fn push(&mut self, object: ObjectId, sight: Sight) {
        match sight {
            Sight::Member(entry) => self.members.push((object, *entry)),
            Sight::Copy(owner) if self.copies.len() < COPIES => self.copies.push((object, owner)),
            Sight::Copy(_) | Sight::Other => {}
        }
    }
}
