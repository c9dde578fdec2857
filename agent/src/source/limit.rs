//! Limits what a server sends and the agent keeps in memory: capabilities, refs, and lines of responses, for every
//! transport.
//!
//! The bytes are counted where they arrive, since the library reads the capabilities before it returns anything. Every
//! request starts a new count. A pack is not kept in memory and has its own limit, so counting ends where it begins.
//! Pure.

use std::any::Any;
use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use gix::bstr::BStr;
use gix::protocol::transport::client::blocking_io::{
    ExtendedBufRead, HandleProgress, ReadlineBufRead, RequestWriter, SetServiceResponse, Transport,
};
use gix::protocol::transport::client::{Capabilities, Error, MessageKind, TransportWithoutIO, WriteMode};
use gix::protocol::transport::packetline::PacketLineRef;
use gix::protocol::transport::{Protocol, Service};
use parking_lot::{Mutex, MutexGuard};

/// Maximum number of bytes of one response, without its pack.
const LIMIT: u64 = 16 * 1024 * 1024;
/// The lines before the pack may be this fraction of the limit: there are few, and the library reads each of them
/// slowly.
const LINES: u64 = 16;

/// The part of a response that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Capabilities,
    Refs,
    /// The lines before the pack.
    Lines,
    /// The report about a push.
    Report,
}

impl Part {
    /// Returns the name of the part in an error.
    pub fn name(self) -> &'static str {
        match self {
            Self::Capabilities => "capabilities",
            Self::Refs => "refs",
            Self::Lines => "lines before the pack, such as shallow lines",
            Self::Report => "report on the push",
        }
    }
}

/// The number of bytes that a connection may still receive, and the capabilities of its server.
#[derive(Clone)]
pub struct Budget(Arc<Mutex<Count>>);

struct Count {
    limit: u64,
    /// `None` while a pack is read.
    left: Option<u64>,
    part: Part,
    /// The part that was too large; nothing more is read after that.
    exceeded: Option<Part>,
    can_be_shallow: bool,
    is_sha256: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(LIMIT)
    }
}

impl Budget {
    /// Creates a budget of this many bytes for each response.
    fn of(limit: u64) -> Self {
        let (part, left) = (Part::Capabilities, Some(limit));
        let count = Count { limit, left, part, exceeded: None, can_be_shallow: false, is_sha256: false };
        Self(Arc::new(Mutex::new(count)))
    }

    /// Returns the part that was too large, if any, and its limit in bytes.
    pub fn exceeded(&self) -> Option<(Part, u64)> {
        let count = self.lock();
        count.exceeded.map(|part| (part, if part == Part::Lines { count.limit / LINES } else { count.limit }))
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.0.lock()
    }

    /// True if the server supports shallow fetches.
    pub fn can_be_shallow(&self) -> bool {
        self.lock().can_be_shallow
    }

    /// True if the repository uses SHA-256 object names.
    pub fn is_sha256(&self) -> bool {
        self.lock().is_sha256
    }

    /// Records the capabilities of the server.
    fn learn(&self, capabilities: &Capabilities) {
        let fetch = capabilities.capability("fetch").and_then(|fetch| fetch.supports("shallow"));
        let format = capabilities.capability("object-format");
        let mut count = self.lock();
        count.can_be_shallow = fetch.unwrap_or(false) || capabilities.contains("shallow");
        count.is_sha256 = format.and_then(|format| format.supports("sha256")).unwrap_or(false);
    }

    fn begin(&self, part: Part) {
        let mut count = self.lock();
        (count.left, count.part) = (Some(count.limit), part);
    }

    /// From here on, another part of the same response is read.
    fn continue_with(&self, part: Part) {
        let mut count = self.lock();
        if part == Part::Lines && count.part != Part::Lines {
            count.left = count.left.map(|left| left.min(count.limit / LINES));
        }
        count.part = part;
    }

    fn lift(&self) {
        self.lock().left = None;
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let mut count = self.lock();
        let Some(left) = count.left else { return Ok(()) };
        let rest = left.checked_sub(bytes as u64);
        count.left = Some(rest.unwrap_or(0));
        if rest.is_none() {
            count.exceeded = count.exceeded.or(Some(count.part));
        }
        if count.exceeded.is_some() { Err(io::Error::other("the answer is too large")) } else { Ok(()) }
    }
}

