//! Git over HTTP: the transport of gix on the HTTP clients of the agent, so that the same rules apply.
//!
//! The body of a response is returned only if its status and type are those of Git. A request is sent when its response
//! is read, since its body is written in pieces before that. I/O: HTTP, blocking.

use std::any::Any;
use std::io::{self, BufRead, Cursor, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::{Response, Url};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::limit::{Budget, Counted};
use super::pauses::{Pause, Pauses};
use crate::http::{Clients, Failure, Redirects, Request, Trust, destination, retry_after};

/// The prefix of the media types of Git.
const TYPES: &str = "application/x-git-";

/// Why there is no Git response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpFailure {
    Failed(Failure),
    /// A status that is not a success.
    Status(StatusCode),
    /// The server requests a pause.
    Busy(Pause),
    /// A success with another media type.
    NotGit(Kind),
}

/// What a server sends instead of the Git protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An HTML page.
    Page,
    /// The refs as a file: the dumb HTTP protocol, which needs no program on the server.
    Dumb,
    Other,
}

/// The last error on one connection, which is more precise than the errors of gix.
#[derive(Clone, Default)]
pub struct Last(Arc<Mutex<Option<HttpFailure>>>);

impl Last {
    pub fn trouble(&self) -> Option<HttpFailure> {
        self.0.lock().clone()
    }

    fn keep(&self, trouble: HttpFailure) -> io::Error {
        *self.0.lock() = Some(trouble);
        io::Error::other("the response does not follow the Git protocol")
    }
}

/// A connection to one repository. Has no `Debug`, since it contains credentials.
#[derive(Clone)]
pub struct GitHttp {
    pub clients: Arc<Clients>,
    pub runtime: Handle,
    pub trust: Trust,
    pub authorization: Option<HeaderValue>,
    /// Maximum duration of one request.
    pub limit: Duration,
    /// Cancelled when no caller waits for the response.
    pub ended: CancellationToken,
    pub last: Last,
    /// Where pauses are recorded, and the key under which.
    pub pauses: Arc<Pauses>,
    pub server: String,
    /// Limits the part of responses that is kept in memory.
    pub budget: Budget,
    /// The new URL of the repository, if the server redirected.
    pub moved: Option<String>,
}

impl GitHttp {
    fn request(&self, method: Method, url: &str, headers: &HeaderMap) -> io::Result<Request> {
        let mut url = Url::parse(url).map_err(|error| io::Error::other(error.to_string()))?;
        // The credentials are in the Secret; a user in the URL would be sent in addition.
        let bare = url.set_username("").and_then(|()| url.set_password(None));
        bare.map_err(|()| io::Error::other("the URL has no host"))?;
        let mut request = Request { limit: Some(self.limit), ..Request::new(method, url) };
        request.headers = headers.clone();
        request.secret.extend(self.authorization.clone().map(|value| (header::AUTHORIZATION, value)));
        Ok(request)
    }

    /// Sends a request. Returns only a Git response.
    fn ask(&self, request: &Request) -> io::Result<Response> {
        let secret = self.authorization.is_some() || self.trust.has_client_certificate();
        let redirects = if secret { Redirects::SameOrigin } else { Redirects::Anywhere };
        let asking = self.clients.follow(&self.trust, request, redirects);
        let response = self.runtime.block_on(until(&self.ended, asking))?;
        let response = response.map_err(|failure| self.last.keep(HttpFailure::Failed(failure)))?;
        let status = response.status();
        if !status.is_success() {
            return Err(self.last.keep(self.refusal(status, response.headers())));
        }
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default();
        if kind.starts_with(TYPES) {
            return Ok(response);
        }
        let kind = if kind.starts_with("text/html") {
            Kind::Page
        } else {
            self.runtime.block_on(until(&self.ended, without_type(response)))?
        };
        Err(self.last.keep(HttpFailure::NotGit(kind)))
    }

    /// Classifies a status that is not a success.
    fn refusal(&self, status: StatusCode, headers: &HeaderMap) -> HttpFailure {
        let now = Timestamp::now();
        let Some(wait) = retry_after(headers, now) else { return HttpFailure::Status(status) };
        self.pauses.begin(&self.server, status.as_u16(), wait, now);
        self.pauses.of(&self.server, now).map_or(HttpFailure::Status(status), HttpFailure::Busy)
    }

    fn exchange(&self, state: State) -> (Headers, Counted<Body>) {
        let exchange = Exchange(Arc::new(Mutex::new(state)));
        let body = Body {
            exchange: exchange.clone(),
            runtime: self.runtime.clone(),
            ended: self.ended.clone(),
            last: self.last.clone(),
            response: None,
            piece: Cursor::default(),
        };
        (Headers { exchange, text: None }, Counted::new(body, self.budget.clone()))
    }
}

