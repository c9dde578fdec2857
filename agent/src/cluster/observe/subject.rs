//! One live object and its manifest: what the dry run of the API server makes of it, and which field owners have to change for
//! that.
//!
//! I/O: API reads and dry runs.

use holdfast_diff::plan::Prediction;
use holdfast_diff::takeover::{
    Extra, Leaving, Owners, Rules, Set, Settled, applied_to, both, empty, extras, less, lost, nulled,
    pointer, pointers, set_of,
};
use serde_json::Value;

use super::super::Cluster;
use super::super::refusal::{fields_of, is_invalid};
use super::super::requests::{Apply, Requests};
use super::super::resolve::Desired;
use super::super::scale;
use crate::sync_ref::SyncRef;

/// What an apply would make of an object.
pub(super) struct Predicted {
    pub prediction: Prediction,
    /// The change of field owners before the apply.
    pub settled: Settled,
}

/// One live object, and the manifest to apply to it.
pub(super) struct Subject<'a> {
    pub cluster: &'a Cluster,
    pub requests: &'a Requests,
    pub sync: &'a SyncRef,
    pub live: &'a Value,
    pub owners: Owners,
}

impl Predicted {
    pub fn object(&self) -> &Value {
        match &self.prediction {
            Prediction::Becomes(value) => value,
            Prediction::NeedsRecreate { .. } => &Value::Null,
        }
    }
}

