//! The pages: HTML as a function of a view value, the visitor and the time. Pure.
//!
//! `maud` checks the HTML when it is compiled and escapes every value; askama would read templates of another language, whose
//! mistakes the compiler shows less well. No page has a script or a style of its own, so the policy of the answer forbids both.

mod changes;
mod drift;
mod form;
mod frame;
mod home;
mod images;
mod sign_in;
mod sync;
#[cfg(test)]
mod tests;
mod text;

pub use self::drift::page as drift;
pub use self::frame::{Frame, message};
pub use self::home::page as home;
pub use self::images::page as images;
pub use self::sign_in::page as sign_in;
pub use self::sync::page as sync;
