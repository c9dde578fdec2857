//! The editor of `kubectl edit`: this program itself, started by kubectl with the name of a file that holds the object as JSON.
//! It puts one variant of an aspect in place of another. I/O: disk, processes.

use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fragment;
use super::history::Choice;
use super::kinds::Kind;

/// What a person changes in the editor.
#[derive(Serialize, Deserialize)]
struct Change {
    /// What goes.
    roots: Vec<String>,
    /// What comes.
    part: Value,
}

/// The command of a shell that makes a change, which is kept in a file, in the file that it is given. `None` if a person cannot
/// make it in an editor.
pub fn command(kind: &Kind, choice: Choice, file: &Path) -> anyhow::Result<Option<String>> {
    let aspect = kind.aspects.get(choice.aspect).filter(|aspect| aspect.name != "version");
    let Some(aspect) = aspect else { return Ok(None) };
    let roots = aspect.roots.iter().map(|root| fragment::show(root)).collect();
    let change = Change { roots, part: kind.part(choice.aspect, choice.variant) };
    std::fs::write(file, serde_json::to_vec(&change)?)?;
    let program = std::env::current_exe().context("this program has no file")?;
    Ok(Some(format!("'{}' histories edit '{}'", program.display(), file.display())))
}

/// Makes a change in an object that kubectl has written to a file, below lines of comments.
pub fn edit(change: &Path, file: &Path) -> anyhow::Result<()> {
    let Change { roots, part } = serde_json::from_slice(&std::fs::read(change)?)?;
    let text = std::fs::read_to_string(file)?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut object: Value = serde_json::from_str(&lines.join("\n"))?;
    for root in &roots {
        fragment::remove(&mut object, &fragment::path(root));
    }
    fragment::merge(&mut object, &part);
    Ok(std::fs::write(file, serde_json::to_vec_pretty(&object)?)?)
}
