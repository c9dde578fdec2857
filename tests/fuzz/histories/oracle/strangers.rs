//! What others added stays, and what is theirs is not touched. Pure.

use serde_json::Value;

use super::present::show;
use super::{Case, Violation, violation};
use crate::histories::fragment::{self, Path, Step};
use crate::histories::kinds;
use crate::histories::world::{By, Effect, Id, Wrote};

impl Case<'_> {
    /// What a person or a controller added beside git is still there.
    pub(super) fn kept(&self, id: &Id) -> Vec<Violation> {
        if !self.in_git(id) || !matches!(self.seen.canon.get(id), Some(Ok(_))) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for (at, wrote) in self.world.writes.iter().enumerate().filter(|(_, wrote)| wrote.id == *id) {
            let Effect::Part(choice) = wrote.effect else { continue };
            let part = self.world.kind(id.slot).part(choice.aspect, choice.variant);
            let part = crate::histories::world::stored(part);
            for (path, _) in fragment::leaves(&part).into_iter().filter(|(path, _)| !path.is_empty()) {
                if !self.is_addition(at, wrote, &path) {
                    continue;
                }
                let (was, is) = (fragment::get(&wrote.stored, &path), self.live_at(id, &path));
                if was.is_some() && was != is {
                    let text =
                        format!("{:?} wrote {}, git never said it, it is {}", wrote.by, show(was), show(is));
                    found.push(violation("taken", id, &path, text));
                }
            }
        }
        found
    }

    /// True if no commit had this path since shortly before it was written, and no client has written it since.
    fn is_addition(&self, at: usize, wrote: &Wrote, path: &Path) -> bool {
        let world = self.world;
        let id = &wrote.id;
        if wrote.by == By::Tool
            || path.iter().any(|step| matches!(step, Step::Field(name) if fragment::WHOLE.contains(&&**name)))
        {
            return false;
        }
        let later = &world.writes[at + 1..];
        let over = later.iter().filter(|later| later.id == *id).any(|later| match &later.effect {
            Effect::Part(choice) => {
                (wrote.by == By::Operator && later.by == By::Operator)
                    || matches!(&wrote.effect, Effect::Part(mine) if mine.aspect == choice.aspect)
            }
            Effect::Whole(_) | Effect::Delete => true,
            Effect::Replicas(_) | Effect::Autoscaler(_) | Effect::Strip => false,
        });
        let same = self
            .seen
            .live
            .get(id)
            .is_some_and(|live| live["metadata"]["uid"] == wrote.stored["metadata"]["uid"]);
        // Where drift is only reported, a manifest that a tool wrote leaves the object without marks. It is adopted with the
        // next commit, and fields of tools that write whole objects, such as kubectl edit, are taken over then.
        let is_adopted = world.mode.report
            && world.writes[..at]
                .iter()
                .any(|before| before.id == *id && matches!(before.effect, Effect::Whole(_)));
        if over || !same || is_adopted {
            return false;
        }
        // The state of git that was there at the write, and all that came after it.
        let first = world.commits.iter().rposition(|commit| commit.at <= wrote.since).unwrap_or(0);
        let roots = match &wrote.effect {
            Effect::Part(choice) => &world.kind(id.slot).aspects[choice.aspect].roots,
            _ => return false,
        };
        world.commits[first..].iter().all(|commit| {
            let Some(state) = commit.state(id) else { return commit.at <= wrote.since };
            world.said(state).iter().all(|(said, _)| {
                !fragment::related(said, path) && !roots.iter().any(|root| fragment::related(root, said))
            })
        })
    }

    /// An object that was never in git is as others left it.
    pub(super) fn foreign(&self, id: &Id) -> Option<Violation> {
        let world = self.world;
        if world.commits.iter().any(|commit| commit.state(id).is_some()) {
            return None;
        }
        let last = world.writes.iter().rfind(|wrote| wrote.id == *id && wrote.effect != Effect::Strip)?;
        if last.effect == Effect::Delete {
            return None;
        }
        let live = self.seen.live.get(id);
        let same = live.is_some_and(|live| own(live) == own(&last.stored));
        (!same)
            .then(|| violation("foreign", id, &[], format!("it was {} and is {}", last.stored, show(live))))
    }

    /// Copies are as they were made.
    pub(super) fn copied(&self) -> Vec<Violation> {
        let pairs = self.world.copies.iter().zip(&self.seen.copies);
        // They go with what holds them.
        let is_held = |slot: usize| {
            (0..self.world.slots.len())
                .any(|outer| kinds::holds(self.world.kind(outer), self.world.kind(slot)))
        };
        let pairs = pairs.filter(|(copy, live)| live.is_some() || !is_held(copy.slot));
        let wrong =
            pairs.filter(|(copy, live)| live.as_ref().is_none_or(|live| own(live) != own(&copy.stored)));
        wrong
            .map(|(copy, live)| {
                let id = Id { slot: copy.slot, name: format!("{}/{}", copy.namespace, copy.name) };
                violation("copy", &id, &[], format!("it was {} and is {}", copy.stored, show(live.as_ref())))
            })
            .collect()
    }
}

/// The parts of an object that only its owner may change.
fn own(object: &Value) -> Value {
    let mut own = object.clone();
    for path in [
        "status",
        "metadata/managedFields",
        "metadata/resourceVersion",
        "metadata/generation",
        "metadata/annotations/deployment.kubernetes.io~1revision",
        "metadata/annotations/deprecated.daemonset.template.generation",
    ] {
        fragment::remove(&mut own, &fragment::path(path));
    }
    // kubectl prints Lists and objects with and without them.
    fragment::remove(&mut own, &fragment::path("apiVersion"));
    fragment::remove(&mut own, &fragment::path("kind"));
    own
}
