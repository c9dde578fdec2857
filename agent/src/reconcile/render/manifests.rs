//! The manifests that a run compares with the cluster. Pure.

use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::mask::Masks;
use holdfast_diff::object::{Manifest, ObjectId};

use super::super::inputs;
use crate::api::{ChartStatus, IgnoreRule};
use crate::render::RenderOutput;

/// The result of a render.
pub enum Manifests {
    /// The cluster matches the last render, and so does the commit.
    Unchanged,
    Changed(ManifestSet),
}

/// The manifests to compare with the cluster.
#[derive(Default)]
pub struct ManifestSet {
    pub manifests: Vec<Manifest>,
    /// All objects of the Sync, if the manifests are only those that differ.
    pub part_of: Option<Arc<Vec<(ObjectId, Digest)>>>,
    /// Problems that stop nothing.
    pub warnings: Vec<String>,
    /// Fields that a chart renders anew each time, and that stay as they are in the cluster.
    pub volatile: Vec<IgnoreRule>,
    /// The chart, if all was rendered; `None` in it for one that is in the source.
    pub chart: Option<Option<ChartStatus>>,
    /// Values that no message may show.
    pub masks: Arc<Masks>,
}

impl ManifestSet {
    /// All manifests of a render. `before` are the masks of the render before: a value that is replaced may be one of them.
    pub fn whole(output: RenderOutput, before: &Masks) -> Self {
        let RenderOutput { manifests, warnings, volatile, chart, remotes: _, mut masks } = output;
        manifests.iter().for_each(|manifest| masks.add_secret(&manifest.value));
        if !masks.is_full_with(before) {
            masks.extend(before);
        }
        let volatile = volatile.iter().map(inputs::kept).collect();
        let (chart, masks) = (Some(chart), Arc::new(masks));
        Self { manifests, part_of: None, warnings, volatile, chart, masks }
    }

    /// True if the source has no objects at all.
    pub fn is_empty(&self) -> bool {
        self.part_of.as_ref().map_or(self.manifests.is_empty(), |all| all.is_empty())
    }
}
