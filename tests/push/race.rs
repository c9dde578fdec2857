//! Four people who push to one branch all the time, with git itself, against our loop of fetch, build and push: each commit
//! lands once, and none is lost. I/O: processes, network.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use holdfast::source::PushError;

use super::forge::{Desk, push_url, run};
use super::workshop::git_command;

const PEOPLE: usize = 4;
const TIME: Duration = Duration::from_secs(8);

/// One person: commits and pushes until told to stop. Returns the subjects that git said were pushed.
fn person(
    number: usize,
    clone: &Path,
    url: &str,
    ca: &Path,
    stop: &AtomicBool,
) -> anyhow::Result<Vec<String>> {
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
            done.push(subject);
        }
    }
    Ok(done)
}

#[test]
fn nobody_loses_a_commit_in_a_race() -> anyhow::Result<()> {
    run(async |forge| {
        let repository = forge.repository("race").await?;
        repository.commit(&[("a.yaml", "0\n")], "One")?;
        let desk = Desk::owner(forge, &repository)?;
        let folder = holdfast_tests::watchdog::Folder::make("race")?;
        let ca = folder.path().join("ca.crt");
        std::fs::write(&ca, forge.ca())?;
        let (url, stop) = (push_url(&repository), Arc::new(AtomicBool::new(false)));
        let people: Vec<_> = (0..PEOPLE)
            .map(|number| {
                let clone: PathBuf = folder.path().join(number.to_string());
                let (url, ca, stop) = (url.clone(), ca.clone(), stop.clone());
                std::thread::spawn(move || person(number, &clone, &url, &ca, &stop))
            })
            .collect();

        let started = Instant::now();
        let (mut ours, mut late) = (Vec::new(), 0);
        while started.elapsed() < TIME {
            let content = format!("{}\n", ours.len() + 1);
            match desk.push(&desk.head().await?, &content).await? {
                Ok(_) => ours.push(format!("Update to {}", content.trim())),
                Err(PushError::Moved { .. }) => late += 1,
                Err(error) => return Err(error.into()),
            }
        }
        stop.store(true, Ordering::Relaxed);
        let mut theirs = Vec::new();
        for person in people {
            theirs.extend(person.join().map_err(|_| anyhow::anyhow!("a person gave up"))??);
        }

        repository.git(&["fetch", "--quiet", &url, "main"])?;
        let log = repository.git(&["log", "--format=%s", "FETCH_HEAD"])?;
        let landed: Vec<&str> = log.lines().collect();
        let unique: HashSet<&str> = landed.iter().copied().collect();
        assert_eq!(unique.len(), landed.len(), "something landed twice:\n{log}");
        for subject in ours.iter().chain(&theirs) {
            assert!(unique.contains(subject.as_str()), "{subject} is lost:\n{log}");
        }
        assert_eq!(repository.git(&["show", "FETCH_HEAD:a.yaml"])?, format!("{}\n", ours.len()));
        // Without a race, nothing is shown here.
        let figures = format!("{} of ours, {} of theirs, {late} times late", ours.len(), theirs.len());
        assert!(ours.len() > 2 && theirs.len() > 2, "{figures}");
        holdfast_tests::tools::progress(&figures);
        Ok(())
    })
}
