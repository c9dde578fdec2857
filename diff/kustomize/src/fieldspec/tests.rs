//! Paths of field specs. What they do to resources is tested against kubectl in `tests/kustomize_filters.rs`.

use super::*;
use crate::read;

#[test]
fn a_slash_of_a_part_is_escaped() {
    let parts = |path: &str| {
        let mut parts = Vec::new();
        let mut rest = Some(path.to_owned());
        while let Some(path) = rest {
            let (part, behind) = split_part(&path);
            parts.push(part.into_owned());
            rest = behind.map(str::to_owned);
        }
        parts
    };
    for (path, expected) in [
        ("a", vec!["a"]),
        ("a/b[]/c", vec!["a", "b[]", "c"]),
        (r"a/b\/c/d", vec!["a", "b/c", "d"]),
        (r"a\/b\/c", vec!["a/b/c"]),
        (r"a\/b\/c/d", vec!["a/b/c", "d"]),
        (r"a\", vec![r"a\"]),
        (r"a\/", vec!["a/"]),
        ("a//b", vec!["a", "", "b"]),
        (r"a/b\\/c", vec!["a", r"b\/c"]),
    ] {
        assert_eq!(parts(path), expected, "{path}");
    }
}

fn labelled(path: &str) -> Result<Node, KustomizeError> {
    let object = b"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {list: [[[{}]]], text: x}\n";
    let mut resource =
        read::resources("a.yaml", object)?.pop().ok_or_else(|| KustomizeError::new("no resource"))?;
    let spec = FieldSpec::of_path(path, true);
    spec.apply(&mut resource, Create::Map, &mut |node| set_entry(node, "a", "b"))?;
    Ok(resource.into_node())
}

#[test]
fn lists_in_lists_are_gone_through() {
    let labelled = labelled("spec/list/labels").unwrap_or_else(|error| unreachable!("{error}"));
    let mut item = labelled.at(&["spec", "list"]);
    while let Some(Node::Seq(items)) = item {
        item = items.first();
    }
    assert_eq!(
        item.and_then(|item| item.at(&["labels", "a"])).and_then(Node::text).map(SmolStr::as_str),
        Some("b")
    );
}

#[test]
fn a_mistake_names_the_field_and_the_object() {
    for (path, message) in [
        ("spec/text/labels", "a mapping or a list is expected, not a string"),
        ("spec/text", "a mapping is expected, not a string"),
        ("spec/-/labels", "- is for a list, but the value is a mapping"),
        ("spec/[name=x]/labels", "[name=x] is for a list, but the value is a mapping"),
        ("spec//labels", "a part of the path is empty"),
    ] {
        let error = labelled(path).expect_err("a mistake").to_string();
        assert_eq!(error, format!("a.yaml:1: field {path} of Pod.v1.[noGrp]/a.[noNs]: {message}"));
    }
    assert!(labelled(&"a/".repeat(100_000)).is_err(), "no object becomes too deep");
}
