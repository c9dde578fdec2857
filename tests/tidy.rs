//! The rules of the house, checked by reading the source: which room may import which (`layers`), that no files import each
//! other in a circle (`circles`), where the outside world is touched, how long a file may be. Leaves style to clippy and
//! rustfmt. I/O: disk reads, `git ls-files`, `cargo tree`.
//!
//! A rule that is broken says file and line, the rule, and what to do about it. What may break a rule is named in a
//! table here, each with its reason.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/source.rs"]
mod source;

use std::process::Command;

use anyhow::ensure;
use holdfast_tests::root;

use self::source::{File, check, elsewhere, files, has_word, is_in, tracked};

/// Where the client of the cluster may be.
const CLIENT: &[&str] = &["cluster/", "report/", "controller/", "leader.rs", "cli/"];

/// Where git may be.
const GIT: &[&str] = &["source/"];

/// Where other programs may be started.
const SUBPROCESS: &[&str] =
    &["render/", "source/program.rs", "source/ssh.rs", "source/transport.rs", "source/merge/tests.rs"];

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

/// Where decisions are made: what they need to know of the time is an argument.
const DECISIONS: &[&str] =
    &["reconcile/", "gate.rs", "gate/", "image/", "report/", "review/", "policy.rs", "identity.rs"];

/// Clocks and randomness.
const CLOCKS: &[&str] = &["Timestamp::now", "Instant::now", "SystemTime::now", "fastrand::"];

/// Who reads a clock among them, and why.
const READS_A_CLOCK: &[(&str, &str)] = &[
    ("reconcile/limits.rs", "it ends a run at its time limit"),
    ("report/alert/entry.rs", "it is the clock that the controller passes to the alerts"),
    ("report/alert/courier.rs", "it waits for what its outbox says is due"),
    ("report/alert/final_notices.rs", "it waits for what its outbox says is due, within a time limit"),
    ("report/alert/sending.rs", "a receiver signs the time at which a notice is sent"),
    ("report/alert/receiver/http.rs", "Retry-After can be a time"),
    ("review/live.rs", "a preview is made at the time of its pass"),
    ("review/pass/bases.rs", "the login of a source is read at the time of the pass"),
    ("review/pass/retry.rs", "what failed is repeated after a pause"),
    ("report/events.rs", "an Event has the time at which it is written, and waits for a limited time"),
];

/// The crates that take values and give values, and do nothing else.
const PURE: &[&str] = &["holdfast-documents", "holdfast-kustomize", "holdfast-diff"];

/// What must not be under a pure crate.
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
fn decisions_take_the_time_as_an_argument() -> anyhow::Result<()> {
    let files = files()?;
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && !file.is_test()) {
        let Some(path) = file.agent().filter(|path| is_in(path, DECISIONS)) else { continue };
        let reads = || file.code().filter(|(_, line)| CLOCKS.iter().any(|clock| line.contains(clock)));
        if READS_A_CLOCK.iter().any(|(known, _)| *known == path) {
            if reads().next().is_none() {
                broken.push(format!("agent/src/{path} is in READS_A_CLOCK and reads none"));
            }
            continue;
        }
        broken.extend(reads().map(|(number, line)| format!("agent/src/{path}:{number}: {line}")));
    }
    let remedy = "take the time or the random number as an argument, so that a test can set it";
    check("decisions read no clock and make no random number", remedy, &broken)
}

#[test]
fn the_pure_crates_depend_on_nothing_that_does_io() -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for name in PURE {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let arguments = ["tree", "-p", name, "-e", "normal", "--prefix", "none", "--locked"];
        let output = Command::new(cargo).args(arguments).current_dir(root()).output()?;
        ensure!(output.status.success(), "cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8(output.stdout)?;
        let crates = tree.lines().filter_map(|line| line.split(' ').next());
        let impure = crates.filter(|other| {
            IMPURE.contains(other) || (other.starts_with("holdfast") && !PURE.contains(other))
        });
        broken.extend(impure.map(|other| format!("{name} depends on {other}")));
    }
    let remedy = "move what needs it to agent/, and pass values";
    check("the crates in diff/ are pure", remedy, &broken)
}

#[test]
fn the_pure_crates_refuse_calls_of_the_outside() -> anyhow::Result<()> {
    let listed = std::fs::read_to_string(root().join("diff/clippy.toml"))?;
    let wanted =
        ["std::fs::read", "std::env::var", "std::time::SystemTime::now", "std::process::Command::new"];
    let mut broken: Vec<String> = wanted
        .iter()
        .filter(|call| !listed.contains(*call))
        .map(|call| format!("diff/clippy.toml: {call} is missing"))
        .collect();
    let files = files()?;
    let libraries =
        files.iter().filter(|file| file.path.starts_with("diff/") && file.path.ends_with("src/lib.rs"));
    let open = libraries.filter(|file| !file.text.contains("#![deny(clippy::disallowed_methods"));
    broken.extend(open.map(|file| format!("{}: the lint is not denied", file.path)));
    check("clippy refuses clocks, files, environments and processes in diff/", "put it back", &broken)
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
