//! `holdfast import`: prints resources for those of Flux or Argo CD, and a report of what has no counterpart. Changes nothing.
//!
//! Resources go to stdout, the report and the steps to stderr. Leaves the mapping to `crate::import`. I/O: disk reads, API.

mod check;
mod objects;
mod read;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::json;

use self::read::Reader;
use super::{Global, Output, print};
use crate::import::found::{Found, Index};
use crate::import::note::{self, Note};
use crate::import::output;
use crate::import::steps::{self, Step};
use crate::import::{self, Imported, Options, Tool, shell};

/// The tool that the resources are of
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum From {
    Flux,
    Argocd,
}

/// Which resources of another tool to import
#[derive(Args, Debug)]
pub struct Import {
    /// Tool whose resources are imported
    #[arg(value_enum)]
    from: From,
    /// Read this file, or all of this folder, in place of the cluster. May be repeated
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Working tree of the config repository: paths in the resources are followed in it
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// Git repository of Syncs whose chart is not in Git, if the resources do not tell
    #[arg(long, value_name = "URL")]
    config_repository: Option<String>,
    /// Print the resources as they are once the other tool is gone: with their policies of approval, drift and deletion
    #[arg(long = "final")]
    done: bool,
    /// Format of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Import {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let tool = match self.from {
            From::Flux => Tool::Flux,
            From::Argocd => Tool::ArgoCd,
        };
        let options =
            Options { config_repository: self.config_repository.clone(), command: self.command(&global) };
        let mut notes = Vec::new();
        let index = self.index(&global, tool, &options, &mut notes).await?;
        if index.is_empty() && notes.is_empty() {
            let place = if self.is_of_files() { "the files" } else { "the cluster" };
            bail!(
                "no resources of {} found in {place}; name files with -f, or a cluster with --kubeconfig",
                tool.name()
            );
        }
        let Imported { drafts, notes: said, steps } = import::import(tool, &index, &options);
        notes.extend(said);
        let drafts: Vec<_> = drafts.iter().collect();
        let resources = check::valid(&drafts, self.done, &mut notes);
        self.print(&resources, &notes, &steps)
    }

    fn is_of_files(&self) -> bool {
        !self.file.is_empty() || self.tree.is_some()
    }

    async fn index(
        &self,
        global: &Global,
        tool: Tool,
        options: &Options,
        notes: &mut Vec<Note>,
    ) -> anyhow::Result<Index> {
        if !self.is_of_files() {
            let mut index = objects::of_cluster(global, tool).await?;
            let all: Vec<Found> = index.iter().cloned().collect();
            for found in all {
                for made in import::expand(tool, &index, &found, None, notes) {
                    index.insert(made)?;
                }
            }
            return Ok(index);
        }
        let namespace = global.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let mut reader = Reader::new(tool, self.tree.as_deref(), options, namespace)?;
        for file in &self.file {
            reader.read(file).await?;
        }
        if self.file.is_empty()
            && let Some(tree) = &self.tree
        {
            reader.read(tree).await?;
        }
        reader.follow().await?;
        let (index, said) = reader.finish();
        notes.extend(said);
        Ok(index)
    }

    /// The command, as the steps repeat it.
    fn command(&self, global: &Global) -> String {
        let mut words = vec!["holdfast".to_owned(), "import".to_owned()];
        words.push(match self.from {
            From::Flux => "flux".to_owned(),
            From::Argocd => "argocd".to_owned(),
        });
        for file in &self.file {
            words.extend(["-f".to_owned(), file.display().to_string()]);
        }
        if let Some(tree) = &self.tree {
            words.extend(["--tree".to_owned(), tree.display().to_string()]);
        }
        if let Some(url) = &self.config_repository {
            words.extend(["--config-repository".to_owned(), url.clone()]);
        }
        if let Some(namespace) = &global.namespace {
            words.extend(["-n".to_owned(), namespace.clone()]);
        }
        shell::command(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn print(
        &self,
        resources: &[serde_json::Value],
        notes: &[Note],
        steps: &[Step],
    ) -> anyhow::Result<ExitCode> {
        if self.output == Output::Json {
            print::json(&json!({"resources": resources, "notes": notes, "steps": steps}))?;
            return Ok(ExitCode::SUCCESS);
        }
        print::written(&output::text(resources))?;
        note::text(notes).lines().for_each(print::say);
        if !self.done {
            steps::text(steps).lines().for_each(print::say);
        }
        Ok(ExitCode::SUCCESS)
    }
}
