//! What Helm's annotations say, in the words of Holdfast: hooks become waves around everything else, test hooks are left
//! out, and what Helm would keep is not pruned.
//!
//! Nothing is remembered from one sync to the next: a hook is an object like any other, and a Job runs again when it
//! changes. Helm's own annotations stay on the objects, for people to see. Leaves deleting hooks to the pipeline. Pure.

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

/// Reads Helm's annotations, and writes those of Holdfast. The objects stay in their order.
pub fn place(manifests: Vec<Manifest>, phase: Phase) -> Placed {
    let mut placed = Placed::default();
    for mut manifest in manifests {
        let events = manifest.annotation(HOOK).map(words).unwrap_or_default();
        match side(&events, phase) {
            Standing::Ordinary => {}
            Standing::LeftOut => {
                placed.left_out.push((manifest.id(), events.join(", ")));
                continue;
            }
            Standing::Hook(side) => {
                let delete = delete_policy(&manifest);
                placed.hooks.push(Hook { object: manifest.id(), side, delete });
                if runs(&manifest) {
                    annotate(&mut manifest, names::RECREATE, names::ALLOWED);
                }
                if delete.succeeded && manifest.kind.is("batch", "Job") {
                    annotate(&mut manifest, names::COMPLETED, names::DELETE);
                }
            }
        }
        placed.manifests.push(manifest);
    }
    set_waves(&mut placed);
    placed
}

enum Standing {
    Ordinary,
    LeftOut,
    Hook(Side),
}

