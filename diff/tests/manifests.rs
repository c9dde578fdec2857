//! What a file's objects are, and in which words everything else is refused.
//!
//! `tests/yaml/manifests.txt` holds files, parted by `%%`; the lines `=>` after each say what is read.

use std::fmt::Write as _;

use holdfast_diff::yaml::manifests;

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
