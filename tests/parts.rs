//! The harness itself: the parts are real, keep apart, and leave nothing behind. I/O: processes, network.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use holdfast_tests::controlplane::{ControlPlane, Options};
use holdfast_tests::proxy::{Action, Proxy, Rule};
use holdfast_tests::{Env, eventually, tools};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_is_kubernetes_and_two_keep_apart() -> anyhow::Result<()> {
    let tools = tools().await?;
    let (one, two) = tokio::try_join!(
        ControlPlane::start(&tools, Options::default()),
        ControlPlane::start(&tools, Options { controllers: false, ..Options::default() })
    )?;
    for plane in [&one, &two] {
        let version = plane.must(&["version", "-o", "json"]).await?;
        assert!(version.contains("\"gitVersion\": \"v1.36.3\""), "{version}");
    }
    one.must(&["create", "namespace", "only-here"]).await?;
    assert!(!two.kubectl(&["get", "namespace", "only-here"]).await?.status.success());
    one.must(&["-n", "only-here", "create", "deployment", "web", "--image=web", "--replicas=2"]).await?;
    one.must(&["-n", "only-here", "wait", "--for=condition=Available", "--timeout=30s", "deployment/web"])
        .await?;
    one.must(&["-n", "only-here", "delete", "deployment", "web", "--timeout=20s"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_forge_is_a_forge() -> anyhow::Result<()> {
    let env = Env::start().await?;
    let repository = env.forge.repository("parts").await?;
    repository.commit(&[("a", "1")], "One")?;
    let refused = Command::new("git")
        .args([
            "-c",
            "credential.helper=",
            "ls-remote",
            &repository.https_url.replace("https://", "https://alice:wrong@"),
        ])
        .env("GIT_SSL_NO_VERIFY", "true")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()?;
    assert!(!refused.status.success());
    env.forge.protect(&repository, "main").await?;
    let refused = repository.commit(&[("a", "2")], "Two").map_err(|error| error.to_string());
    assert!(refused.as_ref().is_err_and(|said| said.contains("protected")), "{refused:?}");
    Ok(())
}

/// Run by the test below as a process of its own, which is then killed.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_killed() -> anyhow::Result<()> {
    let Some(report) = std::env::var_os("HOLDFAST_TEST_REPORT") else { return Ok(()) };
    let tools = tools().await?;
    let plane = ControlPlane::start(&tools, Options::default()).await?;
    std::fs::write(PathBuf::from(report), plane.kubeconfig().display().to_string())?;
    std::future::pending::<()>().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_leaves_nothing_behind() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let report = folder.path().join("report");
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "child_that_is_killed"])
        .env("HOLDFAST_TEST_REPORT", &report)
        .stdout(std::process::Stdio::null())
        .spawn()?;
    eventually(Duration::from_mins(1), "the child to start a control plane", || async {
        Ok(report.exists())
    })
    .await?;
    let kubeconfig = PathBuf::from(std::fs::read_to_string(&report)?);
    let root = kubeconfig.parent().map(PathBuf::from).unwrap_or_default();
    let name = root.display().to_string();
    assert!(processes(&name)? >= 3, "the control plane is not there");
    child.kill()?;
    child.wait()?;
    eventually(SOON, "its processes and its folder to be gone", || async {
        Ok(processes(&name)? == 0 && !root.exists())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_passes_everything_on_and_makes_the_faults_it_is_told_to() -> anyhow::Result<()> {
    let tools = tools().await?;
    let plane = ControlPlane::start(&tools, Options { controllers: false, ..Options::default() }).await?;
    let proxy = Proxy::start(&plane).await?;
    let direct = Api::<ConfigMap>::default_namespaced(plane.client().await?);
    let through = Api::<ConfigMap>::default_namespaced(proxy.client().await?);
    passes_on(&proxy, &direct, &through).await?;
    refuses(&proxy, &through).await?;
    closes_connections(&proxy, &direct, &through).await?;
    ends_watches(&proxy, &direct, &through).await?;
    silences_watches(&proxy, &direct, &through).await?;
    forgets_revisions(&proxy, &through).await?;
    goes_down(&proxy, &direct, &through).await?;
    // Not one fault is left.
    passes_on(&proxy, &direct, &through).await
}

async fn passes_on(proxy: &Proxy, direct: &Api<ConfigMap>, through: &Api<ConfigMap>) -> anyhow::Result<()> {
    let seen = proxy.seen();
    let mut events = open(through).await?;
    // The API server compresses what is large.
    let large =
        json!({"metadata": {"generateName": "large-"}, "data": {"text": "held fast ".repeat(50_000)}});
    let made = through.create(&PostParams::default(), &serde_json::from_value(large)?).await?;
    assert_eq!(added(&mut events).await?, made.name_any());
    let all = ListParams::default();
    let (listed, expected) = tokio::try_join!(through.list(&all), direct.list(&all))?;
    assert_eq!(listed.items, expected.items);
    let url = format!("{}/api/v1/configmaps", proxy.url());
    let raw = reqwest::Client::new().get(url).header("accept-encoding", "gzip").send().await?;
    assert_eq!(raw.headers().get("content-encoding").context("not compressed")?, "gzip");
    assert!(raw.bytes().await?.starts_with(&[0x1f, 0x8b]));
    assert_eq!(proxy.seen() - seen, 5);
    drop(events);
    eventually(SOON, "the proxy to let go of the watch", || async { Ok(proxy.watches() == 0) }).await
}

async fn refuses(proxy: &Proxy, through: &Api<ConfigMap>) -> anyhow::Result<()> {
    let busy = || Rule::new(Action::Status { code: 429, retry_after: Some(1) }).part("/configmaps");
    let fault = proxy.fault(busy());
    let url = format!("{}/api/v1/namespaces/default/configmaps", proxy.url());
    let answer = reqwest::get(&url).await?;
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers().get("retry-after").context("no Retry-After")?, "1");
    let status: serde_json::Value = answer.json().await?;
    assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!("TooManyRequests")));
    assert!(reqwest::get(format!("{}/readyz", proxy.url())).await?.status().is_success());
    assert_eq!(fault.hits(), 1);
    fault.end();
    // The client waits as it is told, and asks again.
    let fault = proxy.fault(busy().method("GET").times(2));
    let started = Instant::now();
    through.list(&ListParams::default()).await?;
    assert!(started.elapsed() >= Duration::from_secs(2) && fault.hits() == 2, "{fault:?}");
    let late = proxy.fault(Rule::new(Action::Delay(Duration::from_millis(300))).times(1));
    let started = Instant::now();
    through.list(&ListParams::default()).await?;
    assert!(started.elapsed() >= Duration::from_millis(300) && late.hits() == 1, "{late:?}");
    proxy.clear();
    Ok(())
}

