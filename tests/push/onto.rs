//! A branch beside the source branch: it begins there, follows it, and only ever moves forward. I/O: processes, disk.

use holdfast::source::{Checkout, Kept, NewCommit, Others, OwnCommit, Pushed};

use super::workshop::{LIMIT, Workshop, commit, git, pushed};

const BRANCH: &str = "holdfast/images";

/// Pushes the head of `main` with a changed file to the branch. Returns the commit and its parents.
async fn update(workshop: &Workshop, content: &str) -> anyhow::Result<(Pushed, Vec<String>)> {
    let head = workshop.checkout("main").await?;
    update_from(workshop, &head, content).await
}

async fn update_from(
    workshop: &Workshop,
    head: &Checkout,
    content: &str,
) -> anyhow::Result<(Pushed, Vec<String>)> {
    let location = workshop.location()?;
    // The commits of the branch must stay in its history.
    let before = workshop.at(BRANCH).ok();
    let onto = workshop.sources.onto(&location, BRANCH, head, None, LIMIT).await?;
    let new = commit(head, &[("a.yaml", content.as_bytes())], "Update images")?;
    let outcome = workshop.sources.push(&location, BRANCH, &onto, &new, LIMIT).await?;
    if let Some(before) = before {
        git(&workshop.bare, &["merge-base", "--is-ancestor", &before, BRANCH])?;
    }
    assert_eq!(workshop.show(&format!("{BRANCH}:a.yaml"))?, content);
    let parents = git(&workshop.bare, &["log", "-1", "--format=%P", BRANCH])?;
    Ok((outcome, parents.split_whitespace().map(ToOwned::to_owned).collect()))
}

#[tokio::test]
async fn the_branch_begins_at_the_source_and_moves_forward() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let main = workshop.at("main")?;
    let (_, parents) = update(&workshop, "image: web:2\n").await?;
    assert_eq!(parents, std::slice::from_ref(&main));
    // Made on the same source: one commit after the other.
    let second = workshop.at(BRANCH)?;
    let (_, parents) = update(&workshop, "image: web:3\n").await?;
    assert_eq!(parents, [second]);
    // Who builds on it next, sees who was there last.
    let (location, main_now) = (workshop.location()?, workshop.checkout("main").await?);
    let onto = workshop.sources.onto(&location, BRANCH, &main_now, None, LIMIT).await?;
    assert_eq!(onto.head().map(|head| head.id().to_string()), Some(workshop.at(BRANCH)?));
    assert_eq!(workshop.at("main")?, main);
    Ok(())
}

#[tokio::test]
async fn the_branch_follows_a_source_that_moved_on() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    update(&workshop, "image: web:2\n").await?;
    let before = workshop.at(BRANCH)?;
    let main = workshop.human(&[("b.yaml", "1\n")], "Theirs")?;
    let (_, parents) = update(&workshop, "image: web:3\n").await?;
    assert_eq!(parents, [before, main.clone()], "a merge that takes the side of the source");
    let files = git(&workshop.bare, &["diff", "--name-only", &main, BRANCH])?;
    assert_eq!(files.trim(), "a.yaml");
    Ok(())
}

#[tokio::test]
async fn after_a_merge_the_branch_begins_anew() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    update(&workshop, "image: web:2\n").await?;
    git(&workshop.clone, &["fetch", "--quiet", "origin"])?;
    git(&workshop.clone, &["merge", "--quiet", "--no-ff", "-m", "Merge", &format!("origin/{BRANCH}")])?;
    let main = workshop.human_push("After", "main")?;
    git(&workshop.clone, &["reset", "--quiet", "--hard", "HEAD~1"])?;
    git(&workshop.clone, &["push", "--quiet", "--force", "origin", "HEAD:main"])?;
    let merge = workshop.at("main")?;
    assert_ne!(main, merge);
    let (_, parents) = update(&workshop, "image: web:3\n").await?;
    assert_eq!(parents, [merge], "the head of the branch is a parent of the merge");

    // Moved forward without a merge: both are at the same commit.
    git(&workshop.bare, &["update-ref", "refs/heads/main", &workshop.at(BRANCH)?])?;
    let main = workshop.at("main")?;
    let (_, parents) = update(&workshop, "image: web:4\n").await?;
    assert_eq!(parents, [main]);
    Ok(())
}

