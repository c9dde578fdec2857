//! New fields beside others, and scalars in the order of the text.

use serde_json::json;

use crate::yaml::edit::{Edit, NewField, Role, edit_with, leaves};
use crate::yaml::read;

/// Sets `/m/a` to `x` and adds `b: 1.10` and `c: w` behind it.
fn added(before: &str) -> Result<String, String> {
    let value = json!("x");
    let edits = [Edit { document: 0, path: "/m/a".to_owned(), value: &value }];
    let field = |name, value| NewField { document: 0, mapping: "/m".to_owned(), behind: "a", name, value };
    match edit_with("x.yaml", before.as_bytes(), &edits, &[field("b", "1.10"), field("c", "w")]) {
        Ok(after) => Ok(String::from_utf8(after).expect("the edited file is UTF-8")),
        Err(error) => Err(error.to_string()),
    }
}

#[track_caller]
fn check(before: &str, after: &str) {
    assert_eq!(added(before).as_deref(), Ok(after), "from {before:?}");
}

#[track_caller]
fn refused(before: &str, message: &str) {
    let found = added(before).expect_err("the field is refused");
    assert!(found.starts_with(message), "{found}");
}

#[test]
fn a_field_goes_below_another_with_its_indentation_and_line_end() {
    check("m:\n   a: z # c\no: 1\n", "m:\n   a: x # c\n   b: \"1.10\"\n   c: w\no: 1\n");
    check("m:\r\n  a: z", "m:\r\n  a: x\r\n  b: \"1.10\"\r\n  c: w");
    check("m:\n  a: z\n   z\n\n# c\n", "m:\n  a: x\n  b: \"1.10\"\n  c: w\n\n# c\n");
    check("m:\n  'a': 'z'\n", "m:\n  'a': 'x'\n  'b': '1.10'\n  'c': 'w'\n");
}

#[test]
fn a_field_goes_behind_another_between_brackets() {
    check("m: {a: z, d: 1}\n", "m: {a: x, b: \"1.10\", c: w, d: 1}\n");
    check("m: {a: z,}\n", "m: {a: x, b: \"1.10\", c: w,}\n");
    check("{\"m\":{\"a\":\"z\"}}", "{\"m\":{\"a\":\"x\",\"b\":\"1.10\",\"c\":\"w\"}}");
    check(
        "{\"m\": {\n\t\"d\": 1,\n\t\"a\": \"z\"\n}}",
        "{\"m\": {\n\t\"d\": 1,\n\t\"a\": \"x\",\n\t\"b\": \"1.10\",\n\t\"c\": \"w\"\n}}",
    );
}

#[test]
fn a_field_without_a_place_is_refused() {
    refused("m:\n  a: z\n  c: 1\n", "x.yaml:2: `/m/c` already exists: edit it instead of adding it");
    refused("m:\n  ? a\n  : z\n", "x.yaml:3: `/m/b` has no form here");
    refused("m:\n  a: |\n    z\n", "x.yaml:2: `/m/b` has no form here");
    refused("m:\n  a:\n", "x.yaml:2: `/m/b` has no form here");
    refused("m: {a: z # c\n }\n", "x.yaml:1: `/m/b` has no form here");
    refused("m: {a: z, # c\n }\n", "x.yaml:1: `/m/b` has no form here");
    refused("m: &m {a: z}\no: *m\n", "x.yaml:2: changed elsewhere: the edit would change `/o/a` as well");
    refused("o: &m {a: z}\nm: *m\n", "x.yaml:2: `/m/a` comes from the anchor `&m` on line 1");
    refused("m:\n  d: 1\n", "x.yaml:2: `/m/a` does not exist");
}

#[test]
fn leaves_stand_in_the_order_of_the_text() {
    let text = "a/b: &n 'x y'\nc: [*n, 1,\n  |]\n";
    assert!(!read("x.yaml", text.as_bytes()).1.is_empty());
    let text = "a/b: &n 'x y'\nc: [*n, 1]\nd:\ne: |\n  z\n<<: {f: g}\n";
    let (documents, errors) = read("x.yaml", text.as_bytes());
    assert!(errors.is_empty(), "{errors:?}");
    let key = |path: &str| Role::Key(Some(path.to_owned()));
    let value = |path: &str| Role::Value(path.to_owned());
    let alias = Role::Alias { path: Some("/c/0".to_owned()), target: Some("/a~1b".to_owned()) };
    let expected = [
        ("a/b", key("/a~1b"), "a/b"),
        ("x y", value("/a~1b"), "'x y'"),
        ("c", key("/c"), "c"),
        ("n", alias, "*n"),
        ("1", value("/c/1"), "1"),
        ("d", key("/d"), "d"),
        ("", value("/d"), ""),
        ("e", key("/e"), "e"),
        ("z\n", value("/e"), "z\n"),
        ("<<", Role::Key(None), "<<"),
        ("f", Role::Key(None), "f"),
        ("g", Role::Merged, "g"),
    ];
    let found = leaves(&documents[0]);
    let found: Vec<_> =
        found.iter().map(|leaf| (leaf.text, leaf.role.clone(), &text[leaf.span.clone()])).collect();
    assert_eq!(found, expected);
}
