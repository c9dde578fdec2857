//! Files of web servers that kustomizations name: what is fetched, how often, with which login, and what a server may send in
//! place of a file. I/O: processes, network.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use holdfast::api::RemoteStatus;
use holdfast::error::StageError as _;
use holdfast::http::Guard;
use holdfast::render::ask;
use holdfast::render::helm::Login;
use holdfast::render::web_files::{Wanted, WebFiles};
use holdfast_tests::eventually;
use holdfast_tests::shared::{SOON, config_map, run};
use holdfast_tests::sync;
use serde_json::json;

use super::charts::shop::{Answer, Server, login};
use super::kit::agent;
use super::servers::{self, Manner};

/// `alice:s3cret`
const BASIC: &str = "Basic YWxpY2U6czNjcmV0";

fn files(cache: &Path) -> WebFiles {
    WebFiles::new(cache, Arc::new(Guard::default()))
}

fn wanted<'a>(url: &'a str, commit: &'a str, login: Option<&'a Login>) -> Wanted<'a> {
    Wanted { url, commit, domain: "team", login, recorded: &[] }
}

/// The text, the digest and the warning of a file, or the name of the error and what it says.
async fn get(files: &WebFiles, wanted: Wanted<'_>) -> anyhow::Result<(String, String, Option<String>)> {
    match files.get(&wanted).await {
        Ok(ask::Answer::File { digest, bytes, warning }) => {
            Ok((String::from_utf8_lossy(&bytes).into_owned(), digest, warning))
        }
        Ok(ask::Answer::NoFile(why)) => bail!("NoFile: {why}"),
        Ok(_) => bail!("the answer to another question"),
        Err(error) => bail!("{}: {error}", error.name()),
    }
}

async fn refusal(files: &WebFiles, wanted: Wanted<'_>) -> String {
    get(files, wanted).await.err().map(|error| error.to_string()).unwrap_or_default()
}

fn answer(status: u16, header: (&str, &str), body: &[u8]) -> Answer {
    Answer { status, header: Some((header.0.to_owned(), header.1.to_owned())), body: body.to_vec() }
}

#[tokio::test]
async fn what_a_server_sends_in_place_of_a_file_is_an_error_that_names_the_cause() -> anyhow::Result<()> {
    let (folder, cache) = (tempfile::tempdir()?, tempfile::tempdir()?);
    std::fs::write(folder.path().join("good.yaml"), "a: 1")?;
    let server = Server::start(folder.path(), None).await?;
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b'#'; 20 * 1024 * 1024])?;
    let inside = ("location", "http://169.254.169.254/latest/meta-data");
    server.answer("/inside.yaml", answer(302, inside, b""));
    server.answer("/circle.yaml", answer(302, ("location", "/circle.yaml"), b""));
    server.answer("/bomb.yaml", answer(200, ("content-encoding", "gzip"), &bomb.finish()?));
    server.answer("/page.yaml", answer(200, ("content-type", "text/html"), b"<!doctype html><p>Sign in"));
    server.answer("/locked.yaml", answer(401, ("x", "y"), b""));
    server.answer("/broken.yaml", answer(500, ("x", "y"), b""));
    server.answer("/busy.yaml", answer(503, ("retry-after", "40"), b""));
    let files = files(cache.path());
    for (path, words) in [
        ("inside", ["169.254.169.254", "not connect to"]),
        ("circle", ["RemoteUnavailable", "too often"]),
        ("bomb", ["bomb.yaml", "more than 16777216 bytes"]),
        ("page", ["RenderFailed", "a web page instead of a file"]),
        ("locked", ["RenderFailed", "spec.render.kustomize.remotes"]),
        ("none", ["RenderFailed", "404"]),
        ("broken", ["RemoteUnavailable", "500"]),
        ("busy", ["RemoteUnavailable", "wait for 40 s"]),
        // The pause is for all files of the server that are read without a login.
        ("good", ["RemoteUnavailable", "asks to wait"]),
    ] {
        let url = format!("{}/{path}.yaml", server.url);
        let said = refusal(&files, wanted(&url, "1", None)).await;
        ensure!(words.iter().all(|word| said.contains(word)), "{path}: {said}");
    }
    ensure!(!server.paths().contains(&"200 /good.yaml".to_owned()), "a server is asked during its pause");
    let (url, alice) = (format!("{}/good.yaml", server.url), login("alice", "s3cret", &[])?);
    ensure!(get(&files, wanted(&url, "1", Some(&alice))).await?.0 == "a: 1");
    Ok(())
}

