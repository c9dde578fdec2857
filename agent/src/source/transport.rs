//! The transports of gix: headers, trust and time limits for HTTP, a restricted `ssh` for SSH, `git` for a
//! repository on disk; with the same limits for all of them.
//!
//! I/O: network and subprocesses.

use std::error::Error;
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gix::bstr::ByteSlice as _;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::transport::client::blocking_io::http::Transport as HttpTransport;
use gix::protocol::transport::client::git::ConnectMode;
use gix::protocol::transport::client::git::blocking_io::Connection as ProgramTransport;
use gix::protocol::transport::packetline::read::Error as LineError;
use gix::protocol::transport::{Protocol, Service};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::error::of_library;
use super::limit::{Bounded, Budget, Counted};
use super::pauses::{Pause, Pauses};
use super::program::{Pipes, Program};
use super::scheme::Scheme;
use super::ssh::Keys;
use super::web::{GitHttp, HttpFailure, Kind, Last};
use super::{Location, SourceError, ssh_errors};
use crate::http::{Clients, Failure, Guard, Times, Trust, causes};

/// The user agent of Git. Some servers send the Git protocol only to a program with this name.
const USER_AGENT: &str = concat!("git/2.0 holdfast/", env!("CARGO_PKG_VERSION"));
/// Maximum time without data from a server.
const SILENCE: Duration = Duration::from_mins(1);

/// The parameters of connections.
#[derive(Clone)]
pub struct Network {
    pub guard: Arc<Guard>,
    pub clients: Arc<Clients>,
    /// Servers that requested a pause.
    pub pauses: Arc<Pauses>,
    /// The runtime of HTTP requests, while another thread waits for them.
    pub runtime: Handle,
    /// Cancelled when no caller waits for the response. The connection is closed then.
    pub ended: CancellationToken,
}

/// A repository to connect to, and the time limit of one request.
pub struct Peer<'a> {
    pub network: &'a Network,
    pub location: &'a Location,
    pub limit: Duration,
}

impl Peer<'_> {
    /// Opens a connection; nothing is sent yet.
    pub fn connect(&self) -> Result<Connection, SourceError> {
        Connection::open(self.network, self.location, Service::UploadPack, self.limit)
    }
}

/// Returns the HTTP clients for Git.
pub fn clients(guard: Arc<Guard>) -> Arc<Clients> {
    let times = Times { connect: Times::CONNECT, silence: Some(SILENCE), total: None };
    Arc::new(Clients::new(guard, times).with_user_agent(USER_AGENT))
}

/// One connection, and its errors.
pub struct Connection {
    pub transport: Box<dyn Transport + Send>,
    pub said: Diagnostics,
}

/// What is known about a connection beside the errors of gix. Holds the program and the keys of ssh.
pub struct Diagnostics {
    location: Location,
    last: Last,
    budget: Budget,
    program: Option<Program>,
    _keys: Option<Keys>,
}

impl Connection {
    /// Prepares a connection to a Git service; over HTTP, nothing is sent yet. Blocking.
    pub fn open(
        network: &Network,
        location: &Location,
        service: Service,
        limit: Duration,
    ) -> Result<Self, SourceError> {
        let keys = match location.scheme {
            Scheme::Ssh => Some(Keys::write(location, &network.guard)?),
            Scheme::Http | Scheme::File => None,
        };
        let (last, budget) = (Last::default(), Budget::default());
        let (transport, program) = match &keys {
            None if location.scheme == Scheme::Http => {
                (over_http(network, location, service, limit, &last, &budget)?, None)
            }
            None => by_program(network, location, on_disk(location, service)?, service, &budget)?,
            Some(keys) => by_program(network, location, keys.command(location, service)?, service, &budget)?,
        };
        let said = Diagnostics { location: location.clone(), last, budget, program, _keys: keys };
        Ok(Self { transport, said })
    }
}

/// A fetch uses version 2 of the protocol; a push only exists in the first version.
fn version(service: Service) -> Protocol {
    if service == Service::UploadPack { Protocol::V2 } else { Protocol::V1 }
}

fn over_http(
    network: &Network,
    location: &Location,
    service: Service,
    limit: Duration,
    last: &Last,
    budget: &Budget,
) -> Result<Box<dyn Transport + Send>, SourceError> {
    let url = git_url(location)?;
    let server = location.server();
    if let Some(Pause { status, until }) = network.pauses.of(&server, Timestamp::now()) {
        return Err(SourceError::Busy { url: location.to_string(), status, until });
    }
    let asker = http(network, location, limit, last.clone(), budget.clone())?;
    let transport = HttpTransport::new_http(asker, url, version(service), false);
    Ok(Box::new(Bounded::new(transport, budget.clone())))
}

