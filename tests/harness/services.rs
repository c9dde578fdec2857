//! A plain registry, an Alertmanager and a Prometheus, out of Debian's packages, for the suites that need them.
//! I/O: processes, network.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::pki::{Authority, Leaf};
use crate::ports;
use crate::tools::progress;
use crate::watchdog::{Folder, Process, tail};

/// A service on loopback, ended when this is dropped.
pub struct Service {
    pub url: String,
    command: Command,
    ready: &'static str,
    /// None while it is stopped.
    process: Option<Process>,
    folder: Folder,
    client: reqwest::Client,
}

/// A login that a registry takes, if it wants one.
pub const REGISTRY_LOGIN: (&str, &str) = ("bob", "s3cret-pass");
/// The same as `htpasswd -B` writes it.
const HTPASSWD: &str = "bob:$2b$05$MWE/9Qwv9UqcFC1JCNCuOOmjjSGXmmPj9.z7GcGBAXP7rcKslZawK\n";

impl Service {
    /// Ends it as a restart does. Its folder and its port stay as they are.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.terminate(Duration::from_secs(10))?;
        }
        Ok(())
    }

    /// Starts it again, if it is stopped.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let log = self.folder.path().join("log");
        let mut process = Process::start("service", &mut self.command, &log)?;
        let url = format!("{}/{}", self.url, self.ready);
        let started = Instant::now();
        while !self.client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            process.check()?;
            if started.elapsed() > Duration::from_secs(30) {
                bail!("no answer from {url}:\n{}", tail(&log));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.process = Some(process);
        Ok(())
    }

    /// Its folder, with all that it keeps.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it answers to a GET, as JSON.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.client.get(format!("{}/{path}", self.url)).send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("{path} is answered with {status}: {text}");
        }
        serde_json::from_str(&text).with_context(|| format!("{path} is answered with no JSON: {text}"))
    }
}

/// How a registry wants to be asked.
#[derive(Clone, Copy, Default)]
pub struct RegistryOptions<'a> {
    /// Over TLS, with a certificate that this authority signs.
    pub authority: Option<&'a Authority>,
    /// By a certificate that the authority signed, too.
    pub client_certificates: bool,
    /// By `REGISTRY_LOGIN` only.
    pub login: bool,
}

/// Starts a registry (the distribution API) that wants no login.
pub async fn registry() -> anyhow::Result<Service> {
    registry_with(RegistryOptions::default()).await
}

/// Starts a registry.
pub async fn registry_with(options: RegistryOptions<'_>) -> anyhow::Result<Service> {
    let RegistryOptions { authority, client_certificates, login } = options;
    need("docker-registry", "docker-registry")?;
    let (folder, port) = (Folder::make("registry")?, ports::free()?);
    let mut http = json!({"addr": format!("127.0.0.1:{port}"), "secret": "loopback"});
    let mut client = reqwest::Client::builder();
    if let Some(authority) = authority {
        authority.server("registry", &["127.0.0.1", "localhost"])?;
        http["tls"] =
            json!({"certificate": authority.path("registry.crt"), "key": authority.path("registry.key")});
        client = client.tls_certs_only([reqwest::Certificate::from_pem(authority.certificate.as_bytes())?]);
        if client_certificates {
            http["tls"]["clientcas"] = json!([authority.path("ca.crt")]);
            let Leaf { certificate, key } = authority.client("probe", "probe", None)?;
            client = client.identity(reqwest::Identity::from_pem(format!("{certificate}{key}").as_bytes())?);
        }
    }
    let mut config = json!({
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": false}},
        "storage": {"filesystem": {"rootdirectory": folder.path().join("data")}, "delete": {"enabled": true}},
        "http": http,
    });
    if login {
        let passwords = folder.path().join("htpasswd");
        std::fs::write(&passwords, HTPASSWD)?;
        config["auth"] = json!({"htpasswd": {"realm": "loopback", "path": passwords}});
    }
    let file = folder.path().join("config.yml");
    std::fs::write(&file, config.to_string())?;
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(&file);
    let scheme = if authority.is_some() { "https" } else { "http" };
    // Its root wants no login.
    let url = format!("{scheme}://127.0.0.1:{port}");
    let client = client.build()?;
    let mut service = Service { url, command, ready: "", process: None, folder, client };
    service.start().await?;
    Ok(service)
}

