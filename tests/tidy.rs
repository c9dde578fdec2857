//! The rules of the house, checked by reading the source: who may know whom, where the outside world is touched, how long
//! a file may be. Leaves style to clippy and rustfmt. I/O: disk reads, `git ls-files`, `cargo tree`.
//!
//! A rule that is broken says file and line, the rule, and what to do about it. What may break a rule is named in a
//! table here, each with its reason.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use holdfast_tests::root;

/// The stages of the pipeline, and the image loop beside it: folders or files of these names in `agent/src`.
const STAGES: &[&str] = &["source", "render", "cluster", "gate", "report", "image"];

/// What puts stages together. A name that ends in `/` is a folder.
const COMPOSERS: &[&str] = &[
    "reconcile.rs",
    "reconcile/",
    "context.rs",
    "controller.rs",
    "controller/",
    "memory.rs",
    "image/mod.rs",
    "image/pass/",
    "cli/",
];

/// A path that a file may take from a stage that is not its own, and why.
const ALLOWED: &[(&str, &str, &str)] = &[
    (
        "cluster/apply.rs",
        "gate::ApprovedPlan",
        "it takes nothing else, so what nobody approved is not applied",
    ),
    ("report/mod.rs", "gate::Waiting", "what waits is a value that is reported"),
    ("report/status.rs", "gate::Waiting", "what waits is a value that is reported"),
    ("metrics.rs", "report::Findings", "what a run found is a value that is counted"),
];

/// Where the client of the cluster may be.
const CLIENT: &[&str] =
    &["cluster/", "report/", "controller.rs", "controller/", "context.rs", "leader.rs", "cli/"];

/// Where git may be.
const GIT: &[&str] = &["source/", "image/publish.rs"];

/// Where other programs may be started.
const SUBPROCESS: &[&str] = &["render/", "source/program.rs", "source/ssh.rs", "source/transport.rs"];

/// Where the terminal may be written to.
const TERMINAL: &[&str] = &["cli/print.rs", "telemetry.rs"];

/// Where HTTP clients are made and connections are opened.
const CONNECTIONS: &[&str] = &["http/"];

/// What makes an HTTP client or opens a connection. The client of the API server is kube's, and made elsewhere.
const CONNECTING: &[&str] = &[
    "Client::builder(",
    "ClientBuilder::new(",
    "reqwest::get(",
    "reqwest::blocking",
    "reqwest::Client::new(",
    "TcpStream::connect",
    "TcpSocket::",
    "UdpSocket::",
    "UnixStream::connect",
    "lookup_host(",
    "to_socket_addrs(",
];

/// Who opens one beside them, and why.
const CONNECTS: &[(&str, &str, &str)] = &[
    ("cli/cluster.rs", "lookup_host(", "it resolves the name of the API server, which is refused to others"),
    (
        "server/pinned.rs",
        "TcpStream::connect",
        "it hands calls on to another agent, whose Lease says where it is",
    ),
];

/// What must not be under the pure crate.
const IMPURE: &[&str] = &["tokio", "kube", "hyper", "gix", "reqwest"];

/// The longest file.
const LINES: usize = 800;

/// What the top level holds, beside hidden entries.
const TOP_LEVEL: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "agent",
    "diff",
    "examples",
    "manifests",
    "tests",
];

/// Words of a workplace, and hosts that a program of this repository has no business with. Written in two parts, so that
/// this file does not break its own rule.
const FOREIGN: &[&str] = &[
    concat!("issue", " #"),
    concat!("crates", ".io"),
    concat!("proxy.golang", ".org"),
    concat!("sum.golang", ".org"),
    concat!("deb.debian", ".org"),
    concat!("registry.npmjs", ".org"),
];

/// A tracked text file.
struct File {
    /// From the root of the repository.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    /// True if it is the tests of a module, in a file of their own.
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    /// The path below `agent/src`, if it is there.
    fn agent(&self) -> Option<&str> {
        self.path.strip_prefix("agent/src/")
    }

    /// Lines of code with their numbers, without comments and without the tests at the end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        lines.take_while(|(_, line)| *line != "#[cfg(test)]").filter(|(_, line)| !line.starts_with("//"))
    }

    /// The same, with each `use` put on one line.
    fn statements(&self) -> Vec<(usize, String)> {
        let mut found: Vec<(usize, String)> = Vec::new();
        let mut open = false;
        for (number, line) in self.code() {
            match found.last_mut().filter(|_| open) {
                Some((_, statement)) => statement.push_str(line),
                None => found.push((number, line.to_owned())),
            }
            let used = found.last().is_some_and(|(_, statement)| is_use(statement));
            open = used && !line.ends_with(';');
        }
        found
    }
}

