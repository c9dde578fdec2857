//! Sends one notice to one receiver, within the share of the namespace of its Alert. Leaves what is due to the `outbox`, and the
//! result to the courier. I/O: HTTP.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use kube::Client;

use super::ReadSecret;
use super::outbox::Due;
use super::receiver::{DeliveryError, Sender, Target};
use crate::http::Guard;
use crate::metrics::Metrics;
use crate::shares::Shares;
use crate::subject::Subject;

/// Notices that are sent at the same time, each of another Sync.
pub const AT_ONCE: usize = 8;
/// The first pause after a failure; it doubles up to [`PAUSE_LIMIT`].
pub const PAUSE: Duration = Duration::from_secs(1);
pub const PAUSE_LIMIT: Duration = Duration::from_secs(30);

/// What all couriers share.
pub struct Shared {
    /// The UID of the namespace `kube-system`.
    pub cluster: String,
    pub client: Client,
    pub sender: Sender,
    pub secrets: ReadSecret,
    /// Releases the Secrets of an Alert that is gone.
    pub release: Arc<dyn Fn(Subject) + Send + std::marker::Sync>,
    pub metrics: Arc<Metrics>,
    /// Which servers may be connected to.
    pub guard: Arc<Guard>,
    /// Limits the notices that are sent at the same time, for each namespace.
    pub deliveries: Shares,
}

/// The answer: the reference of the receiver for the notice, if it can be edited.
pub type Delivery = Result<Option<String>, DeliveryError>;

/// Notices on their way.
pub type OnTheWay = FuturesUnordered<BoxFuture<'static, (Due, Delivery)>>;

/// Sends a notice within the share of the namespace of its Alert.
pub fn sending(
    shared: &Arc<Shared>,
    target: &Arc<Target>,
    alert: &Subject,
    due: Due,
) -> BoxFuture<'static, (Due, Delivery)> {
    let (shared, target, namespace) = (shared.clone(), target.clone(), alert.namespace.clone());
    Box::pin(async move {
        let _turn = shared.deliveries.take(&namespace).await;
        let result = deliver(&shared.sender, &target, &due).await;
        (due, result)
    })
}

async fn deliver(sender: &Sender, target: &Target, due: &Due) -> Delivery {
    let message = target.message(&due.notice, due.reference.as_deref(), due.update, Timestamp::now())?;
    match message {
        Some(message) => target.answered(&sender.send(&message).await?),
        None => Ok(None),
    }
}
