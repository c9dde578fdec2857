//! A real Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager, and a stand-in for the
//! kubelet. I/O: processes, network, disk.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::kubelet::Kubelet;
use crate::pki::{Authority, Leaf};
use crate::ports;
use crate::tools::Tools;
use crate::watchdog::{Folder, Process};
use crate::words;

/// What a control plane is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Run the controller manager and the stand-in for the kubelet.
    pub controllers: bool,
    /// More flags for kube-apiserver.
    pub apiserver_flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { controllers: true, apiserver_flags: Vec::new() }
    }
}

/// A running control plane. Everything ends when it is dropped.
pub struct ControlPlane {
    tools: Tools,
    folder: Folder,
    authority: Authority,
    port: u16,
    etcd_port: u16,
    options: Options,
    /// Held for their end.
    helpers: Option<(Process, Kubelet)>,
    apiserver: Process,
    etcd: Process,
}

/// Controllers that need a cloud, nodes, or disks.
const CONTROLLERS: &str = "*,-node-ipam-controller,-node-route-controller,-service-lb-controller,-cloud-node-lifecycle-controller,\
-persistentvolume-binder-controller,-persistentvolume-attach-detach-controller,-persistentvolume-expander-controller,\
-token-cleaner-controller,-bootstrap-signer-controller";

/// Every request is one line of the audit log, when it is answered.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted]\nrules: [{level: Metadata}]\n";

/// What starting may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

impl Drop for ControlPlane {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let found = words::check_cluster(self.kubectl_program(), &self.kubeconfig());
            assert_eq!(found.map_err(|error| error.to_string()), Ok(()));
        }
    }
}

impl ControlPlane {
    /// Fails if a status or an Event has a debug form in it.
    pub async fn check_words(&self) -> anyhow::Result<()> {
        let (kubectl, kubeconfig) = (self.kubectl_program().to_path_buf(), self.kubeconfig());
        tokio::task::spawn_blocking(move || words::check_cluster(&kubectl, &kubeconfig)).await?
    }

    /// Starts a control plane, in about five seconds.
    pub async fn start(tools: &Tools, options: Options) -> anyhow::Result<Self> {
        let folder = Folder::make("cp")?;
        let authority = Authority::make(&folder.path().join("pki"))?;
        let names = [
            "127.0.0.1",
            "10.0.0.1",
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
        ];
        authority.server("apiserver", &names)?;
        let admin = authority.client("admin", "admin", Some("system:masters"))?;
        let manager = authority.client("kcm", "system:kube-controller-manager", None)?;
        authority.client("aggregator", "front-proxy-client", None)?;
        authority.key_pair("sa")?;
        std::fs::write(folder.path().join("audit-policy.yaml"), AUDIT_POLICY)?;
        let (port, etcd_port) = (ports::free()?, ports::free()?);
        write_kubeconfig(&folder.path().join("kubeconfig"), port, &authority, &certificate(&admin))?;
        write_kubeconfig(&folder.path().join("kcm.kubeconfig"), port, &authority, &certificate(&manager))?;
        let etcd = start_etcd(tools, folder.path(), etcd_port)?;
        let apiserver = start_apiserver(tools, folder.path(), port, etcd_port, &options)?;
        let mut plane = Self {
            tools: tools.clone(),
            authority,
            port,
            etcd_port,
            helpers: None,
            apiserver,
            etcd,
            folder,
            options,
        };
        plane.wait_ready().await?;
        if plane.options.controllers {
            plane.helpers = Some((plane.start_controllers()?, Kubelet::start(plane.client().await?)));
            crate::eventually(PATIENCE, "the service account of the namespace default", || async {
                let found = plane.kubectl(&["-n", "default", "get", "serviceaccount", "default"]).await?;
                Ok(found.status.success())
            })
            .await?;
        }
        Ok(plane)
    }

    /// The kubeconfig of a cluster administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// A kubeconfig with a bearer token, for example of a ServiceAccount.
    pub fn kubeconfig_for_token(&self, name: &str, token: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.path().join(format!("{name}.kubeconfig"));
        write_kubeconfig(&path, self.port, &self.authority, &json!({"token": token}))?;
        Ok(path)
    }

    /// A kubeconfig of a user, by certificate.
    pub fn kubeconfig_for_user(&self, user: &str) -> anyhow::Result<PathBuf> {
        let leaf = self.authority.client(user, user, None)?;
        let path = self.folder.path().join(format!("{user}.kubeconfig"));
        write_kubeconfig(&path, self.port, &self.authority, &certificate(&leaf))?;
        Ok(path)
    }

