//! The command line: one file a verb. Messages go to stderr, results to stdout.
//!
//! Exit codes: 0 it worked, 1 an error, 2 there are changes (`plan --exit-code`). I/O: everything that a verb needs.

pub mod agent;
mod approve;
mod cluster;
pub mod crd;
mod drift;
mod files;
mod image;
mod listen;
mod mark;
mod plan;
mod policy;
mod print;
mod render;
mod render_worker;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::api::ApprovalDecision;

/// Keep a Kubernetes cluster fast to git
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
    /// Read the connection to the cluster from this file
    #[arg(long, global = true, env = "KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Use this context of the kubeconfig
    #[arg(long, global = true)]
    context: Option<String>,
    /// Look in this namespace instead of the context's own
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
    /// Run the agent
    Agent(agent::Agent),
    /// Print the CustomResourceDefinitions as YAML
    Crd,
    /// Print what a folder renders to
    Render(render::Render),
    /// Print what would be done to the cluster, and do nothing
    Plan(plan::Plan),
    /// Print how the Syncs are
    Status(status::Status),
    /// Print what drifted and who did it, or do something about it
    Drift(drift::Drift),
    /// Explain which image is selected, or take back a ban
    Image(image::Image),
    /// Approve the plan that a Sync waits with
    Approve(approve::Verdict),
    /// Reject the plan that a Sync waits with
    Reject(approve::Verdict),
    /// Ask for a run now
    Reconcile(mark::Reconcile),
    /// Stop a Sync from changing anything
    Suspend(mark::Suspend),
    /// Let a suspended Sync go on
    Resume(mark::Resume),
    /// Render for an agent, which says what on standard input
    #[command(hide = true)]
    RenderWorker(render_worker::RenderWorker),
}

impl Cli {
    /// Runs the verb.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self { global, verb } = self;
        match verb {
            Verb::Agent(agent) => block_on(agent.run(global)),
            Verb::Crd => crd::run().map(|()| ExitCode::SUCCESS),
            Verb::Render(render) => block_on(render.run(global)),
            Verb::Plan(plan) => block_on(plan.run(global)),
            Verb::Status(status) => block_on(status.run(global)),
            Verb::Drift(drift) => block_on(drift.run(global)),
            Verb::Image(image) => block_on(image.run(global)),
            Verb::Approve(verdict) => block_on(verdict.run(global, ApprovalDecision::Approve)),
            Verb::Reject(verdict) => block_on(verdict.run(global, ApprovalDecision::Reject)),
            Verb::Reconcile(reconcile) => block_on(reconcile.run(global)),
            Verb::Suspend(suspend) => block_on(suspend.run(global)),
            Verb::Resume(resume) => block_on(resume.run(global)),
            Verb::RenderWorker(worker) => worker.run(),
        }
    }
}

fn block_on(verb: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(verb);
    // A thread that still waits for a server does not hold up the end of the process.
    runtime.shutdown_background();
    ended
}

/// Writes an error and what led to it, each once.
pub fn complain(error: &anyhow::Error) {
    let cause: &(dyn std::error::Error + 'static) = error.as_ref();
    print::say(format_args!("holdfast: {}", crate::cluster::refusal::chain(cause)));
}
