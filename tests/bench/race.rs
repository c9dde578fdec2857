//! Race: four people commit to one branch all the time, with git itself, while new images come. Every update lands once,
//! and no commit is lost; fails if that is not so. I/O: processes, network, disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use holdfast_tests::tools::progress;
use holdfast_tests::watchdog::Folder;
use serde_json::json;

use super::images::Stage;

const PEOPLE: usize = 4;
const IMAGES: usize = 3;
/// Between two new images.
const PAUSE: Duration = Duration::from_secs(3);
/// How long an image may take to land.
const LIMIT: Duration = Duration::from_mins(1);
const FILE: &str = "images.yaml";

/// What all people know.
struct Race {
    url: String,
    ca: PathBuf,
    stop: AtomicBool,
}

impl Race {
    /// Runs `git` as a person. False if it fails.
    fn git(&self, clone: &Path, arguments: &[&str]) -> anyhow::Result<bool> {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=Alice", "-c", "user.email=alice@example.com", "-c", "gc.auto=0"]);
        git.args(arguments).current_dir(clone).stdin(Stdio::null());
        git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        git.env("GIT_SSL_CAINFO", &self.ca).env("GIT_TERMINAL_PROMPT", "0");
        Ok(git.output()?.status.success())
    }

    /// One person: commits and pushes until told to stop. Returns the subjects that git said were pushed, and how often
    /// another push was faster.
    fn person(&self, number: usize, clone: &Path) -> anyhow::Result<(Vec<String>, usize)> {
        std::fs::create_dir_all(clone)?;
        ensure!(self.git(clone, &["init", "--quiet", "-b", "main"])?, "git init failed");
        let (mut done, mut late) = (Vec::new(), 0);
        for at in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let subject = format!("person {number} commit {at}");
            let fetched = self.git(clone, &["fetch", "--quiet", &self.url, "main"])?;
            if !fetched || !self.git(clone, &["reset", "--quiet", "--hard", "FETCH_HEAD"])? {
                continue;
            }
            write(number, clone, &subject)?;
            let staged = self.git(clone, &["add", "--all"])?;
            ensure!(staged && self.git(clone, &["commit", "--quiet", "-m", &subject])?, "git commit failed");
            if self.git(clone, &["push", "--quiet", &self.url, "HEAD:main"])? {
                done.push(subject);
            } else {
                late += 1;
            }
        }
        Ok((done, late))
    }
}

/// The first person edits the file that names the images, the others files of their own.
fn write(number: usize, clone: &Path, subject: &str) -> anyhow::Result<()> {
    if number > 0 {
        return Ok(std::fs::write(clone.join(format!("person-{number}")), subject)?);
    }
    let text = std::fs::read_to_string(clone.join(FILE))?;
    let rest = text.lines().skip(1).map(|line| format!("{line}\n"));
    Ok(std::fs::write(clone.join(FILE), format!("# {subject}\n{}", rest.collect::<String>()))?)
}

/// An image of the race.
struct Runner {
    name: String,
    repository: String,
    /// The version that is on its way, and since when.
    open: Option<(usize, Instant)>,
    /// How many versions were pushed.
    pushed: usize,
}

/// Races for some time.
pub async fn race(time: Duration) -> anyhow::Result<()> {
    progress(&format!("race: {PEOPLE} people, for {} s", time.as_secs()));
    let stage = Stage::set().await?;
    let mut runners: Vec<Runner> = (0..IMAGES)
        .map(|at| Runner {
            name: format!("web-{at}"),
            repository: format!("team/web-{at}"),
            open: None,
            pushed: 0,
        })
        .collect();
    let hook = begin(&stage, &runners).await?;
    let folder = Folder::make("race")?;
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, stage.env.forge.ca())?;
    let race = Arc::new(Race { url: stage.git.push_url.clone(), ca, stop: AtomicBool::new(false) });
    let people: Vec<_> = (0..PEOPLE)
        .map(|number| {
            let (clone, race) = (folder.path().join(number.to_string()), race.clone());
            std::thread::spawn(move || race.person(number, &clone))
        })
        .collect();
    let times = run(&stage, &hook, &mut runners, time).await;
    race.stop.store(true, Ordering::Relaxed);
    let (mut theirs, mut they_late) = (Vec::new(), 0);
    for person in people {
        let (done, late) = person.join().map_err(|_| anyhow::anyhow!("a person gave up"))??;
        theirs.extend(done);
        they_late += late;
    }
    let mut times = times?;
    times.sort_by(f64::total_cmp);
    let lines = stage.agent.lines()?;
    let late = lines
        .iter()
        .filter(|line| line.to_string().contains("Push rejected because the branch moved"))
        .count();
    let gave_up = lines.iter().filter(|line| line.to_string().contains("times in a row")).count();
    let log = Log::read(&stage)?;
    println!(
        "{}",
        json!({"bench": "race", "case": format!("{PEOPLE} people, {} s", time.as_secs()), "updates": times.len(), "theirs": theirs.len(),
            "late": late, "gave_up": gave_up, "they_late": they_late, "median_seconds": times.get(times.len() / 2),
            "longest_seconds": times.last(), "lost": log.lost(&theirs).len(), "wrong": log.wrong(&runners).len()})
    );
    let (lost, wrong) = (log.lost(&theirs), log.wrong(&runners));
    ensure!(lost.is_empty() && wrong.is_empty(), "lost: {lost:?}; did not land once: {wrong:?}");
    // Without a race, nothing is shown here.
    ensure!(late > 0 && !theirs.is_empty() && !times.is_empty(), "no push was ever late");
    Ok(())
}

