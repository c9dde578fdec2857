//! Leader election by Lease: of several agents one works, and another goes on within seconds when it ends.
//!
//! I/O: API reads and writes of one Lease.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The name of the Lease.
const NAME: &str = "holdfast";
/// How long a Lease is good without being renewed.
const TERM: Duration = Duration::from_secs(15);
/// How long a holder goes on that cannot renew: it ends well before another one can begin.
const GIVE_UP: Duration = Duration::from_secs(10);
/// How often it is renewed, or asked for.
const PERIOD: Duration = Duration::from_secs(3);

/// A candidate for the Lease.
pub struct Candidate {
    leases: Api<Lease>,
    identity: String,
    /// Cancelled when the Lease is ours for the first time.
    held: CancellationToken,
}

impl Candidate {
    /// A candidate in the client's namespace. The identity must be another one for each process.
    pub fn new(client: Client, identity: String) -> Self {
        Self { leases: Api::default_namespaced(client), identity, held: CancellationToken::new() }
    }

    /// Waits until the Lease is ours.
    pub async fn acquire(&self) {
        let mut told = false;
        loop {
            match self.try_hold().await {
                Ok(None) => {
                    info!(identity = self.identity, "Holds the Lease");
                    self.held.cancel();
                    return;
                }
                Ok(Some(other)) if !told => {
                    told = true;
                    info!(holder = other, "Waits for the Lease");
                }
                Ok(Some(_)) => {}
                Err(error) => warn!(error = %error, "Cannot ask for the Lease and tries again"),
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Renews the Lease, once it is ours, until it is lost.
    pub async fn lost(&self) {
        self.held.cancelled().await;
        let mut renewed = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(PERIOD).await;
            match tokio::time::timeout(PERIOD, self.try_hold()).await {
                Ok(Ok(None)) => renewed = tokio::time::Instant::now(),
                Ok(Ok(Some(other))) => {
                    warn!(holder = other, "Lost the Lease");
                    return;
                }
                Ok(Err(error)) => warn!(error = %error, "Cannot renew the Lease and tries again"),
                Err(_) => warn!("Cannot renew the Lease in time and tries again"),
            }
            if renewed.elapsed() > GIVE_UP {
                warn!("Gives up a Lease that could not be renewed");
                return;
            }
        }
    }

    /// Gives the Lease back, so that another agent need not wait for its end.
    pub async fn release(&self) {
        let Ok(Some(mut lease)) = self.leases.get_opt(NAME).await else { return };
        let Some(spec) =
            lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity))
        else {
            return;
        };
        spec.holder_identity = None;
        if let Err(error) = self.leases.replace(NAME, &PostParams::default(), &lease).await {
            warn!(error = %error, "Cannot give the Lease back; it ends by itself");
        }
    }

    /// Takes or renews the Lease. Returns the holder if it is somebody else's.
    async fn try_hold(&self) -> Result<Option<String>, kube::Error> {
        let now = Timestamp::now();
        let Some(mut lease) = self.leases.get_opt(NAME).await? else {
            let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(self.spec(now, None)) };
            return Self::won(self.leases.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.take().unwrap_or_default();
        let holder =
            spec.holder_identity.clone().filter(|holder| !holder.is_empty() && *holder != self.identity);
        if let Some(holder) = holder
            && !ended(&spec, now)
        {
            return Ok(Some(holder));
        }
        lease.spec = Some(self.spec(now, Some(&spec)));
        // The resourceVersion in it makes sure that nobody else was faster.
        Self::won(self.leases.replace(NAME, &PostParams::default(), &lease).await)
    }

    fn won(written: Result<Lease, kube::Error>) -> Result<Option<String>, kube::Error> {
        match written {
            Ok(_) => Ok(None),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                Ok(Some("another agent, just now".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    fn spec(&self, now: Timestamp, before: Option<&LeaseSpec>) -> LeaseSpec {
        let same = before.filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity));
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(TERM.as_secs()).ok(),
            acquire_time: same.map_or(Some(MicroTime(now)), |spec| spec.acquire_time.clone()),
            renew_time: Some(MicroTime(now)),
            lease_transitions: before
                .map(|spec| spec.lease_transitions.unwrap_or(0) + i32::from(same.is_none())),
            ..LeaseSpec::default()
        }
    }
}

fn ended(spec: &LeaseSpec, now: Timestamp) -> bool {
    let Some(renewed) = spec.renew_time.as_ref() else { return true };
    let term = i64::from(spec.lease_duration_seconds.unwrap_or(0));
    now.duration_since(renewed.0) > SignedDuration::from_secs(term)
}
