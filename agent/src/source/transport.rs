//! How gix reaches a repository: headers, trust and time limits for http, a locked-down `ssh` for ssh.
//!
//! I/O: writes the keys of one connection into a private folder, and reads what ssh said.

use std::error::Error;
use std::fs::{OpenOptions, Permissions};
use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::connect::{self, connect};
use gix::protocol::transport::client::blocking_io::http::Transport as HttpTransport;
use gix::protocol::transport::client::blocking_io::{Transport, ssh};
use http::{HeaderValue, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::error::{classify, told};
use super::location::Scheme;
use super::web::{GitHttp, Last, Trouble};
use super::{Credential, Location, SourceError, known_hosts};
use crate::http::{Clients, Failure, Guard, Times, Trust, reachable};

/// How the folders of keys begin; the number of the process follows.
pub(super) const FOLDER: &str = "holdfast-ssh-";
/// How git names itself. Some servers give what they give to git only to a program of this name.
const USER_AGENT: &str = concat!("git/2.0 holdfast/", env!("CARGO_PKG_VERSION"));
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_mins(1);
/// How often, and how many times, it is tried to end an ssh that has not begun yet.
const PAUSE: Duration = Duration::from_millis(100);
const TRIES: usize = 50;
/// The port of ssh.
const SSH: u16 = 22;
/// Bytes that are read of what ssh and its server wrote.
const LOG: u64 = 64 * 1024;
/// Blocks of 512 or 1024 bytes that each of their files may have.
const LOG_BLOCKS: u32 = 2048;

/// What connections are made with.
#[derive(Clone)]
pub struct Network {
    pub guard: Arc<Guard>,
    pub clients: Arc<Clients>,
    /// Where requests over http run, while a thread of its own waits for them.
    pub runtime: Handle,
    /// Cancelled when nobody waits for the answer any more: the connection ends then.
    pub ended: CancellationToken,
}

/// A repository that is asked, and how long one request may take.
pub struct Peer<'a> {
    pub network: &'a Network,
    pub location: &'a Location,
    pub limit: Duration,
}

impl Peer<'_> {
    /// A new connection; nothing is sent yet.
    pub fn connect(&self, version: Protocol) -> Result<Connection, SourceError> {
        Connection::open(self.network, self.location, version, self.limit)
    }
}

/// The HTTP clients of git.
pub fn clients(guard: Arc<Guard>) -> Arc<Clients> {
    let times = Times { connect: Times::CONNECT, silence: Some(SILENCE), total: None };
    Arc::new(Clients::new(guard, times).with_user_agent(USER_AGENT))
}

/// One connection, and what went wrong on it.
pub struct Connection {
    pub transport: Box<dyn Transport + Send>,
    pub said: Said,
}

/// What is known of a connection beside the errors of gix. The keys of ssh stay on disk as long as this lives.
pub struct Said {
    url: String,
    host: String,
    last: Last,
    keys: Option<Keys>,
    _ending: Option<Ending>,
}

impl Connection {
    /// Prepares a connection; nothing is sent yet. A fetch speaks version 2; a push knows none but the first. Must be called
    /// where it may block.
    pub fn open(
        network: &Network,
        location: &Location,
        version: Protocol,
        limit: Duration,
    ) -> Result<Self, SourceError> {
        let keys = match location.scheme {
            Scheme::Ssh => Some(Keys::write(location, &network.guard)?),
            Scheme::Http | Scheme::File => None,
        };
        let said = Said {
            url: location.to_string(),
            host: location.host.clone(),
            last: Last::default(),
            _ending: keys.as_ref().map(|keys| Ending::of(network, keys.pid())),
            keys,
        };
        let failed =
            |error: gix::Error| SourceError::Git { url: location.to_string(), said: told(&error, "") };
        if location.scheme == Scheme::Http {
            let url = gix::Url::try_from(location.url.as_str())
                .map_err(|error| SourceError::BadUrl { url: location.to_string(), why: error.to_string() })?;
            let asker = http(network, &location.credential, limit, said.last.clone())?;
            let transport = Box::new(HttpTransport::new_http(asker, url, version, false));
            return Ok(Self { transport, said });
        }
        let ssh = said.keys.as_ref().map(Keys::command).unwrap_or_default();
        let options = connect::Options { version, ssh, trace: false };
        let transport = connect(location.url.as_str(), options).map_err(failed)?;
        Ok(Self { transport, said })
    }
}

