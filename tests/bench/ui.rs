//! The web UI over 10,000 objects in 300 Syncs: how soon a page begins and how large it is, what it asks the API server, how soon a
//! change is announced, and what 200 tabs cost. Fails if a limit is exceeded. I/O: processes, network.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use holdfast::api::Sync;
use holdfast_tests::Env;
use holdfast_tests::agent::Agent;
use holdfast_tests::tools::progress;
use holdfast_tests::watchdog::Folder;
use jiff::Timestamp;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::fixture::{
    Fleet, all_ready, config_map, create_syncs, namespace, namespaces, repository, requests,
};

const FLEET: Fleet = Fleet { syncs: 300, objects };
const FLAGS: [&str; 3] = ["--allow-file-sources", "--ui-auth=loopback", "--ui-listen=127.0.0.1:0"];
/// Loads of each page, and tabs.
const LOADS: usize = 200;
const TABS: usize = 200;
/// The limits.
const FIRST_BYTE: Duration = Duration::from_millis(50);
const LARGEST: usize = 100_000;
const SEEN: Duration = Duration::from_millis(300);
const MEMORY: f64 = 30.0;

fn objects(at: usize) -> Vec<Value> {
    (0..34).map(|number| config_map(&format!("m-{at}-{number}"), number)).collect()
}

pub async fn ui() -> anyhow::Result<()> {
    progress(&format!("ui: {} objects", FLEET.total()));
    let env = Env::start().await?;
    namespaces(&env, FLEET.syncs).await?;
    let folder = Folder::make("bench")?;
    let url = repository(folder.path(), &FLEET, 0)?;
    let agent = env.agent(&FLAGS).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let client = env.cluster.client().await?;
    create_syncs(&client, 0..FLEET.syncs, &url, "10m").await?;
    all_ready(&client, FLEET.syncs).await?;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let base = address(&agent)?;
    let sync = format!("/syncs/{}/app-7", namespace(7));
    let since = Timestamp::now();
    let mut broken = Vec::new();
    for path in ["/", "/?state=Ready&sort=name&page=2", "/drift", "/graph", &sync] {
        let (p99, size) = pages(&base, path).await?;
        println!(
            "{}",
            json!({"bench": "ui", "case": path, "first_byte_p99_ms": p99.as_secs_f64() * 1000.0, "bytes": size})
        );
        if p99 > FIRST_BYTE || size > LARGEST {
            broken.push(format!("{path}: {p99:?}, {size} bytes"));
        }
    }
    let count = requests(&env, since)?.count;
    println!("{}", json!({"bench": "ui", "case": "pages", "requests": count}));
    if count > 0 {
        broken.push(format!("{count} requests for pages of the view"));
    }
    let before = agent.rss_mib()?;
    let mut tabs = Vec::new();
    for _ in 0..TABS {
        tabs.push(reqwest::get(format!("{base}/events")).await?.error_for_status()?);
    }
    let seen = change(&client, tabs.last_mut().context("no tab")?).await?;
    let more = agent.rss_mib()? - before;
    println!(
        "{}",
        json!({"bench": "ui", "case": format!("{TABS} tabs"), "more_mib": more, "seen_ms": seen.as_secs_f64() * 1000.0})
    );
    if more > MEMORY || seen > SEEN {
        broken.push(format!("{TABS} tabs: {more} MiB more, a change after {seen:?}"));
    }
    ensure!(broken.is_empty(), "{}", broken.join("; "));
    Ok(())
}

fn address(agent: &Agent) -> anyhow::Result<String> {
    let lines = agent.lines()?;
    let line =
        lines.iter().find(|line| line["message"] == "Serving the web UI").context("no UI is served")?;
    Ok(format!("http://{}", line["address"].as_str().context("no address")?))
}

/// How soon a page begins, 99 of 100 times, and its size.
async fn pages(base: &str, path: &str) -> anyhow::Result<(Duration, usize)> {
    let client = reqwest::Client::new();
    let (mut times, mut size) = (Vec::new(), 0);
    for _ in 0..LOADS {
        let started = Instant::now();
        let answer = client.get(format!("{base}{path}")).header("accept", "text/html").send().await?;
        times.push(started.elapsed());
        size = answer.error_for_status()?.bytes().await?.len();
    }
    times.sort_unstable();
    Ok((times[LOADS * 99 / 100], size))
}

/// From the API server's word that a Sync has changed to the event in a tab.
async fn change(client: &kube::Client, tab: &mut reqwest::Response) -> anyhow::Result<Duration> {
    let (name, place) = ("app-7", namespace(7));
    let syncs = Api::<Sync>::namespaced(client.clone(), &place);
    // What a new process says first is about everything.
    tokio::time::sleep(Duration::from_secs(2)).await;
    while tokio::time::timeout(Duration::from_millis(500), tab.chunk()).await.is_ok() {}
    let patch = json!({"metadata": {"labels": {"bench": "ui"}}});
    syncs.patch_metadata(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    let (started, wanted) = (Instant::now(), format!("data: {place}/{name}"));
    let mut seen = String::new();
    while !seen.contains(&wanted) {
        let Some(piece) = tokio::time::timeout(Duration::from_secs(30), tab.chunk()).await?? else {
            bail!("the stream ended")
        };
        seen.push_str(&String::from_utf8_lossy(&piece));
    }
    Ok(started.elapsed())
}
