//! Pull requests at the real forge: opened once, kept as they should be, closed when they are moot. I/O: processes,
//! network.

#[path = "pull_request/others.rs"]
mod others;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::Context as _;
use holdfast::api::Forge as Provider;
use holdfast::error::{Class, StageError as _};
use holdfast::forge::{Done, PullRequests, Target, Wanted};
use holdfast_tests::forge::{Forge, Repository, USER};
use holdfast_tests::{eventually, tools};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// What goes on beside the tests lives as long as the binary, so it cannot be on the runtime of one test.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a runtime needs nothing but threads"));
const SOON: Duration = Duration::from_mins(1);
static FORGE: OnceCell<Forge> = OnceCell::const_new();

/// Runs one test on the forge that all share.
fn run<Fut>(test: impl FnOnce(&'static Forge) -> Fut) -> anyhow::Result<()>
where
    Fut: Future<Output = anyhow::Result<()>>,
{
    RUNTIME.block_on(async {
        let forge = FORGE.get_or_try_init(|| async { Forge::start(&tools().await?).await }).await?;
        test(forge).await
    })
}

/// A token with these scopes.
async fn token(forge: &Forge, name: &str, scopes: &[&str]) -> anyhow::Result<String> {
    let body = json!({"name": name, "scopes": scopes});
    let token = forge.api(Method::POST, &format!("users/{USER}/tokens"), &body).await?;
    Ok(token["sha1"].as_str().context("the forge gave no token")?.to_owned())
}

fn target(forge: &Forge, url: &str, token: &str) -> anyhow::Result<Target> {
    let api = url.starts_with("ssh://").then(|| format!("https://127.0.0.1:{}", forge.port()));
    Ok(Target::parse(Provider::Gitea, url, api.as_deref(), token, Some(forge.ca().as_bytes()))?)
}

/// A repository that the forge knows not to be empty, which it does a moment after the first push.
async fn repository(forge: &Forge, prefix: &str) -> anyhow::Result<Repository> {
    let repository = forge.repository(prefix).await?;
    let path = format!("repos/{USER}/{}", repository.name);
    eventually(SOON, "the first push is known", || async {
        Ok(forge.api(Method::GET, &path, &Value::Null).await?["empty"] == false)
    })
    .await?;
    Ok(repository)
}

/// A repository with a branch that has a commit more than `main`, and was just pushed.
async fn branched(forge: &Forge, prefix: &str, branch: &str) -> anyhow::Result<Repository> {
    let repository = repository(forge, prefix).await?;
    commit(&repository, branch, "1")?;
    Ok(repository)
}

/// Commits to a branch, on top of `main` as the clone knows it.
fn commit(repository: &Repository, branch: &str, value: &str) -> anyhow::Result<()> {
    std::fs::write(repository.clone.join("a.yaml"), format!("value: {value}\n"))?;
    repository.git(&["add", "--all"])?;
    repository.git(&["commit", "--quiet", "-m", value])?;
    repository.push(branch)
}

fn wanted(head: &str) -> Wanted {
    Wanted {
        head: head.to_owned(),
        base: "main".to_owned(),
        title: "Update web to 1.2.3".to_owned(),
        body: "| Image | To |\n|---|---|\n| `web` | `1.2.3` |\n".to_owned(),
        labels: vec!["images".to_owned(), "automated".to_owned()],
    }
}

async fn pull(forge: &Forge, repository: &Repository, number: i64) -> anyhow::Result<Value> {
    let path = format!("repos/{USER}/{}/pulls/{number}", repository.name);
    forge.api(Method::GET, &path, &Value::Null).await
}

/// Pull requests in any state.
async fn count(forge: &Forge, repository: &Repository) -> anyhow::Result<usize> {
    let path = format!("repos/{USER}/{}/pulls?state=all", repository.name);
    let all = forge.api(Method::GET, &path, &Value::Null).await?;
    Ok(all.as_array().context("a list")?.len())
}

fn labels(pull: &Value) -> Vec<&str> {
    let labels = pull["labels"].as_array().into_iter().flatten();
    let mut names: Vec<&str> = labels.filter_map(|label| label["name"].as_str()).collect();
    names.sort_unstable();
    names
}

const WRITER: &[&str] = &["write:repository", "write:issue"];

#[test]
fn one_is_opened_and_kept_as_it_should_be() -> anyhow::Result<()> {
    run(|forge| async move {
        let repository = branched(forge, "kept", "image-updates/web").await?;
        let target = target(forge, &repository.https_url, &token(forge, "kept", WRITER).await?)?;
        let (all, mut wanted) = (PullRequests::new(Arc::default()), wanted("image-updates/web"));
        // One of the labels is there, the other is made.
        let path = format!("repos/{USER}/{}/labels", repository.name);
        forge.api(Method::POST, &path, &json!({"name": "images", "color": "#00ff00"})).await?;

        let opened = all.ensure(&target, &wanted).await?;
        assert_eq!((opened.done, opened.unlabelled), (Done::Created, None));
        assert_eq!(opened.url, repository.https_url.replace(".git", &format!("/pulls/{}", opened.number)));
        let shown = pull(forge, &repository, opened.number).await?;
        assert_eq!(shown["title"], wanted.title);
        assert_eq!(shown["body"].as_str().map(str::trim_end), Some(wanted.body.trim_end()));
        assert_eq!((&shown["head"]["ref"], &shown["base"]["ref"]), (&json!(wanted.head), &json!("main")));
        assert_eq!(labels(&shown), ["automated", "images"]);

        let again = all.ensure(&target, &wanted).await?;
        assert_eq!((again.number, again.done), (opened.number, Done::Unchanged));
        assert_eq!(pull(forge, &repository, opened.number).await?["updated_at"], shown["updated_at"]);

        wanted.title = "Update web to 1.2.4".to_owned();
        wanted.body = "Another table".to_owned();
        wanted.labels.push("more".to_owned());
        let changed = all.ensure(&target, &wanted).await?;
        assert_eq!((changed.number, changed.done, changed.unlabelled), (opened.number, Done::Updated, None));
        let shown = pull(forge, &repository, opened.number).await?;
        assert_eq!((&shown["title"], &shown["body"]), (&json!(wanted.title), &json!(wanted.body)));
        assert_eq!(labels(&shown), ["automated", "images", "more"]);
        assert_eq!(count(forge, &repository).await?, 1);
        Ok(())
    })
}

#[test]
fn many_at_the_same_time_open_one() -> anyhow::Result<()> {
    run(|forge| async move {
        let repository = branched(forge, "race", "images").await?;
        let target = target(forge, &repository.ssh_url, &token(forge, "race", WRITER).await?)?;
        let (all, wanted) =
            (PullRequests::new(Arc::default()), Wanted { labels: Vec::new(), ..wanted("images") });
        let calls = (0..4).map(|_| all.ensure(&target, &wanted));
        let mut numbers = Vec::new();
        for opened in futures::future::join_all(calls).await {
            numbers.push(opened?.number);
        }
        numbers.dedup();
        assert_eq!((numbers.len(), count(forge, &repository).await?), (1, 1));
        Ok(())
    })
}

#[test]
fn it_is_closed_when_it_is_moot() -> anyhow::Result<()> {
    run(|forge| async move {
        let repository = branched(forge, "moot", "images").await?;
        let target = target(forge, &repository.https_url, &token(forge, "moot", WRITER).await?)?;
        let (all, wanted) = (PullRequests::new(Arc::default()), wanted("images"));
        let opened = all.ensure(&target, &wanted).await?;
        let closed =
            all.close(&target, "images", "main", "Nothing is left of it.").await?.context("closed")?;
        assert_eq!((closed.number, closed.silent), (opened.number, None));
        assert_eq!(pull(forge, &repository, opened.number).await?["state"], "closed");
        let path = format!("repos/{USER}/{}/issues/{}/comments", repository.name, opened.number);
        let comments = forge.api(Method::GET, &path, &Value::Null).await?;
        assert_eq!(comments[0]["body"], "Nothing is left of it.");
        assert_eq!(all.close(&target, "images", "main", "Again").await?, None);
        let anew = all.ensure(&target, &wanted).await?;
        assert_eq!(anew.done, Done::Created);
        assert!(anew.number > opened.number, "a closed one stays closed");
        Ok(())
    })
}

#[test]
fn a_branch_that_is_not_there_is_named() -> anyhow::Result<()> {
    run(|forge| async move {
        let repository = repository(forge, "branch").await?;
        let target = target(forge, &repository.https_url, &token(forge, "branch", WRITER).await?)?;
        let found = PullRequests::new(Arc::default()).ensure(&target, &wanted("nowhere")).await;
        let error = found.err().context("there is no such branch")?;
        assert_eq!((error.name(), error.class()), ("NoBranch", Class::Transient), "{error}");
        assert!(error.to_string().contains("branch nowhere or main"), "{error}");
        Ok(())
    })
}

#[test]
fn a_token_without_rights_is_told_what_it_needs() -> anyhow::Result<()> {
    run(|forge| async move {
        let repository = branched(forge, "rights", "images").await?;
        let (all, wanted) = (PullRequests::new(Arc::default()), wanted("images"));
        let check = async |token: &str, name: &str, part: &str| {
            let target = target(forge, &repository.https_url, token)?;
            let error = all.ensure(&target, &wanted).await.err().context("it was refused")?;
            assert_eq!((error.name(), error.class()), (name, Class::User), "{error}");
            let said = error.to_string();
            assert!(said.contains(part) && !said.contains(token), "{said}");
            anyhow::Ok(())
        };
        check("0123456789012345678901234567890123456789", "LoginRefused", "write:repository").await?;
        let reader = token(forge, "reader", &["read:repository"]).await?;
        check(&reader, "Forbidden", "write:repository").await?;
        let stranger = token(forge, "stranger", &["read:user"]).await?;
        check(&stranger, "Forbidden", "write:repository").await?;
        assert_eq!(count(forge, &repository).await?, 0);

        let elsewhere = repository.https_url.replace(&repository.name, "elsewhere");
        let writer = token(forge, "writer", &["write:repository"]).await?;
        let error =
            all.ensure(&target(forge, &elsewhere, &writer)?, &wanted).await.err().context("not there")?;
        assert_eq!(error.name(), "NotFound", "{error}");
        assert!(error.to_string().contains("alice/elsewhere"), "{error}");

        let untrusted = Target::parse(Provider::Gitea, &repository.https_url, None, &writer, None)?;
        let error = all.ensure(&untrusted, &wanted).await.err().context("the certificate is not trusted")?;
        assert_eq!(error.name(), "Untrusted", "{error}");
        Ok(())
    })
}
