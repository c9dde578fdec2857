//! How gix reaches a repository: headers, trust and time limits for http, a locked-down `ssh` for ssh.
//!
//! I/O: writes the keys of one connection into a private folder, and reads what ssh said.

use std::any::Any;
use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::connect::{self, connect};
use gix::protocol::transport::client::blocking_io::http::{self, reqwest as backend};
use gix::protocol::transport::client::blocking_io::{Transport, ssh};
use tempfile::TempDir;

use super::location::Scheme;
use super::{Credential, Location, SourceError};

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_mins(1);
/// How long the connection itself may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How the folders of keys begin; the number of the process follows.
pub(super) const SSH: &str = "holdfast-ssh-";

/// One connection: the transport, its options, and what ssh needs on disk.
pub struct Connection {
    pub transport: Box<dyn Transport + Send>,
    pub options: Option<Box<dyn Any>>,
    keys: Option<Keys>,
}

impl Connection {
    /// Prepares a connection; nothing is sent yet. A fetch speaks version 2; a push knows none but the first.
    pub fn open(location: &Location, version: Protocol, limit: Duration) -> Result<Self, SourceError> {
        let keys = match location.scheme {
            Scheme::Ssh => Some(Keys::write(location)?),
            Scheme::Http | Scheme::File => None,
        };
        let failed = |error: &dyn std::fmt::Display| SourceError::Git {
            url: location.to_string(),
            said: error.to_string(),
        };
        let options = connect::Options {
            version,
            ssh: keys.as_ref().map(Keys::command).unwrap_or_default(),
            trace: false,
        };
        let transport = connect(location.url.as_str(), options).map_err(|error| failed(&error))?;
        let options = match location.scheme {
            Scheme::Http => Some(Box::new(http_options(&location.credential, limit)) as Box<dyn Any>),
            Scheme::Ssh | Scheme::File => None,
        };
        Ok(Self { transport, options, keys })
    }

    /// What ssh wrote, for the error. The keys stay on disk as long as this lives.
    pub fn keys(&mut self) -> Option<Keys> {
        self.keys.take()
    }
}

fn http_options(credential: &Arc<Credential>, limit: Duration) -> http::Options {
    let trust = credential.clone();
    let backend = backend::Options {
        configure_client: Some(Box::new(move |client| {
            let mut client = client.connect_timeout(CONNECT).timeout(limit.min(SILENCE));
            if let Some(ca) = &trust.ca {
                for certificate in reqwest::Certificate::from_pem_bundle(ca).map_err(gix_error)? {
                    client = client.add_root_certificate(certificate);
                }
            }
            if let Some((certificate, key)) = &trust.client {
                let pem = [certificate.as_slice(), b"\n", key.as_slice()].concat();
                client = client.identity(reqwest::Identity::from_pem(&pem).map_err(gix_error)?);
            }
            Ok(client)
        })),
        configure_request: None,
    };
    http::Options {
        // gix follows no redirect to another place with these.
        extra_headers: credential
            .authorization()
            .map(|value| format!("Authorization: {value}"))
            .into_iter()
            .collect(),
        user_agent: Some(concat!("git/2.0 holdfast/", env!("CARGO_PKG_VERSION")).to_owned()),
        connect_timeout: Some(CONNECT),
        backend: Some(Arc::new(Mutex::new(backend))),
        ..http::Options::default()
    }
}

fn gix_error(error: reqwest::Error) -> gix::Error {
    gix::Error::from_error(error)
}

/// The keys of one ssh connection, in a folder that nobody else can read and that is gone afterwards.
pub struct Keys {
    folder: TempDir,
    identity: Option<PathBuf>,
    known_hosts: PathBuf,
    /// What ssh itself wrote.
    log: PathBuf,
    /// What the program on the other side wrote beside its answer.
    remote: PathBuf,
}

impl Keys {
    fn write(location: &Location) -> Result<Self, SourceError> {
        let credential = &location.credential;
        let Some(known_hosts) = &credential.known_hosts else {
            return Err(SourceError::HostKeyUnknown { url: location.to_string() });
        };
        let failed = |error: std::io::Error| SourceError::Cache {
            path: "of temporary files".to_owned(),
            said: error.to_string(),
        };
        let folder = tempfile::Builder::new()
            .prefix(&format!("{SSH}{}-", std::process::id()))
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
        let known_hosts = put("known_hosts", known_hosts).map_err(failed)?;
        let (log, remote) = (folder.path().join("log"), folder.path().join("remote"));
        let keys = Self { folder, identity, known_hosts, log, remote };
        if let (Some(_), Some(password)) = (&keys.identity, &credential.identity_password) {
            keys.write_askpass(password).map_err(failed)?;
        }
        Ok(keys)
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
            "exec {ask}ssh -F none -E {} -o BatchMode={batch} -o StrictHostKeyChecking=yes -o UserKnownHostsFile={} \
             -o GlobalKnownHostsFile=none -o ConnectTimeout={} -o ServerAliveInterval=10 -o ServerAliveCountMax=2 \
             -o NumberOfPasswordPrompts=1{identity} 2>>{}",
            quote(&shown(&self.log)),
            quote(&shown(&self.known_hosts)),
            CONNECT.as_secs(),
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
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        format!("{log}{}", self.remote())
    }

    /// What the server wrote beside its answer: why it hung up, for example.
    pub fn remote(&self) -> String {
        let bytes = std::fs::read(&self.remote).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Quotes a word for the shell.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
