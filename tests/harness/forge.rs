//! A real forge on loopback: Gitea, with git over https (by a CA of the run) and ssh, users, tokens, deploy keys and
//! protected branches. I/O: processes, network, disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::pki::Authority;
use crate::ports;
use crate::services::need;
use crate::tools::Tools;
use crate::watchdog::{Folder, Process};

/// The user that owns the repositories.
pub const USER: &str = "alice";
/// Their password.
pub const PASSWORD: &str = "s3cret-pass";

/// A running forge. Everything ends when it is dropped.
pub struct Forge {
    client: reqwest::Client,
    http: u16,
    ssh: u16,
    authority: Authority,
    known_hosts: String,
    _process: Process,
    folder: Folder,
}

/// A repository of the forge.
pub struct Repository {
    pub name: String,
    /// `https://127.0.0.1:PORT/alice/NAME.git`
    pub https_url: String,
    /// `ssh://git@127.0.0.1:PORT/alice/NAME.git`
    pub ssh_url: String,
    /// A clone of it, in which `git` may be run.
    pub clone: PathBuf,
    /// With the login in it, for `git`.
    /// With the login of the administrator in it.
    pub push_url: String,
    ca: PathBuf,
}

impl Forge {
    /// Starts a forge, in about five seconds.
    pub async fn start(tools: &Tools) -> anyhow::Result<Self> {
        need("ssh-keygen", "openssh-client")?;
        let folder = Folder::make("forge")?;
        let root = folder.path();
        let authority = Authority::make(&root.join("pki"))?;
        authority.server("gitea", &["127.0.0.1", "localhost"])?;
        std::fs::create_dir_all(root.join("custom/conf"))?;
        let host_key = root.join("host_key");
        keygen(&host_key, "")?;
        let (http, ssh) = (ports::free()?, ports::free()?);
        let config = root.join("app.ini");
        std::fs::write(&config, settings(tools, root, http, ssh))?;
        let gitea = |arguments: &[&str]| {
            let mut command = Command::new(&tools.gitea);
            command.arg("--config").arg(&config).args(arguments).env("HOME", root);
            command.env("GITEA_WORK_DIR", root).env("GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT", "true");
            command
        };
        must(&mut gitea(&["migrate"]))?;
        let create = [
            "admin",
            "user",
            "create",
            "--admin",
            "--must-change-password=false",
            "--email=alice@example.com",
        ];
        must(gitea(&create).args(["--username", USER, "--password", PASSWORD]))?;
        let mut process = Process::start("gitea", &mut gitea(&["web"]), &root.join("gitea.log"))?;
        let ca = reqwest::Certificate::from_pem(authority.certificate.as_bytes())?;
        let client =
            reqwest::Client::builder().tls_certs_only([ca]).timeout(Duration::from_secs(30)).build()?;
        let started = Instant::now();
        let version = format!("https://127.0.0.1:{http}/api/v1/version");
        while !client.get(&version).send().await.is_ok_and(|answer| answer.status().is_success()) {
            process.check()?;
            if started.elapsed() > Duration::from_mins(1) {
                bail!("Gitea does not answer:\n{}", crate::watchdog::tail(&root.join("gitea.log")));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let public = std::fs::read_to_string(host_key.with_extension("pub"))?;
        let key = public.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let known_hosts = format!("[127.0.0.1]:{ssh} {key}\n");
        Ok(Self { client, http, ssh, authority, known_hosts, _process: process, folder })
    }

    /// The certificate of the CA that signs the forge's.
    pub fn ca(&self) -> &str {
        &self.authority.certificate
    }

    /// The line of `known_hosts` for its ssh server.
    pub fn known_hosts(&self) -> &str {
        &self.known_hosts
    }

    /// The port of its https server.
    pub fn port(&self) -> u16 {
        self.http
    }

    /// The port of its ssh server.
    pub fn ssh_port(&self) -> u16 {
        self.ssh
    }

    /// Calls the forge's API as its administrator; the path is below `/api/v1/`.
    pub async fn api(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("https://127.0.0.1:{}/api/v1/{path}", self.http);
        let request = self.client.request(method, url).basic_auth(USER, Some(PASSWORD)).json(body);
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("the forge answers {path} with {status}: {text}");
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Makes a private repository with a first, empty commit on `main`. Its name begins with `prefix`.
    pub async fn repository(&self, prefix: &str) -> anyhow::Result<Repository> {
        let repository = self.empty_repository(prefix).await?;
        repository.git(&["commit", "--quiet", "--allow-empty", "-m", "Begin"])?;
        repository.push("main")?;
        Ok(repository)
    }

    /// Makes a private repository without a commit.
    pub async fn empty_repository(&self, prefix: &str) -> anyhow::Result<Repository> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{prefix}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.api(
            Method::POST,
            "user/repos",
            &json!({"name": name, "private": true, "default_branch": "main"}),
        )
        .await?;
        let clone = self.folder.path().join("clones").join(&name);
        std::fs::create_dir_all(&clone)?;
        let place = format!("127.0.0.1:{}/{USER}/{name}.git", self.http);
        let repository = Repository {
            https_url: format!("https://{place}"),
            ssh_url: format!("ssh://git@127.0.0.1:{}/{USER}/{name}.git", self.ssh),
            push_url: format!("https://{USER}:{PASSWORD}@{place}"),
            ca: self.authority.path("ca.crt"),
            name,
            clone,
        };
        repository.git(&["init", "--quiet", "-b", "main"])?;
        Ok(repository)
    }

    /// The folder in which the forge keeps a repository.
    pub fn bare(&self, repository: &Repository) -> PathBuf {
        self.folder.path().join(format!("repos/{USER}/{}.git", repository.name))
    }

    /// The requests that the agent has sent so far, in the form of an access log.
    pub fn requests(&self) -> anyhow::Result<Vec<String>> {
        let text = std::fs::read_to_string(self.folder.path().join("access.log"))?;
        let is_of_agent = |line: &&str| line.to_ascii_lowercase().contains("\"holdfast/");
        Ok(text.lines().filter(is_of_agent).map(ToOwned::to_owned).collect())
    }

    /// Makes an access token of the administrator that may read repositories.
    pub async fn token(&self, name: &str) -> anyhow::Result<String> {
        let body = json!({"name": name, "scopes": ["read:repository"]});
        let token = self.api(Method::POST, &format!("users/{USER}/tokens"), &body).await?;
        Ok(token["sha1"].as_str().context("the forge gave no token")?.to_owned())
    }

    /// Adds a deploy key to a repository and returns its private half.
    pub async fn deploy_key(&self, repository: &Repository, writable: bool) -> anyhow::Result<String> {
        let path = self.folder.path().join(format!("deploy-{}-{writable}", repository.name));
        keygen(&path, "")?;
        let public = std::fs::read_to_string(path.with_extension("pub"))?;
        let body = json!({"title": "agent", "key": public.trim(), "read_only": !writable});
        self.api(Method::POST, &format!("repos/{USER}/{}/keys", repository.name), &body).await?;
        Ok(std::fs::read_to_string(path)?)
    }

    /// Protects a branch from all pushes.
    pub async fn protect(&self, repository: &Repository, branch: &str) -> anyhow::Result<()> {
        let body = json!({"rule_name": branch, "enable_push": false});
        self.api(Method::POST, &format!("repos/{USER}/{}/branch_protections", repository.name), &body)
            .await?;
        Ok(())
    }
}

impl Repository {
    /// Runs `git` in the clone, and returns what it printed.
    pub fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(&self.clone).stdin(Stdio::null());
        git.env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_SSL_CAINFO", &self.ca);
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), "Alice")
                .env(format!("GIT_{role}_EMAIL"), "alice@example.com");
        }
        git.env("GIT_TERMINAL_PROMPT", "0");
        must(&mut git)
    }

    /// Writes files, commits and pushes them to `main`. Returns the commit.
    pub fn commit(&self, files: &[(&str, &str)], message: &str) -> anyhow::Result<String> {
        for (path, content) in files {
            let path = self.clone.join(path);
            std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
            std::fs::write(path, content)?;
        }
        self.push_all(message)
    }

    /// Removes files, commits and pushes.
    pub fn remove(&self, files: &[&str], message: &str) -> anyhow::Result<String> {
        self.git(&[&["rm", "--quiet", "-r", "--"], files].concat())?;
        self.push_all(message)
    }

    /// Copies a folder into the clone, commits and pushes.
    pub fn commit_folder(&self, folder: &Path, message: &str) -> anyhow::Result<String> {
        copy(folder, &self.clone)?;
        self.push_all(message)
    }

    /// Commits everything in the clone and pushes it to `main`.
    pub fn push_all(&self, message: &str) -> anyhow::Result<String> {
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "-m", message])?;
        self.push("main")?;
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Pushes to a ref, by force.
    pub fn push(&self, reference: &str) -> anyhow::Result<()> {
        let reference = if reference.starts_with("refs/") {
            reference.to_owned()
        } else {
            format!("refs/heads/{reference}")
        };
        self.git(&["push", "--quiet", "--force", &self.push_url, &format!("HEAD:{reference}")])?;
        Ok(())
    }
}

