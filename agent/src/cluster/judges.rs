//! The rules of each Sync for its objects: health checks, ignore rules, and whether unmanaged fields are reported. Compiled once
//! for each generation of the Sync. No I/O.

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::health::{self, Check, Checks, Health};
use holdfast_diff::ignore::{self, Ignored, Rules};
use holdfast_diff::object::{GroupKind, ObjectId};
use holdfast_diff::unmanaged;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};

use super::requests::ResourceType;
use crate::api::{HealthCheck, IgnoreRule, IgnoreTarget, Sync, UnmanagedFields};
use crate::sync_ref::SyncRef;

/// What one Sync says.
#[derive(Clone)]
struct Judge {
    spec: Digest,
    checks: Arc<Checks>,
    rules: Arc<Rules>,
    /// Of the rules alone.
    rules_spec: Digest,
    unmanaged: bool,
    error: Option<JudgeError>,
}

/// What is wrong with what a Sync says about judging, for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    #[error("{0}")]
    HealthCheckInvalid(String),
    #[error("{0}")]
    IgnoreRuleInvalid(String),
}

/// What all Syncs say, as far as they say anything.
#[derive(Default)]
pub struct Judges {
    by_sync: Mutex<HashMap<SyncRef, Judge>>,
    /// What the charts of Syncs make anew each time.
    volatile: Mutex<HashMap<SyncRef, Vec<IgnoreRule>>>,
}

impl Judges {
    /// Takes what a Sync says.
    ///
    /// # Errors
    ///
    /// What is wrong with a check or a rule. The others count all the same.
    pub fn take(&self, owner: &SyncRef, sync: &Sync) -> Result<(), JudgeError> {
        let (checks, drift) = (&sync.spec.health.checks, &sync.spec.drift);
        let unmanaged = drift.unmanaged_fields == UnmanagedFields::Report;
        let volatile = self.volatile.lock().get(owner).cloned();
        let ignore = [drift.ignore.clone(), volatile.unwrap_or_default()].concat();
        let mut by_sync = self.lock();
        if checks.is_empty() && ignore.is_empty() && !unmanaged {
            by_sync.remove(owner);
            return Ok(());
        }
        let spec = Digest::of(&json!({"checks": checks, "ignore": ignore, "unmanaged": unmanaged}));
        let known = by_sync.get(owner).filter(|judge| judge.spec == spec);
        let judge = known.cloned().unwrap_or_else(|| compile(spec, checks, &ignore, unmanaged));
        let error = judge.error.clone();
        by_sync.insert(owner.clone(), judge);
        error.map_or(Ok(()), Err)
    }

    /// Sets the fields that the chart of a Sync generates at each render, which keep their live values. Mistakes are reported by
    /// [`Self::take`].
    pub fn take_volatile(&self, owner: &SyncRef, sync: &Sync, rules: &[IgnoreRule]) {
        let mut volatile = self.volatile.lock();
        let before = if rules.is_empty() {
            volatile.remove(owner).unwrap_or_default()
        } else {
            volatile.insert(owner.clone(), rules.to_vec()).unwrap_or_default()
        };
        drop(volatile);
        if before != rules {
            let _ = self.take(owner, sync);
        }
    }

    /// A copy for some Syncs.
    #[must_use]
    pub fn copy(&self, of: impl Fn(&SyncRef) -> bool) -> Self {
        fn own<T: Clone>(all: &HashMap<SyncRef, T>, of: impl Fn(&SyncRef) -> bool) -> HashMap<SyncRef, T> {
            all.iter().filter(|(sync, _)| of(sync)).map(|(sync, one)| (sync.clone(), one.clone())).collect()
        }
        Self {
            by_sync: Mutex::new(own(&self.lock(), &of)),
            volatile: Mutex::new(own(&self.volatile.lock(), &of)),
        }
    }

    /// What others may write in the objects of a Sync, and a digest of it.
    pub fn rules(&self, owner: &SyncRef) -> Option<(Arc<Rules>, Digest)> {
        let by_sync = self.lock();
        let judge = by_sync.get(owner).filter(|judge| !judge.rules.is_empty())?;
        Some((judge.rules.clone(), judge.rules_spec))
    }

    /// The fingerprint of the unmanaged fields of an object, if its Sync reports them and there are any.
    pub fn unmanaged(&self, owner: &SyncRef, kind: &ResourceType, object: &Value) -> Option<Digest> {
        let rules = self.lock().get(owner).filter(|judge| judge.unmanaged)?.rules.clone();
        let ignored = ignored(&rules, kind, object);
        unmanaged::fingerprint(&unmanaged::unmanaged(&kind.kind, object, &ignored))
    }

    pub fn forget(&self, owner: &SyncRef) {
        self.volatile.lock().remove(owner);
        self.lock().remove(owner);
    }

    /// Judges an object of a Sync, and says by which version of its checks, if it brings one for the kind.
    pub fn judge(&self, owner: &SyncRef, kind: &GroupKind, object: &Value) -> (Health, Option<Digest>) {
        let judge = self.lock().get(owner).cloned();
        match judge {
            Some(judge) => {
                let has_check = judge.checks.get(&kind.group, &kind.kind).is_some();
                let health = if has_check {
                    health::health_with(object, &judge.checks)
                } else {
                    health::health(object)
                };
                (health, judge.version(kind))
            }
            None => (health::health(object), None),
        }
    }

    /// The version of what is said about objects of a kind.
    pub fn version(&self, owner: &SyncRef, kind: &GroupKind) -> Option<Digest> {
        self.lock().get(owner)?.version(kind)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SyncRef, Judge>> {
        self.by_sync.lock()
    }
}

impl Judge {
    fn version(&self, kind: &GroupKind) -> Option<Digest> {
        (self.unmanaged || self.checks.get(&kind.group, &kind.kind).is_some()).then_some(self.spec)
    }
}

/// The rules that hold for a live object.
pub fn ignored(rules: &Rules, kind: &ResourceType, object: &Value) -> Ignored {
    let text =
        |name: &str| object.pointer("/metadata").and_then(|all| all.get(name)?.as_str()).unwrap_or_default();
    let id = ObjectId::new(kind.kind.clone(), text("namespace"), text("name"));
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
    rules.of(&kind.api_version(), &id, labels)
}

fn compile(spec: Digest, specs: &[HealthCheck], ignore: &[IgnoreRule], unmanaged: bool) -> Judge {
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
    let (rules, mistakes) = Rules::compile(ignore.iter().map(rule).collect());
    let error = match (errors.is_empty(), mistakes.is_empty()) {
        (false, _) => Some(JudgeError::HealthCheckInvalid([errors, mistakes].concat().join("; "))),
        (true, false) => Some(JudgeError::IgnoreRuleInvalid(mistakes.join("; "))),
        (true, true) => None,
    };
    let rules_spec = Digest::of(&json!(ignore));
    Judge { spec, checks: Arc::new(checks), rules: Arc::new(rules), rules_spec, unmanaged, error }
}

fn rule(IgnoreRule { target, paths, managers }: &IgnoreRule) -> ignore::Rule {
    let IgnoreTarget { group, version, kind, name, namespace, label_selector } = target.clone();
    ignore::Rule {
        target: ignore::Target { group, version, kind, name, namespace, label_selector },
        paths: paths.clone(),
        managers: managers.clone(),
    }
}
