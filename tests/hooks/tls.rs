//! The listener over TLS: a certificate that is renewed while it listens, clients that never finish a handshake, and agents
//! that hand calls on to each other. I/O: network, disk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use holdfast::leader::Holder;
use holdfast::metrics::Metrics;
use holdfast::server::hooks::Hooks;
use holdfast::server::{CONNECTIONS, Health, Pages, Relay, Scrape, Tls, serve};
use holdfast_tests::agent::holdfast;
use holdfast_tests::eventually;
use holdfast_tests::pki::Authority;
use holdfast_tests::watchdog::Folder;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Longer than the listener waits until it reads the files again.
const RENEWED: Duration = Duration::from_secs(30);

/// Serves with a certificate, for the holder of a Lease or for one that waits.
fn agent(tls: Option<Tls>, holder: watch::Receiver<Holder>) -> anyhow::Result<SocketAddr> {
    let stop = CancellationToken::new();
    let pages = Pages {
        health: Health::default(),
        metrics: Arc::new(Metrics::new()),
        scrape: Scrape::Open,
        audit: None,
        hooks: Hooks::new(Arc::new(|_| {})),
        relay: Relay { holder: Some(holder), tls: tls.clone(), stop: stop.clone() },
    };
    Ok(serve(SocketAddr::from(([127, 0, 0, 1], 0)), pages, CONNECTIONS, tls, stop)?)
}

/// A new authority with a certificate for loopback, in files that are used from now on.
fn certify(folder: &Path, certificate: &Path, key: &Path) -> anyhow::Result<reqwest::Client> {
    let authority = Authority::make(folder)?;
    let leaf = authority.server("server", &["127.0.0.1"])?;
    std::fs::write(key, leaf.key)?;
    std::fs::write(certificate, leaf.certificate)?;
    let root = reqwest::Certificate::from_pem(authority.certificate.as_bytes())?;
    Ok(reqwest::Client::builder().tls_certs_only([root]).build()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_while_it_is_shown_and_agents_know_each_other_by_it() -> anyhow::Result<()> {
    let folder = Folder::make("tls")?;
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let first = certify(&folder.path().join("one"), &certificate, &key)?;
    let tls = Tls::load(&certificate, &key)?;
    tokio::spawn(tls.clone().renew());
    let (leads, holder) = watch::channel(Holder::Us);
    let leader = agent(Some(tls.clone()), holder)?;
    let (_waits, holder) = watch::channel(Holder::Other { address: Some(leader), ui: None });
    let standby = agent(Some(tls.clone()), holder)?;
    let get = async |client: &reqwest::Client, address: SocketAddr, path: &str| {
        client.get(format!("https://{address}/{path}")).send().await.map(|answer| answer.status().as_u16())
    };
    ensure!(get(&first, leader, "healthz").await? == 200);
    // Over TLS too, and refused by the other one, which knows no such path.
    ensure!(get(&first, standby, "hooks/none").await? == 404);
    // An agent that shows another certificate is not handed anything.
    let other = (folder.path().join("other.crt"), folder.path().join("other.key"));
    certify(&folder.path().join("two"), &other.0, &other.1)?;
    let stranger = agent(Some(Tls::load(&other.0, &other.1)?), watch::channel(Holder::Us).1)?;
    let (_waits, holder) = watch::channel(Holder::Other { address: Some(stranger), ui: None });
    let careful = agent(Some(tls.clone()), holder)?;
    ensure!(get(&first, careful, "hooks/none").await? == 503);

    // Silence and garbage in place of a handshake end.
    let started = Instant::now();
    let mut silent = tokio::net::TcpStream::connect(leader).await?;
    ensure!(reqwest::get(format!("http://{leader}/healthz")).await.is_err());
    let _ = tokio::time::timeout(Duration::from_secs(15), silent.read_u8()).await.context("still open")?;
    ensure!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());

    // A key that does not fit changes nothing, and the whole new pair is shown.
    std::fs::copy(&other.1, &key)?;
    tokio::time::sleep(Duration::from_secs(11)).await;
    ensure!(get(&first, leader, "healthz").await? == 200);
    let second = certify(&folder.path().join("three"), &certificate, &key)?;
    eventually(RENEWED, "the new certificate", || async {
        Ok(get(&second, leader, "healthz").await.is_ok())
    })
    .await?;
    ensure!(get(&second, standby, "hooks/none").await? == 404);
    drop(leads);
    Ok(())
}

#[tokio::test]
async fn an_agent_does_not_start_with_a_certificate_that_cannot_be_used() -> anyhow::Result<()> {
    let folder = Folder::make("no-tls")?;
    let file = |name: &str| -> PathBuf { folder.path().join(name) };
    certify(&file("one"), &file("one.crt"), &file("one.key"))?;
    certify(&file("two"), &file("two.crt"), &file("two.key"))?;
    std::fs::write(file("empty"), "")?;
    for (certificate, key, expected) in [
        ("none", "one.key", "cannot read --tls-cert"),
        ("one.crt", "none", "cannot read --tls-key"),
        ("empty", "one.key", "it needs a BEGIN CERTIFICATE block"),
        ("one.crt", "empty", "holds no private key"),
        ("one.crt", "two.key", "do not match"),
    ] {
        let (certificate, key) = (file(certificate).display().to_string(), file(key).display().to_string());
        let arguments = ["agent", "--tls-cert", &certificate, "--tls-key", &key];
        let output = holdfast(&file("none"), &arguments).await?;
        let error = String::from_utf8(output.stderr)?;
        ensure!(output.status.code() == Some(1) && error.contains(expected), "{expected}: {error}");
    }
    Ok(())
}