type Started = (Box<dyn Transport + Send>, Option<Program>);

fn by_program(
    network: &Network,
    location: &Location,
    command: Command,
    service: Service,
    budget: &Budget,
) -> Result<Started, SourceError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let (program, Pipes { from, to }) = Program::start(command, &network.runtime, &network.ended)
        .map_err(|error| not_started(location, &name, &error))?;
    let from = Counted::new(from, budget.clone());
    let url = git_url(location)?;
    let (path, text) = (url.path.clone(), location.url.clone());
    let none = None::<(String, Option<u16>)>;
    let transport =
        ProgramTransport::new(from, to, version(service), path, none, ConnectMode::Process, false)
            .custom_url(Some(text.into()));
    Ok((Box::new(Bounded::new(transport, budget.clone())), Some(program)))
}

fn not_started(location: &Location, name: &str, error: &io::Error) -> SourceError {
    if error.kind() == io::ErrorKind::NotFound {
        return SourceError::NoProgram { url: location.to_string(), program: name.to_owned() };
    }
    let said = format!("cannot start the program {name}: {error}");
    SourceError::Git { url: location.to_string(), said }
}

/// Returns the command of `git` for a repository on disk.
fn on_disk(location: &Location, service: Service) -> Result<Command, SourceError> {
    let url = git_url(location)?;
    let mut git = Command::new("git");
    // Variables of a shell about another repository must not affect this one.
    let variables = std::env::vars_os().map(|(name, _)| name);
    for name in variables.filter(|name| name.as_encoded_bytes().starts_with(b"GIT_")) {
        git.env_remove(name);
    }
    if service == Service::UploadPack {
        git.env("GIT_PROTOCOL", format!("version={}", Protocol::V2 as usize)).arg("upload-pack");
    } else {
        git.arg("receive-pack");
    }
    git.arg(url.path.to_os_str_lossy());
    Ok(git)
}

fn git_url(location: &Location) -> Result<gix::Url, SourceError> {
    gix::Url::try_from(location.url.as_str())
        .map_err(|error| SourceError::BadUrl { url: location.to_string(), why: error.to_string() })
}

