//! Moves a branch of a server forward, with the protocol of `git send-pack` over the transports of gix.
//!
//! The old value that is sent is always the commit that the new one was built on, never the one that the server lists:
//! the server compares it under its lock, so a late push is rejected, and no commit is lost. (gitprotocol-pack,
//! "Pushing Data To a Server") I/O: network, blocking.

use std::error::Error;
use std::io::{self, Write as _};
use std::time::Duration;

use gix::ObjectId;
use gix::protocol::transport::client::blocking_io::{ReadlineBufRead, Transport};
use gix::protocol::transport::client::{MessageKind, TransportWithoutIO as _, WriteMode};
use gix::protocol::transport::packetline::PacketLineRef;
use gix::protocol::transport::{Protocol, Service};

use super::answer::{self, Answer, cleaned};
use super::error::messages;
use super::offer::{Advertised, BANDS, command, full, refs_of};
use super::refusal::{PushError, Refusal};
use super::transport::{Connection, Diagnostics, Network};
use super::{CommitId, Location, SourceError};

/// Maximum number of bytes of server messages that are parsed.
const TALK: usize = 64 * 1024;
/// Maximum number of further bytes of a response.
const ANSWER: usize = 1024 * 1024;

/// An update of a branch.
pub struct Update<'a> {
    pub location: &'a Location,
    /// Name of the branch, without `refs/heads/`.
    pub branch: &'a str,
    /// The expected current commit of the branch. `None` if the branch must not exist.
    pub expected: Option<ObjectId>,
    pub commit: ObjectId,
    /// The objects of the commit that the server does not have.
    pub pack: &'a [u8],
}

/// Returns the head of a branch, if it exists. Connects as for a push.
pub fn head(
    network: &Network,
    location: &Location,
    branch: &str,
    limit: Duration,
) -> Result<Option<ObjectId>, PushError> {
    let mut server = Server::connect(network, location, branch, limit)?;
    let shown = server.shown()?;
    server.leave();
    Ok(shown.branch(branch))
}

/// Pushes an update. `may_send` is called right before the first bytes that could change the server are sent.
pub fn send(
    network: &Network,
    update: &Update<'_>,
    limit: Duration,
    may_send: impl FnOnce() -> bool,
) -> Result<(), PushError> {
    let Update { location, branch, expected, commit, pack } = update;
    let mut server = Server::connect(network, location, branch, limit)?;
    let shown = server.shown()?;
    let now = shown.branch(branch);
    if now == Some(*commit) {
        // An earlier push arrived, but its response was lost.
        server.leave();
        return Ok(());
    }
    if now != *expected {
        server.leave();
        return Err(match now {
            None => server.refused(Refusal::Gone, String::new()),
            Some(now) => server.moved(Some(now)),
        });
    }
    if expected.is_none() && shown.is_in_the_way(branch) {
        server.leave();
        return Err(server.refused(Refusal::NameTaken, String::new()));
    }
    if !may_send() {
        server.leave();
        return Err(PushError::Timeout { url: location.to_string(), seconds: limit.as_secs() });
    }
    let command = command(branch, *expected, *commit, &shown.capabilities);
    let banded = shown.capabilities.contains(BANDS);
    let (packets, broken) = server.exchange(&[command.as_bytes(), b"0000", pack].concat());
    let answer = answer::read(&packets, banded, &full(branch));
    server.outcome(&answer, *commit, broken.as_deref())
}

/// A connection to `git-receive-pack`.
struct Server<'a> {
    location: &'a Location,
    branch: &'a str,
    transport: Box<dyn Transport + Send>,
    said: Diagnostics,
}

impl<'a> Server<'a> {
    fn connect(
        network: &Network,
        location: &'a Location,
        branch: &'a str,
        limit: Duration,
    ) -> Result<Self, PushError> {
        let Connection { transport, said } =
            Connection::open(network, location, Service::ReceivePack, limit)?;
        Ok(Self { location, branch, transport, said })
    }

    /// Starts the protocol and reads the refs of the server.
    fn shown(&mut self) -> Result<Advertised, PushError> {
        let shown = self.hello().map_err(|error| self.broken(error.as_ref()))?;
        if shown.capabilities.contains("report-status") {
            return Ok(shown);
        }
        // The server closed the connection, or is too old to report the result of a push.
        Err(self.broken(&io::Error::other("the server does not offer to report on a push")))
    }

    fn hello(&mut self) -> Result<Advertised, Box<dyn Error>> {
        let mut shown = self.transport.handshake(Service::ReceivePack, &[])?;
        if shown.actual_protocol != Protocol::V1 {
            return Err("the server does not list its branches".into());
        }
        let refs = shown.refs.as_mut().map_or_else(|| Ok(Vec::new()), |refs| refs_of(refs.as_mut()))?;
        Ok(Advertised { refs, capabilities: shown.capabilities })
    }

