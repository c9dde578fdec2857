//! SortOrderTransformer: the order of the output.
//!
//! Pure.

use std::collections::HashMap;

use serde::Deserialize;

use crate::config::{ORDER_FIRST, ORDER_LAST, sort_text};
use crate::{Gvk, KustomizeError, ResId, Resources, Transform};

/// How to sort. Without options nothing is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SortOrderTransformer {
    pub sort_options: Option<SortOptions>,
}

/// `sortOptions` of a kustomization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SortOptions {
    /// `fifo` or `legacy`.
    pub order: String,
    pub legacy_sort_options: Option<LegacySortOptions>,
}

/// Which kinds go first and which last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LegacySortOptions {
    pub order_first: Vec<String>,
    pub order_last: Vec<String>,
}

impl Transform for SortOrderTransformer {
    fn transform(&self, resources: &mut Resources) -> Result<(), KustomizeError> {
        let Some(SortOptions { order, legacy_sort_options }) = &self.sort_options else { return Ok(()) };
        match (order.as_str(), legacy_sort_options) {
            ("fifo", None) => {}
            ("legacy", None) => sort(resources, &Ranks::new(&ORDER_FIRST, &ORDER_LAST)),
            ("legacy", Some(LegacySortOptions { order_first, order_last })) => {
                sort(resources, &Ranks::new(order_first, order_last));
            }
            ("fifo", Some(_)) => {
                return Err(KustomizeError::new(
                    "sortOptions: legacySortOptions are for order: legacy: set that, or remove them",
                ));
            }
            (other, _) => {
                return Err(KustomizeError::new(format!(
                    "sortOptions: the order is fifo or legacy, not {other:?}"
                )));
            }
        }
        Ok(())
    }
}

/// The places of kinds: below 0 at the front, above 0 at the back.
struct Ranks<'a>(HashMap<&'a str, i64>);

impl<'a> Ranks<'a> {
    fn new(first: &'a [impl AsRef<str>], last: &'a [impl AsRef<str>]) -> Self {
        let front = (1..).zip(first.iter().rev()).map(|(place, kind): (i64, _)| (kind.as_ref(), -place));
        let back = (1..).zip(last).map(|(place, kind)| (kind.as_ref(), place));
        // A kind that is named twice has its last place.
        Self(front.collect::<Vec<_>>().into_iter().rev().chain(back).collect())
    }

    fn of(&self, gvk: &Gvk) -> i64 {
        self.0.get(gvk.kind.as_str()).copied().unwrap_or_default()
    }

    /// The text by which kinds at one place are sorted. Kubernetes' own Namespace is the first of those that
    /// are called so.
    fn text(&self, gvk: &Gvk) -> String {
        let is_first = gvk.kind == "Namespace" && gvk.group.is_empty() && self.0.contains_key("Namespace");
        if is_first { String::new() } else { sort_text(gvk) }
    }
}

fn sort(resources: &mut Resources, ranks: &Ranks<'_>) {
    resources.list.sort_by_cached_key(|resource| {
        let id = resource.id();
        (ranks.of(&id.gvk), ranks.text(&id.gvk), id_text(id))
    });
}

/// The text by which the original sorts resources of one kind.
fn id_text(id: &ResId) -> String {
    let or = |text: &str, missing: &str| if text.is_empty() { missing.to_owned() } else { text.to_owned() };
    format!("{}|{}|{}", id.gvk, or(&id.namespace, "~X"), or(&id.name, "~N"))
}
