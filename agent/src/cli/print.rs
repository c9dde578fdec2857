//! The only place that writes to the terminal. Results go to stdout, messages to stderr.
//!
//! Text from Git, the cluster or a server cannot control the terminal: every call writes one line, in which control characters and
//! invisible characters are escaped. I/O: stdout, stderr.

use std::fmt::Display;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use holdfast_diff::visible;
use serde::Serialize;

/// Writes one line of a result.
pub fn line(text: impl Display) {
    or_end(out(&format!("{}\n", visible::line(&text.to_string()))));
}

/// Writes the lines of a result.
pub fn lines(text: &str) {
    text.lines().for_each(line);
}

/// Writes a result as JSON, in which hidden characters are written as escapes.
pub fn json(value: &impl Serialize) -> serde_json::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    or_end(out(&format!("{}\n", visible::json(&text))));
    Ok(())
}

/// Writes a result whose writer has escaped every value itself: a plan with its colours, or YAML.
pub fn written(text: &str) -> io::Result<()> {
    out(text)
}

/// Writes to stdout. Ends the program silently if the reader has closed the pipe, as `head` does.
fn out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        written => written,
    }
}

/// Ends the program with a message if a result cannot be written.
fn or_end(written: io::Result<()>) {
    if let Err(error) = written {
        say(format_args!("holdfast: cannot write to stdout: {error}"));
        std::process::exit(1);
    }
}

/// Writes one line of a message.
pub fn say(message: impl Display) {
    // A closed stderr has no other place to be reported.
    let _ = writeln!(io::stderr(), "{}", visible::line(&message.to_string()));
}

/// Lines, some of which are replaced by the next one: on a terminal they are overwritten, elsewhere they stay.
pub struct Lines {
    messages: bool,
    terminal: bool,
    /// True if a line that will be replaced is on the terminal.
    open: bool,
}

impl Lines {
    /// Lines on stdout.
    pub fn of_results() -> Self {
        Self { messages: false, terminal: io::stdout().is_terminal(), open: false }
    }

    /// Lines on stderr.
    pub fn of_messages() -> Self {
        Self { messages: true, terminal: io::stderr().is_terminal(), open: false }
    }

    /// Writes a line that the next one replaces.
    pub fn passing(&mut self, text: impl Display) {
        if !self.terminal {
            return self.lasting(text);
        }
        let text = visible::line(&text.to_string()).into_owned();
        // A line that is wrapped cannot be overwritten.
        let room = usize::from(width().max(20)).saturating_sub(1);
        self.raw(&format!("\r\x1b[2K{}", text.chars().take(room).collect::<String>()));
        self.open = true;
    }

    /// Writes a line that stays.
    pub fn lasting(&mut self, text: impl Display) {
        let over = if std::mem::take(&mut self.open) { "\r\x1b[2K" } else { "" };
        self.raw(&format!("{over}{}\n", visible::line(&text.to_string())));
    }

    /// Ends a line that would be replaced.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            self.raw("\n");
        }
    }

    fn raw(&self, text: &str) {
        // A write to a closed terminal is ignored.
        let _ = if self.messages {
            let mut out = io::stderr().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        } else {
            out(text)
        };
    }
}

/// Returns the width of the terminal.
fn width() -> u16 {
    let size =
        rustix::termios::tcgetwinsize(io::stdout()).or_else(|_| rustix::termios::tcgetwinsize(io::stderr()));
    size.map(|size| size.ws_col).ok().filter(|columns| *columns > 0).unwrap_or(80)
}

/// Asks a question on stderr and reads one line from stdin.
pub fn ask(question: impl Display) -> io::Result<String> {
    let mut stderr = io::stderr();
    write!(stderr, "{}", visible::line(&question.to_string()))?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer)
}

/// True if a user can answer.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// True if results go to a terminal that supports colours.
pub fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