fn is_use(statement: &str) -> bool {
    let bare = statement.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
    bare.starts_with("use ")
}

/// The tracked text files.
fn files() -> anyhow::Result<Vec<File>> {
    let mut found = Vec::new();
    for path in tracked()? {
        // A file that is deleted and not yet committed is not there; an image is not text.
        if let Ok(text) = std::fs::read_to_string(root().join(&path)) {
            found.push(File { path, text });
        }
    }
    ensure!(!found.is_empty(), "git lists no files in {}", root().display());
    Ok(found)
}

fn tracked() -> anyhow::Result<Vec<String>> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let output = output.context("cannot start git, which tells the files of the repository")?;
    ensure!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout)?;
    Ok(names.split_terminator('\0').map(ToOwned::to_owned).collect())
}

/// Fails with everything that breaks a rule, and what to do.
fn check(rule: &str, remedy: &str, broken: &[String]) -> anyhow::Result<()> {
    ensure!(broken.is_empty(), "{rule}; {remedy}:\n  {}", broken.join("\n  "));
    Ok(())
}

/// Finds what breaks a rule in the lines of the agent that are outside of `places`.
fn elsewhere(places: &[&str], breaks: impl Fn(&str) -> bool) -> anyhow::Result<Vec<String>> {
    let mut broken = Vec::new();
    for file in files()?.iter().filter(|file| file.is_rust()) {
        let Some(path) = file.agent().filter(|path| !is_in(path, places)) else { continue };
        let lines = file.statements().into_iter().filter(|(_, line)| breaks(line));
        broken.extend(lines.map(|(number, line)| format!("agent/src/{path}:{number}: {line}")));
    }
    Ok(broken)
}

fn is_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)))
}

/// True if the text holds this word, and not only as a part of another one.
fn has_word(text: &str, word: &str) -> bool {
    let part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(part)
            && !text[at + word.len()..].chars().next().is_some_and(part)
    })
}

/// What a line takes from this crate: `gate::ApprovedPlan` for `use crate::gate::ApprovedPlan;`.
fn taken(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, start) in line.match_indices("crate::") {
        let rest = &line[at + start.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(members(group)),
            None => found.extend(paths(rest)),
        }
    }
    found
}

/// The paths of `gate::{ApprovedPlan, Waiting}`, and the one path of `gate::ApprovedPlan`.
fn paths(text: &str) -> Vec<String> {
    let end = text.find(|character: char| !(character.is_alphanumeric() || "_:".contains(character)));
    let (path, rest) = text.split_at(end.unwrap_or(text.len()));
    match (path.strip_suffix("::"), rest.strip_prefix('{')) {
        (Some(module), Some(group)) => {
            members(group).into_iter().map(|member| format!("{module}::{member}")).collect()
        }
        _ => vec![path.to_owned()],
    }
}

/// The paths of a group, of which the opening brace is taken off.
fn members(group: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                found.extend(paths(group[start..at].trim()).into_iter().filter(|path| !path.is_empty()));
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    found
}

/// The stage that a file belongs to: that of `gate.rs`, and of everything in `cluster/`.
fn stage(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

#[test]
fn the_reader_of_imports_reads_every_form() {
    let check = |line: &str, expected: &[&str]| assert_eq!(taken(line), expected, "{line}");
    check("use crate::gate::ApprovedPlan;", &["gate::ApprovedPlan"]);
    check("use crate::{api::Sync, gate};", &["api::Sync", "gate"]);
    check("use crate::gate::{ApprovedPlan, Waiting};", &["gate::ApprovedPlan", "gate::Waiting"]);
    check("use crate::{gate::{self, Waiting}, render};", &["gate::self", "gate::Waiting", "render"]);
    check("Err(error) => crate::error::StageError::name(error),", &["error::StageError::name"]);
}

#[test]
fn stages_do_not_know_one_another() -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for file in files()?.iter().filter(|file| file.is_rust()) {
        let Some(path) = file.agent().filter(|path| !is_in(path, COMPOSERS)) else { continue };
        for (number, line) in file.statements() {
            for used in taken(&line) {
                let other = used.split("::").next().unwrap_or(&used);
                let allowed = ALLOWED.iter().any(|(file, item, _)| *file == path && *item == used);
                if STAGES.contains(&other) && other != stage(path) && !allowed {
                    broken.push(format!("agent/src/{path}:{number}: takes crate::{used}"));
                }
            }
        }
    }
    let remedy = "let reconcile pass the value, or put what both need into api, error, sync_ref or metrics";
    check("only reconcile, context, controller, image/mod.rs and cli put stages together", remedy, &broken)
}

