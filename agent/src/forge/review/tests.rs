//! What each forge is sent, and how its answers are read; against stand-ins that hold to the documentation.

mod form;
mod github;
mod gitlab;
mod hub;
mod lab;
mod limits;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::Session;
use super::super::tests::standin;
use super::*;

/// Writes with hardly a pause in between.
fn client() -> Client {
    Client::new(Arc::new(Session::default().with_gap(Duration::from_millis(20))))
}

fn report(state: State, annotations: &[Annotation]) -> Report<'_> {
    Report {
        commit: "aa",
        context: "holdfast/c/n",
        state,
        title: "1 update",
        summary: "**1 update**",
        url: Some("https://holdfast.example.com/x"),
        annotations,
        started: Timestamp::UNIX_EPOCH,
    }
}

#[test]
fn a_fork_is_a_head_in_another_repository_or_in_one_that_is_gone() {
    let github = |head: Value| {
        let item = json!({"number": 1, "user": {"id": 7, "login": "alice"}, "draft": true, "labels": [{"name": "preview"}],
            "head": {"sha": "aa", "repo": head}, "base": {"sha": "bb", "ref": "main", "repo": {"id": 1}}});
        reviews(Forge::GitHub).pull_request(&item)
    };
    let own = github(json!({"id": 1}));
    assert!(
        own.as_ref()
            .is_some_and(|own| !own.fork && own.draft && own.author.id == 7 && own.labels == ["preview"]),
        "{own:?}"
    );
    assert!(github(json!({"id": 2})).is_some_and(|found| found.fork));
    assert!(github(Value::Null).is_some_and(|found| found.fork));
    let gitea = |id: i64| {
        let item = json!({"number": 1, "title": "WIP: x", "merge_base": "cc", "head": {"sha": "aa", "repo_id": id},
            "base": {"sha": "bb", "ref": "main", "repo_id": 1}});
        reviews(Forge::Gitea).pull_request(&item)
    };
    assert!(gitea(1).is_some_and(|own| !own.fork && own.draft && own.ancestor.as_deref() == Some("cc")));
    assert!(gitea(2).is_some_and(|found| found.fork));
    // Pushed to refs/for/main by a user who may only read: the repository of the head is that of the base.
    let agit = json!({"number": 1, "head": {"sha": "aa", "ref": "refs/pull/1/head", "repo_id": 1},
        "base": {"sha": "bb", "ref": "main", "repo_id": 1}});
    assert!(reviews(Forge::Gitea).pull_request(&agit).is_some_and(|found| found.fork));
    let gitlab = |id: i64| {
        let item = json!({"iid": 3, "sha": "aa", "target_branch": "main", "source_project_id": id, "target_project_id": 1,
            "labels": ["a"], "author": {"id": 9, "username": "bob"}, "diff_refs": {"base_sha": "cc", "start_sha": "bb"}});
        reviews(Forge::GitLab).pull_request(&item)
    };
    let own = gitlab(1);
    assert!(own.is_some_and(|own| !own.fork
        && own.number == 3
        && own.ancestor.as_deref() == Some("cc")
        && own.author.login == "bob"));
    assert!(gitlab(2).is_some_and(|found| found.fork));
}

#[test]
fn heads_are_refs_of_the_repository_that_they_are_merged_into() {
    assert_eq!(head_ref(Forge::GitHub, 7), "refs/pull/7/head");
    assert_eq!(head_ref(Forge::Gitea, 7), "refs/pull/7/head");
    assert_eq!(head_ref(Forge::GitLab, 7), "refs/merge-requests/7/head");
}

#[test]
fn a_merge_is_known_with_the_commit_that_the_branch_got() {
    let check = |forge, item: Value, commit: Option<&str>| {
        let expected = Fate::Merged { commit: commit.map(ToOwned::to_owned) };
        assert_eq!(reviews(forge).fate(&item), expected, "{item}");
    };
    check(Forge::GitHub, json!({"state": "closed", "merged": true, "merge_commit_sha": "aa"}), Some("aa"));
    check(Forge::GitHub, json!({"state": "closed", "merged_at": "2026-01-01T00:00:00Z"}), None);
    check(Forge::Gitea, json!({"state": "closed", "merged": true, "merge_commit_sha": "aa"}), Some("aa"));
    check(Forge::GitLab, json!({"state": "merged", "merge_commit_sha": "aa", "sha": "bb"}), Some("aa"));
    check(
        Forge::GitLab,
        json!({"state": "merged", "merge_commit_sha": null, "squash_commit_sha": "cc", "sha": "bb"}),
        Some("cc"),
    );
    check(Forge::GitLab, json!({"state": "merged", "merge_commit_sha": null, "sha": "bb"}), Some("bb"));
    assert_eq!(
        reviews(Forge::GitHub).fate(&json!({"state": "closed", "merge_commit_sha": "aa"})),
        Fate::Closed
    );
    assert_eq!(reviews(Forge::GitLab).fate(&json!({"state": "opened"})), Fate::Open);
}

#[test]
fn notes_that_gitlab_writes_itself_are_no_comments() {
    let at = "2026-01-01T00:00:00Z";
    let note = |system: bool| {
        let item = json!({"id": 1, "body": "x", "author": {"id": 2, "username": "a"}, "created_at": at, "updated_at": at, "system": system});
        reviews(Forge::GitLab).comment(&item)
    };
    assert_eq!(note(true), None);
    assert!(note(false).is_some_and(|comment| comment.author.id == 2));
}
