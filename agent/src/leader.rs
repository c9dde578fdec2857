//! Leader election by Lease: one of several agents works, and another one takes over within seconds when it ends.
//!
//! As in client-go, a Lease expires by the clock of the agent that waits for it ([`observed`]). The holder renews it well before
//! that, and stops working when it cannot ([`fence`]). Agents wait with jitter. I/O: API reads and writes of one Lease.

mod fence;
mod observed;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

pub use self::fence::{Clock, Fence, clock};
use self::observed::{Observed, holder};
use crate::cluster::refusal::chain;

/// The name of the Lease.
pub const NAME: &str = "holdfast";
/// The annotation of the Lease with the address at which its holder accepts calls.
const ADDRESS: &str = "holdfast.dev/address";
/// The annotation with the address at which its holder serves the web UI.
const UI: &str = "holdfast.dev/ui-address";
/// Maximum time for releasing the Lease.
const RELEASE: Duration = Duration::from_secs(1);

/// The time limits of leader election.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The duration of the Lease without renewal, in whole seconds.
    pub term: Duration,
    /// Time after the last renewal at which a holder stops working: well before another agent can take over.
    pub give_up: Duration,
    /// Interval of renewals and attempts.
    pub period: Duration,
    /// Maximum additional pause of a candidate, so that several do not try at the same time.
    pub jitter: Duration,
    /// Maximum duration of one attempt.
    pub attempt: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            term: Duration::from_secs(15),
            give_up: Duration::from_secs(10),
            period: Duration::from_secs(2),
            jitter: Duration::from_secs(1),
            attempt: Duration::from_secs(4),
        }
    }
}

/// The holder of the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    Vacant,
    Us,
    /// Another agent, which accepts calls at this address, and serves the web UI at the other one.
    Other {
        address: Option<SocketAddr>,
        ui: Option<SocketAddr>,
    },
}

/// The identity of a candidate.
pub struct Identity {
    /// Different for each process.
    pub name: String,
    /// The address at which this agent accepts calls, if others can reach it.
    pub address: Option<SocketAddr>,
    /// The address at which this agent serves the web UI, if others can reach it.
    pub ui: Option<SocketAddr>,
}

/// A candidate for the Lease.
pub struct Candidate {
    leases: Api<Lease>,
    identity: Identity,
    times: Times,
    clock: Clock,
    fence: Fence,
    holder: watch::Sender<Holder>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    observed: Observed,
    /// The Lease as this process wrote it last.
    ours: Option<Lease>,
    /// The start of the request that renewed it.
    renewed: Duration,
}

/// Why this process does not hold the Lease.
#[derive(Debug, thiserror::Error)]
enum NotHeld {
    /// Another agent holds it.
    #[error("another agent holds the Lease: {0}")]
    By(String),
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("the API server does not answer")]
    Silent,
}

impl Candidate {
    /// Creates a candidate in the namespace of the client. Sends the holder of the Lease, as far as this process knows,
    /// to `holder`.
    pub fn new(
        client: Client,
        identity: Identity,
        times: Times,
        clock: Clock,
        holder: watch::Sender<Holder>,
    ) -> Self {
        Self {
            leases: Api::default_namespaced(client),
            identity,
            times,
            fence: Fence::closed(clock.clone()),
            clock,
            holder,
            state: Mutex::default(),
        }
    }

    /// Returns whether this process may write, which it may only while it holds the Lease.
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Waits until this agent holds the Lease. [`Candidate::begin`] announces it.
    pub async fn acquire(&self) {
        let mut waiting: Option<String> = None;
        loop {
            match self.try_hold().await {
                Ok(()) => return info!(identity = self.identity.name, "Acquired the Lease"),
                Err(NotHeld::By(other)) => {
                    if waiting.as_ref() != Some(&other) {
                        info!(holder = other, "Waiting for the Lease");
                    }
                    waiting = Some(other);
                }
                Err(error) => warn!(error = chain(&error), "Cannot acquire the Lease, trying again"),
            }
            sleep(self.times.period + self.times.jitter.mul_f64(fastrand::f64())).await;
        }
    }

    /// Announces that this process holds the Lease.
    pub fn begin(&self) {
        self.holder.send_replace(Holder::Us);
    }

    /// Renews the held Lease until it is lost. Writes have ended when this returns.
    pub async fn lost(&self) {
        loop {
            sleep(self.times.period.min(self.left().await)).await;
            let left = self.left().await;
            if left.is_zero() {
                warn!("Gave up the Lease, which could not be renewed");
                break;
            }
            match timeout(left, self.try_hold()).await {
                Ok(Ok(())) => {}
                Ok(Err(NotHeld::By(other))) => {
                    warn!(holder = other, "Lost the Lease");
                    break;
                }
                Ok(Err(error)) => warn!(error = chain(&error), "Cannot renew the Lease, trying again"),
                Err(_) => warn!("Cannot renew the Lease in time"),
            }
        }
        self.fence.close();
        self.holder.send_replace(Holder::Vacant);
    }