    /// A client of a cluster administrator.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// The file that has one JSON line for each answered request.
    pub fn audit_log(&self) -> PathBuf {
        self.folder.path().join("audit.log")
    }

    /// The requests in the audit log for which `keep` is true.
    pub fn requests(&self, keep: impl Fn(&Value) -> bool) -> anyhow::Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.audit_log())?;
        let lines = text.lines().map(serde_json::from_str::<Value>);
        // The last line may be half written.
        Ok(lines.filter_map(Result::ok).filter(|line| keep(line)).collect())
    }

    /// Runs kubectl as the administrator.
    pub async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        self.kubectl_with(&self.kubeconfig(), arguments, "").await
    }

    /// Runs `kubectl edit` with an editor, which is a command of a shell that gets the name of a file. The copy of an edit that
    /// is refused stays in the folder of the control plane.
    pub async fn kubectl_edit(&self, arguments: &[&str], editor: &str) -> anyhow::Result<Output> {
        let mut command = self.kubectl_command(&self.kubeconfig());
        command.arg("edit").args(arguments).env("KUBE_EDITOR", editor).env("TMPDIR", self.folder.path());
        command.stdin(Stdio::null());
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    }

    fn kubectl_command(&self, kubeconfig: &Path) -> Command {
        let mut command = Command::new(&self.tools.kubectl);
        command.env("KUBECONFIG", kubeconfig).env("HOME", self.folder.path());
        command
    }

    /// Runs kubectl with a kubeconfig and something on stdin.
    pub async fn kubectl_with(
        &self,
        kubeconfig: &Path,
        arguments: &[&str],
        input: &str,
    ) -> anyhow::Result<Output> {
        let mut command = self.kubectl_command(kubeconfig);
        command.args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = input.to_owned();
        let output = tokio::task::spawn_blocking(move || -> anyhow::Result<Output> {
            let mut child = command.spawn().context("cannot start kubectl")?;
            let mut stdin = child.stdin.take().context("kubectl has no stdin")?;
            stdin.write_all(input.as_bytes())?;
            drop(stdin);
            Ok(child.wait_with_output()?)
        });
        output.await?
    }

    /// Runs kubectl, which must succeed, and returns what it printed.
    pub async fn must(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.must_with(arguments, "").await
    }

    /// Applies YAML, which must succeed.
    pub async fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        self.must_with(
            &["apply", "--server-side", "--field-manager=person", "--validate=strict", "-f", "-"],
            yaml,
        )
        .await
    }

    async fn must_with(&self, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let output = self.kubectl_with(&self.kubeconfig(), arguments, input).await?;
        if !output.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The program kubectl.
    pub fn kubectl_program(&self) -> &Path {
        &self.tools.kubectl
    }

    /// Ends the API server and starts it again at the same address.
    pub async fn restart_apiserver(&mut self, pause: Duration) -> anyhow::Result<()> {
        self.apiserver.kill()?;
        tokio::time::sleep(pause).await;
        self.apiserver =
            start_apiserver(&self.tools, self.folder.path(), self.port, self.etcd_port, &self.options)?;
        self.wait_ready().await
    }

    /// Processor time so far, in seconds, of each process of the control plane.
    pub fn cpu_seconds(&self) -> anyhow::Result<Vec<(&'static str, f64)>> {
        let mut all = vec![("etcd", self.etcd.pid()), ("kube-apiserver", self.apiserver.pid())];
        all.extend(self.helpers.as_ref().map(|(manager, _)| ("kube-controller-manager", manager.pid())));
        all.into_iter().map(|(name, pid)| Ok((name, cpu_seconds(pid)?))).collect()
    }

    /// Stops etcd for a time, and lets it go on.
    pub async fn pause_etcd(&self, pause: Duration) -> anyhow::Result<()> {
        self.etcd.signal("STOP")?;
        tokio::time::sleep(pause).await;
        self.etcd.signal("CONT")
    }

    async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let ca = reqwest::Certificate::from_pem(self.authority.certificate.as_bytes())?;
        let client =
            reqwest::Client::builder().tls_certs_only([ca]).timeout(Duration::from_secs(2)).build()?;
        let url = format!("https://127.0.0.1:{}/readyz", self.port);
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            self.apiserver.check()?;
            self.etcd.check()?;
            if client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("kube-apiserver is not ready after {PATIENCE:?}")
    }

    fn start_controllers(&self) -> anyhow::Result<Process> {
        let folder = self.folder.path();
        let kubeconfig = folder.join("kcm.kubeconfig");
        let mut command = Command::new(&self.tools.controller_manager);
        for flag in ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
            command.arg(format!("--{flag}={}", kubeconfig.display()));
        }
        command
            .arg(format!("--secure-port={}", ports::free()?))
            .arg(format!("--cert-dir={}", folder.join("kcm-cert").display()))
            .arg(format!("--service-account-private-key-file={}", self.authority.path("sa.key").display()))
            .arg(format!("--root-ca-file={}", self.authority.path("ca.crt").display()))
            .arg(format!("--controllers={CONTROLLERS}"))
            .args(["--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false"])
            .args(["--use-service-account-credentials=true", "--kube-api-qps=200", "--kube-api-burst=400"])
            .arg("--horizontal-pod-autoscaler-sync-period=1s");
        Process::start("kube-controller-manager", &mut command, &folder.join("kcm.log"))
    }
}

