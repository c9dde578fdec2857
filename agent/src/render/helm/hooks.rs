//! Translates Helm's annotations: hooks become waves before and after the other objects, test hooks are left out, and objects that
//! Helm would keep are not pruned.
//!
//! Nothing is remembered between two runs: a hook is an object like any other, and a Job runs again when it changes. Helm's
//! annotations stay on the objects. Leaves deleting hooks to the pipeline. Pure.

use std::collections::{HashMap, HashSet};

use holdfast_diff::object::{Manifest, ObjectId};
use holdfast_diff::order;
use serde_json::{Map, Value};

use crate::api::names;

const HOOK: &str = "helm.sh/hook";
const WEIGHT: &str = "helm.sh/hook-weight";
const DELETE_POLICY: &str = "helm.sh/hook-delete-policy";
const WAVE: &str = "holdfast.dev/wave";

/// If a release is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing of it is: hooks for upgrades alone are left out, since what they work on does not exist.
    Install,
    /// Hooks for installs alone stay as they are: they are part of what was applied.
    Upgrade,
}

/// On which side of everything else a hook stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Before,
    After,
}

/// When Helm would delete a hook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeletePolicy {
    /// Before the next one of its name is made: `holdfast.dev/recreate` does that for a Job or a Pod that changes.
    pub before_creation: bool,
    /// `holdfast.dev/completed` does that for a Job.
    pub succeeded: bool,
    /// Not followed: what failed stays for people to read, until it changes.
    pub failed: bool,
}

/// An object that is a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub object: ObjectId,
    pub side: Side,
    pub delete: DeletePolicy,
}

/// Objects in the words of Holdfast.
#[derive(Debug, Default, PartialEq)]
pub struct Placed {
    pub manifests: Vec<Manifest>,
    pub hooks: Vec<Hook>,
    /// What is never applied, and the hooks that it is for: `test`, `pre-delete`, …
    pub left_out: Vec<(ObjectId, String)>,
}

/// Reads Helm's annotations, and writes those of Holdfast. The objects stay in their order. An object without a namespace
/// is in `namespace`.
///
/// An object that is a hook and a template at once is there once: as the template has it, which Helm applies last, and in the
/// place of the hook, since other hooks can need it. Of several hooks that are one object the first to run counts.
pub fn place(manifests: Vec<Manifest>, phase: Phase, namespace: &str) -> Placed {
    let (templates, hooks, left_out) = part(manifests, phase);
    let key = |manifest: &Manifest| key(manifest, namespace);
    let mut early: HashMap<ObjectId, i32> = HashMap::new();
    let mut first: HashMap<ObjectId, usize> = HashMap::new();
    let are_templates: HashSet<ObjectId> = templates.iter().map(|(_, manifest)| key(manifest)).collect();
    for (number, hook) in hooks.iter().enumerate() {
        let id = key(&hook.manifest);
        if are_templates.contains(&id) {
            if hook.side == Side::Before {
                let weight = weight(&hook.manifest);
                early.entry(id).and_modify(|known| *known = weight.min(*known)).or_insert(weight);
            }
            continue;
        }
        let known = first.entry(id).or_insert(number);
        if hooks.get(*known).is_some_and(|known| hook.standing() < known.standing()) {
            *known = number;
        }
    }
    let mut all: Vec<(usize, Standing, Manifest)> = Vec::new();
    let mut placed = Vec::new();
    for (at, manifest) in templates {
        let standing = match early.get(&key(&manifest)) {
            Some(weight) => Standing::Hook(Side::Before, *weight),
            None => Standing::Ordinary,
        };
        all.push((at, standing, manifest));
    }
    for (number, Candidate { at, side, is_of_phase: _, mut manifest }) in hooks.into_iter().enumerate() {
        if first.get(&key(&manifest)) != Some(&number) {
            continue;
        }
        let delete = delete_policy(&manifest);
        placed.push(Hook { object: manifest.id(), side, delete });
        if runs(&manifest) {
            annotate(&mut manifest, names::RECREATE, names::ALLOWED);
        }
        if delete.succeeded && manifest.kind.is("batch", "Job") {
            annotate(&mut manifest, names::COMPLETED, names::DELETE);
        }
        all.push((at, Standing::Hook(side, weight(&manifest)), manifest));
    }
    all.sort_by_key(|(at, ..)| *at);
    let (standings, mut manifests): (Vec<_>, Vec<_>) =
        all.into_iter().map(|(_, standing, manifest)| (standing, manifest)).unzip();
    set_waves(&mut manifests, &standings);
    Placed { manifests, hooks: placed, left_out }
}

/// A hook, and where it stands in the output of the chart.
struct Candidate {
    at: usize,
    side: Side,
    /// False for a hook of installs alone when something is installed.
    is_of_phase: bool,
    manifest: Manifest,
}

impl Candidate {
    /// Of two hooks that are one object, the one with the lower value counts.
    fn standing(&self) -> (bool, Side, i32) {
        (!self.is_of_phase, self.side, weight(&self.manifest))
    }
}

/// Where an object is applied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Ordinary,
    /// With its weight.
    Hook(Side, i32),
}

type Numbered = Vec<(usize, Manifest)>;
type LeftOut = Vec<(ObjectId, String)>;

