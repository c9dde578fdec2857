//! Selectors, as tables. The expectations are those of `kubectl kustomize` on patches with the same targets.

use serde_json::json;

use super::*;
use holdfast_documents::object::Origin;

fn resource(api_version: &str, kind: &str, name: &str, namespace: &str) -> Resource {
    let metadata: Map = [("name", name), ("namespace", namespace)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (crate::Scalar::string(key), Node::string(value)))
        .collect();
    let mut map = Map::default();
    map.set("apiVersion", Node::string(api_version));
    map.set("kind", Node::string(kind));
    map.set("metadata", metadata.into());
    Resource::new(map.into(), Origin { file: "a.yaml".into(), line: 1 })
}

fn selected(selector: serde_json::Value) -> Result<Vec<usize>, String> {
    let list = vec![
        resource("apps/v1", "Deployment", "web", "shop"),
        resource("apps/v1", "StatefulSet", "web-db", "shop"),
        resource("v1", "Namespace", "shop", ""),
        resource("v1", "Service", "web", ""),
    ];
    let selector: Selector = serde_json::from_value(selector).expect("a selector");
    Resources { list, ..Resources::default() }.select(&selector).map_err(|error| error.to_string())
}

#[test]
fn every_part_of_a_selector_must_match() {
    for (selector, expected) in [
        (json!({}), vec![0, 1, 2, 3]),
        (json!({"kind": "Deployment|StatefulSet"}), vec![0, 1]),
        (json!({"kind": "Deploy"}), vec![]),
        (json!({"group": "apps"}), vec![0, 1]),
        (json!({"group": "ap.*", "version": "v1", "name": "web"}), vec![0]),
        (json!({"name": "web.*"}), vec![0, 1, 3]),
        (json!({"namespace": "default"}), vec![3]),
        (json!({"namespace": "_non_namespaceable_"}), vec![2]),
        (json!({"name": "web)|(?:shop"}), vec![0, 1, 2, 3]),
    ] {
        let text = selector.to_string();
        assert_eq!(selected(selector), Ok(expected), "{text}");
    }
}

#[test]
fn the_first_name_selects_as_well_as_the_last() {
    let mut moved = resource("apps/v1", "Deployment", "new-web", "new");
    moved.previous.push(crate::resource::Previous {
        kind: "Deployment".into(),
        namespace: "default".into(),
        name: "web".into(),
    });
    let resources = Resources { list: vec![moved], ..Resources::default() };
    for (name, namespace, expected) in
        [("web", "", 1), ("new-web", "", 1), ("web", "new", 1), ("new-web", "default", 1), ("we", "", 0)]
    {
        let selector = Selector { name: name.into(), namespace: namespace.into(), ..Selector::default() };
        assert_eq!(resources.select(&selector).map(|found| found.len()), Ok(expected), "{name} {namespace}");
    }
}

#[test]
fn expressions_are_those_of_go() {
    for (pattern, matching, other) in [
        (r"a\d+", "a12", "a\u{661}"),
        (r"\Qa.b\E+", "a.bb", "axb"),
        (r"[[:alpha:]-]+", "a-b", "a1"),
        (r"[a&&b]+", "a&b", "c"),
        (r"[]a]+", "a]", "b"),
        (r"[\w.]+", "a.b", "a-b"),
        (r"[^\d]", "a", "1"),
        (r"[--a]+", "-a", "b"),
        ("a{,2}", "a{,2}", "aa"),
        ("a{", "a{", "a"),
        ("a{2,3}?", "aa", "a"),
        (r"\141b", "ab", "141b"),
        (r"\x41\x{42}", "AB", "ab"),
        ("(?i)WEB", "web", "we"),
        (r"(?P<n>a)\.b\_", "a.b_", "axb_"),
        (r"(?:web\b.*)", "web-1", "web1"),
        (r"\pL\p{Greek}", "a\u{3b1}", "a1"),
    ] {
        let compiled = Pattern::new(pattern).unwrap_or_else(|error| unreachable!("{pattern}: {error}"));
        assert!(compiled.matches(matching), "{pattern} {matching}");
        assert!(!compiled.matches(other), "{pattern} {other}");
        assert!(!compiled.matches(&format!("{matching}\n!")), "{pattern} is for all of a text");
    }
}

