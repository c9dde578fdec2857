//! Four people who push to one branch all the time, with git itself, against our loop of fetch, build and push: each commit
//! lands once, and none is lost. I/O: processes, network.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use holdfast::source::PushError;
use holdfast_tests::tools::progress;
use holdfast_tests::watchdog::Folder;

use super::forge::{Desk, push_url, run};
use super::workshop::{Workshop, git, git_command};

const PEOPLE: usize = 4;
/// How many commits of each side make a race.
const ENOUGH: usize = 6;
/// A slow machine has so much time for them.
const LIMIT: Duration = Duration::from_mins(2);

/// How long we wait between the look and the push while we are ahead.
const TURN: Duration = Duration::from_millis(150);

/// What all people know.
struct Race {
    url: String,
    ca: PathBuf,
    stop: AtomicBool,
    landed: AtomicUsize,
}

/// One person: commits and pushes until told to stop. Returns the subjects that git said were pushed.
fn person(number: usize, clone: &Path, race: &Race) -> anyhow::Result<Vec<String>> {
    let Race { url, ca, stop, landed } = race;
    let git = |arguments: &[&str]| -> anyhow::Result<bool> {
        let output = git_command(clone).args(arguments).env("GIT_SSL_CAINFO", ca).output()?;
        Ok(output.status.success())
    };
    std::fs::create_dir_all(clone)?;
    anyhow::ensure!(git(&["init", "--quiet", "-b", "main"])?);
    let mut done = Vec::new();
    for at in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let subject = format!("person {number} commit {at}");
        if !git(&["fetch", "--quiet", url, "main"])? || !git(&["reset", "--quiet", "--hard", "FETCH_HEAD"])? {
            continue;
        }
        std::fs::write(clone.join(format!("person-{number}")), &subject)?;
        anyhow::ensure!(git(&["add", "--all"])? && git(&["commit", "--quiet", "-m", &subject])?);
        if git(&["push", "--quiet", url, "HEAD:main"])? {
            landed.fetch_add(1, Ordering::Relaxed);
            done.push(subject);
        }
    }
    Ok(done)
}

/// Races against the people, and checks what is on the server afterwards.
async fn race(desk: &Desk, url: String, ca: &str) -> anyhow::Result<()> {
    let folder = Folder::make("race")?;
    let path = folder.path().join("ca.crt");
    std::fs::write(&path, ca)?;
    let race = Race { url, ca: path, stop: AtomicBool::new(false), landed: AtomicUsize::new(0) };
    let race = Arc::new(race);
    let people: Vec<_> = (0..PEOPLE)
        .map(|number| {
            let (clone, race) = (folder.path().join(number.to_string()), race.clone());
            std::thread::spawn(move || person(number, &clone, &race))
        })
        .collect();

    let started = Instant::now();
    let (mut ours, mut late) = (Vec::new(), 0);
    let mut trouble = None;
    while started.elapsed() < LIMIT && trouble.is_none() {
        let content = format!("{}\n", ours.len() + 1);
        let head = desk.head().await?;
        // Four times git takes longer than we do: who is ahead lets others in between.
        if ours.len() > race.landed.load(Ordering::Relaxed) {
            tokio::time::sleep(TURN).await;
        }
        match desk.push(&head, &content).await? {
            Ok(_) => ours.push(format!("Update to {}", content.trim())),
            Err(PushError::Moved { .. }) => late += 1,
            Err(error) => trouble = Some(error),
        }
        if late > 0 && ours.len().min(race.landed.load(Ordering::Relaxed)) >= ENOUGH {
            break;
        }
    }
    race.stop.store(true, Ordering::Relaxed);
    let mut theirs = Vec::new();
    for person in people {
        theirs.extend(person.join().map_err(|_| anyhow::anyhow!("a person gave up"))??);
    }
    let figures = format!("{} commits of ours, {} of theirs, {late} times late", ours.len(), theirs.len());
    progress(&format!("{figures} in {:?}", started.elapsed()));
    if let Some(error) = trouble {
        return Err(anyhow::Error::from(error).context(figures));
    }

    let clone = folder.path().join("0");
    let mut fetch = git_command(&clone);
    fetch.args(["fetch", "--quiet", &race.url, "main"]).env("GIT_SSL_CAINFO", &race.ca);
    anyhow::ensure!(fetch.status()?.success());
    let log = git(&clone, &["log", "--format=%s", "FETCH_HEAD"])?;
    let landed: Vec<&str> = log.lines().collect();
    let unique: HashSet<&str> = landed.iter().copied().collect();
    assert_eq!(unique.len(), landed.len(), "something landed twice:\n{log}");
    for subject in ours.iter().chain(&theirs) {
        assert!(unique.contains(subject.as_str()), "{subject} is lost:\n{log}");
    }
    assert_eq!(git(&clone, &["show", "FETCH_HEAD:a.yaml"])?, format!("{}\n", ours.len()));
    // Without a race, nothing is shown here.
    assert!(late > 0 && ours.len().min(theirs.len()) >= ENOUGH, "{figures}");
    Ok(())
}

#[test]
fn no_commit_is_lost_in_a_race_on_a_forge() -> anyhow::Result<()> {
    run(async |forge| {
        let repository = forge.repository("race").await?;
        repository.commit(&[("a.yaml", "0\n")], "One")?;
        race(&Desk::owner(forge, &repository)?, push_url(&repository), forge.ca()).await
    })
}

#[tokio::test]
async fn no_commit_is_lost_in_a_race_on_a_disk() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let url = format!("file://{}", workshop.bare.display());
    race(&Desk::new(&url, &[])?, url.clone(), "").await?;
    git(&workshop.bare, &["fsck", "--strict"])?;
    Ok(())
}