/// The repository and its ImageUpdate. Returns where calls go.
async fn begin(stage: &Stage, runners: &[Runner]) -> anyhow::Result<String> {
    let (mut text, mut images) = ("# empty\n".to_owned(), Vec::new());
    for Runner { name, repository, open: _, pushed } in runners {
        push(stage, repository, *pushed).await?;
        text += &stage.line(name, name, repository, "1.0.0");
        images.push(stage.image(name, repository));
    }
    stage.git.commit(&[(FILE, &text)], "Begin")?;
    let webhook = json!({"interval": "1h", "webhook": {"provider": "Quay", "secretRef": {"name": "hook"}}});
    stage.create("web", &images, &webhook).await?;
    stage.ready(1).await?;
    stage.hook("web").await
}

async fn push(stage: &Stage, repository: &str, version: usize) -> anyhow::Result<()> {
    stage
        .pusher
        .push(repository, &format!("1.0.{version}"), "2026-01-01T00:00:00Z", &["linux/amd64"])
        .await?;
    Ok(())
}

/// Pushes a new image every few seconds, of each in turn, unless its last one is still on its way. Returns the seconds that
/// each took from the push to git.
async fn run(stage: &Stage, hook: &str, runners: &mut [Runner], time: Duration) -> anyhow::Result<Vec<f64>> {
    let (client, started, mut times) = (reqwest::Client::new(), Instant::now(), Vec::new());
    let (mut next, mut turn) = (started, 0);
    loop {
        let is_over = started.elapsed() > time;
        if is_over && runners.iter().all(|runner| runner.open.is_none()) {
            return Ok(times);
        }
        let runner = &mut runners[turn % IMAGES];
        if !is_over && Instant::now() >= next && runner.open.is_none() {
            runner.pushed += 1;
            push(stage, &runner.repository, runner.pushed).await?;
            runner.open = Some((runner.pushed, Instant::now()));
            client.post(hook).body("{}").send().await?.error_for_status()?;
            (next, turn) = (Instant::now() + PAUSE, turn + 1);
        }
        let text = now(stage)?;
        for Runner { name, repository, open, pushed: _ } in runners.iter_mut() {
            let Some((version, since)) = *open else { continue };
            if text.contains(&format!("{repository}:1.0.{version} ")) {
                times.push(since.elapsed().as_secs_f64());
                *open = None;
            }
            ensure!(since.elapsed() < LIMIT, "{name} 1.0.{version} did not land within {LIMIT:?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The file as it is on the server, read out of its folder.
fn now(stage: &Stage) -> anyhow::Result<String> {
    let bare = stage.env.forge.bare(&stage.git);
    let shown = Command::new("git").args(["show", &format!("main:{FILE}")]).current_dir(bare).output()?;
    Ok(String::from_utf8_lossy(&shown.stdout).into_owned())
}

/// What git says in the end.
struct Log {
    /// How often each subject is there.
    subjects: HashMap<String, usize>,
    /// How often each line was added.
    added: HashMap<String, usize>,
}

impl Log {
    fn read(stage: &Stage) -> anyhow::Result<Self> {
        stage.git.git(&["fetch", "--quiet", &stage.git.push_url, "main"])?;
        let text = stage.git.git(&["log", "--format=subject %s", "-p", "FETCH_HEAD", "--", "."])?;
        let (mut subjects, mut added) = (HashMap::new(), HashMap::new());
        for line in text.lines() {
            if let Some(subject) = line.strip_prefix("subject ") {
                *subjects.entry(subject.to_owned()).or_default() += 1;
            } else if let Some(line) = line.strip_prefix('+') {
                *added.entry(line.to_owned()).or_default() += 1;
            }
        }
        Ok(Self { subjects, added })
    }

    /// Commits that git said were pushed, and are not there once.
    fn lost<'t>(&self, theirs: &'t [String]) -> Vec<&'t String> {
        theirs.iter().filter(|subject| self.subjects.get(*subject) != Some(&1)).collect()
    }

    /// Versions that were not written once.
    fn wrong(&self, runners: &[Runner]) -> Vec<String> {
        let all = runners.iter().flat_map(|runner| (0..=runner.pushed).map(move |version| (runner, version)));
        let wanted = all.map(|(runner, version)| format!("{}:1.0.{version} ", runner.repository));
        let count = |wanted: &str| {
            self.added.iter().filter(|(line, _)| line.contains(wanted)).map(|(_, count)| count).sum::<usize>()
        };
        wanted.filter(|wanted| count(wanted) != 1).collect()
    }
}
