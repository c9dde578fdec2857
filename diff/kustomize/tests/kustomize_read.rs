//! The dialect of a build: what `kustomize::read` makes of texts, beside what kubectl's reader makes of them.
//!
//! `tests/kustomize/read.txt` holds texts and answers. I/O: none.

use holdfast_kustomize::parts::strategic;
use holdfast_kustomize::parts::{Operations, Schema, apply};
use holdfast_kustomize::value::{node, scalar_value, value};
use holdfast_kustomize::{Node, Scalar, read};
use proptest::prelude::*;
use serde_json::Value;

/// What is wrong with an answer, if something is.
fn check(line: &str) -> Option<String> {
    let (text, answer) = line.split_once("  =>  ")?;
    let text: String = serde_json::from_str(text).expect("a text");
    let documents = read::nodes("a.yaml", text.as_bytes()).and_then(|documents| {
        let values = documents.iter().map(|(document, _)| object(document));
        values.collect::<Result<Vec<_>, _>>()
    });
    match (answer, documents) {
        ("error", Err(error)) if !error.message.is_empty() => None,
        (answer, Ok(values))
            if serde_json::from_str::<Value>(answer).ok() == Some(Value::Array(values.clone())) =>
        {
            None
        }
        (answer, ours) => Some(format!("{text:?}\n  kubectl: {answer}\n  ours: {ours:?}")),
    }
}

/// The value of a document, which kubectl wants to be a mapping or a list.
fn object(document: &Node) -> Result<Value, holdfast_kustomize::KustomizeError> {
    match document {
        Node::Scalar(_) => Err(holdfast_kustomize::KustomizeError::new("no mapping")),
        document => value(document),
    }
}

#[test]
fn texts_mean_what_they_mean_to_kubectl() {
    let lines = include_str!("read.txt").lines().filter(|line| !line.starts_with("##"));
    let wrong: Vec<String> = lines.filter_map(check).collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn lists_are_unpacked_and_what_is_no_object_is_refused() {
    let names = |text: &str| {
        let resources = read::resources("a.yaml", text.as_bytes()).map_err(|error| error.to_string())?;
        let names: Vec<_> = resources.iter().map(|it| format!("{}:{}", it.name(), it.origin.line)).collect();
        Ok::<_, String>(names.join(" "))
    };
    let map = |name: &str| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}");
    let list = |kind: &str| format!("apiVersion: v1\nkind: {kind}\nitems:\n- {}\n- {}\n", map("a"), map("b"));
    assert_eq!(names(&list("List")), Ok("a:1 b:1".into()));
    assert_eq!(names(&format!("{}---\n{}\n", list("ConfigMapList"), map("c"))), Ok("c:7 a:1 b:1".into()));
    assert_eq!(
        names(&format!("# first\n\n{}\n--- # next\n\n---\n{{}}\n---\n{}", map("a"), map("b"))),
        Ok("a:3 b:9".into())
    );
    assert_eq!(names("apiVersion: v1\nkind: List\nitems: []\n"), Ok(String::new()));
    for (text, said) in [
        ("kind: A\n", "a.yaml:1: this A has no metadata.name"),
        ("\nmetadata: {name: a}\n", "a.yaml:2: this object has no kind"),
        ("kind: A\nmetadata: {generateName: a}\n", "a.yaml:1: this A has no metadata.name"),
        ("a\n", "a.yaml:1: this is a string, not a Kubernetes object"),
        ("kind: AList\nitems: {a: b}\n", "a.yaml:1: items is a mapping"),
    ] {
        assert!(names(text).is_err_and(|error| error.starts_with(said)), "{text:?}: {:?}", names(text));
    }
}

#[test]
fn a_key_that_is_set_twice_is_found_with_its_line() {
    let said = |text: &str| read::key_set_twice("a.yaml", text.as_bytes()).map(|error| error.to_string());
    assert_eq!(said("a: 1\nb: {a: 1}\n"), None);
    assert_eq!(
        said("kind: A\nmetadata:\n  name: a\n  'name': b\n  labels: {}\n").as_deref(),
        Some("a.yaml:4: the key `name` is set twice: remove one of the two")
    );
    let many = (0..40).map(|at| format!("key{at}: 1")).collect::<Vec<_>>().join("\n") + "\n";
    assert_eq!(said(&many), None);
    let twice = said(&format!("{many}key7: 2\nlast: 3\n"));
    assert_eq!(twice.as_deref(), Some("a.yaml:41: the key `key7` is set twice: remove one of the two"));
}

