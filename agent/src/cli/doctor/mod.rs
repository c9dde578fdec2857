//! `holdfast doctor`: what is wrong with an installation, and what to do. Each check has a file.
//!
//! Changes nothing: what it creates are reviews and dry runs. I/O: API reads, connections to sources and registries, terminal.

mod admission;
mod agent;
mod cluster;
mod definitions;
mod finding;
mod network;
mod rights;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use self::finding::{Finding, Verdict};
use super::plan::AGENT_NAMESPACE;
use super::{Global, Output, print};
use crate::cluster::requests::{LOADING, is_starting};

/// Which installation, and in which form
#[derive(Args, Debug)]
pub struct Doctor {
    /// Format of the result
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Namespace of the agent
    #[arg(long, value_name = "NAMESPACE", default_value = AGENT_NAMESPACE)]
    agent_namespace: String,
}

impl Doctor {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        let config = super::cluster::config(&global).await?;
        let client = super::cluster::client(&global).await?;
        let mut found = cluster::check(&client).await;
        let is_away =
            found.iter().any(|finding| finding.result == Verdict::Error && finding.check == "cluster");
        if !is_away {
            found.extend(definitions::check(&client).await);
            let (installed, findings) = agent::check(&client, &self.agent_namespace).await;
            found.extend(findings);
            if let Some(agent) = installed {
                found.extend(rights::check(&client, &agent).await);
            }
            found.extend(admission::check(&client).await);
            found.extend(network::check(&client, &config).await);
        }
        match self.output {
            Output::Json => print::json(&found)?,
            Output::Text => found.iter().for_each(show),
        }
        let count = |verdict| found.iter().filter(|finding| finding.result == verdict).count();
        let (errors, warnings) = (count(Verdict::Error), count(Verdict::Warning));
        print::say(format_args!("{} checks, {errors} errors, {warnings} warnings", found.len()));
        Ok(if errors > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn show(finding: &Finding) {
    let Finding { check, result, message, remedy } = finding;
    print::line(format_args!("{result:<8} {check:<12} {message}"));
    if let Some(remedy) = remedy.as_ref().filter(|_| *result != Verdict::Ok) {
        print::line(format_args!("{:<21} to do: {remedy}", ""));
    }
}

/// Repeats a request while the API server loads the objects of a kind, as after its definition has changed.
async fn loaded<T>(ask: impl AsyncFn() -> Result<T, kube::Error>) -> Result<T, kube::Error> {
    let started = Instant::now();
    loop {
        match ask().await {
            Err(error) if is_starting(&error) && started.elapsed() < LOADING => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            answer => return answer,
        }
    }
}