fn http(
    network: &Network,
    credential: &Credential,
    limit: Duration,
    last: Last,
) -> Result<GitHttp, SourceError> {
    let client = credential.client.as_ref().map(|(certificate, key)| (&certificate[..], &key[..]));
    let trust = Trust::read(credential.ca.as_deref(), client);
    let trust = trust.map_err(|error| SourceError::BadCredential(format!("the Secret: {error}")))?;
    let authorization = credential.authorization().map(|value| {
        let mut value = HeaderValue::from_str(&value).map_err(|_| {
            SourceError::BadCredential("the login has characters that HTTP cannot send".to_owned())
        })?;
        value.set_sensitive(true);
        Ok(value)
    });
    Ok(GitHttp {
        clients: network.clients.clone(),
        runtime: network.runtime.clone(),
        ended: network.ended.clone(),
        trust,
        authorization: authorization.transpose()?,
        limit,
        last,
        moved: None,
    })
}

impl Said {
    /// What an error of gix means on this connection.
    pub fn explain(&self, error: &(dyn Error + 'static)) -> SourceError {
        if let Some(trouble) = self.last.trouble() {
            return self.of_http(trouble);
        }
        let ssh = self.keys.as_ref().map(Keys::said);
        classify(&self.url, &self.host, error, ssh.as_deref())
    }

    /// The status of the last answer over http that was no success.
    pub fn status(&self) -> Option<StatusCode> {
        match self.last.trouble()? {
            Trouble::Status(status) => Some(status),
            Trouble::Failed(_) | Trouble::NotGit(_) => None,
        }
    }

    /// What the server wrote beside its answer.
    pub fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    fn of_http(&self, trouble: Trouble) -> SourceError {
        let (url, host) = (self.url.clone(), self.host.clone());
        match trouble {
            Trouble::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                SourceError::AuthenticationFailed { url, said: "the server refuses the login".to_owned() }
            }
            Trouble::Status(StatusCode::NOT_FOUND | StatusCode::GONE) => {
                SourceError::RepositoryNotFound { url }
            }
            Trouble::Status(status) => SourceError::Answered { url, status: status.as_u16() },
            Trouble::NotGit(_) => SourceError::NotGit { url },
            Trouble::Failed(failure) => match failure {
                Failure::Refused(source) => SourceError::Refused { url, source },
                Failure::Redirected { why } => SourceError::Redirected { url, why },
                Failure::Tls { said, certificate: true } => SourceError::UntrustedCertificate { url, said },
                Failure::ConnectTimeout | Failure::Timeout => {
                    SourceError::Unreachable { url, said: "no answer in time".to_owned() }
                }
                Failure::Connect { said } if is_unknown_host(&said) => SourceError::UnknownHost { url, host },
                Failure::Connect { said } | Failure::Tls { said, .. } => {
                    SourceError::Unreachable { url, said }
                }
                other => SourceError::Git { url, said: other.to_string() },
            },
        }
    }
}

fn is_unknown_host(said: &str) -> bool {
    ["failed to lookup", "Name or service not known", "No address associated"]
        .iter()
        .any(|words| said.contains(words))
}

/// Ends the ssh of a connection when nobody waits for its answer any more.
struct Ending(AbortHandle);

