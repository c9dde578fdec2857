//! `holdfast drift`: lists drift and its origin, snoozes it, or adopts it into Git.
//!
//! Leaves the correction to the agent. I/O: that of the verbs below it.

mod adopt;
pub mod list;
mod located;
mod snooze;
mod target;
mod values;

use std::process::ExitCode;

use clap::{Args, Subcommand};

pub use self::target::{Target, label};
use super::Global;

/// One Sync, or what to do about its drift
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Drift {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: list::List,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Snooze drift of an object: it is not corrected for a time
    Snooze(snooze::Snooze),
    /// Stop snoozing drift of an object
    Unsnooze(snooze::Unsnooze),
    /// Write the live values of drifted fields to the files of a working tree
    Adopt(adopt::Adopt),
}

impl Drift {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        match self.verb {
            Some(Verb::Snooze(snooze)) => snooze.run(global).await,
            Some(Verb::Unsnooze(unsnooze)) => unsnooze.run(global).await,
            Some(Verb::Adopt(adopt)) => adopt.run(global).await,
            None => self.list.run(global).await,
        }
    }
}
