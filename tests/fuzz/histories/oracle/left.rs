//! Checks that what left Git has left the cluster, unless a rule keeps it, another client wrote it later, or the status reports
//! it. Pure.

use serde_json::Value;

use super::present::{SETS, show};
use super::{Case, Violation, is_replicas, violation};
use crate::histories::fragment::{self, Path};
use crate::histories::kinds;
use crate::histories::world::{By, Commit, Effect, Id, Wrote};

impl Case<'_> {
    /// Every path that an earlier commit had, and the newest one has not, is gone or has its default.
    pub(super) fn left(&self, id: &Id) -> Vec<Violation> {
        let world = self.world;
        let Some(state) = world.head().and_then(|head| head.state(id)) else { return Vec::new() };
        if !matches!(self.seen.canon.get(id), Some(Ok(_))) || self.fights(id) || self.is_held(id) {
            return Vec::new();
        }
        let said = world.said(state);
        let is_said = |path: &Path| {
            said.iter().any(|(said, value)| {
                fragment::related(said, path) && (fragment::says_all(value, said) || said.len() >= path.len())
            })
        };
        // The commits since it came to git for the last time, and the one behind each of them.
        let life: Vec<&Commit> =
            world.commits.iter().rev().take_while(|commit| commit.state(id).is_some()).collect();
        let mut found: Vec<Violation> = Vec::new();
        for (later, earlier) in life.iter().zip(life.iter().skip(1)) {
            let Some(earlier) = earlier.state(id) else { continue };
            for (path, said) in world.said(earlier) {
                if is_said(&path) || is_replicas(&path) {
                    continue;
                }
                let Some(have) = self.live_at(id, &path) else { continue };
                if self.canon_at(id, &path) == Some(have) || self.written(id, &path, later.since) {
                    continue;
                }
                if self.drifts(id, &path) || self.is_stuck(id, &path) || is_of_others(&path, &said, have) {
                    continue;
                }
                if *have != said && self.is_default_of_others(id, &path, later.since) {
                    continue;
                }
                let text = format!("git does not say it any more, it is {}", show(Some(have)));
                let violation = violation("left", id, &path, text);
                if !found.contains(&violation) {
                    found.push(violation);
                }
            }
        }
        found
    }

    /// True if a path cannot be removed, and others may own it too: then its value stays. The API server itself keeps the type
    /// of a Secret.
    fn is_stuck(&self, id: &Id, path: &Path) -> bool {
        if self.world.kind(id.slot).name == "secret" && fragment::show(path) == "/type" {
            return true;
        }
        let aspects = &self.world.kind(id.slot).aspects;
        let mut fixed = aspects.iter().filter(|aspect| aspect.fixed).flat_map(|aspect| &aspect.roots);
        fixed.any(|root| path.starts_with(root)) && self.world.writes.iter().any(|wrote| wrote.id == *id)
    }

    /// True if a client other than the agent wrote this path since then.
    fn written(&self, id: &Id, path: &Path, since: usize) -> bool {
        self.world.writes.iter().any(|wrote| wrote.id == *id && wrote.at > since && self.writes(wrote, path))
    }

    fn writes(&self, wrote: &Wrote, path: &Path) -> bool {
        let kind = self.world.kind(wrote.id.slot);
        let part = match &wrote.effect {
            Effect::Part(choice) => kind.part(choice.aspect, choice.variant),
            Effect::Whole(choice) => kind.object(&wrote.id.name, choice),
            Effect::Replicas(_) | Effect::Autoscaler(_) | Effect::Delete | Effect::Strip => return false,
        };
        let part = crate::histories::world::stored(part);
        fragment::leaves(&part).iter().any(|(leaf, _)| fragment::related(leaf, path))
    }

    /// True if the API server has set this path because another client wrote the part around it since then.
    fn is_default_of_others(&self, id: &Id, path: &Path, since: usize) -> bool {
        let roots = self.world.kind(id.slot).aspects.iter().flat_map(|aspect| &aspect.roots);
        let around: Vec<&Path> =
            roots.filter(|root| path.starts_with(root) && path.len() > root.len()).collect();
        self.world.writes.iter().filter(|wrote| wrote.id == *id && wrote.at > since).any(|wrote| {
            fragment::get(&wrote.stored, path) == self.live_at(id, path)
                && around.iter().any(|root| self.writes(wrote, root))
        })
    }

    /// An object that left git is gone.
    pub(super) fn gone(&self, id: &Id) -> Option<Violation> {
        let world = self.world;
        let last = world.commits.iter().rposition(|commit| commit.state(id).is_some())?;
        let left = world.commits.get(last + 1)?;
        let state = world.commits[last].state(id)?;
        let by_others = world.writes.iter().any(|wrote| {
            wrote.id == *id && wrote.at > left.since && matches!(wrote.effect, Effect::Whole(_))
        });
        let live = self.seen.live.get(id);
        // An apply of a few fields makes the object anew if it was deleted a moment before.
        let is_made_anew = live.is_some_and(|live| {
            !is_marked(live)
                && world.writes.iter().any(|wrote| {
                    wrote.id == *id
                        && wrote.at > left.since
                        && wrote.by == By::Operator
                        && wrote.stored["metadata"]["uid"] == live["metadata"]["uid"]
                })
        });
        let keep = world.kind(id.slot).aspect("keep").and_then(|at| state.choice.get(at));
        if keep.is_some_and(|variant| *variant != 0) {
            let deleted = world
                .writes
                .iter()
                .any(|wrote| wrote.id == *id && wrote.effect == Effect::Delete && wrote.at > left.since);
            // What was refused all the time never came to be.
            let was_there = self.before.uids.contains_key(id);
            return (live.is_none() && !deleted && was_there).then(|| {
                violation("not kept", id, &[], "a mark in git keeps it, and it is gone".to_owned())
            });
        }
        let live = live.filter(|live| live["metadata"]["deletionTimestamp"].is_null() && !is_kept(live))?;
        // What never became a member is not ours to delete.
        let is_foreign = (self.may_be_unmarked() || self.may_be_unseen(id)) && !is_marked(live);
        // While a write waits for an approval, nothing is deleted.
        let waits = self.may_wait() && (0..self.seen.syncs.len()).any(|sync| self.awaits(sync));
        (!by_others
            && !is_made_anew
            && !is_foreign
            && !waits
            && !self.told(id, &[])
            && !self.is_needed(id, last))
        .then(|| {
            let text = format!("git does not have it any more: {}", live["metadata"]["uid"]);
            violation("not gone", id, &[], text)
        })
    }

    /// True if an object that left git behind a commit was kept by a rule: it holds others, and git had one of these.
    fn is_needed(&self, id: &Id, last: usize) -> bool {
        let kind = self.world.kind(id.slot);
        let mut states = self.world.commits[last + 1..].iter().flat_map(|commit| &commit.states);
        states.any(|state| kinds::holds(kind, self.world.kind(state.id.slot)))
    }

    /// True if the agent may have seen no commit that has this object: each was followed at once by the next one.
    fn may_be_unseen(&self, id: &Id) -> bool {
        let commits = &self.world.commits;
        let mut with = commits.iter().enumerate().filter(|(_, commit)| commit.state(id).is_some());
        with.all(|(at, commit)| commits.get(at + 1).is_some_and(|next| next.since < commit.at))
    }

    /// True if what git has may exist without being taken over: drift is only reported, or something waits for an approval.
    fn may_be_unmarked(&self) -> bool {
        self.world.mode.report || self.world.mode.gated
    }

    /// An object of a Sync that was deleted is gone, or kept by a mark.
    pub(super) fn pruned(&self, id: &Id) -> Option<Violation> {
        let state = self.world.head()?.state(id)?;
        let live = self.seen.live.get(id).filter(|live| live["metadata"]["deletionTimestamp"].is_null());
        let keep = self.world.kind(id.slot).aspect("keep").and_then(|at| state.choice.get(at));
        let keep = keep.is_some_and(|variant| *variant != 0);
        match live {
            // It never became a member, or its marks were removed.
            Some(live) if self.may_be_unmarked() && !is_marked(live) => None,
            Some(live) if is_kept(live) => None,
            Some(live) if !keep => {
                let text = format!("its Sync is deleted, and it is there: {}", live["metadata"]["uid"]);
                Some(violation("not pruned", id, &[], text))
            }
            None if keep && self.before.uids.contains_key(id) => {
                let text = "its Sync is deleted, a mark keeps it, and it is gone".to_owned();
                Some(violation("not kept", id, &[], text))
            }
            _ => None,
        }
    }
}

/// True if what is left of a set is what others added to it.
fn is_of_others(path: &Path, said: &Value, have: &Value) -> bool {
    let (Some(said), Some(have)) = (said.as_array(), have.as_array()) else { return false };
    SETS.contains(&&*fragment::show(path)) && !said.iter().any(|item| have.contains(item))
}

/// True if a live object has a mark that keeps it, from Git or from another client.
fn is_kept(live: &Value) -> bool {
    let annotations = &live["metadata"]["annotations"];
    annotations["holdfast.dev/prune"] == "Disabled" || annotations["helm.sh/resource-policy"] == "keep"
}

/// True for a member: without the label the agent does not see an object.
pub(super) fn is_marked(live: &Value) -> bool {
    let metadata = &live["metadata"];
    !metadata["annotations"]["holdfast.dev/mark"].is_null()
        && !metadata["labels"]["applyset.kubernetes.io/part-of"].is_null()
}