#[test]
fn what_is_no_expression_is_refused_and_named() {
    for pattern in [
        "*",
        "a**",
        "a+?+",
        "(",
        "a)",
        "[a",
        "a{2000}",
        "(?x)a",
        r"\Z",
        r"\1",
        r"a\",
        r"\pX",
        "[b-a]",
        "((a{1000}){1000}){1000}",
        "(?=a)",
        r"[\b]",
        "(?:",
        "(?P<n",
        r"\Qa.b",
    ] {
        assert!(Pattern::new(pattern).is_err(), "{pattern}");
    }
    assert_eq!(
        selected(json!({"name": "*"})),
        Err("name \"*\" of a selector is not a regular expression: error: repetition operator missing expression"
            .to_owned())
    );
    assert!(Pattern::new(&"(".repeat(10_000)).is_err());
    assert!(Pattern::new(&".{1000}".repeat(1_000)).is_err_and(|reason| reason.contains("too large")));
    assert!(Pattern::new(&"a".repeat(1 << 20)).is_ok(), "no expression at all is compiled for a name");
    assert!(Pattern::new(&".".repeat(1 << 20)).is_err());
}

fn labelled(selector: &str) -> Result<bool, String> {
    let labels = [("app", "web"), ("tier", "front"), ("example.com/team", ""), ("n", "5"), ("in", "x")];
    let labels: Map =
        labels.into_iter().map(|(key, value)| (crate::Scalar::string(key), Node::string(value))).collect();
    let mut metadata = Map::default();
    metadata.set("labels", labels.into());
    let mut map = Map::default();
    map.set("metadata", metadata.into());
    matches_metadata(&map.into(), "labels", selector).map_err(|error| error.to_string())
}

#[test]
fn label_selectors_hold_as_they_do_for_the_original() {
    for (selector, expected) in [
        ("", true),
        (" ", true),
        ("app=web", true),
        ("app == web", true),
        ("app=api", false),
        ("app!=api", true),
        ("other!=api", true),
        ("other=", false),
        ("example.com/team=", true),
        ("example.com/team=,app", true),
        ("tier in (back, front)", true),
        ("tier in(back)", false),
        ("tier in ()", false),
        ("example.com/team in ()", true),
        ("example.com/team in (a,)", true),
        ("example.com/team in (,a)", true),
        ("example.com/team in (a,,b)", true),
        ("tier notin (back)", true),
        ("other notin (back)", true),
        ("other in (back)", false),
        ("app,!other", true),
        ("! app", false),
        ("!app=web", true),
        ("n>4,n<6", true),
        ("n>5", false),
        ("app>5", false),
        ("in in (x,in)", true),
        ("app=web,\ttier notin (a,front)", false),
    ] {
        assert_eq!(labelled(selector), Ok(expected), "{selector}");
    }
}

#[test]
fn what_is_no_label_selector_is_refused() {
    for selector in [
        "app=web,",
        ",",
        "app=web,a b",
        "app in web",
        "app in (web",
        "app within (web)",
        "=web",
        "app=a=b",
        "app>a",
        "app=*",
        "a/b/c",
        "/a",
        "A/b",
        "-a",
        "app in (a b)",
        "app in (a,,)",
        "app in (,,)",
        "app=(",
        "app==!",
        "!",
    ] {
        assert!(labelled(selector).is_err(), "{selector}");
    }
    assert_eq!(
        labelled("app=web,"),
        Err("labelSelector \"app=web,\" is not a selector: it ends where a key should be".to_owned())
    );
}
