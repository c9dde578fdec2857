//! The flags that say where the agent listens, and what it serves there. I/O: reads files, listens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::report::audit::{Audit, ChangeSender};
use crate::server::{AuditEndpoint, CONNECTIONS, Limits, Tls, Token};

/// What the agent serves
#[derive(Args, Debug)]
pub struct ListenArgs {
    /// Serve probes, metrics, webhooks and audit events at this address
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Serve /healthz and /readyz at this address too, apart from all other requests
    #[arg(long, value_name = "ADDR")]
    pub probe_listen: Option<SocketAddr>,
    /// Who may read /metrics: everybody who reaches the port, or users who may `get` the path /metrics
    #[arg(long, value_enum, default_value_t)]
    pub metrics_auth: MetricsAuth,
    /// Serve TLS at --listen with this certificate, which is read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of --tls-cert
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Accept audit events of the API server at /audit with the token in this file
    #[arg(long)]
    audit_token_file: Option<PathBuf>,
}

/// Clients that may read the metrics
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MetricsAuth {
    /// Every client that can connect to the port
    #[default]
    Off,
    /// Users whose bearer token may get the path /metrics
    Token,
}

/// Maximum number of open files that is requested.
const FILES: u64 = 65_536;
/// The part of the open files that connections to the listener may use: one quarter.
const SHARES: u64 = 4;

impl ListenArgs {
    /// Returns the certificate of the server, if one is set.
    pub fn tls(&self) -> anyhow::Result<Option<Tls>> {
        let Some((certificate, key)) = self.tls_cert.as_deref().zip(self.tls_key.as_deref()) else {
            return Ok(None);
        };
        Ok(Some(Tls::load(certificate, key)?))
    }

    /// Returns the token that the API server sends with its audit events.
    pub fn audit_token(&self) -> anyhow::Result<Option<Token>> {
        self.audit_token_file.as_deref().map(token).transpose()
    }
}

/// Reads the token in a file.
fn token(file: &Path) -> anyhow::Result<Token> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the token of --audit-token-file {}", file.display()))?;
    Token::parse(&text).with_context(|| format!("--audit-token-file {} cannot be used", file.display()))
}

/// Adds audit events to the record, and announces the changes.
pub fn audit_endpoint(token: Token, audit: Arc<Audit>, audited: ChangeSender) -> AuditEndpoint {
    let take = move |body: &[u8]| {
        let changes = audit.take(body, Timestamp::now()).map_err(|error| error.to_string())?;
        let count = changes.len();
        if count > 0 {
            // There may be no subscriber.
            let _ = audited.send(changes.into());
        }
        Ok(count)
    };
    AuditEndpoint { token, take: Arc::new(take) }
}

/// Raises the limit of open files of the process as far as permitted. Returns the number that may be connections
/// to the listener, so that enough remain for Git, disks and the API server.
pub fn connections() -> Limits {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(FILES).min(FILES);
    let raised = current.is_none_or(|current| current >= wanted)
        || setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok();
    let files = if raised { current.unwrap_or(FILES).max(wanted) } else { current.unwrap_or(FILES) };
    limited(files)
}

fn limited(files: u64) -> Limits {
    let share = usize::try_from(files / SHARES).unwrap_or(usize::MAX).max(8);
    let Limits { total, each } = CONNECTIONS;
    let total = total.min(share);
    Limits { total, each: each.min((total / 2).max(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_in_audit_events_are_sent_to_subscribers() {
        let (audit, audited) = (Arc::<Audit>::default(), ChangeSender::new(64));
        let token = Token::parse("0123456789abcdef").expect("a token");
        let endpoint = audit_endpoint(token, audit, audited.clone());
        let events = include_bytes!("../report/audit/events.json");
        // There is no receiver yet.
        assert_eq!((endpoint.take)(events), Ok(10));
        let mut listener = audited.subscribe();
        assert_eq!((endpoint.take)(events), Ok(10));
        assert_eq!(listener.try_recv().map(|changes| changes.len()), Ok(10));
        // Events that are invalid or irrelevant wake no subscriber.
        assert!((endpoint.take)(b"{}").is_err());
        assert_eq!((endpoint.take)(br#"{"kind": "EventList", "apiVersion": "audit.k8s.io/v1"}"#), Ok(0));
        assert!(listener.try_recv().is_err());
    }

    #[test]
    fn connections_take_a_part_of_the_files_only() {
        let limits = |files| {
            let Limits { total, each } = limited(files);
            (total, each)
        };
        assert_eq!(limits(1_048_576), (512, 128));
        assert_eq!(limits(1024), (256, 128));
        assert_eq!(limits(256), (64, 32));
        assert_eq!(limits(0), (8, 4));
    }
}
