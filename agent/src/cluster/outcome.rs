//! What became of a plan, as apply and prune fill it in. A type, no behaviour.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::Change;

use super::refusal::ObjectError;
use super::requests::ResourceType;

/// The kinds of everything that a plan can touch.
pub type Kinds = HashMap<ObjectId, Arc<ResourceType>>;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    pub done: Vec<Change>,
    pub errors: Vec<ObjectError>,
    /// Why the rest of the plan has not been tried yet; the watch brings the Sync back.
    pub waits: Option<String>,
    /// Nothing in the watch will tell when the wait is over.
    pub again: bool,
}