    /// Ends a connection on which nothing is pushed.
    fn leave(&mut self) {
        if self.transport.connection_persists_across_multiple_requests() {
            // A failure has no effect.
            let _ = self.write(b"0000");
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        let request =
            self.transport.request(WriteMode::OneLfTerminatedLinePerWriteCall, MessageKind::Flush, false)?;
        let (mut writer, _) = request.into_parts();
        writer.write_all(bytes)?;
        Ok(writer.flush()?)
    }

    /// Sends bytes, and reads the response as far as it arrives.
    fn exchange(&mut self, bytes: &[u8]) -> (Vec<Vec<u8>>, Option<Box<dyn Error>>) {
        // In this mode the length of the body is known before it is sent, which some servers require; the parts are
        // sent unchanged.
        let mode = WriteMode::OneLfTerminatedLinePerWriteCall;
        let (mut writer, mut reader) = match self.transport.request(mode, MessageKind::Flush, false) {
            Ok(request) => request.into_parts(),
            Err(error) => return (Vec::new(), Some(error.into())),
        };
        let written = writer.write_all(bytes).and_then(|()| writer.flush());
        drop(writer);
        let mut packets = Vec::new();
        let mut broken: Option<Box<dyn Error>> = None;
        // A server that rejects early sends the reason, and does not read the rest.
        if let Err(error) = read(reader.as_mut(), &mut packets) {
            broken = Some(error);
        }
        (packets, broken.or(written.err().map(Into::into)))
    }

    /// Determines the result of a push that was sent.
    fn outcome(
        &self,
        answer: &Answer,
        commit: ObjectId,
        broken: Option<&(dyn Error + 'static)>,
    ) -> Result<(), PushError> {
        let Answer { unpacked, moved, said } = answer;
        match (unpacked, moved) {
            (_, Some(Ok(()))) => Ok(()),
            (Some(Err(why)), moved) => {
                let ng = moved.as_ref().and_then(|moved| moved.as_ref().err()).map_or("", String::as_str);
                let said = joined(&[ng, why, said]);
                Err(self.refused(self.meaning(&said).unwrap_or(Refusal::Other), said))
            }
            (_, Some(Err(reason))) if Refusal::is_late(reason) => Err(self.moved(None)),
            (_, Some(Err(reason))) => {
                let said = joined(&[reason, said]);
                Err(self.refused(self.meaning(&said).unwrap_or(Refusal::Other), said))
            }
            (_, None) => Err(self.unanswered(said, commit, broken)),
        }
    }

    /// Returns the error for a push without a report. The server may have sent a reason in another way.
    fn unanswered(&self, said: &str, commit: ObjectId, broken: Option<&(dyn Error + 'static)>) -> PushError {
        let chain = broken.map(messages).unwrap_or_default();
        let words = cleaned(&format!("{said}\n{}", self.said.last_words()));
        if self.said.is_busy() {
            return self.said.explain(&io::Error::other("the server asks to wait")).into();
        }
        // 4xx is a rejection. After 5xx or a lost connection it is unknown whether the commit arrived.
        let status = self.status();
        let shown = status.as_deref().unwrap_or_default();
        let refused = self.meaning(&words).or_else(|| Refusal::of(shown));
        if let Some(reason) = refused.or(shown.contains(" 4").then_some(Refusal::Other)) {
            return self.refused(reason, cleaned(&format!("{words}\n{shown}")));
        }
        let said = cleaned(&format!("{words}\n{}", if shown.is_empty() { &chain } else { shown }));
        let (url, branch) = (self.location.to_string(), self.branch.to_owned());
        PushError::Unknown { url, branch, commit: CommitId(commit), said }
    }

    fn moved(&self, now: Option<ObjectId>) -> PushError {
        let (url, branch) = (self.location.to_string(), self.branch.to_owned());
        PushError::Moved { url, branch, now: now.map(CommitId) }
    }

    fn refused(&self, reason: Refusal, said: String) -> PushError {
        PushError::Refused { url: self.location.to_string(), branch: self.branch.to_owned(), reason, said }
    }

    /// Classifies the messages of a server, without the names of the repository and the branch.
    fn meaning(&self, words: &str) -> Option<Refusal> {
        let branch = full(self.branch);
        let names = self.location.names().into_iter().chain([branch]);
        Refusal::of(&names.fold(words.to_owned(), |text, name| text.replace(&name, "")))
    }

    /// Returns the error for a connection on which nothing was sent.
    fn broken(&self, error: &(dyn Error + 'static)) -> PushError {
        let words = self.said.last_words();
        let status = self.status().unwrap_or_default();
        if let Some(reason) = self.meaning(&words).or_else(|| Refusal::of(&status)) {
            return self.refused(reason, cleaned(&format!("{words}\n{status}")));
        }
        match self.said.explain(error) {
            SourceError::Git { url, said } => SourceError::Git { url, said: cleaned(&said) }.into(),
            other => other.into(),
        }
    }

    /// Returns `HTTP status 403` or similar, if the last response was an error.
    fn status(&self) -> Option<String> {
        self.said.status().map(|status| format!("HTTP status {}", status.as_str()))
    }
}

fn joined(parts: &[&str]) -> String {
    parts.iter().copied().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

fn read(lines: &mut dyn ReadlineBufRead, packets: &mut Vec<Vec<u8>>) -> Result<(), Box<dyn Error>> {
    let (mut talk, mut answer) = (0, 0);
    while let Some(line) = lines.readline() {
        let line = line?.map_err(|error| error.to_string())?;
        let PacketLineRef::Data(data) = line else { continue };
        if data.first() == Some(&2) {
            talk += data.len();
        } else {
            answer += data.len();
        }
        if answer > ANSWER {
            return Err("the answer is too long".into());
        }
        if data.first() == Some(&2) && talk > TALK {
            continue;
        }
        packets.push(data.to_vec());
    }
    Ok(())
}
