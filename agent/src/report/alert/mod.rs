//! Alerts: what happens to Syncs, told to receivers, with a beginning and an end.
//!
//! `notice` is what is told, `receiver` how each kind of receiver is told it. I/O: through the receivers.

pub mod notice;
pub mod receiver;
