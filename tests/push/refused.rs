//! Pushes that fail: the branch moved, the server rejects them, the answer is lost. I/O: processes, disk.

use std::time::{Duration, Instant};

use holdfast::error::{Class, StageError as _};
use holdfast::source::{CommitId, GitRef, Location, PushError, PushTarget, Pushed, Refusal};

use super::workshop::{LIMIT, Workshop, commit, git, pushed};

#[tokio::test]
async fn who_is_late_is_told_so_and_nothing_is_lost() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let head = workshop.checkout("main").await?;
    let theirs = workshop.human(&[("b.yaml", "theirs\n")], "Theirs")?;
    let late = commit(&head, &[("a.yaml", b"image: web:2\n")], "Ours")?;
    let outcome = workshop.push(&late).await;
    let Err(PushError::Moved { now, .. }) = &outcome else { anyhow::bail!("{outcome:?}") };
    assert_eq!(now.map(|now| now.to_string()), Some(theirs.clone()));
    assert_eq!(workshop.at("main")?, theirs);
    // From the new head it goes.
    pushed(workshop.update("image: web:2\n").await?)?;
    assert_eq!(workshop.subjects("main")?, ["Update", "Theirs", "Begin"]);
    Ok(())
}

#[tokio::test]
async fn a_branch_that_moves_during_the_push_is_not_overwritten() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let head = workshop.checkout("main").await?;
    let theirs = workshop.human(&[("b.yaml", "theirs\n")], "Theirs")?;
    git(&workshop.bare, &["update-ref", "refs/heads/main", &head.id().to_string()])?;
    // After the server has shown its refs and read our pack, and before it takes the lock.
    let free = "env -u GIT_QUARANTINE_PATH -u GIT_OBJECT_DIRECTORY -u GIT_ALTERNATE_OBJECT_DIRECTORIES";
    workshop.hook("pre-receive", &format!("{free} git update-ref refs/heads/main {theirs}"))?;
    let outcome = workshop.push(&commit(&head, &[("a.yaml", b"image: web:2\n")], "Ours")?).await;
    assert!(matches!(outcome, Err(PushError::Moved { now: None, .. })), "{outcome:?}");
    assert_eq!(workshop.at("main")?, theirs);
    Ok(())
}

#[tokio::test]
async fn a_branch_rewritten_by_force_is_not_rewritten_back() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    workshop.human(&[("b.yaml", "secret\n")], "To be reverted")?;
    let head = workshop.checkout("main").await?;
    git(&workshop.clone, &["reset", "--quiet", "--hard", "HEAD~1"])?;
    let forced = workshop.human(&[("c.yaml", "1\n")], "Instead")?;
    let outcome = workshop.push(&commit(&head, &[("a.yaml", b"image: web:2\n")], "Ours")?).await;
    assert!(matches!(outcome, Err(PushError::Moved { .. })), "{outcome:?}");
    assert_eq!(workshop.at("main")?, forced);
    pushed(workshop.update("image: web:2\n").await?)?;
    assert_eq!(workshop.subjects("main")?, ["Update", "Instead", "Begin"]);
    Ok(())
}

/// Pushes, and expects that the server refuses for a reason and that its words are shown.
async fn refused(workshop: &Workshop, reason: Refusal, words: &[&str]) -> anyhow::Result<()> {
    let before = workshop.at("main")?;
    let outcome = workshop.update("image: web:2\n").await?;
    let Err(error @ PushError::Refused { reason: found, .. }) = &outcome else {
        anyhow::bail!("{outcome:?}");
    };
    assert_eq!(*found, reason, "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{text} does not say {word}");
    }
    assert!(!text.contains(char::is_control), "{text:?}");
    assert_eq!(workshop.at("main")?, before);
    Ok(())
}

