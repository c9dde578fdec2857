//! A preview without a cluster: compares the renders of the base and of the merge. I/O: Git, disk.

use std::sync::Arc;

use anyhow::Context as _;
use holdfast_diff::plan::Plan;
use jiff::Timestamp;

use super::super::{Global, print};
use super::Preview;
use super::syncs::{following, in_tree, named};
use crate::api::Sync;
use crate::gate;
use crate::reconcile::inputs;
use crate::reconcile::trees::MirrorTrees;
use crate::render::helm;
use crate::render::outside::Outside;
use crate::render::renderer::Renderer;
use crate::review::effect::Effect;
use crate::review::offline::between;
use crate::review::plan::{Commit, Side, Sides};
use crate::review::preview::{At, Planned, SyncPreview, SyncResult, Waits};
use crate::source::{CloneOnDisk, MergedTree};
use crate::sync_ref::SyncRef;

/// The namespace of Syncs that do not set one.
const NAMESPACE: &str = "default";

/// Returns the differences between both renders, for each Sync that reads a file which the merge changes.
pub async fn syncs(
    preview: &Preview,
    global: &Global,
    clone: &CloneOnDisk,
    tree: &MergedTree,
) -> anyhow::Result<Vec<SyncPreview>> {
    let cache = tempfile::tempdir().context("cannot create a folder for charts")?;
    let outside = Outside::new(&preview.helm, cache.path(), helm::Limits::default(), Arc::default(), None);
    let renderer = Renderer::Here(Arc::new(MirrorTrees::default()));
    let base = Commit::base(tree, &preview.base);
    let merge = Commit::merge(tree, &preview.base, &preview.head);
    let namespace = global.namespace.as_deref().unwrap_or(NAMESPACE);
    let found = if preview.file.is_empty() {
        let all = in_tree(&merge.files()?, namespace)?;
        let place = format!("in the files of {}", merge.name);
        following(all, clone, &preview.base, &place)?
    } else {
        named(&preview.file, namespace)?
    };
    let mut previews = Vec::new();
    if base.id == merge.id {
        return Ok(previews);
    }
    for (owner, sync) in found {
        let render = |commit| render(&renderer, &outside, &sync, &owner, commit);
        let before = render(&base).await;
        if before.is_same_at(&merge.files()?) {
            continue;
        }
        let sides = Sides::of((before, &base), (render(&merge).await, &merge));
        match result(&sync, &sides) {
            SyncResult::Failed { at: At::Base, errors } => print::say(format_args!(
                "warning: Sync {owner} cannot be rendered before or after the merge: {}",
                errors.join("; ")
            )),
            result => previews.push(SyncPreview { sync: owner, result }),
        }
    }
    Ok(previews)
}

async fn render(
    renderer: &Renderer,
    outside: &Outside,
    sync: &Sync,
    owner: &SyncRef,
    commit: &Commit<'_>,
) -> Side {
    let folder = match commit.path(sync.spec.path.as_deref()) {
        Ok(folder) => folder,
        Err(error) => return Side::failed(vec![error.to_string()]),
    };
    let inputs = match inputs::alone(sync, owner, outside).await {
        Ok(Some(inputs)) => inputs,
        Ok(None) => {
            let said = "spec.render names Secrets or ConfigMaps of the cluster; preview it without --offline";
            return Side::failed(vec![said.to_owned()]);
        }
        Err(error) => return Side::failed(vec![error.to_string()]),
    };
    let order = commit.order(sync, folder, inputs, outside);
    Side::of(renderer.render(order, outside, owner.namespace()).await)
}

/// Compares both renders of a Sync.
fn result(sync: &Sync, sides: &Sides) -> SyncResult {
    let (base, merge) = match (&sides.base, &sides.merge) {
        (base, Ok(merge)) => (base, merge),
        (_, Err(errors)) => {
            return sides.failure().unwrap_or(SyncResult::Failed { at: At::Merge, errors: errors.clone() });
        }
    };
    let manifests = base.as_ref().map(|base| &*base.manifests).unwrap_or_default();
    let keep = (!sync.spec.prune).then_some("prune is off");
    let then = between(manifests, &merge.manifests, &sides.masks, keep);
    let set = gate::Set { owned: manifests.len(), empty: merge.manifests.is_empty(), ending: false };
    let decision = gate::decide("", then.clone(), sync.spec.approval, set, &[], Timestamp::UNIX_EPOCH);
    let waiting = decision.waiting.map(|waiting| {
        Box::new(Waits { id: None, changes: waiting.held(), later: waiting.later, rejected: None })
    });
    let is_new =
        |warning: &&String| !base.as_ref().is_ok_and(|base| sides.mentions.is_in(&base.warnings, warning));
    let mut warnings: Vec<String> = merge.warnings.iter().filter(is_new).cloned().collect();
    if let Err(errors) = base {
        warnings.insert(0, format!("the base cannot be rendered: {}", errors.join("; ")));
    }
    let effect = Effect::of("", &Plan::new("", Vec::new()), &then, &sides.masks);
    SyncResult::Planned(Planned { id: then.id, effect, waiting, errors: Vec::new(), warnings })
}
