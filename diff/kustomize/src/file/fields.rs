//! The fields of a kustomization and of everything in it, by the types of kustomize 5.8.
//!
//! Pure data.

use crate::shape::Fields;
use crate::shape::Shape::{self, AnyMap, Bool, Int, Joined, List, Struct, Text, TextMap};

const TEXTS: Shape = List(&Text);

/// A kustomization or a component.
pub const KUSTOMIZATION: Shape = Struct(&[
    ("kind", Text),
    ("apiVersion", Text),
    ("metadata", METADATA),
    ("openapi", TextMap),
    ("namePrefix", Text),
    ("nameSuffix", Text),
    ("namespace", Text),
    ("commonLabels", TextMap),
    ("labels", List(&LABEL)),
    ("commonAnnotations", TextMap),
    ("patchesStrategicMerge", TEXTS),
    ("patchesJson6902", List(&PATCH)),
    ("patches", List(&PATCH)),
    ("images", List(&IMAGE)),
    ("imageTags", List(&IMAGE)),
    ("replacements", List(&REPLACEMENT)),
    ("replicas", List(&REPLICA)),
    ("vars", List(&VAR)),
    ("sortOptions", SORT_OPTIONS),
    ("resources", TEXTS),
    ("components", TEXTS),
    ("crds", TEXTS),
    ("bases", TEXTS),
    ("configMapGenerator", List(&Struct(GENERATOR))),
    ("secretGenerator", List(&Joined(&[GENERATOR, SECRET]))),
    ("helmGlobals", Struct(HELM_GLOBALS)),
    ("helmCharts", List(&Struct(HELM_CHART))),
    ("helmChartInflationGenerator", List(&HELM_CHART_ARGS)),
    ("generatorOptions", GENERATOR_OPTIONS),
    ("configurations", TEXTS),
    ("generators", TEXTS),
    ("transformers", TEXTS),
    ("validators", TEXTS),
    ("buildMetadata", TEXTS),
]);

pub const METADATA: Shape =
    Struct(&[("name", Text), ("namespace", Text), ("labels", TextMap), ("annotations", TextMap)]);

pub const FIELD_SPEC: Shape =
    Struct(&[("group", Text), ("version", Text), ("kind", Text), ("path", Text), ("create", Bool)]);

const LABEL: Shape = Struct(&[
    ("pairs", TextMap),
    ("includeSelectors", Bool),
    ("includeTemplates", Bool),
    ("fields", List(&FIELD_SPEC)),
]);

pub const SELECTOR: Shape = Struct(&[
    ("group", Text),
    ("version", Text),
    ("kind", Text),
    ("name", Text),
    ("namespace", Text),
    ("annotationSelector", Text),
    ("labelSelector", Text),
]);

pub const PATCH_OPTIONS: Shape = Struct(&[("allowNameChange", Bool), ("allowKindChange", Bool)]);

const PATCH: Shape =
    Struct(&[("path", Text), ("patch", Text), ("target", SELECTOR), ("options", PATCH_OPTIONS)]);

pub const IMAGE: Shape =
    Struct(&[("name", Text), ("newName", Text), ("tagSuffix", Text), ("newTag", Text), ("digest", Text)]);

const FIELD_OPTIONS: Shape =
    Struct(&[("delimiter", Text), ("index", Int), ("encoding", Text), ("create", Bool)]);

const SOURCE: Shape = Struct(&[
    ("group", Text),
    ("version", Text),
    ("kind", Text),
    ("name", Text),
    ("namespace", Text),
    ("fieldPath", Text),
    ("options", FIELD_OPTIONS),
]);

const TARGET: Shape = Struct(&[
    ("select", SELECTOR),
    ("reject", List(&SELECTOR)),
    ("fieldPaths", TEXTS),
    ("options", FIELD_OPTIONS),
]);

pub const REPLACEMENT: Shape =
    Struct(&[("source", SOURCE), ("targets", List(&TARGET)), ("sourceValue", Text), ("path", Text)]);

pub const REPLICA: Shape = Struct(&[("name", Text), ("count", Int)]);

const VAR: Shape = Struct(&[
    ("name", Text),
    (
        "objref",
        Struct(&[
            ("apiVersion", Text),
            ("group", Text),
            ("version", Text),
            ("kind", Text),
            ("name", Text),
            ("namespace", Text),
        ]),
    ),
    ("fieldref", Struct(&[("fieldPath", Text)])),
]);

const SORT_OPTIONS: Shape =
    Struct(&[("order", Text), ("legacySortOptions", Struct(&[("orderFirst", TEXTS), ("orderLast", TEXTS)]))]);

const GENERATOR_OPTIONS: Shape = Struct(&[
    ("labels", TextMap),
    ("annotations", TextMap),
    ("disableNameSuffixHash", Bool),
    ("immutable", Bool),
]);

pub const GENERATOR: Fields = &[
    ("namespace", Text),
    ("name", Text),
    ("behavior", Text),
    ("literals", TEXTS),
    ("files", TEXTS),
    ("envs", TEXTS),
    ("env", Text),
    ("options", GENERATOR_OPTIONS),
];

/// Fields of a generator of Secrets in addition to [`GENERATOR`].
pub const SECRET: Fields = &[("type", Text)];

pub const HELM_GLOBALS: Fields = &[("chartHome", Text), ("configHome", Text)];

pub const HELM_CHART: Fields = &[
    ("name", Text),
    ("version", Text),
    ("repo", Text),
    ("releaseName", Text),
    ("namespace", Text),
    ("additionalValuesFiles", TEXTS),
    ("valuesFile", Text),
    ("valuesInline", AnyMap),
    ("valuesMerge", Text),
    ("includeCRDs", Bool),
    ("skipHooks", Bool),
    ("apiVersions", TEXTS),
    ("kubeVersion", Text),
    ("nameTemplate", Text),
    ("skipTests", Bool),
    ("debug", Bool),
    ("devel", Bool),
];

/// The deprecated form of a chart, of which kustomize uses only a part.
const HELM_CHART_ARGS: Shape = Struct(&[
    ("chartName", Text),
    ("chartVersion", Text),
    ("chartRepoUrl", Text),
    ("chartHome", Text),
    ("chartRepoName", Text),
    ("helmBin", Text),
    ("helmHome", Text),
    ("values", Text),
    ("valuesLocal", AnyMap),
    ("valuesMerge", Text),
    ("releaseName", Text),
    ("releaseNamespace", Text),
    ("extraArgs", TEXTS),
]);

const FIELD_SPECS: Shape = List(&FIELD_SPEC);

/// A file of `configurations`.
pub const CONFIGURATION: Shape = Struct(&[
    ("namePrefix", FIELD_SPECS),
    ("nameSuffix", FIELD_SPECS),
    ("namespace", FIELD_SPECS),
    ("commonLabels", FIELD_SPECS),
    ("labels", FIELD_SPECS),
    ("templateLabels", FIELD_SPECS),
    ("commonAnnotations", FIELD_SPECS),
    (
        "nameReference",
        List(&Struct(&[("group", Text), ("version", Text), ("kind", Text), ("fieldSpecs", FIELD_SPECS)])),
    ),
    ("varReference", FIELD_SPECS),
    ("images", FIELD_SPECS),
    ("replicas", FIELD_SPECS),
]);