impl Ending {
    fn of(network: &Network, pid: PathBuf) -> Self {
        let ended = network.ended.clone();
        let task = network.runtime.spawn(async move {
            ended.cancelled().await;
            for _ in 0..TRIES {
                if kill(&pid) {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ends the process whose number is in a file; false if it is not there yet.
fn kill(file: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(file) else { return false };
    let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw) else { return false };
    // It may have ended by itself.
    let _ = kill_process(pid, Signal::KILL);
    true
}

/// The keys of one ssh connection, in a folder that nobody else can read and that is gone afterwards.
pub struct Keys {
    folder: TempDir,
    identity: Option<PathBuf>,
    known_hosts: PathBuf,
    /// The address that was checked, and the name by which the key of the host is looked up.
    address: IpAddr,
    alias: String,
    /// What ssh itself wrote.
    log: PathBuf,
    /// What the program on the other side wrote beside its answer.
    remote: PathBuf,
}

impl Keys {
    fn write(location: &Location, guard: &Guard) -> Result<Self, SourceError> {
        let credential = &location.credential;
        let url = location.to_string();
        let Some(hosts) = &credential.known_hosts else {
            return Err(SourceError::HostKeyUnknown { url });
        };
        let port = location.port.unwrap_or(SSH);
        let alias = known_hosts::name(hosts, &location.host, port);
        let address = reachable(guard, &location.host, port).map_err(|failure| match failure {
            Failure::Refused(source) => SourceError::Refused { url, source },
            _ => SourceError::UnknownHost { url, host: location.host.clone() },
        })?;
        let failed = |error: std::io::Error| SourceError::Cache {
            path: "of temporary files".to_owned(),
            said: error.to_string(),
        };
        let folder = tempfile::Builder::new()
            .prefix(&format!("{FOLDER}{}-", std::process::id()))
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(failed)?;
        let put = |name: &str, bytes: &[u8]| -> std::io::Result<PathBuf> {
            let path = folder.path().join(name);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(bytes)?;
            if !bytes.ends_with(b"\n") {
                file.write_all(b"\n")?;
            }
            Ok(path)
        };
        let identity = match &credential.identity {
            Some(key) => Some(put("identity", key).map_err(failed)?),
            None => None,
        };
        let known_hosts = put("known_hosts", hosts).map_err(failed)?;
        let (log, remote) = (folder.path().join("log"), folder.path().join("remote"));
        let keys = Self { folder, identity, known_hosts, address, alias, log, remote };
        if let (Some(_), Some(password)) = (&keys.identity, &credential.identity_password) {
            keys.write_askpass(password).map_err(failed)?;
        }
        Ok(keys)
    }

    /// Where the number of the process stands.
    fn pid(&self) -> PathBuf {
        self.folder.path().join("pid")
    }

    /// A program that answers ssh's question for the password of the key.
    fn write_askpass(&self, password: &str) -> std::io::Result<()> {
        let path = self.folder.path().join("askpass");
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path)?;
        writeln!(file, "#!/bin/sh\nprintf '%s\\n' {}", quote(password))
    }

    fn command(&self) -> ssh::connect::Options {
        let askpass = self.folder.path().join("askpass");
        let ask = if askpass.exists() {
            format!("env SSH_ASKPASS={} SSH_ASKPASS_REQUIRE=force ", quote(&shown(&askpass)))
        } else {
            String::new()
        };
        let batch = if ask.is_empty() { "yes" } else { "no" };
        let identity = match &self.identity {
            Some(path) => format!(" -i {} -o IdentitiesOnly=yes", quote(&shown(path))),
            None => " -o PubkeyAuthentication=no".to_owned(),
        };
        let command = format!(
            "echo $$ >{}; ulimit -f {LOG_BLOCKS}; exec {ask}ssh -F none -E {} -o HostName={} -o HostKeyAlias={} -o BatchMode={batch} -o StrictHostKeyChecking=yes -o UserKnownHostsFile={} \
             -o GlobalKnownHostsFile=none -o ConnectTimeout={} -o ServerAliveInterval=10 -o ServerAliveCountMax=2 \
             -o NumberOfPasswordPrompts=1{identity} 2>>{}",
            quote(&shown(&self.pid())),
            quote(&shown(&self.log)),
            self.address,
            quote(&self.alias),
            quote(&shown(&self.known_hosts)),
            Times::CONNECT.as_secs(),
            quote(&shown(&self.remote)),
        );
        ssh::connect::Options {
            command: Some(command.into()),
            disallow_shell: false,
            kind: Some(ssh::ProgramKind::Ssh),
        }
    }

    /// What ssh wrote, and what the server wrote through it.
    pub fn said(&self) -> String {
        format!("{}{}", start(&self.log), self.remote())
    }

    /// What the server wrote beside its answer: why it hung up, for example.
    pub fn remote(&self) -> String {
        start(&self.remote)
    }
}

/// The start of a file that a server may have filled.
fn start(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        // What cannot be read explains nothing.
        let _ = file.take(LOG).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Quotes a word for the shell.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