fn side(events: &[String], phase: Phase) -> Standing {
    let has = |wanted: &[&str]| events.iter().any(|event| wanted.contains(&event.as_str()));
    let upgrades = phase == Phase::Upgrade;
    if events.is_empty() || has(&["crd-install"]) {
        Standing::Ordinary
    } else if has(&["pre-install"]) || (upgrades && has(&["pre-upgrade"])) {
        Standing::Hook(Side::Before)
    } else if has(&["post-install"]) || (upgrades && has(&["post-upgrade"])) {
        Standing::Hook(Side::After)
    } else {
        Standing::LeftOut
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
fn set_waves(placed: &mut Placed) {
    let sides: Vec<(ObjectId, Side)> =
        placed.hooks.iter().map(|hook| (hook.object.clone(), hook.side)).collect();
    if sides.is_empty() {
        return;
    }
    let side_of = |manifest: &Manifest| {
        let id = manifest.id();
        sides.iter().find(|(object, _)| *object == id).map(|(_, side)| *side)
    };
    let others = placed.manifests.iter().filter(|manifest| side_of(manifest).is_none());
    let waves = others.map(|manifest| order::wave(|name| manifest.annotation(name)));
    let (lowest, highest) = waves.fold((0, 0), |(low, high), wave| (low.min(wave), high.max(wave)));
    let of = |side: Side| {
        let places =
            placed.manifests.iter().enumerate().filter(|(_, manifest)| side_of(manifest) == Some(side));
        groups(places.collect())
    };
    let (before, after) = (of(Side::Before), of(Side::After));
    let first = lowest.saturating_sub(count(&before));
    let early: Vec<usize> = placed
        .manifests
        .iter()
        .enumerate()
        .filter(|(_, manifest)| !before.is_empty() && side_of(manifest).is_none() && is_ground(manifest))
        .map(|(at, _)| at)
        .collect();
    let numbered = |from: i32, groups: Vec<Vec<usize>>| (from..).zip(groups).collect::<Vec<_>>();
    let all =
        [numbered(first, before), vec![(first, early)], numbered(highest.saturating_add(1), after)].concat();
    for (wave, places) in all {
        for at in places {
            if let Some(manifest) = placed.manifests.get_mut(at) {
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
fn groups(hooks: Vec<(usize, &Manifest)>) -> Vec<Vec<usize>> {
    let key = |manifest: &Manifest| (weight(manifest), order::rank(&manifest.kind), manifest.name.clone());
    let mut sorted = hooks;
    sorted.sort_by_key(|(_, manifest)| key(manifest));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut last: Option<(i32, bool)> = None;
    for (at, manifest) in sorted {
        let (weight, runs) = (weight(manifest), runs(manifest));
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
mod tests {
    use holdfast_diff::order::Stage;
    use holdfast_diff::yaml;

    use super::*;

    /// An object with these annotations, each `name: value`.
    fn object(kind: &str, name: &str, annotations: &[&str]) -> Manifest {
        let version = match kind {
            "Job" => "batch/v1",
            "CustomResourceDefinition" => "apiextensions.k8s.io/v1",
            _ => "v1",
        };
        let annotations = annotations.join(", ");
        let text = format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n  annotations: {{{annotations}}}\n"
        );
        let (mut manifests, errors) = yaml::manifests("a.yaml", text.as_bytes());
        assert!(errors.is_empty(), "{errors:?}");
        manifests.pop().unwrap()
    }

    fn hook(kind: &str, name: &str, events: &str, weight: i32) -> Manifest {
        object(kind, name, &[&format!("'{HOOK}': '{events}'"), &format!("'{WEIGHT}': '{weight}'")])
    }

    /// The names of what is applied, in the order of stages.
    fn order(placed: &Placed) -> Vec<(i32, &str)> {
        let mut all: Vec<_> =
            placed.manifests.iter().map(|manifest| (Stage::of(manifest), manifest.name.as_str())).collect();
        all.sort();
        all.into_iter().map(|(stage, name)| (stage.wave, name)).collect()
    }

    #[test]
    fn hooks_are_waves_around_everything_else() {
        let placed = place(
            vec![
                object("ConfigMap", "settings", &[]),
                object("ConfigMap", "late", &["argocd.argoproj.io/sync-wave: '3'"]),
                object("ConfigMap", "early", &["holdfast.dev/wave: '-2'"]),
                object("CustomResourceDefinition", "queues", &[]),
                hook("Job", "migrate", "pre-install, pre-upgrade", 5),
                hook("ServiceAccount", "migrator", "pre-install,pre-upgrade", -5),
                hook("Job", "notify", "post-install", 0),
                hook("Job", "check", "post-upgrade", -1),
            ],
            Phase::Upgrade,
        );
        let expected = [
            (-4, "queues"),
            (-4, "migrator"),
            (-3, "migrate"),
            (-2, "early"),
            (0, "settings"),
            (3, "late"),
            (4, "check"),
            (5, "notify"),
        ];
        assert_eq!(order(&placed), expected);
        assert_eq!(placed.left_out, []);
    }

    #[test]
    fn jobs_of_one_weight_run_one_after_the_other_by_kind_and_name() {
        let jobs = ["b", "a"].map(|name| hook("Job", name, "pre-install", 0));
        let others = [hook("ConfigMap", "d", "pre-install", 0), hook("Secret", "e", "pre-install", 0)];
        let placed = place([jobs.as_slice(), others.as_slice()].concat(), Phase::Install);
        assert_eq!(order(&placed), [(-2, "e"), (-2, "d"), (-2, "a"), (-1, "b")]);
    }

    #[test]
    fn hooks_that_never_run_here_are_left_out_and_told() {
        let all = vec![
            hook("Pod", "a", "test", 0),
            hook("Pod", "b", "test-success", 0),
            hook("Job", "c", "pre-delete,post-rollback", 0),
            hook("Job", "d", "post-install,post-delete", 0),
            hook("CustomResourceDefinition", "e", "crd-install", 0),
        ];
        let placed = place(all, Phase::Install);
        let left: Vec<_> = placed.left_out.iter().map(|(id, events)| format!("{id} {events}")).collect();
        assert_eq!(left, ["Pod a test", "Pod b test-success", "Job.batch c pre-delete, post-rollback"]);
        assert_eq!(order(&placed), [(0, "e"), (1, "d")]);
    }

    #[test]
    fn hooks_of_upgrades_wait_for_one() {
        let all = || vec![hook("Job", "a", "pre-upgrade", 0), hook("Job", "b", "pre-install", 0)];
        let names = |phase| place(all(), phase).manifests.into_iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(names(Phase::Install), ["b"]);
        assert_eq!(names(Phase::Upgrade), ["a", "b"]);
    }

    #[test]
    fn a_hook_that_runs_may_be_made_anew_and_says_when_it_goes() {
        let policy = |policy: &str| {
            let hook = object("Job", "a", &[&format!("'{HOOK}': pre-install"), policy]);
            let placed = place(vec![hook], Phase::Install);
            assert_eq!(placed.manifests[0].annotation(names::RECREATE), Some(names::ALLOWED));
            assert_eq!(placed.manifests[0].annotation(HOOK), Some("pre-install"));
            let goes = placed.manifests[0].annotation(names::COMPLETED) == Some(names::DELETE);
            assert_eq!(goes, placed.hooks[0].delete.succeeded);
            placed.hooks[0].delete
        };
        let [before_creation, succeeded, failed] = [true; 3];
        assert_eq!(policy("a: b"), DeletePolicy { before_creation, ..DeletePolicy::default() });
        let both = policy("'helm.sh/hook-delete-policy': 'hook-succeeded,hook-failed'");
        assert_eq!(both, DeletePolicy { before_creation: false, succeeded, failed });
    }

    #[test]
    fn a_wave_that_was_chosen_stays() {
        let chosen = object("Job", "a", &[&format!("'{HOOK}': pre-install"), "holdfast.dev/wave: '7'"]);
        assert_eq!(order(&place(vec![chosen], Phase::Install)), [(7, "a")]);
    }
}