/// User and system time of a process, which Linux counts in hundredths of a second (proc(5)).
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program stands in brackets and may have spaces.
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.collect::<Result<Vec<_>, _>>()?.iter().sum::<f64>() / 100.0)
}

fn start_etcd(tools: &Tools, folder: &Path, port: u16) -> anyhow::Result<Process> {
    let peer = ports::free()?;
    let mut command = Command::new(&tools.etcd);
    command
        .args(["--name=cp", "--unsafe-no-fsync", "--log-level=warn", "--quota-backend-bytes=4294967296"])
        .args(["--auto-compaction-mode=periodic", "--auto-compaction-retention=5m"])
        .arg(format!("--data-dir={}", folder.join("etcd").display()))
        .arg(format!("--listen-client-urls=http://127.0.0.1:{port}"))
        .arg(format!("--advertise-client-urls=http://127.0.0.1:{port}"))
        .arg(format!("--listen-peer-urls=http://127.0.0.1:{peer}"))
        .arg(format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"))
        .arg(format!("--initial-cluster=cp=http://127.0.0.1:{peer}"));
    Process::start("etcd", &mut command, &folder.join("etcd.log"))
}

fn start_apiserver(
    tools: &Tools,
    folder: &Path,
    port: u16,
    etcd: u16,
    options: &Options,
) -> anyhow::Result<Process> {
    let pki = |file: &str| folder.join("pki").join(file).display().to_string();
    let mut command = Command::new(&tools.apiserver);
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
        .arg(format!("--secure-port={port}"))
        .args([
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--endpoint-reconciler-type=none",
        ])
        .arg("--service-cluster-ip-range=10.0.0.0/16")
        .arg(format!("--tls-cert-file={}", pki("apiserver.crt")))
        .arg(format!("--tls-private-key-file={}", pki("apiserver.key")))
        .arg(format!("--cert-dir={}", folder.join("cert").display()))
        .arg(format!("--client-ca-file={}", pki("ca.crt")))
        .args(["--authorization-mode=RBAC", "--profiling=false", "--shutdown-delay-duration=0s"])
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg("--api-audiences=https://kubernetes.default.svc")
        .arg(format!("--service-account-key-file={}", pki("sa.pub")))
        .arg(format!("--service-account-signing-key-file={}", pki("sa.key")))
        .arg(format!("--requestheader-client-ca-file={}", pki("ca.crt")))
        .args([
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
        ])
        .args([
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        ])
        .arg(format!("--proxy-client-cert-file={}", pki("aggregator.crt")))
        .arg(format!("--proxy-client-key-file={}", pki("aggregator.key")))
        .arg(format!("--audit-policy-file={}", folder.join("audit-policy.yaml").display()))
        .arg(format!("--audit-log-path={}", folder.join("audit.log").display()))
        .args(&options.apiserver_flags);
    Process::start("kube-apiserver", &mut command, &folder.join("apiserver.log"))
}

fn certificate(leaf: &Leaf) -> Value {
    json!({
        "client-certificate-data": STANDARD.encode(&leaf.certificate),
        "client-key-data": STANDARD.encode(&leaf.key),
    })
}

fn write_kubeconfig(path: &Path, port: u16, authority: &Authority, user: &Value) -> anyhow::Result<()> {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": {
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority-data": STANDARD.encode(&authority.certificate)}}],
        "users": [{"name": "tests", "user": user}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests", "namespace": "default"}}],
    });
    Ok(std::fs::write(path, config.to_string())?)
}