/// Starts an Alertmanager that keeps what it is told.
pub async fn alertmanager() -> anyhow::Result<Service> {
    alertmanager_of(&json!({"route": {"receiver": "none"}, "receivers": [{"name": "none"}]})).await
}

/// Starts an Alertmanager that forwards its alerts to a webhook: a group for each alert of a Sync, within a second.
pub async fn alertmanager_with(webhook_url: &str) -> anyhow::Result<Service> {
    alertmanager_of(&json!({
        "route": {"receiver": "hook", "group_by": ["alertname", "namespace", "sync"],
            "group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"},
        "receivers": [{"name": "hook", "webhook_configs": [{"url": webhook_url, "send_resolved": true}]}],
    }))
    .await
}

async fn alertmanager_of(config: &Value) -> anyhow::Result<Service> {
    need("prometheus-alertmanager", "prometheus-alertmanager")?;
    let (folder, port) = (Folder::make("alertmanager")?, ports::free()?);
    let file = folder.path().join("config.yml");
    std::fs::write(&file, config.to_string())?;
    let mut command = Command::new("prometheus-alertmanager");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    service(folder, port, "-/ready", command).await
}

/// The alerts that an Alertmanager holds now, in the form of its API. Those that are resolved are not listed.
pub async fn alerts(alertmanager: &Service) -> anyhow::Result<Vec<Value>> {
    let alerts = alertmanager.get("api/v2/alerts").await?;
    Ok(alerts.as_array().context("/api/v2/alerts has no list")?.clone())
}

/// Starts a Prometheus with this configuration, in which paths are absolute.
pub async fn prometheus(config: &str) -> anyhow::Result<Service> {
    need("prometheus", "prometheus")?;
    let (folder, port) = (Folder::make("prometheus")?, ports::free()?);
    let file = folder.path().join("config.yml");
    std::fs::write(&file, config)?;
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    service(folder, port, "-/ready", command).await
}

/// The alerts of a Prometheus, pending and firing, in the form of its API.
pub async fn rule_alerts(prometheus: &Service) -> anyhow::Result<Vec<Value>> {
    let answer = prometheus.get("api/v1/alerts").await?;
    Ok(answer["data"]["alerts"].as_array().context("/api/v1/alerts has no list")?.clone())
}

/// What an expression is now, in the form of the API of Prometheus. An expression that it refuses is an error.
pub async fn query(prometheus: &Service, expression: &str) -> anyhow::Result<Vec<Value>> {
    let mut url = reqwest::Url::parse(&prometheus.url)?.join("api/v1/query")?;
    url.query_pairs_mut().append_pair("query", expression);
    let answer: Value = reqwest::get(url).await?.json().await?;
    let result = answer["data"]["result"].as_array();
    Ok(result.with_context(|| format!("{expression}: {answer}"))?.clone())
}

async fn service(
    folder: Folder,
    port: u16,
    ready: &'static str,
    command: Command,
) -> anyhow::Result<Service> {
    let url = format!("http://127.0.0.1:{port}");
    let client = reqwest::Client::new();
    let mut service = Service { url, command, ready, process: None, folder, client };
    service.start().await?;
    Ok(service)
}

/// Makes sure that a program is there; where this is root on Debian, by installing its package.
pub fn need(program: &str, package: &str) -> anyhow::Result<()> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    if found(program) {
        return Ok(());
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"));
    if !root || !found("apt-get") {
        bail!("{program} is missing: install it (Debian's package {package})");
    }
    progress(&format!("installing Debian's package {package}"));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-q", "-o", "DPkg::Lock::Timeout=300"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    let install = ["install", "-y", "--no-install-recommends", package];
    if !apt(&install)?.success() {
        apt(&["update"])?;
        if !apt(&install)?.success() {
            bail!("{program} is missing, and apt-get cannot install {package}: install it by hand");
        }
    }
    if found(program) { Ok(()) } else { bail!("{package} is installed and has no {program}") }
}

fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<_> = std::env::split_paths(&path).collect();
    places.push("/usr/sbin".into());
    places.iter().any(|folder| Path::new(folder).join(program).is_file())
}