async fn closes_connections(
    proxy: &Proxy,
    direct: &Api<ConfigMap>,
    through: &Api<ConfigMap>,
) -> anyhow::Result<()> {
    let unheard = Rule::new(Action::Drop).method("POST").times(1);
    let done = Rule::new(Action::DropAfter).method("POST").times(1);
    for (rule, name, written) in [(unheard, "unheard", false), (done, "done", true)] {
        let fault = proxy.fault(rule);
        let answer = make(through, name).await.map_err(|error| format!("{error:#}"));
        assert!(answer.as_ref().is_err_and(|said| !said.contains("ApiError")), "{name}: {answer:?}");
        assert_eq!((direct.get_opt(name).await?.is_some(), fault.hits()), (written, 1), "{name}");
    }
    make(through, "heard").await
}

async fn ends_watches(
    proxy: &Proxy,
    direct: &Api<ConfigMap>,
    through: &Api<ConfigMap>,
) -> anyhow::Result<()> {
    let mut events = open(through).await?;
    let fault = proxy.fault(Rule::new(Action::CutWatches).method("POST").times(1));
    make(through, "cutting").await?;
    while let Some(event) = soon(events.next()).await? {
        event?;
    }
    assert_eq!(fault.hits(), 1);
    // kube takes a lost connection for an end, so the bytes are asked.
    let url = format!("{}/api/v1/configmaps?watch=true&allowWatchBookmarks=true", proxy.url());
    let (ended, mut events) = (reqwest::get(&url).await?, open(through).await?);
    proxy.cut_watches();
    assert!(soon(ended.bytes()).await?.is_ok() && soon(events.next()).await?.is_none());
    let (lost, mut events) = (reqwest::get(&url).await?, open(through).await?);
    proxy.cut().await;
    assert!(soon(lost.bytes()).await?.is_err() && soon(events.next()).await?.is_none());
    let mut events = open(through).await?;
    make(direct, "after-cuts").await?;
    assert_eq!(added(&mut events).await?, "after-cuts");
    Ok(())
}

