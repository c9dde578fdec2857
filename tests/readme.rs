//! README.md is true: its YAML is valid to a real API server, its command lines parse, its metrics and links are there.
//! I/O: disk reads, processes, network.

use std::process::Command;

use anyhow::{Context as _, ensure};
use holdfast_tests::{Env, agent, root};

fn readme() -> anyhow::Result<String> {
    std::fs::read_to_string(root().join("README.md")).context("cannot read README.md")
}

/// The blocks of code in a language, each with the number of its first line.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(named), None) if named == language => open = Some((at + 2, String::new())),
            (None, Some((_, block))) => {
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_yaml_block_is_valid_to_the_api_server() -> anyhow::Result<()> {
    let env = Env::start().await?;
    env.cluster.must(&["create", "namespace", "team-a"]).await?;
    let text = readme()?;
    let blocks = blocks(&text, "yaml");
    ensure!(!blocks.is_empty(), "README.md has no block of YAML");
    let arguments = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
    for (line, block) in &blocks {
        let output = env.cluster.kubectl_with(&env.cluster.kubeconfig(), &arguments, block).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "README.md:{line}: the API server refuses it: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn every_command_line_parses() -> anyhow::Result<()> {
    let program = agent::program().await?;
    let folder = program.parent().context("the program is in no folder")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut seen = 0;
    for (first, block) in blocks(&readme()?, "sh") {
        for (at, line) in block.lines().enumerate().filter(|(_, line)| line.starts_with("holdfast ")) {
            // With --help the line is parsed up to there, and nothing is done.
            let command = line.split(" #").next().unwrap_or(line);
            let output = Command::new("sh")
                .args(["-c", &format!("{command} --help")])
                .env("PATH", format!("{}:{path}", folder.display()))
                .output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "README.md:{}: {command}: {said}", first + at);
            ensure!(!output.stdout.is_empty(), "README.md:{}: {command} prints no help", first + at);
            seen += 1;
        }
    }
    ensure!(seen > 0, "README.md shows no command line");
    Ok(())
}

/// A family without a series is not in the text that is served, so the names are looked up where they are registered.
#[test]
fn every_metric_is_registered() -> anyhow::Result<()> {
    let source = std::fs::read_to_string(root().join("agent/src/metrics.rs"))?;
    let text = readme()?;
    let words = text.split(|character: char| !(character.is_ascii_lowercase() || character == '_'));
    let mut seen = 0;
    for word in words.filter(|word| word.starts_with("holdfast_")) {
        // The encoder adds the prefix, the unit, and _total to counters.
        let name =
            word.trim_start_matches("holdfast_").trim_end_matches("_total").trim_end_matches("_seconds");
        let registered = source.contains(&format!("\"{name}\""));
        ensure!(
            registered,
            "README.md names the metric {word}, which agent/src/metrics.rs does not register"
        );
        seen += 1;
    }
    ensure!(seen > 0, "README.md names no metric");
    Ok(())
}

/// In every README of the repository: a link that is not to the web is to a file or folder.
#[test]
fn every_link_leads_somewhere() -> anyhow::Result<()> {
    for folder in ["", "agent", "diff", "examples", "manifests", "tests"] {
        let folder = root().join(folder);
        let file = folder.join("README.md");
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        for (at, line) in text.lines().enumerate() {
            for part in line.split("](").skip(1) {
                let link = part.split([')', '#']).next().unwrap_or(part);
                let there = link.is_empty() || link.contains("://") || folder.join(link).exists();
                ensure!(there, "{}:{}: {link} is not there", file.display(), at + 1);
            }
        }
    }
    Ok(())
}

#[test]
fn the_first_command_shows_the_main_job() -> anyhow::Result<()> {
    let command = "cargo run -p holdfast-tests --bin demo";
    ensure!(readme()?.contains(command), "README.md does not begin with {command}");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output =
        Command::new(cargo).args(command.split(' ').skip(1)).current_dir(root()).output().context(command)?;
    let shown = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && shown.contains("== Done"), "{output:?}");
    Ok(())
}