#[tokio::test]
async fn slow_and_endless_answers_end_within_the_limit_of_a_request() -> anyhow::Result<()> {
    let cache = tempfile::tempdir()?;
    let files = files(cache.path());
    let attempts = [Manner::Silent, Manner::Dribble, Manner::Body, Manner::Headers].map(|manner| {
        let files = &files;
        async move {
            let server = servers::Server::start(manner).await?;
            let (url, started) = (format!("{}/a.yaml", server.url()), Instant::now());
            let said = refusal(files, wanted(&url, "1", None)).await;
            ensure!(said.contains(&url) && started.elapsed() < Duration::from_secs(40), "{manner:?}: {said}");
            anyhow::Ok(())
        }
    });
    futures::future::try_join_all(attempts).await.map(|_| ())
}

#[tokio::test]
async fn a_login_is_sent_to_its_own_server_and_not_after_a_redirect() -> anyhow::Result<()> {
    let (folder, cache) = (tempfile::tempdir()?, tempfile::tempdir()?);
    std::fs::write(folder.path().join("a.yaml"), "a: 1")?;
    let (own, other) =
        (Server::start(folder.path(), Some(BASIC)).await?, Server::start(folder.path(), None).await?);
    let place = format!("{}/a.yaml", other.url);
    own.answer("/moved.yaml", answer(302, ("location", &place), b""));
    let (files, alice) = (files(cache.path()), login("alice", "s3cret", &[])?);
    let url = format!("{}/moved.yaml", own.url);
    ensure!(get(&files, wanted(&url, "1", Some(&alice))).await?.0 == "a: 1");
    let (sent, passed) = (own.asked(), other.asked());
    ensure!(sent.iter().all(|asked| asked.authorization.as_deref() == Some(BASIC)), "{sent:?}");
    ensure!(passed.len() == 1 && passed.iter().all(|asked| asked.authorization.is_none()), "{passed:?}");
    // What was fetched with the login is not given to those who do not have it.
    let said = refusal(&files, wanted(&url, "1", None)).await;
    ensure!(said.contains("401"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_commit_keeps_its_content_of_a_file_after_a_restart_too() -> anyhow::Result<()> {
    let (folder, cache, empty) = (tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?);
    let write = |text: &str| std::fs::write(folder.path().join("a.yaml"), text);
    write("a: 1")?;
    let server = Server::start(folder.path(), None).await?;
    let url = format!("{}/a.yaml", server.url);
    let before = files(cache.path());
    let (text, digest, _) = get(&before, wanted(&url, "1", None)).await?;
    ensure!(text == "a: 1" && server.paths().len() == 1);
    write("a: 22")?;
    for files in [before, files(cache.path())] {
        ensure!(get(&files, wanted(&url, "1", None)).await?.0 == "a: 1", "a commit has other content");
    }
    ensure!(server.paths().is_empty(), "a file is fetched again for the same commit");
    let status = RemoteStatus {
        url: url.clone(),
        digest: Some(digest.clone()),
        fetched_for: "1".to_owned(),
        ..RemoteStatus::default()
    };
    let recorded = [status];
    let files = files(empty.path());
    let said = refusal(&files, Wanted { recorded: &recorded, ..wanted(&url, "1", None) }).await;
    let now = files.look(&wanted(&url, "1", None)).await.unwrap_or_default();
    ensure!(now != digest && said.contains(&digest) && said.contains(&now), "{said}");
    let (text, _, warning) = get(&files, Wanted { recorded: &recorded, ..wanted(&url, "2", None) }).await?;
    let warning = warning.unwrap_or_default();
    ensure!(text == "a: 22" && warning.contains(&digest) && warning.contains(&now), "{text}: {warning}");
    Ok(())
}

#[tokio::test]
async fn a_url_that_is_no_file_is_requested_once() -> anyhow::Result<()> {
    let (folder, cache) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let server = Server::start(folder.path(), None).await?;
    let (url, files) = (format!("{}/team/app", server.url), files(cache.path()));
    for commit in ["1", "2", ""] {
        let said = refusal(&files, wanted(&url, commit, None)).await;
        ensure!(said.contains("NoFile") && said.contains("404"), "{said}");
    }
    ensure!(server.paths() == ["404 /team/app"]);
    Ok(())
}

#[test]
fn other_content_behind_a_url_is_a_warning_until_a_commit_takes_it() -> anyhow::Result<()> {
    run(agent(), |shared| async move {
        let namespace = "web-files";
        let folder = tempfile::tempdir()?;
        let write =
            |value: &str| std::fs::write(folder.path().join("install.yaml"), config_map("web", value));
        write("1")?;
        let server = Server::start(folder.path(), Some(BASIC)).await?;
        let base = shared.env.forge.repository("login-base").await?;
        let map = config_map("base", "1");
        base.commit(&[("app/kustomization.yaml", "resources: [a.yaml]\n"), ("app/a.yaml", &map)], "Begin")?;
        let by_ssh = shared.env.forge.repository("login-ssh").await?;
        let map = config_map("ssh", "1");
        by_ssh
            .commit(&[("app/kustomization.yaml", "resources: [a.yaml]\n"), ("app/a.yaml", &map)], "Begin")?;
        let key = shared.env.forge.deploy_key(&by_ssh, false).await?;
        shared.env.namespace(namespace).await?;
        let keys = [("identity", key.as_str()), ("known_hosts", shared.env.forge.known_hosts())];
        shared.env.cluster.apply(&sync::secret(namespace, "ssh", &keys)).await?;
        let secret = sync::secret(namespace, "web", &[("username", "alice"), ("password", "s3cret")]);
        shared.env.cluster.apply(&secret).await?;
        let kustomization = format!(
            "resources:\n- {}/install.yaml\n- {}//app?ref=main\n- {}//app\nnamePrefix: far-\n",
            server.url, base.https_url, by_ssh.ssh_url
        );
        let (host, _) = base.https_url.rsplit_once('/').unwrap_or_default();
        let remotes =
            [(server.url.as_str(), "web"), (host, "git"), (&by_ssh.ssh_url.replace("git@", ""), "ssh")];
        let remotes = remotes.map(|(url, secret)| json!({"url": url, "secretRef": {"name": secret}}));
        let spec = json!({"render": {"kustomize": {"remotes": remotes}}});
        let repository = shared.env.forge.repository(namespace).await?;
        let commit = repository.commit(&[("kustomization.yaml", &kustomization)], "Begin")?;
        shared.env.cluster.apply(&sync::sync(namespace, "app", &repository.https_url, &spec)).await?;
        shared.env.ready(namespace, "app", Some(&commit)).await?;
        let value = |name: &'static str| shared.jsonpath(namespace, name, "{.data.key}");
        ensure!(value("configmap/far-web").await? == "1" && value("configmap/far-base").await? == "1");
        ensure!(value("configmap/far-ssh").await? == "1");
        let remotes = shared.jsonpath(namespace, "sync/app", "{.status.remotes}").await?;
        ensure!(remotes.contains("sha256:") && remotes.contains(&base.https_url), "{remotes}");
        ensure!(server.paths() == ["200 /install.yaml"], "the file is fetched once");
        write("2")?;
        let force = json!({"metadata": {"annotations": {"holdfast.dev/reconcile-at": "1"}}});
        shared.patch(namespace, "sync/app", &force).await?;
        eventually(SOON, "the warning about other content", || async {
            let said = shared.jsonpath(namespace, "sync/app", "{.status.warnings}").await?;
            Ok(said.contains("install.yaml has other content now"))
        })
        .await?;
        ensure!(value("configmap/far-web").await? == "1", "it is applied without a commit");
        repository.commit(&[("README.md", "more")], "Take it")?;
        let force = json!({"metadata": {"annotations": {"holdfast.dev/reconcile-at": "2"}}});
        shared.patch(namespace, "sync/app", &force).await?;
        shared.until(namespace, "configmap/far-web", "{.data.key}", "2").await?;
        // A commit that changes nothing of what is read has the same content from now on.
        ensure!(server.paths().len() == 2, "a look and a fetch");
        let commit = repository.commit(&[("README.md", "still more")], "Nothing that is read")?;
        let fetched = "{.status.remotes[*].fetchedFor}";
        shared.until(namespace, "sync/app", fetched, &[commit.as_str(); 3].join(" ")).await
    })
}
