//! No files import each other in a circle: what two files need of each other is in a third one.
//!
//! A facade, such as `mod.rs`, may use the files of its room, and they may use what it defines: that is one unit. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::imports::{Crate, Import, Module};
use super::source::{check, files};

/// Imports that are not counted, as the name of the crate and two modules with all that is below them, and why.
const ALLOWED: &[(&str, &str, &str, &str)] = &[];

/// The crates, by their names and folders.
pub const CRATES: &[(&str, &str)] = &[
    ("holdfast", "agent/src"),
    ("holdfast_diff", "diff/src"),
    ("holdfast_documents", "diff/documents/src"),
    ("holdfast_kustomize", "diff/kustomize/src"),
];

#[test]
fn no_files_import_each_other_in_a_circle() -> anyhow::Result<()> {
    let files = files()?;
    let mut broken = Vec::new();
    for (name, folder) in CRATES {
        let allowed = |import: &Import| {
            let below = |module: &Module, known: &str| {
                module.iter().map(String::as_str).zip(known.split("::")).all(|(own, known)| own == known)
                    && module.len() >= known.split("::").count()
            };
            let is = |(of, from, to, _): &&(&str, &str, &str, &str)| {
                of == name && below(&import.from, from) && below(&import.to, to)
            };
            ALLOWED.iter().any(|row| is(&row))
        };
        let imports = Crate::read(name, folder, &files).imports();
        let imports: Vec<Import> =
            imports.into_iter().filter(|import| counts(import) && !allowed(import)).collect();
        broken.extend(circles(&imports));
    }
    let remedy = "move what both need to a third file, or let the one that composes them pass a value";
    check("no files import each other in a circle", remedy, &broken)
}

/// False for what a file takes from the facade of a room that it is in.
fn counts(Import { from, to, .. }: &Import) -> bool {
    !from.starts_with(to)
}

/// The shortest circle through each import that is on one, each circle once.
fn circles(imports: &[Import]) -> Vec<String> {
    let mut next: BTreeMap<&Module, Vec<&Import>> = BTreeMap::new();
    for import in imports {
        next.entry(&import.from).or_default().push(import);
    }
    let mut told: BTreeSet<BTreeSet<&Module>> = BTreeSet::new();
    let mut found = Vec::new();
    for import in imports {
        let Some(back) = way(&next, &import.to, &import.from) else { continue };
        let circle: Vec<&Import> = std::iter::once(import).chain(back).collect();
        if told.insert(circle.iter().map(|import| &import.from).collect()) {
            let steps =
                circle.iter().map(|Import { file, line, item, .. }| format!("{file}:{line} takes {item}"));
            found.push(steps.collect::<Vec<_>>().join("\n    "));
        }
    }
    found
}

/// The shortest way from one file to another.
fn way<'a>(
    next: &BTreeMap<&'a Module, Vec<&'a Import>>,
    from: &'a Module,
    to: &Module,
) -> Option<Vec<&'a Import>> {
    let mut by: BTreeMap<&Module, &Import> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            let mut steps = Vec::new();
            let mut at = at;
            while at != from {
                let import = by.get(at)?;
                steps.push(*import);
                at = &import.from;
            }
            steps.reverse();
            return Some(steps);
        }
        for import in next.get(at).into_iter().flatten() {
            if import.to != *from && !by.contains_key(&import.to) {
                by.insert(&import.to, import);
                queue.push_back(&import.to);
            }
        }
    }
    None
}

#[test]
fn a_circle_is_named_once_with_its_lines() {
    let import = |from: &str, to: &str, line| Import {
        file: format!("{from}.rs"),
        line,
        from: vec![from.to_owned()],
        to: vec![to.to_owned()],
        item: to.to_owned(),
    };
    let imports = [import("a", "b", 1), import("b", "c", 2), import("c", "a", 3), import("c", "d", 4)];
    assert_eq!(circles(&imports), ["a.rs:1 takes b\n    b.rs:2 takes c\n    c.rs:3 takes a"]);
    assert_eq!(circles(&imports[1..]), [""; 0]);
}
