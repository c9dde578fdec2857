//! Hooks beside templates, in their order.

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
        "shop",
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
    let placed = place([jobs.as_slice(), others.as_slice()].concat(), Phase::Install, "shop");
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
    let placed = place(all, Phase::Install, "shop");
    let left: Vec<_> = placed.left_out.iter().map(|(id, events)| format!("{id} {events}")).collect();
    assert_eq!(left, ["Pod a test", "Pod b test-success", "Job.batch c pre-delete, post-rollback"]);
    assert_eq!(order(&placed), [(0, "e"), (1, "d")]);
}

#[test]
fn hooks_of_upgrades_wait_for_one() {
    let all = || vec![hook("Job", "a", "pre-upgrade", 0), hook("Job", "b", "pre-install", 0)];
    let names =
        |phase| place(all(), phase, "shop").manifests.into_iter().map(|one| one.name).collect::<Vec<_>>();
    assert_eq!(names(Phase::Install), ["b"]);
    assert_eq!(names(Phase::Upgrade), ["a", "b"]);
}

#[test]
fn a_hook_that_runs_may_be_made_anew_and_says_when_it_goes() {
    let policy = |policy: &str| {
        let hook = object("Job", "a", &[&format!("'{HOOK}': pre-install"), policy]);
        let placed = place(vec![hook], Phase::Install, "shop");
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
    assert_eq!(order(&place(vec![chosen], Phase::Install, "shop")), [(7, "a")]);
}

#[test]
fn an_object_that_is_a_hook_and_a_template_is_there_once_before_the_hooks_and_stays() {
    let named = |annotations: &[&str]| {
        let mut object = object("ServiceAccount", "runner", annotations);
        object.namespace = "shop".to_owned();
        object
    };
    let event = format!("'{HOOK}': pre-install");
    let hooked = [event.as_str(), "'helm.sh/hook-weight': '-3'", "from: hook"];
    for (first, second) in [
        (named(&hooked), object("ServiceAccount", "runner", &["from: template"])),
        (object("ServiceAccount", "runner", &["from: template"]), named(&hooked)),
    ] {
        let all =
            vec![first, hook("Job", "migrate", "pre-install", -2), object("ConfigMap", "a", &[]), second];
        let placed = place(all, Phase::Install, "shop");
        assert_eq!(order(&placed), [(-2, "runner"), (-1, "migrate"), (0, "a")]);
        let runner = placed.manifests.iter().find(|one| one.name == "runner").unwrap();
        assert_eq!(runner.annotation("from"), Some("template"));
    }
    let late = hook("ConfigMap", "a", "post-install", 0);
    let placed = place(vec![late, object("ConfigMap", "a", &[])], Phase::Install, "shop");
    assert_eq!(order(&placed), [(0, "a")]);
}

#[test]
fn several_hooks_that_are_one_object_are_there_once() {
    let all = || {
        vec![
            hook("Job", "migrate", "pre-upgrade", 4),
            hook("Job", "migrate", "pre-install", 0),
            hook("Job", "last", "post-install", 0),
        ]
    };
    let weights = |phase| {
        let placed = place(all(), phase, "shop");
        placed.manifests.iter().map(|one| one.annotation(WEIGHT).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(weights(Phase::Install), ["0", "0"]);
    assert_eq!(weights(Phase::Upgrade), ["4", "0"]);
}

#[test]
fn a_definition_of_the_folder_crds_is_no_hook() {
    for (file, expected) in [
        ("web/crds/a.yaml", true),
        ("web/charts/db/crds/sub/a.yaml", true),
        ("web/charts/a/charts/b/crds/a.yaml", true),
        ("web/templates/crds/a.yaml", false),
        ("web/charts/crds/templates/a.yaml", false),
        ("crds/templates/a.yaml", false),
    ] {
        assert_eq!(is_of_crds(file), expected, "{file}");
        for events in ["test", "pre-install", "post-delete"] {
            let mut definition = hook("CustomResourceDefinition", "queues", events, 0);
            definition.origin.file = file.into();
            let placed = place(vec![definition], Phase::Install, "shop");
            let applied = expected || events == "pre-install";
            assert_eq!(placed.manifests.len(), usize::from(applied), "{file} {events}");
            assert!(!expected || placed.hooks.is_empty(), "{file} {events}");
        }
    }
}
