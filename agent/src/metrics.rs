//! The metrics under their public names, and their text format (OpenMetrics).
//!
//! No label holds an object or a message. I/O: through `process`.

mod labels;
mod process;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Instant;

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use self::labels::{
    AlertLabels, ChangeLabels, HostLabels, RegistryLabels, RequestLabels, ResultLabels, RevisionLabels,
    StageLabels, SyncLabels, UpdateLabels,
};
use crate::api::ProgressStatus;
use crate::subject::Subject;
use crate::sync_ref::SyncRef;

type Flag = Family<SyncLabels, Gauge<i64, AtomicI64>>;

/// Maximum number of registry hosts with a label of their own; all others are `other`.
const HOSTS: usize = 200;
/// Maximum number of refs in the metric of the newest commits. The oldest are dropped.
const REFS: usize = 2000;

/// The result of a run of a Sync.
#[derive(Clone, Copy, Debug)]
pub struct SyncVerdict {
    pub ready: bool,
    pub drifted: bool,
    pub awaiting_approval: bool,
    /// Objects that it owns.
    pub objects: usize,
    /// Objects that were found to differ from Git in this run.
    pub drifts: u64,
}

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    ready: Flag,
    drifted: Flag,
    awaiting: Flag,
    objects: Flag,
    progress_objects: Flag,
    progress_total: Flag,
    progress_since: Family<SyncLabels, Gauge<f64, AtomicU64>>,
    verified: Family<SyncLabels, Gauge<f64, AtomicU64>>,
    stages: Family<StageLabels, Histogram, fn() -> Histogram>,
    reconciles: Family<ResultLabels, Counter>,
    changes: Family<ChangeLabels, Counter>,
    drifts: Family<SyncLabels, Counter>,
    api_requests: Family<RequestLabels, Counter>,
    source_requests: Family<ResultLabels, Counter>,
    revisions: Family<RevisionLabels, Gauge>,
    alerts: Family<AlertLabels, Counter>,
    audit_events: Family<ResultLabels, Counter>,
    hooks: Family<ResultLabels, Counter>,
    connections: Family<ResultLabels, Counter>,
    update_ready: Family<UpdateLabels, Gauge<i64, AtomicI64>>,
    image_updates: Family<UpdateLabels, Counter>,
    /// The hosts that have a label of their own.
    hosts: Mutex<HashSet<String>>,
    /// The refs that have a series, the oldest first.
    refs: Mutex<VecDeque<RevisionLabels>>,
    registry_requests: Family<RegistryLabels, Counter>,
    registry_remaining: Family<HostLabels, Gauge<i64, AtomicI64>>,
}

