//! Webhooks of the real forge: its calls are taken by their signatures, and refused with another secret. And what strangers
//! do to the listener that takes them. I/O: processes, network.

#[path = "hooks/listener.rs"]
mod listener;
#[path = "hooks/tls.rs"]
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use holdfast::api::HookProvider;
use holdfast::metrics::Metrics;
use holdfast::server::hooks::{Endpoint, Hooks};
use holdfast::server::{CONNECTIONS, Health, Pages, Relay, Scrape, Token, serve};
use holdfast::subject::{Kind, Subject};
use holdfast_tests::forge::{Forge, Repository, USER};
use holdfast_tests::{eventually, tools};
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "0123456789abcdef";
const SOON: Duration = Duration::from_mins(1);

/// Makes a webhook of a repository, for pushes.
async fn subscribe(forge: &Forge, repository: &Repository, url: &str, secret: &str) -> anyhow::Result<()> {
    subscribe_to(forge, repository, url, secret, &["push"]).await
}

/// Makes a webhook of a repository, for these events.
async fn subscribe_to(
    forge: &Forge,
    repository: &Repository,
    url: &str,
    secret: &str,
    events: &[&str],
) -> anyhow::Result<()> {
    let config = json!({"url": url, "content_type": "json", "secret": secret});
    let body = json!({"type": "gitea", "active": true, "events": events, "config": config});
    forge.api(Method::POST, &format!("repos/{USER}/{}/hooks", repository.name), &body).await?;
    Ok(())
}

fn counted(metrics: &Metrics, result: &str) -> bool {
    let start = format!("holdfast_hooks_total{{result=\"{result}\"}} ");
    metrics.encode().is_ok_and(|text| text.lines().any(|line| line.starts_with(&start)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_told_of_and_proven() -> anyhow::Result<()> {
    let forge = Forge::start(&tools().await?).await?;
    let looks = Arc::new(Mutex::new(Vec::new()));
    let noted = looks.clone();
    let hooks = Hooks::new(Arc::new(move |owner: Subject| {
        noted.lock().push(format!("{}/{owner}", owner.kind));
    }));
    let (metrics, any) = (Arc::new(Metrics::new()), SocketAddr::from(([127, 0, 0, 1], 0)));
    let stop = CancellationToken::new();
    let pages = Pages {
        health: Health::default(),
        metrics: metrics.clone(),
        scrape: Scrape::Open,
        audit: None,
        hooks: hooks.clone(),
        relay: Relay::alone(stop.clone()),
    };
    let address = serve(any, pages, CONNECTIONS, None, stop)?;
    // Gitea signs in its own way, in that of its fork, and in that of GitHub.
    let providers = [HookProvider::Gitea, HookProvider::Forgejo, HookProvider::GitHub, HookProvider::Generic];
    for provider in providers {
        let name = format!("{provider:?}").to_lowercase();
        let owner = Subject::new(Kind::Sync, "team", name.clone());
        let path = hooks.set(owner, Endpoint { provider, token: Token::parse(SECRET)? });
        let repository = forge.repository(&name).await?;
        subscribe(&forge, &repository, &format!("http://{address}{path}"), SECRET).await?;
        repository.commit(&[("a.yaml", "a: 1\n")], "Change")?;
        let told = format!("Sync/team/{name}");
        eventually(SOON, "the push is announced", || async { Ok(looks.lock().contains(&told)) }).await?;
    }
    assert!(!counted(&metrics, "refused"));

    let owner = Subject::new(Kind::Sync, "team", "other");
    let path = hooks.set(owner, Endpoint { provider: HookProvider::Gitea, token: Token::parse(SECRET)? });
    let repository = forge.repository("other").await?;
    subscribe(&forge, &repository, &format!("http://{address}{path}"), "another secret").await?;
    repository.commit(&[("a.yaml", "a: 1\n")], "Change")?;
    eventually(SOON, "the call is refused", || async { Ok(counted(&metrics, "refused")) }).await?;
    assert!(!looks.lock().iter().any(|look| look.ends_with("other")));

    // A Repository is called about pull requests and comments in them.
    let owner = Subject::new(Kind::Repository, "team", "config");
    let path = hooks.set(owner, Endpoint { provider: HookProvider::Gitea, token: Token::parse(SECRET)? });
    let repository = forge.repository("config").await?;
    let events = ["pull_request", "pull_request_sync", "pull_request_comment", "issue_comment"];
    subscribe_to(&forge, &repository, &format!("http://{address}{path}"), SECRET, &events).await?;
    let count = || looks.lock().iter().filter(|look| *look == "Repository/team/config").count();
    repository.git(&["commit", "--quiet", "--allow-empty", "-m", "Change"])?;
    repository.push("change")?;
    let place = format!("repos/{USER}/{}", repository.name);
    let opened = json!({"head": "change", "base": "main", "title": "Change"});
    eventually(SOON, "the branch is known", || async {
        Ok(forge.api(Method::POST, &format!("{place}/pulls"), &opened).await.is_ok())
    })
    .await?;
    eventually(SOON, "the pull request causes a look", || async { Ok(count() > 0) }).await?;
    let before = count();
    forge
        .api(Method::POST, &format!("{place}/issues/1/comments"), &json!({"body": "/holdfast approve x"}))
        .await?;
    eventually(SOON, "the comment causes a look", || async { Ok(count() > before) }).await?;
    Ok(())
}
