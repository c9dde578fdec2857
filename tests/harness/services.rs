//! A plain registry and an Alertmanager, out of Debian's packages, for the suites that need them. I/O: processes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::ports;
use crate::tools::progress;
use crate::watchdog::{Folder, Process, tail};

/// A service on loopback, ended when this is dropped.
pub struct Service {
    pub url: String,
    _process: Process,
    _folder: Folder,
}

/// Starts a registry (the distribution API) without a login.
pub async fn registry() -> anyhow::Result<Service> {
    need("docker-registry", "docker-registry")?;
    let (folder, port) = (Folder::make("registry")?, ports::free()?);
    let config = folder.path().join("config.yml");
    let data = folder.path().join("data");
    let text = format!(
        "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
         http: {{addr: \"127.0.0.1:{port}\", secret: loopback}}\n",
        data.display()
    );
    std::fs::write(&config, text)?;
    start(folder, port, "v2/", Command::new("docker-registry").arg("serve").arg(&config)).await
}

/// Starts an Alertmanager that keeps what it is told.
pub async fn alertmanager() -> anyhow::Result<Service> {
    need("prometheus-alertmanager", "prometheus-alertmanager")?;
    let (folder, port) = (Folder::make("alertmanager")?, ports::free()?);
    let config = folder.path().join("config.yml");
    std::fs::write(&config, "route: {receiver: none}\nreceivers: [{name: none}]\n")?;
    let data = folder.path().join("data");
    let mut command = Command::new("prometheus-alertmanager");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", data.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    start(folder, port, "-/ready", &mut command).await
}

async fn start(folder: Folder, port: u16, ready: &str, command: &mut Command) -> anyhow::Result<Service> {
    let log = folder.path().join("log");
    let mut process = Process::start("service", command, &log)?;
    let url = format!("http://127.0.0.1:{port}");
    let started = Instant::now();
    while !reqwest::get(format!("{url}/{ready}")).await.is_ok_and(|answer| answer.status().is_success()) {
        process.check()?;
        if started.elapsed() > Duration::from_secs(30) {
            bail!("no answer from {url}:\n{}", tail(&log));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(Service { url, _process: process, _folder: folder })
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