#[tokio::test]
async fn a_hook_that_declines_is_quoted() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let words = ["only on weekdays, says Bob", "ask #ops", "pre-receive hook declined"];
    let script =
        "printf '\\033[31monly on weekdays\\033[0m, says Bob\\n\\n=====\\n'; echo 'ask #ops' >&2; exit 1";
    workshop.hook("pre-receive", script)?;
    refused(&workshop, Refusal::Hook, &words).await?;
    std::fs::remove_file(workshop.bare.join("hooks/pre-receive"))?;
    workshop.hook("update", "echo \"no $1 today\" >&2; exit 1")?;
    refused(&workshop, Refusal::Hook, &["no refs/heads/main today", "hook declined"]).await?;
    // One that talks without end is not shown without end.
    workshop.hook("update", "yes lorem ipsum | head -c 3000000 >&2; exit 1")?;
    refused(&workshop, Refusal::Hook, &["lorem ipsum; lorem"]).await?;
    let long = workshop.update("image: web:2\n").await?.err().map_or(0, |error| error.to_string().len());
    assert!(long < 2000, "{long}");
    Ok(())
}

#[tokio::test]
async fn a_hook_that_talks_does_not_disturb() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    workshop.hook("pre-receive", "echo unpack failed; echo ng refs/heads/main no; echo 0000")?;
    workshop.hook("post-receive", "yes thanks | head -c 300000")?;
    let new = pushed(workshop.update("image: web:2\n").await?)?;
    assert_eq!(workshop.at("main")?, new);
    Ok(())
}

#[tokio::test]
async fn a_server_without_room_is_told_apart() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    git(&workshop.bare, &["config", "receive.maxInputSize", "100"])?;
    refused(&workshop, Refusal::TooLarge, &["exceeds maximum"]).await
}

#[tokio::test]
async fn a_branch_that_is_gone_is_not_made_again() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let head = workshop.checkout("main").await?;
    git(&workshop.bare, &["branch", "-D", "main"])?;
    let outcome = workshop.push(&commit(&head, &[("a.yaml", b"image: web:2\n")], "Ours")?).await;
    assert!(matches!(outcome, Err(PushError::Refused { reason: Refusal::Gone, .. })), "{outcome:?}");
    assert!(workshop.at("main").is_err());
    Ok(())
}

#[tokio::test]
async fn a_branch_below_another_cannot_be() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let head = workshop.checkout("main").await?;
    let location = workshop.location()?;
    let new = commit(&head, &[("a.yaml", b"image: web:2\n")], "Ours")?;
    let onto = workshop.sources.onto(&location, "main/images", &head, None, LIMIT).await?;
    let outcome = workshop.sources.push(&location, "main/images", &onto, &new, LIMIT).await;
    assert!(matches!(outcome, Err(PushError::Refused { reason: Refusal::NameTaken, .. })), "{outcome:?}");
    let outcome = workshop.sources.push(&location, "main..x", &onto, &new, LIMIT).await;
    assert_eq!(outcome.err().map(|error| error.name()), Some("BadBranch"));
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_is_told_apart_and_the_push_can_be_repeated() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let head = workshop.checkout("main").await?;
    let new = commit(&head, &[("a.yaml", b"image: web:2\n")], "Ours")?;
    // The server dies before it moves the branch, and then after.
    workshop.hook("pre-receive", "kill -9 $PPID")?;
    let outcome = workshop.push(&new).await;
    let Err(error @ PushError::Unknown { commit: first, .. }) = &outcome else {
        anyhow::bail!("{outcome:?}")
    };
    assert_eq!(error.class(), Class::Transient);
    assert_eq!(workshop.at("main")?, head.id().to_string());
    std::fs::remove_file(workshop.bare.join("hooks/pre-receive"))?;
    workshop.hook("reference-transaction", "[ \"$1\" = committed ] && kill -9 $PPID; true")?;
    let outcome = workshop.push(&new).await;
    let Err(PushError::Unknown { commit: second, .. }) = &outcome else { anyhow::bail!("{outcome:?}") };
    assert_eq!(workshop.at("main")?, second.to_string());
    // The same again is the same commit, and it is there.
    assert_eq!(workshop.push(&new).await?, Pushed::Commit(*first));
    assert_eq!(first, second);
    assert_eq!(workshop.subjects("main")?, ["Ours", "Begin"]);
    Ok(())
}

