//! What the oracle sees: the objects, the Syncs, and what the API server makes of each manifest. I/O: network.

use anyhow::Context as _;
use http::Method;
use serde_json::{Value, json};

use super::Run;
use crate::histories::kinds::{self, Kind};
use crate::histories::oracle::Seen;
use crate::histories::stage::TRIAL;

impl Run<'_> {
    /// Reads everything that the oracle wants to see.
    pub(super) async fn look(&mut self) -> anyhow::Result<Seen> {
        let mut seen = self.look_at_objects().await?;
        for name in self.names() {
            let sync = self.stage.read(&format!("{}/{name}", self.syncs())).await?;
            seen.syncs.push(sync.context("the Sync is gone")?);
        }
        Ok(seen)
    }

    pub(super) async fn look_at_objects(&mut self) -> anyhow::Result<Seen> {
        let mut seen = Seen { commit: self.commit.clone(), ..Seen::default() };
        for id in self.world.ids() {
            let live = self.writers().live(self.world.kind(id.slot), &id.name).await?;
            if let Some(live) = live {
                seen.live.insert(id.clone(), live);
            }
        }
        for state in self.world.head().map(|head| head.states.clone()).unwrap_or_default() {
            let manifest = self.world.manifest(&state);
            let kind = self.world.slots[state.id.slot].clone();
            let canon = self.canon(&kind, manifest).await?;
            seen.canon.insert(state.id, canon);
        }
        for copy in &self.world.copies {
            let path = self.world.kind(copy.slot).path_in(&copy.namespace);
            seen.copies.push(self.stage.read(&format!("{path}/{}", copy.name)).await?);
        }
        Ok(seen)
    }

    /// What the API server makes of a manifest, tried where nothing is.
    async fn canon(&mut self, kind: &Kind, manifest: Value) -> anyhow::Result<Result<Value, String>> {
        // Where the namespace is neither in git nor in the cluster, an object in it is refused.
        if let Some(within) = &kind.within
            && self.stage.read(&format!("/api/v1/namespaces/{within}")).await?.is_none()
        {
            return Ok(Err(format!("namespaces {within} not found")));
        }
        if let Some((_, canon)) = self.canon.iter().find(|(known, _)| *known == manifest) {
            return Ok(canon.clone());
        }
        let version = manifest["apiVersion"].as_str().unwrap_or_default();
        let root = if version.contains('/') { "apis" } else { "api" };
        let api = Kind { api: format!("{root}/{version}"), ..kind.clone() };
        let path = format!("{}?dryRun=All&fieldValidation=Strict", api.path_in(TRIAL));
        // What is in no namespace is tried under another name.
        let other = format!("trial-{}", self.namespace);
        let mut tried = manifest.clone();
        if kind.cluster {
            kinds::replace(&mut tried, self.namespace, &other);
        }
        if kind.within.is_some() {
            tried["metadata"]["namespace"] = json!(TRIAL);
        }
        let mut canon = self.call(Method::POST, path, tried).await?;
        if let Ok(canon) = &mut canon {
            kinds::replace(canon, &other, self.namespace);
            if let Some(within) = &kind.within {
                canon["metadata"]["namespace"] = json!(within);
            }
        }
        // A kind that is not there may come.
        let unknown = canon.as_ref().is_err_and(|refusal| refusal.code == 404);
        let canon = canon.map_err(|refusal| refusal.message);
        if !unknown {
            self.canon.push((manifest, canon.clone()));
        }
        Ok(canon)
    }
}
