//! The outcome of a plan, which apply and prune fill in. A type, no behaviour.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_diff::object::ObjectId;
use holdfast_diff::plan::Change;

use super::refusal::ObjectError;
use super::requests::ResourceType;

/// The kinds of all objects that a plan can touch.
pub type Kinds = HashMap<ObjectId, Arc<ResourceType>>;

/// The outcome of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    pub done: Vec<Change>,
    pub errors: Vec<ObjectError>,
    /// Why the rest of the plan was not tried yet. A watch event starts the next run.
    pub waits: Option<String>,
    /// True if no watch event shows when the wait is over.
    pub again: bool,
}
