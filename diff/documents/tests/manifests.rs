//! What a file's objects are, and in which words everything else is refused.
//!
//! `tests/yaml/manifests.txt` holds files, parted by `%%`; the lines `=>` after each say what is read.

use std::fmt::Write as _;

use holdfast_documents::yaml::{manifests, manifests_of_program};

/// The objects and the errors of a file, one a line.
fn render(text: &[u8]) -> String {
    let (manifests, errors) = manifests("x.yaml", text);
    let mut lines = String::new();
    for manifest in manifests {
        let _ = writeln!(lines, "=> {} {} {}", manifest.origin, manifest.api_version, manifest.id());
    }
    for error in errors {
        let _ = writeln!(lines, "=> {error}");
    }
    lines
}

#[test]
fn files_are_read_as_their_objects_and_all_their_mistakes() {
    let mut all = String::new();
    let cases = include_str!("yaml/manifests.txt");
    for case in cases.split("%%\n") {
        let file: String = case.split_inclusive('\n').filter(|line| !line.starts_with("=> ")).collect();
        let _ = write!(all, "{}{file}{}", if all.is_empty() { "" } else { "%%\n" }, render(file.as_bytes()));
    }
    if std::env::var_os("UPDATE_CASES").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/yaml/manifests.txt");
        std::fs::write(path, &all).expect("the cases can be written");
    } else {
        let diff = similar::TextDiff::from_lines(cases, &all);
        assert!(all == cases, "UPDATE_CASES=1 accepts this:\n{}", diff.unified_diff());
    }
}

#[test]
fn byte_order_marks_and_utf_16_are_read_as_kubectl_reads_them() {
    let object = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
    let (a, b) = (object("a"), object("b"));
    let both = "=> x.yaml:1 v1 ConfigMap a\n=> x.yaml:5 v1 ConfigMap b\n";
    for separator in ["---\n", "--- \n", "---\n\u{FEFF}", "---\r\n\u{FEFF}"] {
        for mark in ["", "\u{FEFF}"] {
            let text = format!("{mark}{a}{separator}{b}");
            assert_eq!(render(text.as_bytes()), both, "{text:?}");
            let text = format!("\u{FEFF}{a}{separator}{b}");
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert_eq!(render(&little), both, "{text:?}");
            assert_eq!(render(&big), both, "{text:?}");
        }
    }
    assert!(render(&[0xFF, 0xFE, 0x00, 0xD8]).contains("UTF-16"));
}

#[test]
fn what_the_api_server_reads_as_nothing_is_written_so() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: '', labels: {a: null, b: x}, annotations: {c: ~}}\n";
    let (manifests, errors) = manifests("x.yaml", text.as_bytes());
    assert_eq!(errors, []);
    let metadata = &manifests[0].value["metadata"];
    let expected = serde_json::json!({"name": "a", "labels": {"a": "", "b": "x"}, "annotations": {"c": ""}});
    assert_eq!(metadata, &expected);
}

#[test]
fn objects_of_a_typed_list_are_what_the_list_says() {
    let text = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBindingList\nitems:\n- metadata: {name: a}\n- {kind: Role, apiVersion: rbac.authorization.k8s.io/v1, metadata: {name: b}}\n";
    let (manifests, errors) = manifests("x.yaml", text.as_bytes());
    assert_eq!(errors, []);
    let kinds: Vec<_> =
        manifests.iter().map(|one| (one.value["kind"].clone(), one.id().to_string())).collect();
    let group = "rbac.authorization.k8s.io";
    assert_eq!(
        kinds,
        [
            ("RoleBinding".into(), format!("RoleBinding.{group} a")),
            ("Role".into(), format!("Role.{group} b")),
        ]
    );
}

#[test]
fn what_a_program_wrote_twice_is_lost_with_a_warning() {
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n");
    let warned = |text: &str| {
        let (manifests, errors, lost) = manifests_of_program("chart/templates/x.yaml", text.as_bytes());
        assert!(errors.is_empty(), "{errors:?}");
        let names: Vec<String> = manifests.iter().map(|manifest| manifest.name.clone()).collect();
        (names, lost.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let (names, lost) = warned(&format!("{}{}", map("a"), map("b")));
    assert_eq!(names, ["b"]);
    assert_eq!(lost.len(), 1, "{lost:?}");
    let object = &lost[0];
    for part in
        ["chart/templates/x.yaml:5", "ConfigMap `a` on line 1 is lost", "put `---` on a line between them"]
    {
        assert!(object.contains(part), "{object}");
    }
    let (names, lost) = warned(&format!("{}data: {{a: b}}\ndata: {{c: d}}\n", map("a")));
    assert_eq!(names, ["a"]);
    assert!(
        lost[0].contains("the key `data` is set again here, so that its value on line 5 is lost"),
        "{lost:?}"
    );
    assert_eq!(warned(&format!("{}---\n{}", map("a"), map("b"))).1, [""; 0]);
}