fn settings(tools: &Tools, root: &Path, http: u16, ssh: u16) -> String {
    let root = root.display();
    let files = tools.gitea_files.display();
    format!(
        "WORK_PATH = {root}\n\
         [server]\nPROTOCOL = https\nHTTP_ADDR = 127.0.0.1\nHTTP_PORT = {http}\nROOT_URL = https://127.0.0.1:{http}/\n\
         CERT_FILE = {root}/pki/gitea.crt\nKEY_FILE = {root}/pki/gitea.key\nSTATIC_ROOT_PATH = {files}\n\
         START_SSH_SERVER = true\nSSH_LISTEN_HOST = 127.0.0.1\nSSH_LISTEN_PORT = {ssh}\nSSH_PORT = {ssh}\n\
         BUILTIN_SSH_SERVER_USER = git\nSSH_SERVER_HOST_KEYS = {root}/host_key\nOFFLINE_MODE = true\n\
         [database]\nDB_TYPE = sqlite3\n\
         [repository]\nROOT = {root}/repos\n\
         [security]\nINSTALL_LOCK = true\nSECRET_KEY = loopback\n\
         [service]\nDISABLE_REGISTRATION = true\n\
         [webhook]\nALLOWED_HOST_LIST = loopback\n\
         [log]\nMODE = console\nLEVEL = warn\nlogger.access.MODE = access\n\
         [log.access]\nMODE = file\nLEVEL = info\nFILE_NAME = {root}/access.log\n"
    )
}

/// Makes an ssh key pair.
pub fn keygen(path: &Path, password: &str) -> anyhow::Result<()> {
    must(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", password, "-f"]).arg(path)).map(|_| ())
}

/// Runs a command that must succeed.
fn must(command: &mut Command) -> anyhow::Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{:?} failed: {}",
            command.get_args().collect::<Vec<_>>(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in from.read_dir().with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