impl Subject<'_> {
    /// Returns the prediction of an accepted apply, without fields that leave Git and have other owners.
    pub async fn becomes(&self, desired: &mut Desired) -> Result<Predicted, kube::Error> {
        let mut predicted = self.apply(desired).await?;
        let mut leaving = self.decide(desired, self.owners.leaving(&predicted), &predicted).await;
        if leaving.keeps() {
            desired.replace(self.owners.with_kept(&desired.manifest.value, self.live, &leaving));
            predicted = self.apply(desired).await?;
        }
        let also = self.also(desired, Some(&predicted)).await;
        let becomes = match self.owners.without_leaving(&predicted, self.live, &leaving, &also) {
            None => predicted,
            Some(value) => match self.validate(desired, &predicted, &value).await {
                // The API server restores a field that cannot be removed. It stays, without an owner.
                Err(error) if is_invalid(&error) => {
                    let named = fields_of(&error);
                    let is_named = |path: &[String]| {
                        let extra = Extra { path: path.to_vec(), ..Extra::default() };
                        named.iter().any(|field| extra.nearness(field) == Some(0))
                    };
                    leaving = leaving.handing(self.live, &is_named);
                    match self.owners.without_leaving(&predicted, self.live, &leaving, &also) {
                        None => predicted,
                        Some(value) => self.validate(desired, &predicted, &value).await?,
                    }
                }
                answer => answer?,
            },
        };
        if let Some(predicted) = self.emptying(desired, &becomes, &leaving, &also).await {
            return Ok(predicted);
        }
        Ok(self.settle(Prediction::Becomes(becomes), &leaving, &also, None))
    }

    /// Returns what the object becomes if the fields that leave Git are removed before the apply, which would lose maps that Git
    /// empties, or fields of other managers. `None` if the apply loses none, or if the API server does not keep them.
    async fn emptying(
        &self,
        desired: &Desired,
        becomes: &Value,
        leaving: &Leaving,
        also: &Set,
    ) -> Option<Predicted> {
        let manifest = &desired.manifest.value;
        let torn = |becomes: &Value| self.owners.torn(self.live, becomes, leaving, also).len();
        let (emptied, lost) = (lost(manifest, self.live, becomes), torn(becomes));
        if emptied.is_empty() && lost == 0 {
            return None;
        }
        let merged = less(&applied_to(&self.owners, self.live, &self.marked(desired), leaving), also);
        let kept = self.validate(desired, becomes, &merged).await.ok()?;
        if empty(manifest, self.live, &kept).is_empty() && torn(&kept) >= lost {
            return None;
        }
        let staged = self.staged(desired, leaving, also).await?;
        Some(self.settle(Prediction::Becomes(kept), leaving, also, Some(&staged)))
    }

    /// Returns the live object without the fields that leave Git, if the API server accepts that.
    pub async fn staged(&self, desired: &Desired, leaving: &Leaving, also: &Set) -> Option<Value> {
        let staged = self.owners.staged(self.live, &desired.manifest.value, leaving, also)?;
        let checked = self.requests.validate_change(&desired.kind, &desired.object, self.live, &staged).await;
        checked.is_ok().then_some(staged)
    }

    async fn apply(&self, desired: &Desired) -> Result<Value, kube::Error> {
        let marked = self.marked(desired);
        self.requests
            .apply(&desired.kind, &desired.object, &marked, Apply { force: true, dry_run: true })
            .await
    }

    /// The manifest.
    pub fn marked(&self, desired: &Desired) -> Value {
        self.cluster.view.marks.stamp(self.sync, &desired.object, &desired.manifest.value)
    }

    /// Decides what happens to the fields that leave Git. `object` is the predicted result of the apply.
    pub async fn decide(&self, desired: &Desired, leaving: Leaving, object: &Value) -> Leaving {
        let manifest = &desired.manifest.value;
        let back = self.cluster.view.returned(&desired.object, object, manifest);
        let leaving = match &desired.before {
            Some(before) => leaving.and(&self.owners.leftovers(before, manifest, object)),
            None => leaving,
        };
        let leaving = leaving.and(&back);
        if leaving.is_nothing() {
            return leaving;
        }
        let scales = scale::paths(self.cluster, &desired.kind).await;
        let ignored = |path: &[String]| desired.ignored.covers_of(path, self.live);
        let handed = |path: &[String]| scales.iter().any(|scale| scale == path);
        let back = pointers(&back, self.live);
        let returned = |path: &[String]| {
            let path = pointer(path);
            [&back, &desired.returned].iter().any(|paths| paths.contains(&path))
        };
        let rules = Rules { ignored: &ignored, handed: &handed, returned: &returned };
        self.owners.decide(leaving, self.live, &rules)
    }

    /// List items that have the content of an item in Git under another key, next to which an apply would create the item of
    /// Git.
    fn renamed(&self, desired: &Desired, applied: Option<&Value>) -> Set {
        // An item that Git only now adds was not renamed.
        if !desired.was_applied {
            return Set::new();
        }
        let found = extras(&self.owners, self.live, &desired.manifest.value, applied);
        set_of(found.iter().filter(|extra| extra.renamed && self.owners.is_of_persons(&extra.set)))
    }

    /// Fields to remove apart from those that leave Git: renamed items, and what a `null` in Git removes.
    pub async fn also(&self, desired: &Desired, applied: Option<&Value>) -> Set {
        let renamed = self.renamed(desired, applied);
        let Some(manifest) = &desired.nulls else { return renamed };
        let scales = scale::paths(self.cluster, &desired.kind).await;
        both(&renamed, &nulled(&self.owners, self.live, manifest, &scales))
    }

    /// Returns what the API server makes of the live object if it becomes this value: defaults return, and values that depend on
    /// removed ones change. The owners are those of `predicted`.
    pub async fn validate(
        &self,
        desired: &Desired,
        predicted: &Value,
        value: &Value,
    ) -> Result<Value, kube::Error> {
        let (kind, object) = (&desired.kind, &desired.object);
        let mut becomes = self.requests.validate_change(kind, object, self.live, value).await?;
        let owners = predicted.pointer("/metadata/managedFields").cloned().unwrap_or_default();
        if let Some(metadata) = becomes.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("managedFields".to_owned(), owners);
        }
        Ok(becomes)
    }

    /// Returns the prediction and the change of owners, given what the object becomes. `staged` is the live object without the fields
    /// that have to be removed before the apply.
    pub fn settle(
        &self,
        prediction: Prediction,
        leaving: &Leaving,
        also: &Set,
        staged: Option<&Value>,
    ) -> Predicted {
        Predicted { prediction, settled: self.owners.settle(self.live, leaving, also, staged) }
    }
}