    /// Waits, after the Lease was lost, until this agent holds it again (true) or another one does. While the API
    /// server does not respond, nothing is written, but alerts are sent about states that cannot be verified.
    pub async fn regained(&self) -> bool {
        loop {
            match self.try_hold().await {
                Ok(()) => {
                    info!(identity = self.identity.name, "Acquired the Lease again");
                    self.begin();
                    return true;
                }
                Err(NotHeld::By(_)) => return false,
                Err(NotHeld::Api(_) | NotHeld::Silent) => sleep(self.times.period).await,
            }
        }
    }

    /// Releases the Lease, so that another agent need not wait for its end.
    pub async fn release(&self) {
        self.fence.close();
        self.holder.send_replace(Holder::Vacant);
        let Some(mut lease) = self.state.lock().await.ours.take() else { return };
        let annotations = lease.metadata.annotations.get_or_insert_default();
        [ADDRESS, UI].iter().for_each(|name| drop(annotations.remove(*name)));
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        match timeout(RELEASE, self.leases.replace(NAME, &PostParams::default(), &lease)).await {
            Ok(Ok(_)) => info!("Released the Lease"),
            Ok(Err(error)) => warn!(error = chain(&error), "Cannot release the Lease; it ends by itself"),
            Err(_) => warn!("Cannot release the Lease in time; it ends by itself"),
        }
    }

    /// Returns how long the held Lease is still valid.
    async fn left(&self) -> Duration {
        (self.state.lock().await.renewed + self.times.give_up).saturating_sub((self.clock)())
    }

    /// Acquires or renews the Lease.
    async fn try_hold(&self) -> Result<(), NotHeld> {
        let mut state = self.state.lock().await;
        let began = (self.clock)();
        let written =
            timeout(self.times.attempt, self.write(&mut state)).await.map_err(|_| NotHeld::Silent)??;
        // Other agents count from when they see the renewal, which is later.
        state.renewed = began;
        state.ours = Some(written);
        self.fence.open_until(began + self.times.give_up);
        Ok(())
    }

    async fn write(&self, state: &mut State) -> Result<Lease, NotHeld> {
        // Usually the Lease is unchanged since this process wrote it: then renewing it is one request.
        if let Some(ours) = state.ours.take() {
            match self.leases.replace(NAME, &PostParams::default(), &self.renewed(ours.clone())).await {
                Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => {}
                Err(error) => {
                    state.ours = Some(ours);
                    return Err(error.into());
                }
                Ok(lease) => return Ok(lease),
            }
        }
        let Some(lease) = self.leases.get_opt(NAME).await? else {
            let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
            let lease = self.renewed(Lease { metadata, spec: None });
            return Self::won(self.leases.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let now = (self.clock)();
        state.observed.note(&spec, now);
        if let Some(other) = holder(&spec).filter(|holder| *holder != self.identity.name)
            && !state.observed.has_ended(now)
        {
            self.see(&lease);
            return Err(NotHeld::By(other.to_owned()));
        }
        // The resourceVersion ensures that no other agent has acquired it.
        Self::won(self.leases.replace(NAME, &PostParams::default(), &self.renewed(lease)).await)
    }

    fn won(written: Result<Lease, kube::Error>) -> Result<Lease, NotHeld> {
        written.map_err(|error| match error {
            kube::Error::Api(status) if status.code == 409 => {
                NotHeld::By("another agent, since a moment".to_owned())
            }
            error => error.into(),
        })
    }

    /// Records which other agent holds the Lease.
    fn see(&self, lease: &Lease) {
        let annotations = lease.metadata.annotations.as_ref();
        let address = |name| annotations.and_then(|all| all.get(name)?.parse().ok());
        let seen = Holder::Other { address: address(ADDRESS), ui: address(UI) };
        self.holder.send_if_modified(|known| {
            *known != seen && {
                *known = seen;
                true
            }
        });
    }

    /// Returns the Lease with this process as its holder from now on.
    fn renewed(&self, mut lease: Lease) -> Lease {
        let Identity { name, address, ui } = &self.identity;
        let annotations: &mut BTreeMap<String, String> = lease.metadata.annotations.get_or_insert_default();
        for (key, address) in [(ADDRESS, address), (UI, ui)] {
            match address {
                Some(address) => drop(annotations.insert(key.to_owned(), address.to_string())),
                None => drop(annotations.remove(key)),
            }
        }
        let before = lease.spec.take();
        let now = MicroTime(Timestamp::now());
        let same = before.as_ref().filter(|spec| holder(spec) == Some(name));
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(name.clone()),
            lease_duration_seconds: i32::try_from(self.times.term.as_secs()).ok(),
            acquire_time: same.map_or_else(|| Some(now.clone()), |spec| spec.acquire_time.clone()),
            renew_time: Some(now.clone()),
            lease_transitions: before
                .as_ref()
                .map(|spec| spec.lease_transitions.unwrap_or(0).saturating_add(i32::from(same.is_none()))),
            ..LeaseSpec::default()
        });
        lease
    }
}
