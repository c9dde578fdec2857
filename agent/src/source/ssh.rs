//! Starts `ssh` for one connection, with its keys, the only address that it may connect to, and no other
//! configuration.
//!
//! I/O: writes the keys into a private folder, which is removed with the connection; resolves the address.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use gix::protocol::transport::{Protocol, Service};
use tempfile::TempDir;

use super::{Location, SourceError, known_hosts};
use crate::http::{Failure, Guard, Times, reachable};

/// The prefix of the folders of keys; the id of the process follows.
pub(super) const FOLDER: &str = "holdfast-ssh-";
/// The port of ssh.
const PORT: u16 = 22;
/// Files of the folder.
const KNOWN_HOSTS: &str = "known_hosts";
const IDENTITY: &str = "identity";

/// The keys of one ssh connection, in a private folder that is removed afterwards.
pub struct Keys {
    folder: TempDir,
    has_identity: bool,
    askpass: Option<PathBuf>,
    /// The address that was checked, and the name by which the host key is looked up.
    address: IpAddr,
    alias: String,
}

impl Keys {
    pub fn write(location: &Location, guard: &Guard) -> Result<Self, SourceError> {
        let credential = &location.credential;
        let url = location.to_string();
        let Some(hosts) = &credential.known_hosts else {
            return Err(SourceError::NoKnownHosts { url });
        };
        let port = location.port.unwrap_or(PORT);
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
        let put = |name: &str, mode: u32, bytes: &[u8]| -> Result<PathBuf, SourceError> {
            let path = folder.path().join(name);
            write(&path, mode, bytes).map_err(failed)?;
            Ok(path)
        };
        put(KNOWN_HOSTS, 0o600, hosts)?;
        if let Some(key) = &credential.identity {
            put(IDENTITY, 0o600, key)?;
        }
        let askpass = match &credential.identity_password {
            Some(password) => Some(put("askpass", 0o700, askpass(password).as_bytes())?),
            None => None,
        };
        Ok(Self { folder, has_identity: credential.identity.is_some(), askpass, address, alias })
    }

    /// Returns the command that connects to the host of a location and runs a Git service there.
    pub fn command(&self, location: &Location, service: Service) -> Result<Command, SourceError> {
        let bad = |why: &str| SourceError::BadUrl { url: location.to_string(), why: why.to_owned() };
        let url =
            gix::Url::try_from(location.url.as_str()).map_err(|_| bad("it is not a URL that Git accepts"))?;
        let path = gix::url::expand_path::for_shell(url.path.clone()).to_string();
        let host = url.host().unwrap_or_default();
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none"]);
        let mut set = |option: &str, value: &str| {
            ssh.arg("-o").arg(format!("{option}={value}"));
        };
        set("HostName", &self.address.to_string());
        set("HostKeyAlias", &self.alias);
        set("StrictHostKeyChecking", "yes");
        set("UserKnownHostsFile", KNOWN_HOSTS);
        set("GlobalKnownHostsFile", "none");
        set("UpdateHostKeys", "no");
        set("ConnectTimeout", &Times::CONNECT.as_secs().to_string());
        set("ServerAliveInterval", "10");
        set("ServerAliveCountMax", "2");
        set("LogLevel", "ERROR");
        // The password is used only to decrypt the key, not for other prompts.
        set("PreferredAuthentications", "publickey");
        set("NumberOfPasswordPrompts", "1");
        set("IdentityAgent", "none");
        if self.has_identity {
            set("IdentitiesOnly", "yes");
            set("IdentityFile", IDENTITY);
        } else {
            set("PubkeyAuthentication", "no");
        }
        set("BatchMode", if self.askpass.is_some() { "no" } else { "yes" });
        if service == Service::UploadPack {
            set("SendEnv", "GIT_PROTOCOL");
            ssh.env("GIT_PROTOCOL", format!("version={}", Protocol::V2 as usize));
        }
        if let Some(askpass) = &self.askpass {
            ssh.env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force");
        }
        if let Some(port) = url.port {
            ssh.arg(format!("-p{port}"));
        }
        // The messages are parsed, so they must be in English.
        ssh.env("LANG", "C").env("LC_ALL", "C").current_dir(self.folder.path());
        ssh.arg(match url.user() {
            Some(user) => format!("{user}@{host}"),
            None => host.to_owned(),
        });
        ssh.arg(service.as_str()).arg(quote(&path));
        Ok(ssh)
    }
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    if bytes.ends_with(b"\n") { Ok(()) } else { file.write_all(b"\n") }
}

/// Returns the content of a program that answers the password prompt of ssh for the key.
fn askpass(password: &str) -> String {
    format!("#!/bin/sh\nprintf '%s\\n' {}\n", quote(password))
}

/// Quotes a word for a shell, as Git does.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''").replace('!', r"'\!'"))
}
