//! What git has is there, and is the same object as before. Pure.

use serde_json::Value;

use super::left::is_marked;
use super::{Case, Violation, is_replicas, violation};
use crate::histories::fragment::{self, Path};
use crate::histories::kinds;
use crate::histories::world::{Commit, Effect, Id, Wrote};

/// Lists to which others may add.
pub(super) const SETS: &[&str] = &["/spec/tags", "/metadata/finalizers"];

impl Case<'_> {
    /// Every path in git has the value that the API server makes of it.
    pub(super) fn present(&self, id: &Id) -> Vec<Violation> {
        let Some(state) = self.world.head().and_then(|head| head.state(id)) else { return Vec::new() };
        match self.seen.canon.get(id) {
            Some(Ok(_)) if self.fights(id) || self.is_held(id) => return Vec::new(),
            Some(Ok(_)) => {}
            _ if self.told(id, &[]) => return Vec::new(),
            refused => {
                let text =
                    format!("the API server refuses an object in Git, and no status reports it: {refused:?}");
                return vec![violation("untold", id, &[], text)];
            }
        }
        let report = self.world.mode.report;
        if !self.seen.live.contains_key(id) {
            if report && self.drifts(id, &[]) {
                return Vec::new();
            }
            return vec![violation("missing", id, &[], "git has it, and it does not exist".to_owned())];
        }
        let wrong = self.world.said(state).into_iter().filter_map(|(path, said)| {
            let (want, have) = (self.canon_at(id, &path), self.live_at(id, &path));
            let shown = fragment::show(&path);
            let fine = want == have
                || shown == "/apiVersion"
                || (said.is_null() && is_replicas(&path))
                || (SETS.contains(&&*shown) && holds(have, want))
                // What git leaves empty, others may fill.
                || (is_empty(&said) && have.is_some_and(Value::is_object))
                || (!fragment::says_all(&said, &path)
                    && want.zip(have).is_some_and(|(want, have)| fragment::within(want, have)))
                // What lost its marks is reported for that, and is not watched until they are back.
                || (report && self.drifts(id, &path))
                || (report && self.drifts(id, &[]) && self.seen.live.get(id).is_some_and(|live| !is_marked(live)));
            let text = || format!("git wants {}, it is {}", show(want), show(have));
            (!fine).then(|| violation("value", id, &path, text()))
        });
        wrong.collect()
    }

    /// An object that must not be made anew is the one of before.
    pub(super) fn recreated(&self, id: &Id) -> Option<Violation> {
        let world = self.world;
        let (before, now) = (self.before.uids.get(id)?, self.seen.live.get(id)?["metadata"]["uid"].as_str()?);
        let window = |at: usize| at > world.quiet;
        let settled = world.commits.iter().rfind(|commit| !window(commit.at))?;
        let recent = world.commits.iter().filter(|commit| window(commit.at));
        let states: Vec<_> = std::iter::once(settled).chain(recent).map(|commit| commit.state(id)).collect();
        let kind = world.kind(id.slot);
        let fixed = |choice: &[usize]| -> Vec<usize> {
            let all = kind.aspects.iter().zip(choice).filter(|(aspect, _)| aspect.fixed);
            all.map(|(_, variant)| *variant).collect()
        };
        let first = states.first().copied().flatten().map(|state| fixed(&state.choice))?;
        let may = states.iter().any(|state| {
            // Without it in between, or with another fixed field, or with one that fixes the whole.
            state.is_none_or(|state| fixed(&state.choice) != first)
        }) || world.approved.is_some_and(window)
            || self.is_lost(id)
            || kind
                .aspect("immutable")
                .is_some_and(|at| states.iter().flatten().any(|state| state.choice.get(at) != Some(&0)))
            || world.writes.iter().any(|wrote| {
                wrote.id == *id
                    && window(wrote.at)
                    && matches!(wrote.effect, Effect::Delete | Effect::Whole(_))
            });
        (before != now && !may)
            .then(|| violation("recreated", id, &[], format!("it was {before} and is {now}")))
    }

    /// True if what holds an object was deleted, by a client or by a commit, since the last quiet point.
    fn is_lost(&self, id: &Id) -> bool {
        let world = self.world;
        let holds = |slot: usize| kinds::holds(world.kind(slot), world.kind(id.slot));
        let recent = |at: usize| at > world.quiet;
        let deleted =
            |wrote: &Wrote| recent(wrote.at) && wrote.effect == Effect::Delete && holds(wrote.id.slot);
        let without =
            |commit: &Commit| recent(commit.at) && !commit.states.iter().any(|state| holds(state.id.slot));
        let is_held = (0..world.slots.len()).any(holds);
        is_held && (world.writes.iter().any(deleted) || world.commits.iter().any(without))
    }

    /// A number of replicas that git does not say stays.
    pub(super) fn replicas(&self, id: &Id) -> Option<Violation> {
        let world = self.world;
        let path: Path = fragment::path("spec/replicas");
        let state = world.head()?.state(id)?;
        if !world.kind(id.slot).scales || world.said(state).iter().any(|(path, _)| is_replicas(path)) {
            return None;
        }
        if self.seen.live.get(id)?["metadata"]["uid"].as_str() != self.before.uids.get(id).map(String::as_str)
        {
            return None;
        }
        let (before, now) = (self.before.replicas.get(id)?, self.live_at(id, &path)?);
        let recent = world.commits.iter().filter(|commit| commit.at > world.quiet);
        let by_git =
            recent.filter_map(|commit| fragment::get(&world.manifest(commit.state(id)?), &path).cloned());
        let by_others = world.writes.iter().filter(|wrote| wrote.id == *id && wrote.at > world.quiet);
        let by_others = by_others.filter_map(|wrote| fragment::get(&wrote.stored, &path).cloned());
        let autoscaled =
            world.writes.iter().filter(|wrote| wrote.id == *id).filter_map(|wrote| match wrote.effect {
                Effect::Autoscaler(count) => Some(count.into()),
                _ => None,
            });
        let mut allowed: Vec<Value> = by_git.chain(by_others).chain(autoscaled).collect();
        allowed.push(before.clone());
        (!allowed.contains(now)).then(|| {
            violation(
                "replicas",
                id,
                &path,
                format!("git does not say it; it may be {allowed:?} and is {now}"),
            )
        })
    }
}

fn is_empty(said: &Value) -> bool {
    said.as_object().is_some_and(serde_json::Map::is_empty)
}

fn holds(have: Option<&Value>, want: Option<&Value>) -> bool {
    match (have.and_then(Value::as_array), want.and_then(Value::as_array)) {
        (Some(have), Some(want)) => want.iter().all(|item| have.contains(item)),
        _ => false,
    }
}

pub(super) fn show(value: Option<&Value>) -> String {
    value.map_or_else(|| "not there".to_owned(), Value::to_string)
}
