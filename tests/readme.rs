//! README.md and the pages in agent/docs are true: their YAML is valid to a real API server, their command lines parse, their
//! metrics and links are there. I/O: disk reads, processes, network.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use holdfast_tests::{Env, agent, root};

/// Lines of README.md.
const LINES: usize = 200;

fn readme() -> anyhow::Result<String> {
    std::fs::read_to_string(root().join("README.md")).context("cannot read README.md")
}

/// The Markdown files of a folder: their paths from the root of the repository, and their texts.
fn markdown(folder: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join(folder)).with_context(|| format!("cannot list {folder}"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let text = std::fs::read_to_string(&path)?;
            found.push((path.strip_prefix(root())?.display().to_string(), text));
        }
    }
    found.sort();
    Ok(found)
}

/// README.md and the pages in agent/docs.
fn pages() -> anyhow::Result<Vec<(String, String)>> {
    let mut pages = vec![("README.md".to_owned(), readme()?)];
    pages.extend(markdown("agent/docs")?);
    ensure!(pages.len() > 5, "agent/docs has too few pages");
    Ok(pages)
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
    let arguments = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
    let mut seen = 0;
    for (page, text) in pages()? {
        for (line, block) in blocks(&text, "yaml") {
            let output = env.cluster.kubectl_with(&env.cluster.kubeconfig(), &arguments, &block).await?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{page}:{line}: the API server refuses it: {said}");
            seen += 1;
        }
    }
    ensure!(seen > 0, "no page has a block of YAML");
    Ok(())
}

#[tokio::test]
async fn every_command_line_parses() -> anyhow::Result<()> {
    let program = agent::program().await?;
    let folder = program.parent().context("the program is in no folder")?;
    let path = std::env::var("PATH").unwrap_or_default();
    let mut seen = 0;
    for (page, text) in pages()? {
        for (first, block) in blocks(&text, "sh") {
            for (at, line) in block.lines().enumerate().filter(|(_, line)| line.starts_with("holdfast ")) {
                // With --help the line is parsed up to there, and nothing is done.
                let command = line.split(" #").next().unwrap_or(line);
                let output = Command::new("sh")
                    .args(["-c", &format!("{command} --help")])
                    .env("PATH", format!("{}:{path}", folder.display()))
                    .output()?;
                let said = String::from_utf8_lossy(&output.stderr);
                ensure!(output.status.success(), "{page}:{}: {command}: {said}", first + at);
                ensure!(!output.stdout.is_empty(), "{page}:{}: {command} prints no help", first + at);
                seen += 1;
            }
        }
    }
    ensure!(seen > 0, "no page shows a command line");
    Ok(())
}

/// A family without a series is not in the text that is served, so the names are looked up where they are registered.
#[test]
fn every_metric_is_registered() -> anyhow::Result<()> {
    let source = std::fs::read_to_string(root().join("agent/src/metrics.rs"))?;
    let mut seen = 0;
    for (page, text) in pages()? {
        let words = text.split(|character: char| !(character.is_ascii_lowercase() || character == '_'));
        for word in words.filter(|word| word.starts_with("holdfast_")) {
            // The encoder adds the prefix, the unit, and _total to counters.
            let name =
                word.trim_start_matches("holdfast_").trim_end_matches("_total").trim_end_matches("_seconds");
            let registered = source.contains(&format!("\"{name}\""));
            ensure!(
                registered,
                "{page} names the metric {word}, which agent/src/metrics.rs does not register"
            );
            seen += 1;
        }
    }
    ensure!(seen > 0, "no page names a metric");
    Ok(())
}

/// The names by which GitHub links to the headings of a page.
fn anchors(text: &str) -> Vec<String> {
    let headings = text
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|rest| rest.trim_start_matches('#').trim());
    let kept = |letter: &char| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter);
    headings
        .map(|heading| heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-"))
        .collect()
}

/// Why a link of a page leads nowhere, if it does not.
fn broken(page: &Path, text: &str, link: &str) -> Option<String> {
    if link.contains("://") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = page.parent().unwrap_or(page).join(file);
    if !file.is_empty() && !target.exists() {
        return Some(format!("{file} is not there"));
    }
    let linked =
        if file.is_empty() { text.to_owned() } else { std::fs::read_to_string(&target).unwrap_or_default() };
    let there = anchor.is_empty() || anchors(&linked).iter().any(|name| name == anchor);
    (!there).then(|| format!("{link} has no heading #{anchor}"))
}

/// In every Markdown file beside the code: a link that is not to the web is to a file, a folder or a heading.
#[test]
fn every_link_leads_somewhere() -> anyhow::Result<()> {
    let mut seen = 0;
    for folder in [
        "",
        ".github",
        "agent",
        "agent/docs",
        "diff",
        "examples",
        "manifests",
        "manifests/monitoring",
        "tests",
    ] {
        for (page, text) in markdown(folder)? {
            for (at, line) in text.lines().enumerate() {
                for part in line.split("](").skip(1) {
                    let link = part.split(')').next().unwrap_or(part);
                    let wrong = broken(&root().join(&page), &text, link);
                    ensure!(wrong.is_none(), "{page}:{}: {}", at + 1, wrong.unwrap_or_default());
                    seen += 1;
                }
            }
        }
    }
    ensure!(seen > 0, "no page has a link");
    Ok(())
}

#[test]
fn the_readme_is_short() -> anyhow::Result<()> {
    let lines = readme()?.lines().count();
    ensure!(
        lines <= LINES,
        "README.md:{lines}: more than {LINES} lines; move the rest to a page in agent/docs"
    );
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
