//! How gix reaches a repository: headers, trust and time limits for http, a locked-down `ssh` for ssh, git itself for a
//! repository on disk; and the same bounds for all of them.
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
use super::web::{GitHttp, Kind, Last, Trouble};
use super::{Location, SourceError, heard};
use crate::http::{Clients, Failure, Guard, Times, Trust, causes};

/// How git names itself. Some servers give what they give to git only to a program of this name.
const USER_AGENT: &str = concat!("git/2.0 holdfast/", env!("CARGO_PKG_VERSION"));
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_mins(1);

/// What connections are made with.
#[derive(Clone)]
pub struct Network {
    pub guard: Arc<Guard>,
    pub clients: Arc<Clients>,
    /// Servers that asked to wait.
    pub pauses: Arc<Pauses>,
    /// Where requests over http run, while a thread of its own waits for them.
    pub runtime: Handle,
    /// Cancelled when no caller waits for the answer. The connection ends then.
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
    pub fn connect(&self) -> Result<Connection, SourceError> {
        Connection::open(self.network, self.location, Service::UploadPack, self.limit)
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

/// What is known of a connection beside the errors of gix. The program and the keys of ssh stay as long as this lives.
pub struct Said {
    location: Location,
    last: Last,
    budget: Budget,
    program: Option<Program>,
    _keys: Option<Keys>,
}

impl Connection {
    /// Prepares a connection to a service of git; over http, nothing is sent yet. Must be called where it may block.
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
        let said = Said { location: location.clone(), last, budget, program, _keys: keys };
        Ok(Self { transport, said })
    }
}

/// A fetch speaks version 2; a push knows none but the first.
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

/// git itself, for a repository on disk.
fn on_disk(location: &Location, service: Service) -> Result<Command, SourceError> {
    let url = git_url(location)?;
    let mut git = Command::new("git");
    // What a shell says of another repository is not about this one.
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
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| bad("the login in the Secret has characters that HTTP cannot send".to_owned()))?;
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

impl Said {
    /// What an error of gix means on this connection.
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
            .or_else(|| heard::of_server(&self.location, &refusal(error)?, None))
            .unwrap_or_else(|| self.without_words(error))
    }

    /// What the end of the program means, if it had a reason.
    fn program(&self) -> Option<SourceError> {
        let ended = self.program.as_ref()?.ended();
        match self.location.scheme {
            Scheme::Ssh => heard::of_ssh(&self.location, &ended),
            _ => heard::of_server(&self.location, &ended.said, ended.status),
        }
    }

    fn without_words(&self, error: &(dyn Error + 'static)) -> SourceError {
        let url = self.location.to_string();
        match of_library(&url, error) {
            SourceError::Git { .. } if self.program.is_some() => {
                let said =
                    "the connection ended before git answered; check the path and the rights of the login";
                SourceError::Git { url, said: said.to_owned() }
            }
            other => other,
        }
    }

    /// The status of the last answer over http that was no success.
    pub fn status(&self) -> Option<StatusCode> {
        match self.last.trouble()? {
            Trouble::Status(status) => Some(status),
            Trouble::Busy(pause) => StatusCode::from_u16(pause.status).ok(),
            Trouble::Failed(_) | Trouble::NotGit(_) => None,
        }
    }

    /// True if the server asks to wait.
    pub fn is_busy(&self) -> bool {
        matches!(self.last.trouble(), Some(Trouble::Busy(_)))
    }

    /// True if the server can leave out what came before a commit. Known when it has shown its refs.
    pub fn can_be_shallow(&self) -> bool {
        self.budget.can_be_shallow()
    }

    /// What the server wrote beside its answer: why it hung up, for example.
    pub fn last_words(&self) -> String {
        self.program.as_ref().map(|program| program.ended().said).unwrap_or_default()
    }

    fn of_http(&self, trouble: Trouble) -> SourceError {
        let url = self.location.to_string();
        match trouble {
            Trouble::Busy(Pause { status, until }) => SourceError::Busy { url, status, until },
            Trouble::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
                if !self.location.credential.logs_in() =>
            {
                SourceError::LoginMissing { url }
            }
            Trouble::Status(status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => {
                let said = format!("the server refuses the login (HTTP status {})", status.as_u16());
                SourceError::AuthenticationFailed { url, said }
            }
            Trouble::Status(StatusCode::NOT_FOUND | StatusCode::GONE) => {
                SourceError::RepositoryNotFound { url, said: String::new() }
            }
            Trouble::Status(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => SourceError::ProxyLogin { url },
            Trouble::Status(status) => SourceError::Answered { url, status: status.as_u16() },
            Trouble::NotGit(Kind::Page) => SourceError::WebPage { url },
            Trouble::NotGit(Kind::Dumb) => SourceError::DumbHttp { url },
            Trouble::NotGit(Kind::Other) => SourceError::NotGit { url, said: "there".to_owned() },
            Trouble::Failed(failure) => self.unsent(failure),
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

/// What a server wrote in place of an answer, in the line that the protocol has for that.
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
