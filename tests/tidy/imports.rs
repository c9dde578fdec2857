//! What the files of a crate import from each other, read from their text. Pure.
//!
//! A path is followed through the facades that re-export it to the file that has it. Tests are left out.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{File, is_use};

/// A module by its path in its crate: `["cluster", "watch"]`. Empty for the root.
pub type Module = Vec<String>;

/// The files of a crate.
pub struct Crate<'a> {
    /// As other crates name it.
    name: &'static str,
    files: BTreeMap<Module, &'a File>,
}

/// An import of one file from another one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The file, from the root of the repository, and the line.
    pub file: String,
    pub line: usize,
    pub from: Module,
    pub to: Module,
    /// What is taken, as it is written: `gate::ApprovedPlan`.
    pub item: String,
}

impl<'a> Crate<'a> {
    /// The files below a folder with a `lib.rs`.
    pub fn read(name: &'static str, folder: &str, files: &'a [File]) -> Self {
        let mut found = BTreeMap::new();
        for file in files.iter().filter(|file| file.is_rust() && !file.is_test()) {
            let Some(path) = file.path.strip_prefix(folder).and_then(|path| path.strip_prefix('/')) else {
                continue;
            };
            let mut module: Module = path.trim_end_matches(".rs").split('/').map(ToOwned::to_owned).collect();
            if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
                module.pop();
            }
            found.insert(module, file);
        }
        Self { name, files: found }
    }

    /// Every import of one file from another one, the first line of each.
    pub fn imports(&self) -> Vec<Import> {
        let mut found = BTreeMap::new();
        for (module, file) in &self.files {
            let children: BTreeSet<String> = file.code().filter_map(|(_, line)| child(line)).collect();
            for (line, statement) in file.statements() {
                for path in taken(&statement) {
                    let Some((to, item)) = self.target(module, &path, &children) else { continue };
                    let is_facade = statement.starts_with("pub") && to.starts_with(module);
                    if to == *module || is_facade {
                        continue;
                    }
                    let import =
                        Import { file: file.path.clone(), line, from: module.clone(), to: to.clone(), item };
                    found.entry((module.clone(), to)).or_insert(import);
                }
            }
        }
        found.into_values().collect()
    }

    /// The file that a path of a file leads to, and the path from the root of the crate.
    fn target(
        &self,
        module: &Module,
        path: &[String],
        children: &BTreeSet<String>,
    ) -> Option<(Module, String)> {
        let first = path.first()?.as_str();
        let (base, rest) = match first {
            "crate" => (Module::new(), &path[1..]),
            "self" => (module.clone(), &path[1..]),
            "super" => {
                let up = path.iter().take_while(|part| *part == "super").count();
                (module[..module.len().checked_sub(up)?].to_vec(), &path[up..])
            }
            first if first == self.name => (Module::new(), &path[1..]),
            first if children.contains(first) => (module.clone(), path),
            _ => return None,
        };
        let item = base.iter().chain(rest).map(String::as_str).collect::<Vec<_>>().join("::");
        Some((self.follow(base, rest, 0)?, item))
    }

    /// Goes down as far as there are files, and through facades from there.
    fn follow(&self, mut at: Module, mut rest: &[String], depth: usize) -> Option<Module> {
        while let Some((first, others)) = rest.split_first() {
            at.push(first.clone());
            if !self.files.contains_key(&at) {
                at.pop();
                break;
            }
            rest = others;
        }
        let file = self.files.get(&at)?;
        let Some(name) = rest.first().filter(|_| depth < 8) else { return Some(at) };
        let children: BTreeSet<String> = file.code().filter_map(|(_, line)| child(line)).collect();
        let re_exported = file.statements().into_iter().filter(|(_, statement)| is_use(statement));
        let mut paths = re_exported.flat_map(|(_, statement)| taken(&statement));
        let source = paths.find(|path| path.last() == Some(name) && path.len() > 1);
        let Some(source) = source else { return Some(at) };
        let (base, further) = match source.first().map(String::as_str) {
            Some("crate") => (Module::new(), &source[1..]),
            Some("self") => (at.clone(), &source[1..]),
            Some("super") => {
                let up = source.iter().take_while(|part| *part == "super").count();
                (at[..at.len().checked_sub(up)?].to_vec(), &source[up..])
            }
            Some(first) if children.contains(first) => (at.clone(), &source[..]),
            _ => return Some(at),
        };
        self.follow(base, further, depth + 1)
    }
}

