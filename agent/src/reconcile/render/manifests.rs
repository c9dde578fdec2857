//! The manifests that a run compares with the cluster. Pure.

use std::sync::Arc;

use holdfast_diff::digest::Digest;
use holdfast_diff::mask::Masks;
use holdfast_diff::object::{Manifest, ObjectId};

use super::super::inputs;
use crate::api::{ChartStatus, IgnoreRule};
use crate::render::RenderOutput;
use crate::report::NewValue;

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
    /// Problems that do not block the sync.
    pub warnings: Vec<String>,
    /// Fields that a chart generates at each render, whose live values are kept.
    pub volatile: Vec<IgnoreRule>,
    /// The chart from outside the source, if the whole set was rendered.
    pub chart: NewValue<ChartStatus>,
    /// Values that no message may show.
    pub masks: Arc<Masks>,
}

impl ManifestSet {
    /// Creates the set of a whole render. `before` has the masks of the previous render, which may contain a value that is replaced.
    pub fn whole(output: RenderOutput, before: &Masks) -> Self {
        let RenderOutput { manifests, warnings, volatile, chart, remotes: _, mut masks } = output;
        manifests.iter().for_each(|manifest| masks.add_secret(&manifest.value));
        if !masks.is_full_with(before) {
            masks.extend(before);
        }
        let volatile = volatile.iter().map(inputs::kept).collect();
        let (chart, masks) = (NewValue::Set(chart), Arc::new(masks));
        Self { manifests, part_of: None, warnings, volatile, chart, masks }
    }

    /// True if the source has no objects at all.
    pub fn is_empty(&self) -> bool {
        self.part_of.as_ref().map_or(self.manifests.is_empty(), |all| all.is_empty())
    }
}