#[test]
fn every_exception_is_needed() -> anyhow::Result<()> {
    let files = files()?;
    let mut broken = Vec::new();
    for (path, item, reason) in ALLOWED {
        let file = files.iter().find(|file| file.agent() == Some(path));
        let used = file.is_some_and(|file| {
            file.statements().iter().any(|(_, line)| taken(line).iter().any(|used| used == item))
        });
        if !used {
            broken.push(format!("agent/src/{path} does not take crate::{item} ({reason})"));
        }
    }
    check(
        "an exception that nothing uses hides the next one",
        "take it out of ALLOWED in tests/tidy.rs",
        &broken,
    )
}

#[test]
fn the_cluster_is_reached_from_few_places() -> anyhow::Result<()> {
    let broken = elsewhere(CLIENT, |line| {
        line.contains("kube::Client;")
            || has_word(line, "kube::Client")
            || (line.starts_with("use kube::") && has_word(line, "Client"))
    })?;
    let remedy = "make the request in cluster/ or report/, and pass on its answer";
    check(&format!("kube::Client is in {} only", CLIENT.join(", ")), remedy, &broken)
}

#[test]
fn git_is_in_one_place() -> anyhow::Result<()> {
    let broken =
        elsewhere(GIT, |line| has_word(line, "gix") && (line.contains("gix::") || line.contains("use gix")))?;
    check(&format!("gix is in {} only", GIT.join(", ")), "wrap what is needed in source/", &broken)
}

#[test]
fn other_programs_are_started_by_renderers_only() -> anyhow::Result<()> {
    let broken = elsewhere(SUBPROCESS, |line| {
        line.contains("tokio::process")
            || line.contains("process::Command")
            || (line.starts_with("use std::process") && has_word(line, "Command"))
    })?;
    check(
        &format!("subprocesses are in {} only", SUBPROCESS.join(", ")),
        "use a library, or a renderer",
        &broken,
    )
}

#[test]
fn the_terminal_is_written_in_one_place() -> anyhow::Result<()> {
    let broken = elsewhere(TERMINAL, |line| {
        ["io::stdout()", "io::stderr()", "print!(", "println!("].iter().any(|word| line.contains(word))
    })?;
    let remedy = "call cli/print.rs, which shows what a terminal would obey";
    check(&format!("the terminal is in {} only", TERMINAL.join(", ")), remedy, &broken)
}

#[test]
fn connections_are_made_in_one_place() -> anyhow::Result<()> {
    let files = files()?;
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && !file.is_test()) {
        let Some(path) = file.agent().filter(|path| !is_in(path, CONNECTIONS)) else { continue };
        for (number, line) in file.code() {
            let allowed =
                |call: &str| CONNECTS.iter().any(|(file, known, _)| *file == path && *known == call);
            if CONNECTING.iter().any(|call| line.contains(call) && !allowed(call)) {
                broken.push(format!("agent/src/{path}:{number}: {line}"));
            }
        }
    }
    let remedy = "ask through crate::http::Clients, whose guard refuses what no resource may name";
    check(&format!("connections are opened in {} only", CONNECTIONS.join(", ")), remedy, &broken)
}

#[test]
fn time_and_chance_are_arguments_of_the_pure_crate() -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for file in files()?.iter().filter(|file| file.is_rust() && file.path.starts_with("diff/src/")) {
        for (number, line) in file.code() {
            let clock =
                ["SystemTime::now", "Instant::now", "Timestamp::now"].iter().any(|now| line.contains(now));
            if clock || line.contains("rand::") || line.contains("use rand") {
                broken.push(format!("{}:{number}: {line}", file.path));
            }
        }
    }
    check("diff/ knows no clock and no chance", "take the time or the number as an argument", &broken)
}

