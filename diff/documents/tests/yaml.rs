//! The dialect: what `yaml` reads, beside what kubectl reads of the same text.
//!
//! `tests/yaml/*.txt` hold snippets and the answers of kubectl 1.32 (`kubectl label --local -f FILE -o json a=b`
//! on a custom object whose `spec` is the snippet). Where this reader differs on purpose, a line `ours`
//! follows with its answer and the reason.

use std::fmt::Write as _;

use holdfast_documents::yaml::read;
use serde_json::Value;

const HEAD: &str = "apiVersion: example.com/v1\nkind: Foo\nmetadata: {name: a}\nspec:\n";

/// Compares the reading of a snippet with an answer: JSON, or `error`.
fn check(snippet: &str, field: Option<&str>, answer: &str, failures: &mut String) {
    let mut text = HEAD.to_owned();
    for line in snippet.split('\n') {
        let indent = if line.is_empty() { "" } else { "  " };
        let _ = writeln!(text, "{indent}{line}");
    }
    let (documents, errors) = read("x.yaml", text.as_bytes());
    let spec = documents.first().map(|document| &document.value["spec"]);
    let ours = match (spec, errors.first()) {
        (Some(spec), None) => field.map_or(spec, |field| &spec[field]).clone(),
        (_, Some(error)) if answer == "error" => return assert!(!error.to_string().is_empty()),
        (_, error) => {
            let _ = writeln!(failures, "{snippet}\n  kubectl: {answer}\n  ours: {error:?}");
            return;
        }
    };
    let same = serde_json::from_str(answer).is_ok_and(|theirs| same(&theirs, &ours));
    if !same {
        let _ = writeln!(failures, "{snippet}\n  kubectl: {answer}\n  ours: {ours}");
    }
}

/// Equal, and numbers equal as the floats that they are where kubectl prints a float.
fn same(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Number(a), Value::Number(b)) => a == b || (!b.is_i64() && a.as_f64() == b.as_f64()),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

#[test]
fn scalars_mean_what_they_mean_to_kubectl() {
    let mut failures = String::new();
    for line in include_str!("yaml/scalars.txt").lines().filter(|line| !line.starts_with("##")) {
        let Some((scalar, answer)) = line.split_once("  =>  ") else { continue };
        let answer =
            answer.split_once("  ours  ").map_or(answer, |(_, ours)| ours.split("  ").next().unwrap_or(ours));
        check(&format!("v: {scalar}"), Some("v"), answer, &mut failures);
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn documents_mean_what_they_mean_to_kubectl() {
    let mut failures = String::new();
    let mut snippet: Vec<&str> = Vec::new();
    let mut lines = include_str!("yaml/documents.txt").lines().peekable();
    while let Some(line) = lines.next() {
        let Some(answer) = line.strip_prefix("=> ") else {
            snippet.push(line);
            continue;
        };
        let ours = lines.next_if(|line| line.starts_with("ours "));
        let answer =
            ours.and_then(|line| line.split(' ').nth(1)).map_or(answer, |ours| ours.trim_end_matches(':'));
        check(&snippet.join("\n"), None, answer, &mut failures);
        snippet.clear();
        lines.next_if(|line| line.is_empty());
    }
    assert!(failures.is_empty(), "{failures}");
}
