//! The program `holdfast`: parses the command line and hands it to the library. I/O: arguments, exit code.

use std::process::ExitCode;

use holdfast::cli::Cli;

fn main() -> ExitCode {
    match Cli::read().run() {
        Ok(code) => code,
        Err(error) => {
            holdfast::cli::complain(&error);
            ExitCode::FAILURE
        }
    }
}