/// A reader of a connection that counts its bytes.
pub struct Counted<R> {
    inner: R,
    budget: Budget,
}

impl<R> Counted<R> {
    pub fn new(inner: R, budget: Budget) -> Self {
        Self { inner, budget }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes)?;
        self.budget.spend(count)?;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.budget.spend(0)?;
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        // The next read returns the error.
        let _ = self.budget.spend(count);
        self.inner.consume(count);
    }
}

/// A connection whose reader is [`Counted`] with the same budget.
pub struct Bounded<T> {
    inner: T,
    budget: Budget,
    service: Service,
}

impl<T: Transport> Bounded<T> {
    pub fn new(inner: T, budget: Budget) -> Self {
        Self { inner, budget, service: Service::UploadPack }
    }
}

impl<T: Transport> TransportWithoutIO for Bounded<T> {
    fn to_url(&self) -> Cow<'_, BStr> {
        self.inner.to_url()
    }

    fn supported_protocol_versions(&self) -> &[Protocol] {
        self.inner.supported_protocol_versions()
    }

    fn connection_persists_across_multiple_requests(&self) -> bool {
        self.inner.connection_persists_across_multiple_requests()
    }

    fn configure(&mut self, config: &dyn Any) -> gix::Result<()> {
        self.inner.configure(config)
    }
}

impl<T: Transport> Transport for Bounded<T> {
    fn handshake<'a>(
        &mut self,
        service: Service,
        extra_parameters: &'a [(&'a str, Option<&'a str>)],
    ) -> Result<SetServiceResponse<'_>, Error> {
        self.service = service;
        self.budget.begin(Part::Capabilities);
        let shown = self.inner.handshake(service, extra_parameters)?;
        self.budget.learn(&shown.capabilities);
        // Before version 2 the refs follow by themselves.
        if shown.refs.is_some() {
            self.budget.continue_with(Part::Refs);
        }
        Ok(shown)
    }

    fn request(
        &mut self,
        write_mode: WriteMode,
        on_into_read: MessageKind,
        trace: bool,
    ) -> Result<RequestWriter<'_>, Error> {
        let request = self.inner.request(write_mode, on_into_read, trace)?;
        let reads = if self.service == Service::UploadPack { Part::Refs } else { Part::Report };
        self.budget.begin(reads);
        let (writer, inner) = request.into_parts();
        let lines = Lines { inner, budget: self.budget.clone() };
        Ok(RequestWriter::new_from_bufread(writer, Box::new(lines), write_mode, on_into_read, trace))
    }
}

/// The answer to a request. The library reads refs with `readline`, the lines before a pack with `readline_str`, and the pack as
/// bytes.
struct Lines<'a> {
    inner: Box<dyn ExtendedBufRead<'a> + Unpin + 'a>,
    budget: Budget,
}

impl Read for Lines<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.budget.lift();
        self.inner.read(bytes)
    }
}

impl BufRead for Lines<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.budget.lift();
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
    }
}

impl ReadlineBufRead for Lines<'_> {
    fn readline(&mut self) -> Option<io::Result<gix::Result<PacketLineRef<'_>>>> {
        self.inner.readline()
    }

    fn readline_str(&mut self, line: &mut String) -> io::Result<usize> {
        self.budget.continue_with(Part::Lines);
        self.inner.readline_str(line)
    }
}

impl<'a> ExtendedBufRead<'a> for Lines<'a> {
    fn set_progress_handler(&mut self, handle_progress: Option<HandleProgress<'a>>) {
        self.inner.set_progress_handler(handle_progress);
    }

    fn peek_data_line(&mut self) -> Option<io::Result<Result<&[u8], Error>>> {
        self.budget.continue_with(Part::Lines);
        self.inner.peek_data_line()
    }

    fn reset(&mut self, version: Protocol) {
        self.inner.reset(version);
    }

    fn stopped_at(&self) -> Option<MessageKind> {
        self.inner.stopped_at()
    }
}

#[cfg(test)]
mod tests;