fn http(
    network: &Network,
    location: &Location,
    limit: Duration,
    last: Last,
    budget: Budget,
) -> Result<GitHttp, SourceError> {
    let credential = &location.credential;
    let bad = |why: String| SourceError::BadCredential(format!("{location}: {why}"));
    let client = credential.client.as_ref().map(|(certificate, key)| (&certificate[..], &key[..]));
    let trust = Trust::read(credential.ca.as_deref(), client);
    let trust = trust.map_err(|error| bad(format!("the Secret of secretRef: {error}")))?;
    let authorization = credential.authorization().map(|value| {
        let mut value = HeaderValue::from_str(&value).map_err(|_| {
            bad("the login in the Secret has characters that are not allowed in an HTTP header".to_owned())
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
        pauses: network.pauses.clone(),
        server: location.server(),
        budget,
        moved: None,
    })
}

impl Diagnostics {
    /// Returns the meaning of an error of gix on this connection.
    pub fn explain(&self, error: &(dyn Error + 'static)) -> SourceError {
        let url = || self.location.to_string();
        if let Some((part, limit)) = self.budget.exceeded() {
            return SourceError::AnswerTooLarge { url: url(), part: part.name(), limit };
        }
        if let Some(trouble) = self.last.trouble() {
            return self.of_http(trouble);
        }
        if self.budget.is_sha256() {
            return SourceError::Sha256 { url: url() };
        }
        self.program()
            .or_else(|| ssh_errors::of_server(&self.location, &refusal(error)?, None))
            .unwrap_or_else(|| self.without_words(error))
    }

    /// Returns the meaning of the end of the program, if it reported a reason.
    fn program(&self) -> Option<SourceError> {
        let ended = self.program.as_ref()?.ended();
        match self.location.scheme {
            Scheme::Ssh => ssh_errors::of_ssh(&self.location, &ended),
            _ => ssh_errors::of_server(&self.location, &ended.said, ended.status),
        }
    }

    fn without_words(&self, error: &(dyn Error + 'static)) -> SourceError {
        let url = self.location.to_string();
        match of_library(&url, error) {
            SourceError::Git { .. } if self.program.is_some() => {
                let said =
                    "the connection ended before Git responded; check the path and the rights of the login";
                SourceError::Git { url, said: said.to_owned() }
            }
            other => other,
        }
    }

    /// Returns the status of the last HTTP response that was not a success.
    pub fn status(&self) -> Option<StatusCode> {
        match self.last.trouble()? {
            HttpFailure::Status(status) => Some(status),
            HttpFailure::Busy(pause) => StatusCode::from_u16(pause.status).ok(),
            HttpFailure::Failed(_) | HttpFailure::NotGit(_) => None,
        }
    }

    /// True if the server requests a pause.
    pub fn is_busy(&self) -> bool {
        matches!(self.last.trouble(), Some(HttpFailure::Busy(_)))
    }

    /// True if the server supports shallow fetches. Known once it has listed its refs.
    pub fn can_be_shallow(&self) -> bool {
        self.budget.can_be_shallow()
    }

    /// Returns the messages that the server wrote beside its response, such as why it closed the connection.
    pub fn last_words(&self) -> String {
        self.program.as_ref().map(|program| program.ended().said).unwrap_or_default()
    }

    fn of_http(&self, trouble: HttpFailure) -> SourceError {
        let url = self.location.to_string();
        match trouble {
            HttpFailure::Busy(Pause { status, until }) => SourceError::Busy { url, status, until },
            HttpFailure::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
                if !self.location.credential.logs_in() =>
            {
                SourceError::LoginMissing { url }
            }
            HttpFailure::Status(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => {
                let said = format!("the server refuses the login (HTTP status {})", status.as_u16());
                SourceError::AuthenticationFailed { url, said }
            }
            HttpFailure::Status(StatusCode::NOT_FOUND | StatusCode::GONE) => {
                SourceError::RepositoryNotFound { url, said: String::new() }
            }
            HttpFailure::Status(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => SourceError::ProxyLogin { url },
            HttpFailure::Status(status) => SourceError::Answered { url, status: status.as_u16() },
            HttpFailure::NotGit(Kind::Page) => SourceError::WebPage { url },
            HttpFailure::NotGit(Kind::Dumb) => SourceError::DumbHttp { url },
            HttpFailure::NotGit(Kind::Other) => SourceError::NotGit { url, said: "there".to_owned() },
            HttpFailure::Failed(failure) => self.unsent(failure),
        }
    }

    fn unsent(&self, failure: Failure) -> SourceError {
        let (url, host) = (self.location.to_string(), self.location.host.clone());
        match failure {
            Failure::Refused(source) => SourceError::Refused { url, source },
            Failure::Redirected { why, to } => SourceError::Redirected { url, why, to },
            Failure::Tls { said, certificate: Some(why) } => {
                SourceError::UntrustedCertificate { url, said, why }
            }
            Failure::ConnectTimeout | Failure::Timeout => {
                SourceError::Unreachable { url, said: "no answer in time".to_owned() }
            }
            Failure::Connect { said } if is_unknown_host(&said) => SourceError::UnknownHost { url, host },
            Failure::Connect { said } if said.contains("proxy auth") => SourceError::ProxyLogin { url },
            Failure::Connect { said } | Failure::Tls { said, .. } => SourceError::Unreachable { url, said },
            other => SourceError::Git { url, said: other.to_string() },
        }
    }
}

/// Returns the error line of the protocol, which a server sends instead of a response.
fn refusal(error: &(dyn Error + 'static)) -> Option<String> {
    let found = error.downcast_ref::<gix::Error>().and_then(gix::Error::downcast_any_ref::<LineError>);
    let found = found.or_else(|| causes(error).find_map(|cause| cause.downcast_ref::<LineError>()));
    found.map(|line| line.message.to_string())
}

fn is_unknown_host(said: &str) -> bool {
    ["failed to lookup", "Name or service not known", "No address associated"]
        .iter()
        .any(|words| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StageError as _;

    #[tokio::test]
    async fn a_program_that_the_image_lacks_is_named() {
        let guard = Arc::<Guard>::default();
        let network = Network {
            clients: clients(guard.clone()),
            guard,
            pauses: Arc::default(),
            runtime: Handle::current(),
            ended: CancellationToken::new(),
        };
        let location = Location::parse("ssh://git@git.example.com/config.git", None).expect("a URL");
        let command = Command::new("/no/such/folder/ssh");
        let started = by_program(&network, &location, command, Service::UploadPack, &Budget::default());
        let error = started.err().expect("it is not there");
        assert_eq!(error.name(), "NoProgram");
        assert!(error.to_string().contains("ssh"), "{error}");
    }
}
