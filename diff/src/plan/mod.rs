//! The plan: the changes that make the cluster match Git, and the rules that decide them.
//!
//! `compare` finds differences, `items` matches items of lists, `fields` finds owners, `takeover` decides about the fields of other managers, `desired` and
//! `left` make changes of that, `order` and `needs` put them in order, `mask` hides what is secret, `text` shows it.
//! Drift is a non-empty plan at a revision that is already applied. Pure.

pub mod applyset;
mod change;
pub mod compare;
mod desired;
mod effect;
pub mod fields;
pub mod items;
mod left;
pub mod mask;
pub mod needs;
pub mod operation;
pub mod order;
mod refused;
pub mod replacement;
pub mod standing;
pub mod takeover;
pub mod text;
pub mod unmanaged;
mod whole;
mod zeros;

pub use change::{Change, FieldChange, SeenAt};
pub use desired::{Prediction, Seen, desired};
pub use left::{kept, overwritten, removed};
pub use operation::Operation;
pub use refused::refused;
pub use whole::{Plan, PlanId};
pub use zeros::has_unstored;
