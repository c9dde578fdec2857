//! What a commit of ours holds: what git itself would have made, and nothing else. I/O: processes, disk.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use holdfast::error::StageError;
use holdfast::source::Pushed;

use super::workshop::{Workshop, commit, git, pushed, read};

#[tokio::test]
async fn a_commit_is_the_one_that_git_makes() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    workshop.write("apps/run.sh", b"#!/bin/sh\n")?;
    let script = workshop.clone.join("apps/run.sh");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    workshop.write("apps/web/deploy.yaml", b"image: web:1\r\n")?;
    workshop.write("apps/web.yaml", b"x")?;
    workshop.write("apps/web-b/x", b"x")?;
    workshop.write("binary", &[0, 255, 13, 10, 0])?;
    symlink("apps/web.yaml", workshop.clone.join("link"))?;
    workshop.human_push("Add", "main")?;

    let changes: &[(&str, &[u8])] = &[
        ("apps/run.sh", b"#!/bin/sh\necho\n"),
        ("apps/web/deploy.yaml", b"image: web:2\r\nlast: line"),
        ("apps/web.yaml", b""),
        ("binary", &[0, 254, 13, 10, 13, 0]),
    ];
    let message = "Update web\n\n- web:1 -> web:2\n\nSigned-off-by: Alice <alice@example.com>\n";
    let head = workshop.checkout("main").await?;
    let ours = pushed(workshop.push(&commit(&head, changes, message)?).await)?;

    for (path, content) in changes {
        workshop.write(path, content)?;
    }
    git(&workshop.clone, &["commit", "--quiet", "--all", "-m", message])?;
    assert_eq!(git(&workshop.clone, &["rev-parse", "HEAD"])?.trim(), ours, "{}", workshop.show(&ours)?);
    assert_eq!(workshop.at("main")?, ours);
    let modes = git(&workshop.bare, &["ls-tree", "-r", "main"])?;
    assert!(modes.contains("100755 blob") && modes.contains("120000 blob"), "{modes}");
    git(&workshop.bare, &["fsck", "--strict"])?;
    Ok(())
}

#[tokio::test]
async fn the_pack_has_exactly_the_new_objects() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    workshop.human(&[("a/b/c/d.yaml", "1\n"), ("a/e.yaml", "1\n"), ("f.yaml", "1\n")], "Add")?;
    let before = packs(&workshop)?;
    let head = workshop.checkout("main").await?;
    // One of them is as it was.
    let changes: &[(&str, &[u8])] = &[("a/b/c/d.yaml", b"2\n"), ("a/e.yaml", b"1\n"), ("f.yaml", b"2\n")];
    let new = pushed(workshop.push(&commit(&head, changes, "Update")?).await)?;
    let came: Vec<String> = packs(&workshop)?.difference(&before).cloned().collect();
    let [pack] = came.as_slice() else { anyhow::bail!("not one new pack: {came:?}") };
    let listed = git(&workshop.bare, &["verify-pack", "-v", pack])?;
    let kinds = [" blob ", " tree ", " commit "];
    let sent: BTreeSet<&str> = listed
        .lines()
        .filter(|line| kinds.iter().any(|kind| line.contains(kind)))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let range = format!("{}..{new}", head.id());
    let wanted = git(&workshop.bare, &["rev-list", "--objects", &range])?;
    let wanted: BTreeSet<&str> = wanted.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(sent, wanted);
    assert_eq!(sent.len(), 1 + 4 + 1, "{listed}");
    Ok(())
}

fn packs(workshop: &Workshop) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in workshop.bare.join("objects/pack").read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "pack") {
            found.insert(path.display().to_string());
        }
    }
    Ok(found)
}

#[tokio::test]
async fn git_finds_nothing_odd_in_a_pack() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    workshop.update("image: web:2\n").await??;
    for pack in packs(&workshop)? {
        git(&workshop.bare, &["index-pack", "--strict", "-o", "checked.idx", &pack])?;
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    workshop.write("apps/web.yaml", b"x")?;
    symlink("apps", workshop.clone.join("linked"))?;
    symlink("a.yaml", workshop.clone.join("link.yaml"))?;
    let first = git(&workshop.clone, &["rev-parse", "HEAD"])?;
    let module = format!("160000,{},module", first.trim());
    git(&workshop.clone, &["update-index", "--add", "--cacheinfo", &module])?;
    std::fs::create_dir(workshop.clone.join("module"))?;
    git(&workshop.clone, &["add", "apps", "linked", "link.yaml"])?;
    git(&workshop.clone, &["commit", "--quiet", "-m", "Add"])?;
    git(&workshop.clone, &["push", "--quiet", "origin", "HEAD:main"])?;
    let head = workshop.checkout("main").await?;
    let before = workshop.at("main")?;
    for (path, expected) in [
        ("missing.yaml", "NoFile"),
        ("apps/missing.yaml", "NoFile"),
        ("a.yaml/b", "NoFile"),
        ("", "NoFile"),
        ("/a.yaml", "NoFile"),
        ("apps/../a.yaml", "NoFile"),
        ("link.yaml", "Symlink"),
        ("linked/web.yaml", "Symlink"),
        ("apps", "NotFile"),
        ("module", "NotFile"),
        ("module/x", "NotFile"),
    ] {
        let outcome = workshop.push(&commit(&head, &[(path, b"y")], "Update")?).await;
        assert_eq!(outcome.as_ref().err().map(StageError::name), Some(expected), "{path}: {outcome:?}");
    }
    let twice = workshop.push(&commit(&head, &[("a.yaml", b"y"), ("a.yaml", b"z")], "Update")?).await;
    assert_eq!(twice.err().map(|error| error.name()), Some("ChangedTwice"));
    assert_eq!(workshop.at("main")?, before);
    Ok(())
}

