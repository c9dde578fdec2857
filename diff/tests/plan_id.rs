//! What the id of a plan is made of: the effect on the cluster, and nothing else. Properties over generated plans.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_diff::mask::Masks;
use holdfast_diff::object::{GroupKind, Manifest, ObjectId, Origin};
use holdfast_diff::order::Stage;
use holdfast_diff::plan::{Change, Plan, Prediction, Seen, desired, removed};
use holdfast_diff::standing::Standing;
use proptest::prelude::*;
use serde_json::{Value, json};

const SET: &str = "applyset-x-v1";

/// One object as it is live and in git; `None` on a side where it does not exist.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    live: Option<BTreeMap<String, u8>>,
    git: Option<BTreeMap<String, u8>>,
}

/// What must not count.
#[derive(Clone, Copy, Debug, Default)]
struct Noise {
    version: u32,
    line: u32,
    default: Option<u8>,
}

fn values() -> impl Strategy<Value = BTreeMap<String, u8>> {
    prop::collection::btree_map("[a-e]", 0_u8..4, 0..4)
}

fn cases() -> impl Strategy<Value = Vec<Case>> {
    let one = (prop::option::of(values()), prop::option::of(values()));
    prop::collection::vec(one, 1..7).prop_map(|all| {
        let named = all.into_iter().enumerate();
        named.map(|(at, (live, git))| Case { name: format!("m{at}"), live, git }).collect()
    })
}

fn noise() -> impl Strategy<Value = Noise> {
    (any::<u32>(), any::<u32>(), prop::option::of(any::<u8>())).prop_map(|(version, line, default)| Noise {
        version,
        line,
        default,
    })
}

/// An object as the API server has it: with a version, and with a field that it fills in by itself.
fn stored(case: &Case, data: &BTreeMap<String, u8>, noise: Noise) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": case.name, "namespace": "shop", "uid": format!("uid-{}", case.name),
            "resourceVersion": noise.version.to_string(), "generation": noise.version,
            "labels": {"applyset.kubernetes.io/part-of": SET}},
        "data": data});
    if let Some(default) = noise.default {
        object["defaulted"] = json!(default);
    }
    object
}

fn change(case: &Case, noise: Noise) -> Option<Change> {
    let kind = Arc::new(GroupKind::new("", "ConfigMap"));
    let object = ObjectId::new(kind.clone(), "shop", &case.name);
    let Some(git) = &case.git else {
        case.live.as_ref()?;
        return Some(removed(object, "v1".to_owned(), format!("uid-{}", case.name), Stage::default(), None));
    };
    let manifest = Arc::new(Manifest {
        api_version: "v1".to_owned(),
        kind,
        namespace: "shop".to_owned(),
        name: case.name.clone(),
        origin: Origin { file: "a.yaml".into(), line: noise.line },
        value: json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": case.name, "namespace": "shop"}, "data": git}),
    });
    let seen = match &case.live {
        None => Seen::Absent,
        Some(live) => Seen::Exists {
            live: stored(case, live, noise),
            prediction: Prediction::Becomes(stored(case, git, noise)),
            settled: Box::default(),
            standing: Standing::Ours,
        },
    };
    desired(&manifest, &object, SET, &Masks::default(), seen)
}

fn plan(cases: &[Case], noise: Noise) -> Plan {
    Plan::new("cluster", cases.iter().filter_map(|case| change(case, noise)).collect())
}

proptest! {
    #[test]
    fn order_versions_places_and_defaults_do_not_count(
        (cases, shuffled) in cases().prop_flat_map(|cases| (Just(cases.clone()), Just(cases).prop_shuffle())),
        (one, other) in (noise(), noise()),
    ) {
        prop_assert_eq!(plan(&cases, one).id, plan(&shuffled, other).id);
    }

    #[test]
    fn every_other_effect_is_another_plan(cases in cases(), at in any::<prop::sample::Index>(), git in prop::option::of(values())) {
        let mut changed = cases.clone();
        let at = at.index(cases.len());
        changed[at].git = git;
        let (before, after) = (plan(&cases, Noise::default()), plan(&changed, Noise::default()));
        // The same effect is only had by the same change of the same object.
        let same = change(&cases[at], Noise::default()).map(|change| (change.operation, change.fields, change.manifest.map(|manifest| manifest.value.clone())))
            == change(&changed[at], Noise::default()).map(|change| (change.operation, change.fields, change.manifest.map(|manifest| manifest.value.clone())));
        prop_assert_eq!(before.id == after.id, same, "{:?} and {:?}", cases[at], changed[at]);
    }

    #[test]
    fn another_cluster_and_another_object_of_the_name_are_another_plan(cases in cases()) {
        let here = plan(&cases, Noise::default());
        prop_assume!(!here.is_empty());
        let there = Plan::new("another", here.changes.clone());
        prop_assert_ne!(&here.id, &there.id);
        let doomed = cases.iter().find(|case| case.git.is_none() && case.live.is_some());
        if let Some(case) = doomed {
            let object = ObjectId::new(Arc::new(GroupKind::new("", "ConfigMap")), "shop", &case.name);
            let anew = removed(object.clone(), "v1".to_owned(), "another-uid".to_owned(), Stage::default(), None);
            let others = here.changes.iter().filter(|change| change.object != object).cloned();
            prop_assert_ne!(&Plan::new("cluster", others.chain([anew]).collect()).id, &here.id);
        }
    }
}
