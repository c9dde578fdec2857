//! `holdfast agent`: the service. I/O: everything.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::policy::PolicyArgs;
use super::{Global, cluster};
use crate::VERSION;
use crate::cluster::marks::key::KeyIn;
use crate::context::Options;
use crate::controller;
use crate::leader::Candidate;
use crate::metrics::Metrics;
use crate::report::audit::{Audit, Told};
use crate::server::hooks::Hooks;
use crate::server::{self, AuditEndpoint, Health, Token};
use crate::telemetry::{self, LogFormat};

/// How the agent runs
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Agent {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Serve /healthz, /readyz and /metrics at this address
    #[arg(long, default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Keep mirrors of repositories below this folder; it may be lost at any time
    #[arg(long)]
    cache_dir: Option<PathBuf>,
    /// Let kustomizations name bases in other git repositories
    #[arg(long)]
    allow_remote_bases: bool,
    /// The program that renders charts, Helm 3.14 or newer
    #[arg(long, value_name = "PATH", default_value = "helm")]
    helm: PathBuf,
    /// The form of log lines
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// Let Syncs name file:// repositories
    #[arg(long)]
    allow_file_sources: bool,
    /// Let alerts go to link-local and metadata addresses
    #[arg(long)]
    allow_link_local_receivers: bool,
    /// Take audit events of the API server at /audit, from whoever shows the token in this file
    #[arg(long)]
    audit_token_file: Option<PathBuf>,
    /// Run only while holding the Lease `holdfast`, in the agent's namespace, which -n names
    #[arg(long)]
    leader_elect: bool,
}

/// How long what runs may take to end after a signal. What only waits ends at once.
const GRACE: Duration = Duration::from_secs(3);
/// How long giving back the Lease may take; without that it ends by itself.
const RELEASE: Duration = Duration::from_secs(1);
/// Batches of audit events that may wait to be looked at.
const BATCHES: usize = 64;

impl Agent {
    pub async fn run(self, global: Global) -> anyhow::Result<ExitCode> {
        telemetry::init(self.log_format)?;
        let token = self.audit_token_file.as_deref().map(token).transpose()?;
        let config = cluster::config(&global).await?;
        let metrics = Arc::new(Metrics::new());
        let health = Health::default();
        let stop = CancellationToken::new();
        health.beat();
        let audit = token.is_some().then(Arc::<Audit>::default);
        let audited = Told::new(BATCHES);
        let endpoint = token.zip(audit.clone()).map(|(token, audit)| endpoint(token, audit, audited.clone()));
        let (calls, called) = mpsc::unbounded_channel();
        // The receiver ends with the process.
        let hooks = Hooks::new(Arc::new(move |owner| drop(calls.send(owner))));
        let open = Some(hooks.clone());
        let listen =
            server::serve(self.listen, health.clone(), metrics.clone(), endpoint, open, stop.clone()).await?;
        info!(version = VERSION, listen = %listen, "Started");
        let instance = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME")).ok();
        let candidate = if self.leader_elect {
            let name = instance.clone().unwrap_or_else(|| "holdfast".to_owned());
            let identity = format!("{name}_{}", std::process::id());
            Some(Candidate::new(cluster::client(&global).await?, identity))
        } else {
            None
        };
        let options = Options {
            key: KeyIn::Agent(config.default_namespace.clone()),
            policy: self.policy.policy(),
            cache_dir: self.cache_dir.unwrap_or_else(|| std::env::temp_dir().join("holdfast")),
            allow_file: self.allow_file_sources,
            allow_remotes: self.allow_remote_bases,
            helm: self.helm,
            allow_link_local: self.allow_link_local_receivers,
            audit,
            audited,
            instance,
            hooks,
        };
        let work = async {
            if let Some(candidate) = &candidate {
                health.set_ready();
                let acquired = candidate.acquire();
                tokio::pin!(acquired);
                loop {
                    health.beat();
                    tokio::select! {
                        () = &mut acquired => break,
                        () = tokio::time::sleep(Duration::from_secs(5)) => {}
                    }
                }
            }
            controller::run(config, options, metrics, health.clone(), called, stop.clone()).await
        };
        let lost = async {
            match &candidate {
                // Before the Lease is ours there is nothing to lose.
                Some(candidate) => candidate.lost().await,
                None => std::future::pending().await,
            }
        };
        let ended = async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
            info!("Shutting down");
            stop.cancel();
            tokio::time::sleep(GRACE).await;
            anyhow::Ok(())
        };
        let code = tokio::select! {
            result = work => result.map(|()| ExitCode::SUCCESS)?,
            result = ended => {
                result.context("cannot listen for signals")?;
                warn!("What ran did not end in time; it is taken up again at the next start");
                ExitCode::SUCCESS
            }
            () = lost => bail!("the Lease was lost, and another agent may be at work"),
        };
        if let Some(candidate) = &candidate
            && tokio::time::timeout(RELEASE, candidate.release()).await.is_err()
        {
            warn!("Cannot give the Lease back in time; it ends by itself");
        }
        info!("Ended");
        Ok(code)
    }
}

/// The token that a file holds.
fn token(file: &Path) -> anyhow::Result<Token> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the token of --audit-token-file {}", file.display()))?;
    Token::parse(&text).with_context(|| format!("--audit-token-file {} is of no use", file.display()))
}

/// Takes audit events into the record, and tells of what they say.
fn endpoint(token: Token, audit: Arc<Audit>, audited: Told) -> AuditEndpoint {
    let take = move |body: &[u8]| {
        let changes = audit.take(body, Timestamp::now()).map_err(|error| error.to_string())?;
        let count = changes.len();
        if count > 0 {
            // There may be nobody who listens.
            let _ = audited.send(changes.into());
        }
        Ok(count)
    };
    AuditEndpoint { token, take: Arc::new(take) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_record_takes_is_told_to_who_listens() {
        let (audit, audited) = (Arc::<Audit>::default(), Told::new(BATCHES));
        let token = Token::parse("0123456789abcdef").expect("a token");
        let endpoint = endpoint(token, audit, audited.clone());
        let events = include_bytes!("../report/audit/events.json");
        // Nobody listens yet.
        assert_eq!((endpoint.take)(events), Ok(10));
        let mut listener = audited.subscribe();
        assert_eq!((endpoint.take)(events), Ok(10));
        assert_eq!(listener.try_recv().map(|changes| changes.len()), Ok(10));
        // What is wrong, or of no interest, wakes nobody.
        assert!((endpoint.take)(b"{}").is_err());
        assert_eq!((endpoint.take)(br#"{"kind": "EventList", "apiVersion": "audit.k8s.io/v1"}"#), Ok(0));
        assert!(listener.try_recv().is_err());
    }
}
