//! `holdfast preview`: shows the effect of a pull request on the cluster, from a clone on disk and without a forge.
//!
//! Merges both sides from Git objects, and writes the text of a comment on the pull request. The clone is not written to.
//! I/O: Git, disk, API reads, dry runs; with `--offline` only Git and disk.

mod live;
mod offline;
mod syncs;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, ValueEnum};
use holdfast_diff::text::Colour;

use super::{Global, plan, print};
use crate::review::comment::{self, Approve, comment};
use crate::review::preview::{Outcome, Preview as Shown, Side, count};
use crate::source::{CloneOnDisk, CommitId, Merged, MergedTree, merge};

/// What to preview
#[derive(Args, Debug)]
pub struct Preview {
    /// Branch, tag or commit that is merged into, such as origin/main
    #[arg(long, value_name = "REF")]
    base: String,
    /// Branch, tag or commit that is merged
    #[arg(long, value_name = "REF")]
    head: String,
    /// Folder of a clone that has the history of both
    #[arg(long, value_name = "DIR", default_value = ".")]
    tree: PathBuf,
    /// Preview the Sync in this file; may be repeated. Default: the Syncs of the namespace that follow the base, or with
    /// --offline those in files of the merge
    #[arg(short, long, value_name = "SYNC.yaml")]
    file: Vec<PathBuf>,
    /// Compare what both sides render to, without a cluster
    #[arg(long)]
    offline: bool,
    /// Format of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
    /// Exit with 2 if the merge changes something in the cluster
    #[arg(long)]
    exit_code: bool,
    /// Path of Helm, which renders charts
    #[arg(long, value_name = "PATH", default_value = "helm")]
    helm: PathBuf,
    /// Namespace of the agent, which publishes there the public key of the marks on objects
    #[arg(long, value_name = "NAMESPACE", default_value = plan::AGENT_NAMESPACE)]
    agent_namespace: String,
}

/// The form of a preview
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    #[default]
    Text,
    /// As the comment on a pull request, at most 60,000 bytes
    Markdown,
    Json,
}

impl Preview {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let Self { base, head, tree, .. } = &self;
        let clone = CloneOnDisk::around(tree)?;
        let (base_commit, head_commit) = (clone.commit(base)?, clone.commit(head)?);
        let merged = tokio::task::block_in_place(|| merge(&clone, base_commit, head_commit, None))?;
        let side = |name: &str, commit: CommitId| Side { name: name.to_owned(), commit: commit.to_string() };
        let (cluster, outcome) = match merged {
            Merged::Conflicts { files, more } => (None, Outcome::Conflicts { files, more }),
            Merged::Clean(tree) => Box::pin(self.merged(&global, &clone, &tree)).await?,
        };
        let preview =
            Shown { base: side(base, base_commit), head: side(head, head_commit), cluster, outcome };
        match self.output {
            Form::Json => print::json(&preview)?,
            Form::Markdown => print::written(&comment(&preview, Approve::Cluster, comment::LIMIT))?,
            Form::Text => print::written(&text::preview(&preview, colour()))?,
        }
        if let Outcome::Conflicts { files, more } = &preview.outcome {
            let verb = if files.len() + more == 1 { "is" } else { "are" };
            bail!(
                "{head} cannot be merged into {base}: {} {verb} in conflict",
                count(files.len() + more, "file")
            );
        }
        match preview.errors() {
            0 => {}
            1 => bail!("the merge has an error, which is shown above"),
            errors => bail!("the merge has {errors} errors, which are shown above"),
        }
        let changes = preview.changes().next().is_some();
        Ok(if changes && self.exit_code { ExitCode::from(2) } else { ExitCode::SUCCESS })
    }

    /// Returns the effect of a merge without conflicts, and the UID of the cluster.
    async fn merged(
        &self,
        global: &Global,
        clone: &CloneOnDisk,
        tree: &MergedTree,
    ) -> anyhow::Result<(Option<String>, Outcome)> {
        if self.offline {
            let found = offline::syncs(self, global, clone, tree).await?;
            return Ok((None, Outcome::Syncs(found)));
        }
        let (cluster, found) = Box::pin(live::syncs(self, global, clone, tree)).await?;
        Ok((Some(cluster), Outcome::Syncs(found)))
    }
}

fn colour() -> Colour {
    if print::is_coloured() { Colour::Always } else { Colour::Never }
}