#[tokio::test]
async fn what_the_branch_has_already_is_not_pushed_again() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    update(&workshop, "image: web:2\n").await?;
    let before = workshop.at(BRANCH)?;
    let (outcome, _) = update(&workshop, "image: web:2\n").await?;
    assert_eq!((outcome, workshop.at(BRANCH)?), (Pushed::Nothing, before));
    Ok(())
}

#[tokio::test]
async fn a_branch_that_was_made_in_the_meantime_is_not_overwritten() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    let (location, head) = (workshop.location()?, workshop.checkout("main").await?);
    let onto = workshop.sources.onto(&location, BRANCH, &head, None, LIMIT).await?;
    assert!(onto.head().is_none());
    workshop.write("c.yaml", b"1")?;
    let theirs = workshop.human_push("Theirs", BRANCH)?;
    let new = commit(&head, &[("a.yaml", b"image: web:2\n")], "Update")?;
    let outcome = workshop.sources.push(&location, BRANCH, &onto, &new, LIMIT).await;
    assert!(matches!(outcome, Err(holdfast::source::PushError::Moved { .. })), "{outcome:?}");
    assert_eq!(workshop.at(BRANCH)?, theirs);
    // A commit of a person stays in the history, and the branch says who was there.
    let onto = workshop.sources.onto(&location, BRANCH, &head, None, LIMIT).await?;
    let subject = onto.head().and_then(Checkout::commit).map(|(_, subject)| subject);
    assert_eq!(subject.as_deref(), Some("Theirs"));
    pushed(workshop.sources.push(&location, BRANCH, &onto, &new, LIMIT).await)?;
    assert_eq!(workshop.subjects(BRANCH)?, ["Update", "Theirs", "Begin"]);
    Ok(())
}

#[tokio::test]
async fn what_others_committed_to_the_branch_is_kept_in_the_next_commit() -> anyhow::Result<()> {
    let workshop = Workshop::new()?;
    workshop.human(&[("gone/b.yaml", "b\n"), ("both.yaml", "1\n"), ("keep/c.yaml", "c\n")], "More")?;
    update(&workshop, "image: web:2\n").await?;
    let own = workshop.at(BRANCH)?;
    // On the branch: a new file in a new folder, one beside others, one gone, one changed, and another image.
    git(&workshop.clone, &["fetch", "--quiet", "origin", BRANCH])?;
    git(&workshop.clone, &["checkout", "--quiet", "-B", "work", "FETCH_HEAD"])?;
    for (path, text) in [("new/er/d.yaml", "d\n"), ("keep/e.yaml", "e\n"), ("both.yaml", "theirs\n")] {
        workshop.write(path, text.as_bytes())?;
    }
    workshop.write("a.yaml", b"image: web:2\nreviewed: yes\n")?;
    git(&workshop.clone, &["rm", "--quiet", "gone/b.yaml"])?;
    workshop.human_push("Theirs", BRANCH)?;
    git(&workshop.clone, &["checkout", "--quiet", "main"])?;
    workshop.human(&[("both.yaml", "ours\n"), ("keep/f.yaml", "f\n")], "On main")?;
    let (location, base) = (workshop.location()?, workshop.checkout("main").await?);
    let known = OwnCommit { commit: &own, base: None };
    let onto = workshop.sources.onto(&location, BRANCH, &base, Some(known), LIMIT).await?;
    let (Some(head), Others::Since(ancestor)) = (onto.head(), onto.others()) else {
        anyhow::bail!("what others committed is not known")
    };
    let Kept { grafts, both } = head.since(ancestor, &base, &["a.yaml".to_owned()])?;
    assert_eq!(both, ["a.yaml", "both.yaml"], "for the caller to bring together");
    let new =
        commit(&base, &[("a.yaml", b"image: web:3\nreviewed: yes\n"), ("both.yaml", b"merged\n")], "Update")?;
    pushed(workshop.sources.push(&location, BRANCH, &onto, &NewCommit { grafts, ..new }, LIMIT).await)?;
    let files = git(&workshop.bare, &["ls-tree", "-r", "--name-only", BRANCH])?;
    let files: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(files, ["a.yaml", "both.yaml", "keep/c.yaml", "keep/e.yaml", "keep/f.yaml", "new/er/d.yaml"]);
    assert_eq!(workshop.show(&format!("{BRANCH}:both.yaml"))?, "merged\n");
    git(&workshop.bare, &["fsck", "--strict"])?;
    Ok(())
}