/// Parts templates, hooks, and hooks that are never applied.
fn part(manifests: Vec<Manifest>, phase: Phase) -> (Numbered, Vec<Candidate>, LeftOut) {
    let (mut templates, mut hooks, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for (at, manifest) in manifests.into_iter().enumerate() {
        let events = manifest.annotation(HOOK).map(words).unwrap_or_default();
        if events.is_empty() || has(&events, "crd-install") || is_of_crds(&manifest.origin.file) {
            templates.push((at, manifest));
        } else if let Some(side) = side(&events, phase) {
            let is_of_phase =
                phase == Phase::Install || has(&events, "pre-upgrade") || has(&events, "post-upgrade");
            hooks.push(Candidate { at, side, is_of_phase, manifest });
        } else {
            left_out.push((manifest.id(), events.join(", ")));
        }
    }
    (templates, hooks, left_out)
}

/// True for a file in the folder `crds` of a chart, or of a chart in it: Helm applies those whatever their annotations say.
fn is_of_crds(file: &str) -> bool {
    let mut names = file.split('/').skip(1);
    let mut next = names.next();
    while next == Some("charts") {
        next = names.nth(1);
    }
    next == Some("crds")
}

/// The identity of an object, with the namespace that it has if it sets none.
fn key(manifest: &Manifest, namespace: &str) -> ObjectId {
    let id = manifest.id();
    if id.namespace.is_empty() { ObjectId { namespace: namespace.into(), ..id } } else { id }
}

fn has(events: &[String], wanted: &str) -> bool {
    events.iter().any(|event| event == wanted)
}

/// On which side a hook stands; `None` if it is not applied.
fn side(events: &[String], phase: Phase) -> Option<Side> {
    let upgrades = phase == Phase::Upgrade;
    if has(events, "pre-install") || (upgrades && has(events, "pre-upgrade")) {
        Some(Side::Before)
    } else if has(events, "post-install") || (upgrades && has(events, "post-upgrade")) {
        Some(Side::After)
    } else {
        None
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(',').map(|word| word.trim().to_lowercase()).filter(|word| !word.is_empty()).collect()
}

/// Helm's own default is `before-hook-creation`.
fn delete_policy(manifest: &Manifest) -> DeletePolicy {
    let words = manifest.annotation(DELETE_POLICY).map(words).unwrap_or_default();
    let has = |word: &str| words.iter().any(|one| one == word);
    DeletePolicy {
        before_creation: words.is_empty() || has("before-hook-creation"),
        succeeded: has("hook-succeeded"),
        failed: has("hook-failed"),
    }
}

/// True for what does its work once and cannot be changed.
fn runs(manifest: &Manifest) -> bool {
    manifest.kind.is("batch", "Job") || manifest.kind.is("", "Pod")
}

/// Writes an annotation, unless the object says something of its own.
fn annotate(manifest: &mut Manifest, name: &str, value: &str) {
    if manifest.annotation(name).is_some() {
        return;
    }
    let Value::Object(object) = &mut manifest.value else { return };
    let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(metadata) = metadata else { return };
    let annotations = metadata.entry("annotations").or_insert(Value::Null);
    if annotations.is_null() {
        *annotations = Value::Object(Map::new());
    }
    if let Value::Object(annotations) = annotations {
        annotations.insert(name.to_owned(), Value::String(value.to_owned()));
    }
}

/// Gives the hooks the waves before and after those of all other objects. Namespaces and definitions go with the first
/// hooks, which may need them.
fn set_waves(manifests: &mut [Manifest], standings: &[Standing]) {
    if standings.iter().all(|standing| *standing == Standing::Ordinary) {
        return;
    }
    let all = || manifests.iter().zip(standings).enumerate();
    let others = all().filter(|(_, (_, standing))| **standing == Standing::Ordinary);
    let waves = others.clone().map(|(_, (manifest, _))| order::wave(|name| manifest.annotation(name)));
    let (lowest, highest) = waves.fold((0, 0), |(low, high), wave| (low.min(wave), high.max(wave)));
    let of = |wanted: Side| {
        groups(
            all()
                .filter_map(|(at, (manifest, standing))| match standing {
                    Standing::Hook(side, weight) if *side == wanted => Some((at, *weight, manifest)),
                    _ => None,
                })
                .collect(),
        )
    };
    let (before, after) = (of(Side::Before), of(Side::After));
    let first = lowest.saturating_sub(count(&before));
    let grounds = others.filter(|(_, (manifest, _))| !before.is_empty() && is_ground(manifest));
    let early: Vec<usize> = grounds.map(|(at, _)| at).collect();
    let numbered = |from: i32, groups: Vec<Vec<usize>>| (from..).zip(groups).collect::<Vec<_>>();
    let all =
        [numbered(first, before), vec![(first, early)], numbered(highest.saturating_add(1), after)].concat();
    for (wave, places) in all {
        for at in places {
            if let Some(manifest) = manifests.get_mut(at) {
                annotate(manifest, WAVE, &wave.to_string());
            }
        }
    }
}

fn count(groups: &[Vec<usize>]) -> i32 {
    i32::try_from(groups.len()).unwrap_or(i32::MAX)
}

/// True for what others stand on.
fn is_ground(manifest: &Manifest) -> bool {
    manifest.kind.is("", "Namespace") || manifest.kind.is("apiextensions.k8s.io", "CustomResourceDefinition")
}

/// Hooks that go together, in the order of their weights. Inside of a weight kinds order themselves, and what runs goes
/// one after the other, by name, as Helm runs it.
fn groups(hooks: Vec<(usize, i32, &Manifest)>) -> Vec<Vec<usize>> {
    let mut sorted = hooks;
    sorted.sort_by_key(|(_, weight, manifest)| (*weight, order::rank(&manifest.kind), manifest.name.clone()));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut last: Option<(i32, bool)> = None;
    for (at, weight, manifest) in sorted {
        let runs = runs(manifest);
        let joins = last.is_some_and(|(last, ran)| last == weight && !ran);
        match groups.last_mut().filter(|_| joins) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
        last = Some((weight, runs));
    }
    groups
}

/// 0 where none is named, or no number.
fn weight(manifest: &Manifest) -> i32 {
    manifest.annotation(WEIGHT).and_then(|weight| weight.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
