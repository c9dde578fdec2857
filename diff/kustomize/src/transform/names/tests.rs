//! References among many resources. Whom a name means is tested against kubectl in
//! `tests/kustomize_filters.rs`.

use std::fmt::Write as _;

use super::*;
use crate::transform::prefix::PrefixTransformer;
use crate::{defaults, read};

#[test]
fn references_among_thousands_of_resources_follow() {
    let mut text = String::new();
    for at in 0..4_000 {
        let namespace = at % 100;
        let _ = write!(
            text,
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{}, namespace: n{namespace}}}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {{name: p{at}, namespace: n{namespace}}}\n\
             spec: {{volumes: [{{configMap: {{name: c{}}}}}]}}\n---\n",
            at / 100,
            at / 100,
        );
    }
    let mut resources = Resources {
        list: read::resources("all.yaml", text.as_bytes()).expect("resources"),
        ..Resources::default()
    };
    let field_specs = defaults::built_in().name_prefix.clone();
    PrefixTransformer { prefix: "a-".into(), field_specs }.transform(&mut resources).expect("prefixes");
    let references = &defaults::built_in().name_reference;
    NameReferenceTransformer { references }.transform(&mut resources).expect("references");
    for resource in resources.list.iter().filter(|resource| resource.gvk().kind == "Pod") {
        let at: usize = resource.name()[3..].parse().expect("a number");
        let volumes = resource.node().at(&["spec", "volumes"]).and_then(Node::as_seq).unwrap_or_default();
        let name = volumes[0].at(&["configMap", "name"]).and_then(Node::text).cloned().unwrap_or_default();
        assert_eq!(name, format!("a-c{}", at / 100));
    }
    let referred = resources.list.iter().filter(|resource| resource.referred_by.len() == 1).count();
    assert_eq!(referred, 4_000, "each is referred to by the one in its own namespace");
}
