//! The built-in plugins that a file can name, each with its fields.
//!
//! Pure data.

use crate::file::fields::{
    FIELD_SPEC, GENERATOR, HELM_CHART, HELM_GLOBALS, IMAGE, METADATA, PATCH_OPTIONS, REPLACEMENT, REPLICA,
    SECRET, SELECTOR,
};
use crate::shape::Fields;
use crate::shape::Shape::{self, Bool, Int, Joined, List, Struct, Text, TextMap};

const FIELD_SPECS: Shape = List(&FIELD_SPEC);
const WITH_METADATA: Fields = &[("metadata", METADATA)];

/// Kinds of `apiVersion: builtin`. Others than these kustomize does not load from files.
pub const PLUGINS: &[(&str, Shape)] = &[
    ("ConfigMapGenerator", Joined(&[WITH_METADATA, GENERATOR])),
    ("SecretGenerator", Joined(&[WITH_METADATA, GENERATOR, SECRET])),
    ("HelmChartInflationGenerator", Joined(&[HELM_GLOBALS, HELM_CHART])),
    (
        "IAMPolicyGenerator",
        Struct(&[
            ("cloud", Text),
            ("kubernetesService", Struct(&[("name", Text), ("namespace", Text)])),
            ("serviceAccount", Struct(&[("name", Text), ("projectId", Text)])),
        ]),
    ),
    ("AnnotationsTransformer", Struct(&[("annotations", TextMap), ("fieldSpecs", FIELD_SPECS)])),
    ("HashTransformer", Struct(&[])),
    ("ImageTagTransformer", Struct(&[("imageTag", IMAGE), ("fieldSpecs", FIELD_SPECS)])),
    ("LabelTransformer", Struct(&[("labels", TextMap), ("fieldSpecs", FIELD_SPECS)])),
    (
        "NamespaceTransformer",
        Struct(&[
            ("metadata", METADATA),
            ("fieldSpecs", FIELD_SPECS),
            ("unsetOnly", Bool),
            ("setRoleBindingSubjects", Text),
        ]),
    ),
    ("PatchJson6902Transformer", Struct(&[("target", SELECTOR), ("path", Text), ("jsonOp", Text)])),
    ("PatchStrategicMergeTransformer", Struct(&[("paths", List(&Text)), ("patches", Text)])),
    (
        "PatchTransformer",
        Struct(&[("path", Text), ("patch", Text), ("target", SELECTOR), ("options", PATCH_OPTIONS)]),
    ),
    ("PrefixTransformer", Struct(&[("prefix", Text), ("fieldSpecs", FIELD_SPECS)])),
    ("SuffixTransformer", Struct(&[("suffix", Text), ("fieldSpecs", FIELD_SPECS)])),
    ("PrefixSuffixTransformer", Struct(&[("prefix", Text), ("suffix", Text), ("fieldSpecs", FIELD_SPECS)])),
    ("ReplacementTransformer", Struct(&[("replacements", List(&REPLACEMENT))])),
    ("ReplicaCountTransformer", Struct(&[("replica", REPLICA), ("fieldSpecs", FIELD_SPECS)])),
    (
        "ValueAddTransformer",
        Struct(&[("value", Text), ("targets", List(&VALUE_TARGET)), ("targetFilePath", Text)]),
    ),
];

/// The file of a ValueAddTransformer's `targetFilePath`.
pub const VALUE_TARGETS: Shape = Struct(&[("targets", List(&VALUE_TARGET))]);

const VALUE_TARGET: Shape = Struct(&[("selector", SELECTOR), ("fieldPath", Text), ("filePathPosition", Int)]);