#[test]
fn the_pure_crate_depends_on_nothing_that_does_io() -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["tree", "-p", "holdfast-diff", "-e", "normal", "--prefix", "none", "--locked"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output()?;
    ensure!(output.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout)?;
    let mut broken = Vec::new();
    for line in tree.lines() {
        let name = line.split(' ').next().unwrap_or(line);
        if IMPURE.contains(&name) || (name.starts_with("holdfast") && name != "holdfast-diff") {
            broken.push(format!("diff/Cargo.toml: {line}"));
        }
    }
    check("holdfast-diff is pure", "move what needs it to agent/, and pass values", &broken)
}

#[test]
fn every_file_says_what_it_is_for() -> anyhow::Result<()> {
    let files = files()?;
    let silent = files.iter().filter(|file| file.is_rust() && !file.text.starts_with("//!"));
    let broken: Vec<String> = silent.map(|file| format!("{}:1", file.path)).collect();
    let remedy = "say what it does, what it leaves to others, and its I/O (or \"Pure.\")";
    check("every .rs file opens with //!", remedy, &broken)
}

#[test]
fn no_file_is_long() -> anyhow::Result<()> {
    let files = files()?;
    let counted = files.iter().filter(|file| file.is_rust()).map(|file| (file, file.text.lines().count()));
    let broken: Vec<String> = counted
        .filter(|(_, lines)| *lines > LINES)
        .map(|(file, lines)| format!("{}:{LINES}: {lines} lines", file.path))
        .collect();
    check(
        &format!("no file is longer than {LINES} lines"),
        "split it where its //! needs an \"and\"",
        &broken,
    )
}

#[test]
fn main_only_starts() -> anyhow::Result<()> {
    let lines = std::fs::read_to_string(root().join("agent/src/main.rs"))?.lines().count();
    ensure!(
        lines < 40,
        "agent/src/main.rs:{lines}: main.rs stays under 40 lines; move the rest to the library"
    );
    Ok(())
}

#[test]
fn the_top_level_is_as_it_was_asked_for() -> anyhow::Result<()> {
    let mut broken: Vec<String> = Vec::new();
    for path in tracked()? {
        let entry = path.split('/').next().unwrap_or(&path);
        if !entry.starts_with('.')
            && !TOP_LEVEL.contains(&entry)
            && !broken.iter().any(|known| known == entry)
        {
            broken.push(entry.to_owned());
        }
    }
    check("the top level has only what was asked for", "move it into a folder, or a hidden one", &broken)
}

#[test]
fn every_folder_has_a_readme() -> anyhow::Result<()> {
    let folders = ["agent", "diff", "manifests", "examples", "tests"];
    let missing = folders.iter().filter(|folder| !root().join(folder).join("README.md").exists());
    let broken: Vec<String> = missing.map(|folder| format!("{folder}/README.md")).collect();
    check("every folder of the top level has a README.md", "say shortly what is where", &broken)
}

#[test]
fn lints_are_silenced_with_a_reason() -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for file in files()?.iter().filter(|file| file.is_rust()) {
        for (at, line) in file.text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with("#[allow(") || line.starts_with("#![allow(") {
                broken.push(format!("{}:{}: {line}", file.path, at + 1));
            }
        }
    }
    check("no lint is allowed in silence", "write #[expect(lint, reason = \"…\")], or mend it", &broken)
}

#[test]
fn nothing_is_unwrapped() -> anyhow::Result<()> {
    let mut broken = Vec::new();
    let checked = |file: &&File| file.is_rust() && file.path != "tests/tidy.rs" && !file.is_test();
    for file in files()?.iter().filter(checked) {
        let lines = file.code().filter(|(_, line)| line.contains(".unwrap()"));
        broken.extend(lines.map(|(number, line)| format!("{}:{number}: {line}", file.path)));
    }
    let remedy = "return the error, or say with expect why it cannot happen";
    check("nothing is unwrapped outside of tests", remedy, &broken)
}

#[test]
fn the_repository_speaks_of_itself_alone() -> anyhow::Result<()> {
    let mut broken = Vec::new();
    // Cargo writes where it got its packages.
    for file in files()?.iter().filter(|file| file.path != "Cargo.lock") {
        for (at, line) in file.text.lines().enumerate() {
            for word in FOREIGN.iter().filter(|word| line.to_lowercase().contains(**word)) {
                broken.push(format!("{}:{}: \"{word}\"", file.path, at + 1));
            }
        }
    }
    check("the repository speaks of Holdfast alone", "say it without the workplace and its hosts", &broken)
}