async fn silences_watches(
    proxy: &Proxy,
    direct: &Api<ConfigMap>,
    through: &Api<ConfigMap>,
) -> anyhow::Result<()> {
    let mut before = open(through).await?;
    let fault = proxy.fault(Rule::new(Action::Swallow).watch(true).part("/configmaps"));
    let mut after = open(through).await?;
    make(direct, "silence").await?;
    eventually(SOON, "both watches to be silent", || async { Ok(fault.hits() == 2) }).await?;
    proxy.clear();
    make(direct, "still-silence").await?;
    let moment = Duration::from_millis(300);
    assert!(tokio::time::timeout(moment, before.next()).await.is_err(), "an open watch is not silent");
    assert!(tokio::time::timeout(moment, after.next()).await.is_err(), "a new watch is not silent");
    let mut events = open(through).await?;
    make(direct, "sound").await?;
    assert_eq!(added(&mut events).await?, "sound");
    proxy.cut_watches();
    assert!(soon(before.next()).await?.is_none() && soon(after.next()).await?.is_none());
    Ok(())
}

async fn forgets_revisions(proxy: &Proxy, through: &Api<ConfigMap>) -> anyhow::Result<()> {
    proxy.fault(Rule::new(Action::Gone));
    let mut events = through.watch(&WatchParams::default(), "1").await?.boxed();
    let event = soon(events.next()).await?.context("no event")??;
    assert!(matches!(&event, WatchEvent::Error(status) if status.code == 410 && status.reason == "Expired"));
    assert!(soon(events.next()).await?.is_none());
    let listed = through.list(&ListParams::default()).await;
    assert!(matches!(&listed, Err(kube::Error::Api(status)) if status.code == 410), "{listed:?}");
    proxy.clear();
    let refused = proxy.fault(Rule::new(Action::Status { code: 410, retry_after: None }).watch(true));
    assert!(open(through).await.is_err() && refused.hits() == 1);
    proxy.clear();
    Ok(())
}

async fn goes_down(proxy: &Proxy, direct: &Api<ConfigMap>, through: &Api<ConfigMap>) -> anyhow::Result<()> {
    let mut events = open(through).await?;
    proxy.down().await;
    assert!(soon(events.next()).await?.is_none());
    let refused = reqwest::get(proxy.url()).await;
    assert!(refused.is_err_and(|error| error.is_connect()));
    proxy.up().await?;
    let mut events = open(through).await?;
    make(direct, "up-again").await?;
    assert_eq!(added(&mut events).await?, "up-again");
    Ok(())
}

/// Watches from now on.
async fn open(
    api: &Api<ConfigMap>,
) -> anyhow::Result<impl Stream<Item = kube::Result<WatchEvent<ConfigMap>>> + Unpin + use<>> {
    let now = api.list_metadata(&ListParams::default().limit(1)).await?;
    let now = now.metadata.resource_version.context("a list without a revision")?;
    Ok(api.watch(&WatchParams::default(), &now).await?.boxed())
}

async fn make(api: &Api<ConfigMap>, name: &str) -> anyhow::Result<()> {
    let object = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    api.create(&PostParams::default(), &object).await?;
    Ok(())
}

/// The name in the next event, which says that something is new.
async fn added(
    events: &mut (impl Stream<Item = kube::Result<WatchEvent<ConfigMap>>> + Unpin),
) -> anyhow::Result<String> {
    let event = soon(events.try_next()).await??.context("the watch ended")?;
    let name = if let WatchEvent::Added(object) = &event { object.name_any() } else { String::new() };
    ensure!(!name.is_empty(), "not an object that is new: {event:?}");
    Ok(name)
}

async fn soon<T>(what: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::time::timeout(SOON, what).await.context("nothing came of it")
}

/// How many processes have this in their command line.
fn processes(word: &str) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir("/proc")? {
        let line = std::fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        count += usize::from(String::from_utf8_lossy(&line).contains(word));
    }
    Ok(count)
}
