//! The command line: one file for each verb. Messages go to stderr, results to stdout.
//!
//! Exit codes: 0 success, 1 an error, 2 there are changes (`plan --exit-code`). I/O: that of the verbs.

pub mod agent;
mod approve;
mod cluster;
mod completion;
pub mod crd;
mod doctor;
mod drift;
mod explain;
mod files;
mod follow;
mod image;
mod import;
mod install;
mod list;
mod listen;
mod mark;
mod plan;
mod policy;
mod preview;
mod print;
mod render;
mod render_worker;
mod serve_ui;
mod shape;
mod status;
mod ui;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use holdfast_diff::causes;

use crate::error::StageError as _;
use crate::render::RenderError;
use crate::report::Failure;

/// A GitOps agent for Kubernetes: keeps a cluster in sync with Git and reports who changed what
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Which cluster, and where in it
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Read the connection to the cluster from this kubeconfig
    #[arg(long, global = true, env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Use this context of the kubeconfig
    #[arg(long, global = true)]
    context: Option<String>,
    /// Use this namespace instead of that of the context
    #[arg(short, long, global = true)]
    namespace: Option<String>,
}

/// The form of a result
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Install or upgrade the agent in a cluster, or print its manifests
    Install(install::Install),
    /// Check an installation and say what to do about problems
    Doctor(doctor::Doctor),
    /// Run the agent
    Agent(Box<agent::Agent>),
    /// Print the CustomResourceDefinitions as YAML
    Crd,
    /// Print the objects that a folder renders to
    Render(render::Render),
    /// Show the plan of a Sync without applying it
    Plan(plan::Plan),
    /// Show what a pull request does to the cluster, from a clone on disk
    Preview(preview::Preview),
    /// Show the status of Syncs
    Status(status::Status),
    /// Show drift and who caused it, snooze it, or write it to a working tree
    Drift(drift::Drift),
    /// Explain where an object comes from and who owns each of its fields
    Explain(explain::Explain),
    /// Explain which image versions are selected, or remove bans
    Image(image::Image),
    /// Approve the plan of a Sync that waits for an Approval
    Approve(approve::Approve),
    /// Reject the plan of a Sync that waits for an Approval
    Reject(approve::Verdict),
    /// Print resources for those of Flux or Argo CD, what has no counterpart, and the steps to hand over
    Import(import::Import),
    /// Request a reconciliation of a Sync now
    Reconcile(mark::Reconcile),
    /// Suspend a Sync, so that it changes nothing
    Suspend(mark::Suspend),
    /// End the suspension of a Sync
    Resume(mark::Resume),
    /// Serve the web UI on loopback, with the rights of your kubeconfig
    Ui(ui::Ui),
    /// Print the completion script for a shell
    Completion(completion::Completion),
    /// Write the manual pages to a folder
    Manual(completion::Manual),
    /// Render for an agent, which writes the order to standard input
    #[command(hide = true)]
    RenderWorker(render_worker::RenderWorker),
}

/// The name of the program as a plugin of kubectl.
const PLUGIN: &str = "kubectl-holdfast";

impl Cli {
    /// Reads the arguments of this process, or ends it with a message. Usage texts name the program as it was called.
    pub fn read() -> Self {
        let called = std::env::args_os().next().map(PathBuf::from);
        let is_plugin = called.as_deref().and_then(Path::file_stem).is_some_and(|name| name == PLUGIN);
        let command = Self::command();
        let command = if is_plugin { command.bin_name("kubectl holdfast") } else { command };
        Self::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
    }

    /// Runs the verb.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self { global, verb } = self;
        match verb {
            Verb::Install(install) => block_on(install.run(global)),
            Verb::Doctor(doctor) => block_on(doctor.run(global)),
            Verb::Agent(agent) => block_on(agent.run(global)),
            Verb::Crd => crd::run().map(|()| ExitCode::SUCCESS),
            Verb::Render(render) => block_on(render.run(global)),
            Verb::Plan(plan) => block_on(plan.run(global)),
            Verb::Preview(preview) => block_on(preview.run(global)),
            Verb::Status(status) => block_on(status.run(global)),
            Verb::Drift(drift) => block_on(drift.run(global)),
            Verb::Explain(explain) => block_on(explain.run(global)),
            Verb::Image(image) => block_on(image.run(global)),
            Verb::Approve(approve) => block_on(approve.run(global)),
            Verb::Reject(verdict) => block_on(verdict.reject(global)),
            Verb::Import(import) => block_on(import.run(global)),
            Verb::Reconcile(reconcile) => block_on(reconcile.run(global)),
            Verb::Suspend(suspend) => block_on(suspend.run(global)),
            Verb::Resume(resume) => block_on(resume.run(global)),
            Verb::Ui(ui) => block_on(ui.run(global)),
            Verb::Completion(completion) => completion.run(),
            Verb::Manual(manual) => manual.run(),
            Verb::RenderWorker(worker) => worker.run(),
        }
    }
}

fn block_on(verb: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(verb);
    // A thread that still waits for a server does not delay the end of the process.
    runtime.shutdown_background();
    ended
}

/// Prints an error and its causes, without repetitions.
pub fn complain(error: &anyhow::Error) {
    let causes = match (error.downcast_ref::<RenderError>(), error.downcast_ref::<Failure>()) {
        (Some(error), _) => {
            let (mistakes, more) = error.mistakes();
            if causes::summary(&mistakes, more).1 { Vec::new() } else { causes::group(&mistakes) }
        }
        (_, Some(failure)) => failure.causes.clone(),
        _ => Vec::new(),
    };
    causes.iter().flat_map(causes::whole).for_each(print::say);
    let cause: &(dyn std::error::Error + 'static) = error.as_ref();
    let mut message = crate::cluster::refusal::chain(cause);
    let is_unanswered = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<kube::Error>().is_some_and(|error| matches!(error, kube::Error::Service(_)))
    };
    if error.chain().any(is_unanswered) {
        message = format!("the API server does not answer: {message}; check the kubeconfig and the network");
    }
    let mut lines = message.lines();
    print::say(format_args!("holdfast: {}", lines.next().unwrap_or_default()));
    lines.for_each(|line| print::say(format_args!("  {line}")));
}