#[test]
fn a_document_may_be_deep_but_not_bottomless() {
    let deep = |depth: usize| format!("a: {}{}\n", "[".repeat(depth), "]".repeat(depth));
    assert!(read::nodes("a", deep(100).as_bytes()).is_ok());
    for text in [deep(1000), "- ".repeat(100_000), "[".repeat(100_000), "? ".repeat(100_000)] {
        assert!(read::nodes("a", text.as_bytes()).is_err());
    }
    let bomb = (0..40).fold("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, at| {
        format!("{text}a{}: &a{} [{}]\n", at + 1, at + 1, vec![format!("*a{at}"); 10].join(", "))
    });
    let said = read::nodes("a", bomb.as_bytes()).map_err(|error| error.message);
    assert!(said.is_err_and(|said| said.starts_with("aliases make up too much")));
}

/// Texts that look like YAML.
fn yaml() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a",
        "b: ",
        "- ",
        "\n",
        "  ",
        "? ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&x ",
        "*x",
        "!!str ",
        "|",
        ">-",
        "\"",
        "'",
        "#",
        "<<: ",
        "---\n",
        "\t",
        "\\",
        "1",
        "null",
        "$patch: delete",
        "name: ",
        "é",
        "\u{2028}",
        "\r",
    ]);
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_in_a_file_makes_the_reader_panic(text in yaml(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for bytes in [text.as_bytes(), &bytes] {
            for (node, _) in read::nodes("a", bytes).unwrap_or_default() {
                let _ = value(&node);
            }
            let _ = read::resources("a", bytes);
        }
    }

    #[test]
    fn nothing_in_a_patch_makes_the_merge_panic(dest in yaml(), patch in yaml(), kind in 0..3usize) {
        let head = ["apiVersion: v1\nkind: Pod\nspec:\n  containers:\n", "apiVersion: apps/v1\nkind: Deployment\n", ""][kind];
        let nodes = |text: &str| read::nodes("a", format!("{head}{text}").as_bytes()).unwrap_or_default();
        for (mut dest, _) in nodes(&dest) {
            for (patch, _) in nodes(&patch) {
                let _ = strategic(&mut dest, &patch, &Schema::kubernetes());
                let _ = value(&dest);
            }
        }
    }

    #[test]
    fn nothing_in_an_operation_makes_the_patch_panic(op in "[a-z]{3,7}", path in "(/[a-c0-3~-]{0,3}){0,3}", from in "(/[a-c0-3]){0,3}") {
        let (mut dest, _) = read::nodes("a", b"{a: [1, {b: 2}], b: {c: [3]}}").expect("a document").remove(0);
        for op in [op.as_str(), "add", "remove", "replace", "move", "copy", "test"] {
            let operation = serde_json::json!([{"op": op, "path": path, "from": from, "value": {"a": [1]}}]);
            let operations = Operations::read("a", &operation.to_string()).expect("operations");
            let _ = apply(&mut dest, &operations);
        }
    }

    #[test]
    fn a_plain_text_has_the_value_of_its_tag(text in "[-+.0-9a-fxobtTzZ:_eE ]{0,12}") {
        let scalar = Scalar::plain(text.clone());
        let found = scalar_value(&scalar);
        prop_assert!(found.is_ok() || text.to_lowercase().contains("inf") || text.to_lowercase().contains("nan"), "{text}: {found:?}");
    }

    #[test]
    fn a_json_value_comes_back_from_its_node(text in "\\PC{0,12}", number in -1_000_000_000i64..1_000_000_000, flag in any::<bool>()) {
        let json = serde_json::json!({"a": [text, number, flag, null], "b": {text.clone(): number}});
        prop_assert_eq!(value(&node(&json)).expect("a value"), json);
    }
}