/// The name of a module that a line declares to be in a file of its own.
fn child(line: &str) -> Option<String> {
    let rest = line.strip_suffix(';')?;
    let (before, name) = rest.rsplit_once("mod ")?;
    let is_declaration = before.is_empty() || before.trim_end() == "pub" || before.trim_end().ends_with(')');
    is_declaration.then(|| name.to_owned())
}

/// The paths that a statement has: all of a `use`, or those that stand in code.
pub fn taken(statement: &str) -> Vec<Vec<String>> {
    if is_use(statement) {
        let (_, tree) = statement.split_once("use ").unwrap_or_default();
        let mut found = Vec::new();
        tree_paths(&mut Vec::new(), tree.trim_end_matches(';'), &mut found);
        return found;
    }
    let word = |character: char| character.is_alphanumeric() || character == '_';
    let mut found = Vec::new();
    let mut rest = statement;
    while let Some(at) = rest.find("::") {
        let start = rest[..at].rfind(|character| !word(character)).map_or(0, |before| before + 1);
        let end = rest[at..].find(|character: char| !word(character) && character != ':');
        let end = end.map_or(rest.len(), |end| at + end);
        let path: Vec<String> =
            rest[start..end].split("::").filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect();
        found.push(path);
        rest = &rest[end.max(at + 2)..];
    }
    found
}

/// The paths of `gate::{self, ApprovedPlan as Plan}`.
fn tree_paths(before: &mut Vec<String>, tree: &str, found: &mut Vec<Vec<String>>) {
    for branch in branches(tree) {
        let branch = branch.trim();
        let (path, group) = match branch.split_once('{') {
            Some((path, group)) => (path, group.rsplit_once('}').map(|(group, _)| group)),
            None => (branch.split(" as ").next().unwrap_or(branch), None),
        };
        let parts = path.split("::").map(str::trim).filter(|part| !part.is_empty());
        let length = before.len();
        before.extend(parts.map(ToOwned::to_owned));
        match group {
            Some(group) => tree_paths(before, group, found),
            None if before.len() > length => {
                let is_self = before.len() > 1 && before.last().is_some_and(|last| last == "self");
                found.push(before[..before.len() - usize::from(is_self)].to_vec());
            }
            None => {}
        }
        before.truncate(length);
    }
}

/// The parts between commas that are in no braces.
fn branches(tree: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    for (at, character) in tree.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&tree[start..]);
    found
}

#[test]
fn every_form_of_an_import_is_read() {
    let check = |statement: &str, expected: &[&str]| {
        let found: Vec<String> = taken(statement).iter().map(|path| path.join("::")).collect();
        assert_eq!(found, expected, "{statement}");
    };
    check("use crate::gate::ApprovedPlan;", &["crate::gate::ApprovedPlan"]);
    check("pub(crate) use self::gate::Waiting as W;", &["self::gate::Waiting"]);
    check("use crate::{api::Sync, gate};", &["crate::api::Sync", "crate::gate"]);
    check(
        "use crate::{gate::{self, Waiting}, render};",
        &["crate::gate", "crate::gate::Waiting", "crate::render"],
    );
    check("use super::super::Cluster;", &["super::super::Cluster"]);
    check("Err(error) => crate::error::StageError::name(error),", &["crate::error::StageError::name"]);
    check("let a = child::make(b::<c>(), super::D);", &["child::make", "b", "super::D"]);
}

#[test]
fn an_import_leads_to_the_file_that_has_the_item() {
    let file = |path: &str, text: &str| File { path: format!("x/src/{path}"), text: text.to_owned() };
    let files = [
        file("lib.rs", "pub mod room;\nmod user;\n"),
        file("room/mod.rs", "mod inner;\npub use inner::Thing;\npub struct Own;\n"),
        file("room/inner.rs", "use super::Own;\npub struct Thing;\n"),
        file(
            "user.rs",
            "use crate::room::{Own, Thing};\nuse x::room;\n#[cfg(test)]\nuse crate::never::Known;\n",
        ),
    ];
    let read = Crate::read("x", "x/src", &files);
    let found: Vec<String> = read
        .imports()
        .iter()
        .map(|Import { from, to, line, .. }| format!("{}:{line} {}", from.join("::"), to.join("::")))
        .collect();
    assert_eq!(found, ["room::inner:1 room", "user:1 room", "user:1 room::inner"]);
}
