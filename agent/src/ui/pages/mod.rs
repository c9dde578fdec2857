//! The pages: HTML as a function of a view value, the visitor and the time. Pure.
//!
//! `maud` checks the HTML when it is compiled and escapes every value; askama would read templates of another language, whose
//! mistakes the compiler shows less well. No page has a script or a style of its own, so the policy of the answer forbids both.

mod belongings;
mod changes;
mod drift;
mod fields;
mod form;
mod frame;
mod graph;
mod home;
mod images;
mod log;
mod object;
mod plan;
mod pulls;
#[cfg(test)]
mod samples;
mod sign_in;
mod sync;
#[cfg(test)]
mod tests;
mod text;

pub use self::belongings::events_page as events;
pub use self::drift::page as drift;
pub use self::frame::{Frame, message};
pub use self::graph::page as graph;
pub use self::home::page as home;
pub use self::images::page as images;
pub use self::log::page as log;
pub use self::object::page as object;
pub use self::plan::page as plan;
pub use self::pulls::page as pulls;
pub use self::sign_in::{page as sign_in, with_provider as sign_in_with};
pub use self::sync::page as sync;