/// From a millisecond to minutes.
fn stage_histogram() -> Histogram {
    Histogram::new([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0])
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("holdfast"),
            ready: Family::default(),
            drifted: Family::default(),
            awaiting: Family::default(),
            objects: Family::default(),
            progress_objects: Family::default(),
            progress_total: Family::default(),
            progress_since: Family::default(),
            verified: Family::default(),
            stages: Family::new_with_constructor(stage_histogram),
            reconciles: Family::default(),
            changes: Family::default(),
            drifts: Family::default(),
            api_requests: Family::default(),
            source_requests: Family::default(),
            revisions: Family::default(),
            alerts: Family::default(),
            audit_events: Family::default(),
            hooks: Family::default(),
            connections: Family::default(),
            update_ready: Family::default(),
            image_updates: Family::default(),
            hosts: Mutex::default(),
            refs: Mutex::default(),
            registry_requests: Family::default(),
            registry_remaining: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let all = &mut self.registry;
        all.register("sync_ready", "1 if the Sync is Ready", self.ready.clone());
        all.register("sync_drifted", "1 if the Sync reports drift", self.drifted.clone());
        all.register(
            "sync_awaiting_approval",
            "1 if a plan of the Sync waits for an Approval",
            self.awaiting.clone(),
        );
        all.register("sync_objects", "Objects that the Sync owns", self.objects.clone());
        all.register(
            "sync_progress_objects",
            "Objects that the current stage of a run has done. Present only while a run takes longer than a second",
            self.progress_objects.clone(),
        );
        all.register(
            "sync_progress_objects_expected",
            "Objects that the current stage of a run has to do",
            self.progress_total.clone(),
        );
        all.register_with_unit(
            "sync_progress_since_timestamp",
            "When the work on the current revision began. Present only while a run takes longer than a second",
            Unit::Seconds,
            self.progress_since.clone(),
        );
        all.register_with_unit(
            "sync_verified_timestamp",
            "When the live view last verified the state of the Sync",
            Unit::Seconds,
            self.verified.clone(),
        );
        all.register_with_unit("stage", "Duration of a stage", Unit::Seconds, self.stages.clone());
        all.register("reconciles", "Runs of the pipeline", self.reconciles.clone());
        all.register("changes", "Changes of objects", self.changes.clone());
        all.register("drifts", "Objects that were found to differ from Git", self.drifts.clone());
        all.register("api_requests", "Requests to the API server", self.api_requests.clone());
        all.register("source_requests", "Requests to Git servers", self.source_requests.clone());
        all.register(
            "source_revision_info",
            "The newest commit that was seen of a ref",
            self.revisions.clone(),
        );
        all.register("alerts", "Notices to receivers of alerts", self.alerts.clone());
        all.register(
            "audit_events",
            "Changes from audit events (ok), and batches of events that were rejected (refused, invalid)",
            self.audit_events.clone(),
        );
        all.register(
            "hooks",
            "Webhook calls: accepted (ok), without a valid token (refused), for an unknown path (unknown), during the start (early), or not read to the end",
            self.hooks.clone(),
        );
        all.register(
            "connections",
            "Connections to the listener: accepted, evicted (accepted, and another one closed for it), or refused",
            self.connections.clone(),
        );
        all.register("image_update_ready", "1 if the ImageUpdate is Ready", self.update_ready.clone());
        all.register("image_updates", "Images that were written to Git", self.image_updates.clone());
        all.register("registry_requests", "Requests to registries", self.registry_requests.clone());
        all.register(
            "registry_ratelimit_remaining",
            "Remaining requests of the rate limit of a registry, if it reports them",
            self.registry_remaining.clone(),
        );
    }

    /// Sets whether an ImageUpdate is Ready.
    pub fn image_update(&self, update: &Subject, ready: bool) {
        self.update_ready.get_or_create(&UpdateLabels::of(update)).set(i64::from(ready));
    }

    /// Counts images that were written to Git.
    pub fn image_updates(&self, update: &Subject, images: usize) {
        self.image_updates.get_or_create(&UpdateLabels::of(update)).inc_by(images as u64);
    }

    /// Removes the series of an ImageUpdate that was deleted.
    pub fn forget_image_update(&self, update: &Subject) {
        self.update_ready.remove(&UpdateLabels::of(update));
        self.image_updates.remove(&UpdateLabels::of(update));
    }

    /// Counts a request to a registry by its result.
    pub fn registry_request(&self, host: &str, result: &'static str) {
        self.registry_requests.get_or_create(&RegistryLabels { host: self.host(host), result }).inc();
    }

    /// Sets the number of requests that a registry still permits.
    pub fn registry_remaining(&self, host: &str, remaining: u64) {
        let remaining = i64::try_from(remaining).unwrap_or(i64::MAX);
        self.registry_remaining.get_or_create(&HostLabels { host: self.host(host) }).set(remaining);
    }

    /// Returns the label of a host. Hosts come from resources, so the number of labels is limited.
    fn host(&self, host: &str) -> String {
        let mut hosts = self.hosts.lock();
        if hosts.len() < HOSTS {
            hosts.insert(host.to_owned());
        }
        if hosts.contains(host) { host.to_owned() } else { "other".to_owned() }
    }

    /// Counts a webhook call by its result: `ok`, `refused`, `unknown`, `too_large`, `slow`, `broken`, `busy`.
    pub fn hook(&self, result: &'static str) {
        self.hooks.get_or_create(&ResultLabels { result }).inc();
    }

    /// Counts a connection to the listener: `accepted`, `evicted` (another one was closed for it), `refused`.
    pub fn connection(&self, result: &'static str) {
        self.connections.get_or_create(&ResultLabels { result }).inc();
    }

    /// Counts audit events: accepted changes (`ok`), or a rejected batch (`refused`, `invalid`).
    pub fn audit_events(&self, result: &'static str, count: usize) {
        self.audit_events.get_or_create(&ResultLabels { result }).inc_by(count as u64);
    }

    /// Counts a notice by its result: `ok`, `error`, `dropped`.
    pub fn alert(&self, receiver: &'static str, result: &'static str) {
        self.alerts.get_or_create(&AlertLabels { receiver, result }).inc();
    }

    /// Times a stage until the guard is dropped.
    pub fn stage(self: &Arc<Self>, stage: &'static str) -> Timer {
        Timer { metrics: self.clone(), stage, started: Instant::now() }
    }

    pub fn reconcile(&self, result: &'static str) {
        self.reconciles.get_or_create(&ResultLabels { result }).inc();
    }

    pub fn change(&self, operation: &'static str, result: &'static str) {
        self.changes.get_or_create(&ChangeLabels { operation, result }).inc();
    }

    pub fn api_request(&self, method: &str, code: u16) {
        self.api_requests.get_or_create(&RequestLabels { verb: method.to_ascii_lowercase(), code }).inc();
    }

    pub fn source_request(&self, result: &'static str) {
        self.source_requests.get_or_create(&ResultLabels { result }).inc();
    }

    /// Sets the newest commit of a ref, and removes the previous one.
    pub fn revision(&self, url: &str, reference: &str, revision: &str, before: Option<&str>) {
        let labels = |revision: &str| {
            vec![("url", url.to_owned()), ("ref", reference.to_owned()), ("revision", revision.to_owned())]
        };
        let mut refs = self.refs.lock();
        let former = before.map(labels);
        refs.retain(|known| {
            let is_former = Some(known) == former.as_ref() || *known == labels(revision);
            if is_former {
                self.revisions.remove(known);
            }
            !is_former
        });
        refs.push_back(labels(revision));
        if refs.len() > REFS
            && let Some(oldest) = refs.pop_front()
        {
            self.revisions.remove(&oldest);
        }
        self.revisions.get_or_create(&labels(revision)).set(1);
    }

    /// Sets the metrics of a Sync after a run.
    pub fn verdict(&self, sync: &SyncRef, verdict: &SyncVerdict) {
        let SyncVerdict { ready, drifted, awaiting_approval, objects, drifts } = *verdict;
        let labels = SyncLabels::of(sync);
        self.ready.get_or_create(&labels).set(ready.into());
        self.drifted.get_or_create(&labels).set(drifted.into());
        self.awaiting.get_or_create(&labels).set(awaiting_approval.into());
        self.objects.get_or_create(&labels).set(i64::try_from(objects).unwrap_or(i64::MAX));
        self.drifts.get_or_create(&labels).inc_by(drifts);
    }

    /// Sets the progress of a run that takes more than a second.
    pub fn progress(&self, sync: &SyncRef, ProgressStatus { done, total, since, .. }: &ProgressStatus) {
        let labels = SyncLabels::of(sync);
        self.progress_since.get_or_create(&labels).set(since.as_duration().as_secs_f64());
        self.progress_objects.get_or_create(&labels).set(done.unwrap_or_default());
        self.progress_total.get_or_create(&labels).set(total.unwrap_or_default());
    }

    /// Removes the progress of a run that has ended.
    pub fn no_progress(&self, sync: &SyncRef) {
        let labels = SyncLabels::of(sync);
        self.progress_since.remove(&labels);
        self.progress_objects.remove(&labels);
        self.progress_total.remove(&labels);
    }

    /// Records that the live view verified the state of a Sync.
    pub fn verified(&self, sync: &SyncRef, now: Timestamp) {
        self.verified.get_or_create(&SyncLabels::of(sync)).set(now.as_duration().as_secs_f64());
    }

    /// Removes the series of a Sync that was deleted.
    pub fn forget(&self, sync: &SyncRef) {
        let labels = SyncLabels::of(sync);
        for flag in [&self.ready, &self.drifted, &self.awaiting, &self.objects] {
            flag.remove(&labels);
        }
        self.no_progress(sync);
        self.verified.remove(&labels);
        self.drifts.remove(&labels);
    }

    /// Returns the metrics in the text format.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut encoded = String::new();
        text::encode_registry(&mut encoded, &self.registry)?;
        text::encode_registry(&mut encoded, &process::metrics())?;
        text::encode_eof(&mut encoded)?;
        Ok(encoded)
    }
}

/// Measures a stage until it is dropped.
pub struct Timer {
    metrics: Arc<Metrics>,
    stage: &'static str,
    started: Instant,
}

impl Drop for Timer {
    fn drop(&mut self) {
        let stage = StageLabels { stage: self.stage };
        self.metrics.stages.get_or_create(&stage).observe(self.started.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_refs_without_end_have_labels_with_an_end() -> Result<(), std::fmt::Error> {
        let metrics = Metrics::new();
        for at in 0..2 * REFS {
            metrics.registry_request(&format!("host-{at}.example.com"), "ok");
            metrics.revision(&format!("https://git.example.com/{at}"), "main", "main@1", None);
            metrics.revision(&format!("https://git.example.com/{at}"), "main", "main@2", Some("main@1"));
        }
        let text = metrics.encode()?;
        let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
        assert_eq!(
            count("holdfast_registry_requests_total{"),
            HOSTS + 1,
            "the last one is that of all others"
        );
        assert_eq!(count("holdfast_source_revision_info{"), REFS);
        Ok(())
    }
}
