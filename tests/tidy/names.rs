//! The pages that lead through the code name files, types and functions: each of them exists. Leaves links to the suite
//! `readme`. Pure, but for reading the pages.

use std::collections::BTreeSet;

use anyhow::ensure;
use holdfast_tests::root;

use super::source::{File, check, files};

/// The pages that are checked.
const PAGES: &[&str] = &["agent/docs/architecture.md", ".github/CONTRIBUTING.md"];

/// Folders that a path may be relative to.
const BASES: &[&str] = &[
    "",
    "agent/src",
    "agent/src/report/alert",
    "agent/src/report/alert/receiver",
    "agent/src/forge",
    "diff/src/health",
];

/// What is written like a path or a function, and is something else.
const OTHER: &[&str] = &["kube::Client"];

#[test]
fn what_the_pages_name_exists() -> anyhow::Result<()> {
    let files = files()?;
    let code = Code::read(&files);
    let (mut broken, mut seen) = (Vec::new(), (0, 0));
    for page in PAGES {
        let text = std::fs::read_to_string(root().join(page))?;
        for (at, line) in text.lines().enumerate() {
            // What is between backquotes is every second part.
            for name in line.split('`').skip(1).step_by(2).filter(|name| !OTHER.contains(name)) {
                let exists = if is_path(name) {
                    seen.0 += 1;
                    BASES.iter().any(|base| root().join(base).join(name).exists())
                } else if let Some((of, item)) = item(name) {
                    seen.1 += 1;
                    code.has(of, item)
                } else {
                    continue;
                };
                if !exists {
                    broken.push(format!("{page}:{}: {name}", at + 1));
                }
            }
        }
    }
    ensure!(seen.0 > 100 && seen.1 > 25, "the pages name only {} files and {} functions", seen.0, seen.1);
    check("the pages name files and functions that exist", "write the name that it has now", &broken)
}

/// True for `reconcile/drift.rs`, `cluster/` and `diff/src/health/shipped.yaml`.
fn is_path(name: &str) -> bool {
    let is_file = [".rs", ".yaml", ".toml"].iter().any(|end| name.ends_with(end));
    let is_word = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    (is_file || name.ends_with('/')) && !name.starts_with('.') && name.chars().all(is_word)
}

/// `View::put` and `plan::removals`: a type or module, and a function.
fn item(name: &str) -> Option<(&str, &str)> {
    let (of, item) = name.split_once("::")?;
    let is_name = |text: &str| {
        !text.is_empty() && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    };
    (is_name(of) && is_name(item)).then_some((of, item))
}

/// The names that the code defines.
struct Code {
    /// A module by the name of its file or folder, or a type that a file has methods of; and a function or type in the file.
    items: BTreeSet<(String, String)>,
}

impl Code {
    fn read(files: &[File]) -> Self {
        let mut items = BTreeSet::new();
        for file in files.iter().filter(|file| file.is_rust()) {
            let stem = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
            let mut owners = vec![stem.rsplit('/').next().unwrap_or(stem).to_owned()];
            owners.extend(file.text.lines().filter_map(implemented));
            for name in file.text.lines().filter_map(defined) {
                items.extend(owners.iter().map(|owner| (owner.clone(), name.to_owned())));
            }
        }
        Self { items }
    }

    fn has(&self, of: &str, item: &str) -> bool {
        self.items.contains(&(of.to_owned(), item.to_owned()))
    }
}

/// The type of an `impl`.
fn implemented(line: &str) -> Option<String> {
    let rest = line.strip_prefix("impl")?;
    let rest = rest.rsplit(" for ").next().unwrap_or(rest);
    let rest = rest.trim_start_matches(|letter: char| letter != ' ').trim_start();
    let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    (!name.is_empty()).then_some(name)
}

/// The name of a function or type that a line defines.
fn defined(line: &str) -> Option<&str> {
    let words = ["fn ", "struct ", "enum ", "trait ", "type ", "mod "];
    let line = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(super) ");
    let line = line.trim_start_matches("async ").trim_start_matches("const ");
    let rest = words.iter().find_map(|word| line.strip_prefix(word))?;
    rest.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next()
}

#[test]
fn a_name_is_found_where_it_is_defined() {
    let text = "pub async fn plan() {}\nimpl View {\n    pub fn put(&self) {}\n}\nimpl<'a> Run<'a> {\n";
    let code = Code::read(&[File { path: "agent/src/reconcile/plan.rs".to_owned(), text: text.to_owned() }]);
    assert!(code.has("plan", "plan") && code.has("View", "put") && code.has("Run", "put"));
    assert!(!code.has("plan", "removals") && !code.has("observe", "plan"));
    assert!(is_path("reconcile/plan.rs") && is_path("cluster/") && !is_path("KIND/NAME"));
    assert_eq!((item("View::put"), item("cargo test")), (Some(("View", "put")), None));
}
