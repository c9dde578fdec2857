//! The custom resources of `holdfast.dev/v1alpha1`, one file for each kind: types and their defaults, no behaviour.

mod alert;
mod approval;
pub mod conditions;
mod drift_status;
mod duration;
mod hook;
mod image_update;
mod image_update_status;
pub mod names;
mod plan_status;
mod progress;
mod render;
mod repository;
mod repository_status;
mod secret_ref;
mod sync;
mod sync_status;

pub use alert::*;
pub use approval::*;
pub use drift_status::*;
pub use duration::*;
pub use hook::*;
pub use image_update::*;
pub use image_update_status::*;
pub use plan_status::*;
pub use progress::*;
pub use render::*;
pub use repository::*;
pub use repository_status::*;
pub use secret_ref::*;
pub use sync::*;
pub use sync_status::*;
