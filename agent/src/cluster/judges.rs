//! Which health checks each Sync brings, compiled once for as long as they stay as they are. No I/O.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_diff::digest::Digest;
use holdfast_diff::health::{self, Check, Checks, Health};
use holdfast_diff::object::GroupKind;
use serde_json::Value;

use crate::api::{HealthCheck, Sync};
use crate::sync_ref::SyncRef;

/// The checks of one Sync.
#[derive(Clone)]
struct Judge {
    spec: Digest,
    checks: Arc<Checks>,
    error: Option<String>,
}

/// The checks of all Syncs that bring any.
#[derive(Default)]
pub struct Judges {
    by_sync: Mutex<HashMap<SyncRef, Judge>>,
}

impl Judges {
    /// Takes the checks of a Sync.
    ///
    /// # Errors
    ///
    /// What is wrong with a check, for the person who wrote it. The others count all the same.
    pub fn take(&self, owner: &SyncRef, sync: &Sync) -> Result<(), String> {
        let specs = &sync.spec.health.checks;
        let mut by_sync = self.by_sync.lock().unwrap_or_else(PoisonError::into_inner);
        if specs.is_empty() {
            by_sync.remove(owner);
            return Ok(());
        }
        let spec = Digest::of(&serde_json::to_value(specs).unwrap_or_default());
        let known = by_sync.get(owner).filter(|judge| judge.spec == spec);
        let judge = known.cloned().unwrap_or_else(|| compile(spec, specs));
        let error = judge.error.clone();
        by_sync.insert(owner.clone(), judge);
        error.map_or(Ok(()), Err)
    }

    pub fn forget(&self, owner: &SyncRef) {
        self.by_sync.lock().unwrap_or_else(PoisonError::into_inner).remove(owner);
    }

    /// Judges an object of a Sync, and says by which version of its checks, if it brings one for the kind.
    pub fn judge(&self, owner: &SyncRef, kind: &GroupKind, object: &Value) -> (Health, Option<Digest>) {
        match self.of(owner, kind) {
            Some((checks, spec)) => (health::health_with(object, &checks), Some(spec)),
            None => (health::health(object), None),
        }
    }

    /// The version of the checks by which objects of a kind are to be judged.
    pub fn version(&self, owner: &SyncRef, kind: &GroupKind) -> Option<Digest> {
        self.of(owner, kind).map(|(_, spec)| spec)
    }

    fn of(&self, owner: &SyncRef, kind: &GroupKind) -> Option<(Arc<Checks>, Digest)> {
        let by_sync = self.by_sync.lock().unwrap_or_else(PoisonError::into_inner);
        let judge = by_sync.get(owner)?;
        judge.checks.get(&kind.group, &kind.kind).map(|_| (judge.checks.clone(), judge.spec))
    }
}

fn compile(spec: Digest, specs: &[HealthCheck]) -> Judge {
    let (mut checks, mut errors) = (Checks::default(), Vec::new());
    for HealthCheck { api_version, kind, current, failed, in_progress } in specs {
        match Check::compile(current, failed.as_deref(), in_progress.as_deref()) {
            Ok(check) => {
                let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
                checks.insert(group, kind, check);
            }
            Err(error) => errors.push(format!("spec.health.checks, {kind} of {api_version}: {error}")),
        }
    }
    Judge { spec, checks: Arc::new(checks), error: (!errors.is_empty()).then(|| errors.join("; ")) }
}