#[tokio::test]
async fn nothing_to_change_is_no_commit() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let before = workshop.at("main")?;
    let head = workshop.checkout("main").await?;
    for changes in [&[][..], &[("a.yaml", b"image: web:1\n".as_slice())][..]] {
        let outcome = workshop.push(&commit(&head, changes, "Update")?).await?;
        assert_eq!(outcome, Pushed::Nothing);
    }
    assert_eq!(workshop.at("main")?, before);
    Ok(())
}

#[tokio::test]
async fn the_history_before_the_shallow_mirror_stays() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    for number in 0..5 {
        workshop.human(&[("b.yaml", &number.to_string())], &format!("Commit {number}"))?;
    }
    for number in 2..5 {
        pushed(workshop.update(&format!("image: web:{number}\n")).await?)?;
    }
    let subjects = workshop.subjects("main")?;
    assert_eq!(subjects.len(), 1 + 5 + 3, "{subjects:?}");
    git(&workshop.bare, &["fsck", "--strict", "--full"])?;
    Ok(())
}

#[tokio::test]
async fn big_trees_are_written_soon() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    // One folder of many files and many folders, made by git without a work tree.
    let blob = git(&workshop.clone, &["rev-parse", "HEAD:a.yaml"])?;
    let blob = blob.trim();
    let mut index = String::new();
    for number in 0..20_000 {
        writeln!(index, "100644 {blob}\tmany/file-{number}.yaml")?;
        writeln!(index, "100644 {blob}\tfolders/{number}/a.yaml")?;
    }
    let list = workshop.folder.path().join("index");
    std::fs::write(&list, index)?;
    let mut update = super::workshop::git_command(&workshop.clone);
    update.args(["update-index", "--add", "--index-info"]).stdin(std::fs::File::open(&list)?);
    anyhow::ensure!(update.status()?.success());
    let started = Instant::now();
    git(&workshop.clone, &["commit", "--quiet", "-m", "Many"])?;
    git(&workshop.clone, &["push", "--quiet", "origin", "HEAD:main"])?;
    let by_git = started.elapsed();

    let head = workshop.checkout("main").await?;
    let paths: Vec<String> = (0..200)
        .flat_map(|number| {
            [format!("many/file-{}.yaml", number * 97), format!("folders/{}/a.yaml", number * 97)]
        })
        .collect();
    let changes: Vec<(&str, &[u8])> = paths.iter().map(|path| (path.as_str(), b"2\n".as_slice())).collect();
    let started = Instant::now();
    let new = pushed(workshop.push(&commit(&head, &changes, "Update")?).await)?;
    let took = started.elapsed();
    // Git writes the whole tree here, so it has the most to do; a slow machine is slow for both.
    assert!(took < 10 * by_git.max(Duration::from_secs(1)), "{took:?}, and {by_git:?} by git");
    let changed = git(&workshop.bare, &["diff", "--name-only", &head.id().to_string(), &new])?;
    assert_eq!(changed.lines().count(), paths.len());
    git(&workshop.bare, &["fsck", "--strict"])?;
    Ok(())
}

#[tokio::test]
async fn the_pushed_commit_is_read_at_once_by_all_who_read_the_branch() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let url = format!("file://{}", workshop.bare.display());
    let other = super::workshop::credential(&[("username", "other"), ("password", "")])?;
    let (ours, theirs) = (workshop.location()?, holdfast::source::Location::parse(&url, Some(other))?);
    let main = holdfast::source::GitRef::default();
    let hour = Duration::from_hours(1);
    let limit = super::workshop::LIMIT;
    for location in [&ours, &theirs] {
        workshop.sources.checkout(location, &main, hour, limit).await?;
    }
    let mut moved = workshop.sources.moved();
    let new = pushed(workshop.update("image: web:2\n").await?)?;
    let mut told = vec![moved.try_recv()?, moved.try_recv()?];
    told.sort_by_key(ToString::to_string);
    let mut expected = vec![ours.mirror(), theirs.mirror()];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(told, expected);
    for location in [&ours, &theirs] {
        let head = workshop.sources.checkout(location, &main, hour, limit).await?;
        assert_eq!(head.id().to_string(), new);
        assert_eq!(read(&head, "a.yaml")?, b"image: web:2\n");
        let (author, subject) = head.commit().context("a commit has an author")?;
        assert_eq!((author.as_str(), subject.as_str()), ("Alice <alice@example.com>", "Update"));
    }
    Ok(())
}

#[tokio::test]
async fn a_mirror_lives_through_many_fetches() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    // Each one is a pack of its own in the mirror.
    for number in 0..60 {
        let theirs = workshop.human(&[("b.yaml", &number.to_string())], "Theirs")?;
        assert_eq!(workshop.checkout("main").await?.id().to_string(), theirs);
    }
    pushed(workshop.update("image: web:2\n").await?)?;
    Ok(())
}