#[tokio::test]
async fn a_slow_server_delays_a_push_for_its_time_limit_only_and_the_next_push_waits_for_it()
-> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let head = workshop.checkout("main").await?;
    let new = commit(&head, &[("a.yaml", b"image: web:2\n")], "Ours")?;
    workshop.hook("pre-receive", "sleep 3")?;
    let (location, onto) = (workshop.location()?, PushTarget::head_of(&head));
    let started = Instant::now();
    let second = Duration::from_secs(1);
    let outcome = workshop.sources.push(&location, "main", &onto, &new, second).await;
    assert!(matches!(outcome, Err(PushError::Unknown { .. })), "{outcome:?}");
    assert!(started.elapsed() < 2 * second, "{:?}", started.elapsed());
    // The first one is still on its way: who comes next waits in vain, or long enough.
    let outcome = workshop.sources.push(&location, "main", &onto, &new, second / 10).await;
    assert!(matches!(outcome, Err(PushError::Timeout { .. })), "{outcome:?}");
    let outcome = workshop.sources.push(&location, "main", &onto, &new, LIMIT).await?;
    assert_eq!(CommitId::parse(&workshop.at("main")?).map(Pushed::Commit), Some(outcome));
    assert_eq!(workshop.subjects("main")?, ["Ours", "Begin"]);
    Ok(())
}

/// Pushes to a url, and returns the name of the error.
async fn name_of(workshop: &Workshop, url: &str, limit: Duration) -> anyhow::Result<&'static str> {
    let head = workshop.checkout("main").await?;
    let new = commit(&head, &[("a.yaml", b"image: web:2\n")], "Ours")?;
    let location = Location::parse(url, None)?;
    let outcome = workshop.sources.push(&location, "main", &PushTarget::head_of(&head), &new, limit).await;
    Ok(outcome.map_or_else(|error| error.name(), |_| "pushed"))
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named_as_for_a_fetch() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let silent = format!("http://127.0.0.1:{}/a.git", silent.local_addr()?.port());
    let second = Duration::from_secs(1);
    let found = name_of(&workshop, &silent, second).await?;
    assert!(["PushTimeout", "Unreachable"].contains(&found), "{found}");
    let check = async |url: &str, expected: &str| {
        let found = name_of(&workshop, url, LIMIT).await?;
        assert_eq!(found, expected, "{url}");
        anyhow::Ok(())
    };
    check("http://127.0.0.1:1/a.git", "Unreachable").await?;
    check("http://nowhere.invalid/a.git", "UnknownHost").await?;
    check("git@127.0.0.1:a.git", "HostKeyUnknown").await?;
    check("file:///nowhere/a.git", "RepositoryNotFound").await?;
    Ok(())
}

#[tokio::test]
async fn files_are_pushed_to_only_if_allowed() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let options = holdfast::source::SourceOptions {
        allow_file: false,
        guard: std::sync::Arc::default(),
        on_request: std::sync::Arc::new(|_, _| {}),
        usage: std::sync::Arc::default(),
    };
    let strict = holdfast::source::Sources::new(workshop.folder.path().join("strict"), options);
    let head = workshop.checkout("main").await?;
    let new = commit(&head, &[("a.yaml", b"image: web:2\n")], "Ours")?;
    let location = workshop.location()?;
    let outcome = strict.push(&location, "main", &PushTarget::head_of(&head), &new, LIMIT).await;
    assert_eq!(outcome.err().map(|error| error.name()), Some("FileNotAllowed"));
    let outcome = strict.branch_head(&location, "main", LIMIT).await;
    assert_eq!(outcome.err().map(|error| error.name()), Some("FileNotAllowed"));
    let head = workshop.sources.branch_head(&location, "main", LIMIT).await?;
    assert_eq!(head.map(|head| head.to_string()), Some(workshop.at("main")?));
    assert_eq!(workshop.sources.branch_head(&location, "none", LIMIT).await?, None);
    let again = workshop.sources.checkout(&location, &GitRef::default(), Duration::ZERO, LIMIT).await?;
    assert!(again.is_of(&location, &GitRef::default()));
    Ok(())
}
