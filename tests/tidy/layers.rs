//! The rooms of the agent in the order of their layers: a room may import what stands in a layer above its own, and nothing
//! else. Stages of the pipeline do not even import an earlier stage; what composes them passes values. Pure.

use super::imports::{Crate, Import};
use super::source::{File, check, files};

/// The layers, from the foundation up. A room is a folder or a file of `agent/src`.
const LAYERS: &[&[&str]] = &[
    &["error", "shares", "sync_ref", "progress", "telemetry", "trust", "local", "wildcard"],
    &["api", "http", "subject"],
    &["policy", "secret_data", "metrics", "rooms", "calls"],
    &["disk", "identity"],
    &["registry", "forge", "source"],
    &["render"],
    &["cluster", "gate"],
    &["report"],
    &["reconcile", "leader"],
    &["image", "import", "review"],
    &["server", "ui"],
    &["controller"],
    &["cli"],
    &["main"],
];

/// The stages of the pipeline, which know nothing of each other.
const STAGES: &[&str] = &["source", "render", "cluster", "gate", "report"];

/// What a file may take although its layer says otherwise, and why. A name that ends in `/` or `::` stands for all below.
const ALLOWED: &[(&str, &str, &str)] = &[
    (
        "cluster/apply.rs",
        "gate::ApprovedPlan",
        "it takes nothing else, so what the gate did not approve is not applied",
    ),
    ("report/", "gate::Waiting", "what waits is a value that is reported"),
];

/// The layer of a room.
fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|rooms| rooms.contains(&room))
}

fn is_allowed(path: &str, item: &str) -> bool {
    ALLOWED.iter().any(|(of, known, _)| {
        let file = *of == path || (of.ends_with('/') && path.starts_with(of));
        let taken = *known == item || known.is_empty() || (known.ends_with("::") && item.starts_with(known));
        file && taken
    })
}

fn agent(files: &[File]) -> Vec<Import> {
    let imports = Crate::read("holdfast", "agent/src", files).imports();
    imports.into_iter().filter(|import| import.from.first() != import.to.first()).collect()
}

#[test]
fn a_room_imports_only_what_stands_above_it() -> anyhow::Result<()> {
    let files = files()?;
    let mut broken = Vec::new();
    for Import { file, line, from, to, item } in agent(&files) {
        let (Some(room), Some(other)) = (from.first(), to.first()) else { continue };
        let path = file.trim_start_matches("agent/src/");
        let stages = STAGES.contains(&room.as_str()) && STAGES.contains(&other.as_str());
        let in_order = !stages && layer(other) < layer(room);
        if !in_order && !is_allowed(path, &item) {
            broken.push(format!("{file}:{line}: {room} takes {item}"));
        }
    }
    let remedy = "let what composes both pass a value, or put what both need into a room above them";
    check("a room imports only what stands above it in LAYERS", remedy, &broken)
}

#[test]
fn every_room_has_a_layer() -> anyhow::Result<()> {
    let files = files()?;
    let rooms = files.iter().filter(|file| file.is_rust()).filter_map(File::agent);
    let rooms = rooms.filter(|path| *path != "lib.rs");
    let mut broken: Vec<String> = rooms
        .map(|path| path.split('/').next().unwrap_or(path).trim_end_matches(".rs"))
        .filter(|room| layer(room).is_none())
        .map(|room| format!("agent/src/{room}"))
        .collect();
    broken.dedup();
    check("every room of the agent has a layer", "add it to LAYERS in tests/tidy/layers.rs", &broken)
}

#[test]
fn every_exception_is_needed() -> anyhow::Result<()> {
    let files = files()?;
    let all = agent(&files);
    let used = |of: &str, known: &str| {
        all.iter().any(|Import { file, item, .. }| {
            let path = file.trim_start_matches("agent/src/");
            let file = of == path || (of.ends_with('/') && path.starts_with(of));
            file && (known == item || known.is_empty() || (known.ends_with("::") && item.starts_with(known)))
        })
    };
    let broken: Vec<String> = ALLOWED
        .iter()
        .filter(|(of, known, _)| !used(of, known))
        .map(|(of, known, reason)| format!("agent/src/{of} does not take crate::{known} ({reason})"))
        .collect();
    let remedy = "take it out of ALLOWED in tests/tidy/layers.rs";
    check("an exception that nothing uses hides the next one", remedy, &broken)
}
