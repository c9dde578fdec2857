//! Reading kustomizations: what is said of mistakes, and what becomes of old fields. Pure.

use super::{FileType, read};

/// What reading says: the error, or the warnings.
fn said(text: &str) -> String {
    match read("kustomization.yaml", text.as_bytes()) {
        Ok(reading) => reading.warnings.join("\n"),
        Err(error) => error.to_string(),
    }
}

fn check(text: &str, expected: &str) {
    assert_eq!(said(text), expected, "{text}");
}

#[test]
fn a_mistake_has_its_line_and_its_field() {
    check(
        "namePrefix: a\nresorces: [a]\n",
        "kustomization.yaml:2: unknown field `resorces`: did you mean `resources`?",
    );
    check("a: b\n", "kustomization.yaml:1: unknown field `a`: remove it");
    check(
        "resources:\n- a.yaml\npatches:\n- path: a\n  target:\n    kid: x\n",
        "kustomization.yaml:6: unknown field `patches[0].target.kid`: did you mean `kind`?",
    );
    check(
        "resources: a.yaml\n",
        "kustomization.yaml:1: `resources` is a string, but must be a list of strings",
    );
    check(
        "resources:\n- a\n- b: c\n",
        "kustomization.yaml:3: `resources[1]` is a mapping, but must be a string",
    );
    check(
        "namePrefix: 12\n",
        "kustomization.yaml:1: `namePrefix` is the number 12, but must be a string: quote it",
    );
    check(
        "commonLabels:\n  a: x\n  b: true\n",
        "kustomization.yaml:3: `commonLabels.b` is the boolean true, but must be a string: quote it",
    );
    check(
        "replicas:\n- name: a\n  count: 1.5\n",
        "kustomization.yaml:3: `replicas[0].count` is the number 1.5, but must be a whole number",
    );
    check(
        "labels:\n- pairs: {a: b}\n  includeSelectors: \"yes\"\n",
        "kustomization.yaml:3: `labels[0].includeSelectors` is a string, but must be true or false",
    );
    check("- a\n", "kustomization.yaml:1: `the document` is a list, but must be a mapping");
    check("a: [b\n", "kustomization.yaml:1: a `[` is never closed: add `]`");
    check(
        "patches: [a]\nname: b\n",
        "kustomization.yaml:1: unknown field `name`: remove it; `patches[0]` is a string, but must be a mapping",
    );
}

#[test]
fn kind_and_version_must_go_together() {
    check(
        "kind: Kustomisation\n",
        "kustomization.yaml:1: kind is `Kustomisation`, but must be Kustomization or Component",
    );
    check(
        "kind: Component\napiVersion: kustomize.config.k8s.io/v1beta1\n",
        "kustomization.yaml:2: apiVersion is `kustomize.config.k8s.io/v1beta1`, but that of a Component must be \
         kustomize.config.k8s.io/v1alpha1",
    );
}

#[test]
fn what_holds_nothing_is_an_error() {
    let empty = "kustomization.yaml: the kustomization is empty: give it resources, or remove the file";
    for text in [
        "",
        "# nothing\n",
        "{}",
        "---\n",
        "resources:\n",
        "namePrefix: \"\"\n",
        "bases: []\n",
        "kind: Component\n",
    ] {
        check(text, empty);
    }
    for text in ["resources: []\n", "namespace: a\n", "metadata: {}\n", "commonLabels: {}\nimages: []\n"] {
        assert!(!said(text).contains("empty"), "{text}");
    }
}

#[test]
fn deprecated_fields_move_to_their_successors_with_their_lines() -> Result<(), super::KustomizeError> {
    let text =
        "bases:\n- b\nresources:\n- a\nimageTags:\n- name: i\nconfigMapGenerator:\n- env: e\n  envs: [d]\n";
    let reading = read("kustomization.yaml", text.as_bytes())?;
    let read = &reading.kustomization;
    assert_eq!(read.resources, ["a", "b"]);
    assert_eq!((read.line_of("resources", 0), read.line_of("resources", 1)), (4, 2));
    assert_eq!(read.images.len(), 1);
    assert_eq!(read.config_map_generator[0].envs, ["d", "e"]);
    assert_eq!(read.file_type, FileType::Kustomization);
    assert_eq!(
        reading.warnings,
        [
            "kustomization.yaml: `bases` is deprecated: use `resources` instead",
            "kustomization.yaml: `imageTags` is deprecated: use `images` instead",
        ]
    );
    Ok(())
}

#[test]
fn names_of_fields_are_known_in_any_case_and_the_last_of_two_counts() -> Result<(), super::KustomizeError> {
    let reading =
        read("k", b"NamePrefix: a\nnamespace: b\nnamespace: c\nRESOURCES: [x]\n---\nanything: else\n")?;
    assert_eq!(reading.kustomization.name_prefix, "a");
    assert_eq!(reading.kustomization.namespace, "c");
    assert_eq!(reading.kustomization.resources, ["x"]);
    Ok(())
}

#[test]
fn an_old_chart_has_the_new_fields() -> Result<(), super::KustomizeError> {
    let text =
        "helmChartInflationGenerator:\n- chartName: a\n  chartVersion: v\n  values: f\n  chartHome: h\n";
    let read = read("k", text.as_bytes())?.kustomization;
    assert_eq!(read.helm_globals.chart_home, "h");
    let chart = &read.helm_charts[0];
    assert_eq!((chart.name.as_str(), chart.version.as_str(), chart.values_file.as_str()), ("a", "v", "f"));
    Ok(())
}
