//! The tracked files of the repository, as the rules read them. I/O: disk reads, `git ls-files`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use holdfast_tests::root;

/// A tracked text file.
pub struct File {
    /// From the root of the repository.
    pub path: String,
    pub text: String,
}

impl File {
    pub fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    /// True if it is the tests of a module, in a file of their own.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The path below `agent/src`, if it is there.
    pub fn agent(&self) -> Option<&str> {
        self.path.strip_prefix("agent/src/")
    }

    /// Lines of code with their numbers, without comments and without the tests at the end.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        lines.take_while(|(_, line)| *line != "#[cfg(test)]").filter(|(_, line)| !line.starts_with("//"))
    }

    /// The same, with each `use` put on one line.
    pub fn statements(&self) -> Vec<(usize, String)> {
        let mut found: Vec<(usize, String)> = Vec::new();
        let mut open = false;
        for (number, line) in self.code() {
            match found.last_mut().filter(|_| open) {
                Some((_, statement)) => statement.push_str(line),
                None => found.push((number, line.to_owned())),
            }
            let used = found.last().is_some_and(|(_, statement)| is_use(statement));
            open = used && !line.ends_with(';');
        }
        found
    }
}

/// True for `use`, `pub use` and `pub(crate) use`.
pub fn is_use(statement: &str) -> bool {
    let rest = statement.strip_prefix("pub").unwrap_or(statement).trim_start();
    let rest =
        if rest.starts_with('(') { rest.split_once(") ").map_or(rest, |(_, rest)| rest) } else { rest };
    rest.starts_with("use ")
}

/// The tracked text files.
pub fn files() -> anyhow::Result<Vec<File>> {
    let mut found = Vec::new();
    for path in tracked()? {
        // A file that is deleted and not yet committed is not there; an image is not text.
        if let Ok(text) = std::fs::read_to_string(root().join(&path)) {
            found.push(File { path, text });
        }
    }
    ensure!(!found.is_empty(), "git lists no files in {}", root().display());
    Ok(found)
}

pub fn tracked() -> anyhow::Result<Vec<String>> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let output = output.context("cannot start git, which tells the files of the repository")?;
    ensure!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout)?;
    Ok(names.split_terminator('\0').map(ToOwned::to_owned).collect())
}

/// Fails with everything that breaks a rule, and what to do.
pub fn check(rule: &str, remedy: &str, broken: &[String]) -> anyhow::Result<()> {
    ensure!(broken.is_empty(), "{rule}; {remedy}:\n  {}", broken.join("\n  "));
    Ok(())
}

/// Finds what breaks a rule in the lines of the agent that are outside of `places`.
pub fn elsewhere(places: &[&str], breaks: impl Fn(&str) -> bool) -> anyhow::Result<Vec<String>> {
    let mut broken = Vec::new();
    for file in files()?.iter().filter(|file| file.is_rust()) {
        let Some(path) = file.agent().filter(|path| !is_in(path, places)) else { continue };
        let lines = file.statements().into_iter().filter(|(_, line)| breaks(line));
        broken.extend(lines.map(|(number, line)| format!("agent/src/{path}:{number}: {line}")));
    }
    Ok(broken)
}

pub fn is_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)))
}

/// True if the text holds this word, and not only as a part of another one.
pub fn has_word(text: &str, word: &str) -> bool {
    let part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(part)
            && !text[at + word.len()..].chars().next().is_some_and(part)
    })
}
