//! The writer of values: the bytes that kubectl and kustomize print, which every reader reads back.
//!
//! `tests/write/*.txt` hold values as JSON, each with what sigs.k8s.io/yaml 1.6.0 makes of it below, two
//! spaces deeper.

use std::fmt::Write as _;

use holdfast_documents::yaml::{read, write, write_shown};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Compares what is written of each value of a file with what stands below it.
fn check(cases: &str) {
    let mut failures = String::new();
    let mut lines = cases.lines().filter(|line| !line.starts_with("##")).peekable();
    while let Some(json) = lines.next() {
        let value: Value = serde_json::from_str(json).expect(json);
        let mut expected = String::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("  ")) {
            expected.extend([&line[2..], "\n"]);
        }
        let ours = write(&value);
        if ours != expected {
            let _ = writeln!(failures, "{json}\n  kubectl: {expected:?}\n  ours:    {ours:?}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn texts_that_mean_something_else_are_quoted() {
    check(include_str!("write/scalars.txt"));
}

#[test]
fn lines_stand_in_blocks_where_they_can() {
    check(include_str!("write/lines.txt"));
}

#[test]
fn long_lines_are_broken_after_the_width() {
    check(include_str!("write/folds.txt"));
}

#[test]
fn numbers_look_as_go_prints_them() {
    check(include_str!("write/numbers.txt"));
}

#[test]
fn fields_and_lists_have_their_order_and_indentation() {
    check(include_str!("write/shapes.txt"));
}

#[test]
fn what_a_terminal_obeys_is_escaped_for_it() {
    assert_eq!(write_shown(&json!("a\u{202E}b\n\u{200B}")), "\"a\\u202Eb\\n\\u200B\"\n");
    assert_eq!(write_shown(&json!({"a\u{200B}": "x\u{ad}"})), "\"a\\u200B\": \"x\\xAD\"\n");
    let value = json!({"b": ["one\ntwo\n", "é ✅ 五", 1, {"c": "\u{1B}[2K"}]});
    assert_eq!(write_shown(&value), write(&value));
}

#[test]
fn what_kubectl_cannot_write_is_escaped() {
    assert_eq!(write(&json!("a\u{85}b")), "\"a\\Nb\"\n");
    assert_eq!(write(&json!("a\u{7F}\u{9F}\u{FFFE}")), "\"a\\x7F\\x9F\\uFFFE\"\n");
}

#[test]
fn a_cycle_in_the_order_of_names_ends() {
    let names = ["a10", "a1b", "a01"];
    let fields = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), json!(0))).collect::<Value>();
    let one = write(&fields(&names));
    assert_eq!(one.lines().count(), 3);
    assert_eq!(one, write(&fields(&["a01", "a1b", "a10"])));
}

#[test]
fn any_depth_is_written() {
    let mut value = json!("end");
    for _ in 0..10_000 {
        value = Value::Array(vec![value]);
    }
    assert_eq!(write(&value), format!("{}end\n", "- ".repeat(10_000)));
    while let Value::Array(mut items) = value {
        value = items.pop().unwrap_or_default();
    }
}

fn text() -> impl Strategy<Value = String> {
    let nasty = "[ \t\n\r:#?'\"\\\\,{}&*!|>%@`=<~._a0b1yn\u{85}\u{A0}\u{FEFF}é😀-]{0,12}";
    let long = "([a-z]{1,30}[ ]{0,2}[\\-'\":#é\n]?){0,12}";
    // U+2028 and U+2029 end a line only to readers of YAML 1.1
    let text = prop_oneof![nasty, long, "[^\u{2028}\u{2029}]{0,8}"];
    text.prop_filter("`<<` is written without quotes, as kubectl does", |text| text != "<<")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text(), inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(value in value()) {
        let text = write(&value);
        let (documents, errors) = read("x.yaml", text.as_bytes());
        prop_assert_eq!(&errors, &[], "{}", text);
        let read = documents.into_iter().next().map_or(Value::Null, |document| document.value);
        prop_assert_eq!(read, value, "{}", text);
    }
}
