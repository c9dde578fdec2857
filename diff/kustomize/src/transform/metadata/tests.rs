//! The texts of the annotations, which are those of `kubectl kustomize`.

use super::*;
use crate::provenance::record::ConfiguredBy;

#[test]
fn provenance_is_written_as_the_original_writes_it() {
    let file = Provenance { path: "base/a.yaml".to_owned(), ..Provenance::default() };
    assert_eq!(file.to_yaml(), "path: base/a.yaml\n");
    let remote = Provenance {
        path: "base/a b.yaml".to_owned(),
        repo: "https://example.com/a".to_owned(),
        reference: "1.0".to_owned(),
        ..Provenance::default()
    };
    assert_eq!(remote.to_yaml(), "path: base/a b.yaml\nrepo: https://example.com/a\nref: \"1.0\"\n");
    let made = Provenance {
        configured_in: "kustomization.yaml".to_owned(),
        configured_by: ConfiguredBy {
            api_version: "builtin".to_owned(),
            kind: "PrefixTransformer".to_owned(),
            ..ConfiguredBy::default()
        },
        ..Provenance::default()
    };
    let lines =
        "configuredIn: kustomization.yaml\nconfiguredBy:\n  apiVersion: builtin\n  kind: PrefixTransformer\n";
    assert_eq!(made.to_yaml(), lines);
    let listed = "- configuredIn: kustomization.yaml\n  configuredBy:\n    apiVersion: builtin\n    kind: PrefixTransformer\n";
    assert_eq!(transformations(&[made, file]), format!("{listed}- path: base/a.yaml\n"));
    assert_eq!(transformations(&[]), "[]\n");
}
