//! The value of the home page: what needs a person, and a window of all Syncs. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt as _;
use serde::Serialize;

use super::needs::{self, Need, STATES, State, condition};
use super::query::{Query, Sort, WINDOW};
use crate::api::conditions::READY;
use crate::api::{ImageUpdate, Repository, Sync};

/// Needs that are listed; the others are counted.
const NEEDS: usize = 50;

/// What the home page shows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Home {
    /// What needs a person, the most urgent first. At most 50.
    pub attention: Vec<Need>,
    /// Needs that are not listed.
    pub more_attention: usize,
    /// When the last Sync became ready, if nothing needs a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_since: Option<Timestamp>,
    /// Number of Syncs in each state, before the filter.
    pub states: Vec<(State, usize)>,
    /// Namespaces that have Syncs.
    pub namespaces: BTreeSet<String>,
    pub query: Query,
    /// Syncs that the filter leaves, in all windows.
    pub total: usize,
    pub pages: usize,
    /// The Syncs of this window, as `holdfast status -o json` prints them.
    pub syncs: Vec<Arc<Sync>>,
}

/// The home page of somebody who may read these.
pub fn home(
    syncs: Vec<Arc<Sync>>,
    updates: &[Arc<ImageUpdate>],
    repositories: &[Arc<Repository>],
    query: Query,
    now: Timestamp,
) -> Home {
    let mut attention: Vec<Need> = syncs.iter().flat_map(|sync| needs::of_sync(sync, now)).collect();
    attention.extend(updates.iter().filter_map(|update| needs::of_update(update)));
    attention.extend(repositories.iter().flat_map(|repository| needs::of_repository(repository)));
    attention.sort_by(|a, b| {
        (a.state, b.since, &a.namespace, &a.name).cmp(&(b.state, a.since, &b.namespace, &b.name))
    });
    let quiet_since =
        if attention.is_empty() { syncs.iter().filter_map(|sync| changed(sync)).max() } else { None };
    let more_attention = attention.len().saturating_sub(NEEDS);
    attention.truncate(NEEDS);
    let namespaces = syncs.iter().filter_map(|sync| sync.namespace()).collect();
    let mut shown: Vec<(State, Arc<Sync>)> =
        syncs.into_iter().map(|sync| (needs::state(&sync, now), sync)).collect();
    let count = |state| shown.iter().filter(|(of, _)| *of == state).count();
    let states =
        STATES.into_iter().map(|state| (state, count(state))).filter(|(_, count)| *count > 0).collect();
    shown.retain(|(state, sync)| query.holds(sync, *state));
    sort(&mut shown, query.sort);
    let (total, pages) = (shown.len(), shown.len().div_ceil(WINDOW).max(1));
    let query = Query { page: query.page.clamp(1, pages), ..query };
    let window = shown.into_iter().skip((query.page - 1) * WINDOW).take(WINDOW);
    let syncs = window.map(|(_, sync)| sync).collect();
    Home { attention, more_attention, quiet_since, states, namespaces, query, total, pages, syncs }
}

/// When Ready changed last.
pub fn changed(sync: &Sync) -> Option<Timestamp> {
    let status = sync.status.as_ref()?;
    Some(condition(&status.conditions, READY)?.last_transition_time.0)
}

fn sort(shown: &mut [(State, Arc<Sync>)], by: Sort) {
    let name = |sync: &Sync| (sync.namespace(), sync.name_any());
    match by {
        Sort::State => shown.sort_by_cached_key(|(state, sync)| (*state, name(sync))),
        Sort::Name => shown.sort_by_cached_key(|(_, sync)| name(sync)),
        Sort::Changed => {
            shown.sort_by_cached_key(|(_, sync)| (std::cmp::Reverse(changed(sync)), name(sync)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOW, sync};
    use super::*;

    fn many(count: usize) -> Vec<Arc<Sync>> {
        let of = |at| {
            let ready =
                if at % 10 == 0 { ("Ready", "False", "Forbidden") } else { ("Ready", "True", "InSync") };
            Arc::new(sync("team", &format!("s{at:03}"), &[ready]))
        };
        (0..count).map(of).collect()
    }

    #[test]
    fn the_list_comes_in_windows_of_a_hundred_the_urgent_first() {
        let page = |query: &str| home(many(250), &[], &[], Query::parse(query), NOW.parse().expect("a time"));
        let first = page("");
        assert_eq!((first.syncs.len(), first.total, first.pages, first.attention.len()), (100, 250, 3, 25));
        assert_eq!(first.syncs[0].name_any(), "s000");
        assert_eq!(first.syncs[1].name_any(), "s010");
        assert_eq!(first.states, [(State::Failing, 25), (State::Ready, 225)]);
        assert_eq!(page("page=3").syncs.len(), 50);
        assert_eq!(page("page=999").query.page, 3);
        assert_eq!(page("state=Failing").total, 25);
        assert_eq!(page("sort=name").syncs[1].name_any(), "s001");
    }

    #[test]
    fn a_thousand_needs_are_counted_and_fifty_are_listed() {
        let syncs =
            (0..1000).map(|at| Arc::new(sync("team", &format!("s{at}"), &[("Ready", "False", "Forbidden")])));
        let home = home(syncs.collect(), &[], &[], Query::default(), NOW.parse().expect("a time"));
        assert_eq!((home.attention.len(), home.more_attention), (50, 950));
    }
}