impl Http for GitHttp {
    type Headers = Headers;
    type ResponseBody = Counted<Body>;
    type PostBody = PostBody;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Headers, Counted<Body>>> {
        let failed = |error: io::Error| gix::Error::from_error(error);
        let request = self.request(Method::GET, url, &lines(headers)).map_err(failed)?;
        let response = self.ask(&request).map_err(failed)?;
        if response.url() != &request.url {
            let tail = url.strip_prefix(base_url).unwrap_or(url);
            let why = "to another repository";
            let moved = response.url().as_str().strip_suffix(tail);
            let moved = moved.ok_or_else(|| {
                let to = destination(&request.url, Some(response.url().as_str()));
                failed(self.last.keep(HttpFailure::Failed(Failure::Redirected { why, to })))
            })?;
            self.moved = Some(moved.to_owned());
        }
        let (headers, body) = self.exchange(State::Answered(response));
        Ok(GetResponse { headers, body })
    }

    fn post(
        &mut self,
        url: &str,
        _: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Headers, Counted<Body>, PostBody>> {
        let request = self.request(Method::POST, url, &lines(headers)).map_err(gix::Error::from_error)?;
        let (headers, body) = self.exchange(State::Waiting(Box::new((self.clone(), request))));
        Ok(PostResponse { post_body: PostBody(headers.exchange.clone()), headers, body })
    }

    fn configure(&mut self, _: &dyn Any) -> gix::Result<()> {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.moved.clone()
    }
}

/// Classifies a response by its first bytes.
async fn without_type(mut response: Response) -> Kind {
    let start = crate::http::piece(&mut response).await.ok().flatten().unwrap_or_default();
    // `id TAB name`, as `git update-server-info` writes it.
    let id = start.split(|byte| *byte == b'\t').next().unwrap_or_default();
    let is_id = matches!(id.len(), 40 | 64) && id.iter().all(u8::is_ascii_hexdigit);
    if is_id && start.len() > id.len() { Kind::Dumb } else { Kind::Other }
}

/// Waits for a response as long as a caller waits for the result.
async fn until<T>(ended: &CancellationToken, answer: impl Future<Output = T>) -> io::Result<T> {
    tokio::select! {
        answer = answer => Ok(answer),
        () = ended.cancelled() => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// Parses the headers that gix sets, one on each line.
fn lines(headers: impl IntoIterator<Item = impl AsRef<str>>) -> HeaderMap {
    let parsed = headers.into_iter().filter_map(|line| {
        let (name, value) = line.as_ref().split_once(':')?;
        Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
    });
    parsed.collect()
}

/// A request and its response, shared by the writer of the former and the reader of the latter.
#[derive(Clone)]
struct Exchange(Arc<Mutex<State>>);

enum State {
    Waiting(Box<(GitHttp, Request)>),
    Answered(Response),
    /// The response is being read, or there is none.
    Gone,
}

impl Exchange {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.0.lock();
        if let State::Waiting(_) = &*state
            && let State::Waiting(waiting) = std::mem::replace(&mut *state, State::Gone)
        {
            let (asker, request) = *waiting;
            *state = State::Answered(asker.ask(&request)?);
        }
        act(&mut state)
    }
}

/// Collects the body of a request, which is sent when its response is read.
pub struct PostBody(Exchange);

impl Write for PostBody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.0.lock();
        match &mut *state {
            State::Waiting(waiting) => waiting.1.body.get_or_insert_default().extend_from_slice(bytes),
            State::Answered(_) | State::Gone => return Err(io::ErrorKind::BrokenPipe.into()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The headers of a response, one on each line.
pub struct Headers {
    exchange: Exchange,
    text: Option<Cursor<Vec<u8>>>,
}

impl Headers {
    fn text(&mut self) -> io::Result<&mut Cursor<Vec<u8>>> {
        let text = match self.text.take() {
            Some(text) => text,
            None => self.exchange.with(|state| {
                let State::Answered(response) = state else {
                    return Err(io::ErrorKind::BrokenPipe.into());
                };
                let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
                Ok(Cursor::new([b"content-type:", kind.unwrap_or_default(), b"\n"].concat()))
            })?,
        };
        Ok(self.text.insert(text))
    }
}

impl Read for Headers {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.text()?.read(bytes)
    }
}

impl BufRead for Headers {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.text()?.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        if let Some(text) = &mut self.text {
            text.consume(count);
        }
    }
}

/// The body of a response.
pub struct Body {
    exchange: Exchange,
    runtime: Handle,
    ended: CancellationToken,
    last: Last,
    response: Option<Response>,
    piece: Cursor<Vec<u8>>,
}

impl Read for Body {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(bytes)?;
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Body {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.response.is_none() {
            self.response = self.exchange.with(|state| match std::mem::replace(state, State::Gone) {
                State::Answered(response) => Ok(Some(response)),
                State::Waiting(_) | State::Gone => Ok(None),
            })?;
        }
        while self.piece.fill_buf()?.is_empty() {
            let Some(response) = &mut self.response else { break };
            match self.runtime.block_on(until(&self.ended, crate::http::piece(response)))? {
                Ok(Some(piece)) => self.piece = Cursor::new(piece),
                Ok(None) => break,
                Err(failure) => return Err(self.last.keep(HttpFailure::Failed(failure))),
            }
        }
        self.piece.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.piece.consume(count);
    }
}
