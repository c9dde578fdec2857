//! `holdfast completion`: scripts for shells; and `holdfast manual`: manual pages. I/O: stdout, disk writes.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, print};

/// Which shell
#[derive(Args, Debug)]
pub struct Completion {
    /// The shell that reads the script
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "holdfast", &mut script);
        print::written(&String::from_utf8(script)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Where the pages are written
#[derive(Args, Debug)]
pub struct Manual {
    /// Folder for the pages: holdfast.1, and one for each verb
    folder: PathBuf,
}

impl Manual {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let whole = || format!("cannot write manual pages to {}", self.folder.display());
        std::fs::create_dir_all(&self.folder).with_context(whole)?;
        let command = Cli::command().disable_help_subcommand(true);
        clap_mangen::generate_to(command, &self.folder).with_context(whole)?;
        Ok(ExitCode::SUCCESS)
    }
}
