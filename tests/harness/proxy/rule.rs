//! The rules of the proxy: which requests have a fault, how many of them, and which fault. Leaves making the fault to the
//! proxy. Pure, but for its counters.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::http::uri::PathAndQuery;
use serde_json::{Value, json};

/// Which requests have a fault, how many of them, and which fault. A new rule is for every request, without end.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(super) action: Action,
    method: Option<&'static str>,
    parts: Vec<String>,
    watch: Option<bool>,
    times: Option<usize>,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// Nothing: the request is counted, and kept from the rules that come later.
    Pass,
    /// The answer is a `Status` with this code, and a `Retry-After` of so many seconds. The API server is not asked.
    Status { code: u16, retry_after: Option<u64> },
    /// A watch is answered with a stream of one ERROR event, 410 Expired, and anything else with the status 410.
    Gone,
    /// The request waits before it is passed on.
    Delay(Duration),
    /// The connection is closed without an answer, and the API server is not asked.
    Drop,
    /// The connection is closed without an answer once the API server has answered: the request is done, but the client does not learn of it.
    DropAfter,
    /// Every open watch ends, as [`Proxy::cut_watches`](super::Proxy::cut_watches) does it, and the request is passed on.
    CutWatches,
    /// The answer begins, and no byte of its body comes, nor its end. It is for watches that are open already, too, from
    /// their next byte on, and a silent watch stays silent when the rule ends.
    Swallow,
}

/// A rule in use.
#[derive(Debug)]
pub(super) struct Entry {
    pub rule: Rule,
    pub hits: AtomicUsize,
}

/// What a rule knows of a request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub method: String,
    pub target: PathAndQuery,
    pub watch: bool,
}

impl Rule {
    pub fn new(action: Action) -> Self {
        Self { action, method: None, parts: Vec::new(), watch: None, times: None }
    }

    /// Only for requests of this method, in capital letters.
    #[must_use]
    pub fn method(self, method: &'static str) -> Self {
        Self { method: Some(method), ..self }
    }

    /// Only for requests whose path and query have this in them. Said twice, they have both.
    #[must_use]
    pub fn part(mut self, part: &str) -> Self {
        self.parts.push(part.to_owned());
        self
    }

    /// Only for watches, or only for anything else.
    #[must_use]
    pub fn watch(self, watch: bool) -> Self {
        Self { watch: Some(watch), ..self }
    }

    /// Only for so many requests; then the rule has ended.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times: Some(times), ..self }
    }

    pub(super) fn fits(&self, asked: &Asked) -> bool {
        let Self { action: _, method, parts, watch, times: _ } = self;
        method.is_none_or(|method| method == asked.method)
            && watch.is_none_or(|watch| watch == asked.watch)
            && parts.iter().all(|part| asked.target.as_str().contains(part.as_str()))
    }
}

impl Entry {
    pub fn new(rule: Rule) -> Self {
        Self { rule, hits: AtomicUsize::new(0) }
    }

    /// Takes a request if the rule is for it and has not ended.
    pub fn take(&self, asked: &Asked) -> bool {
        let left = |hits: usize| self.rule.times.is_none_or(|times| hits < times).then_some(hits + 1);
        self.rule.fits(asked) && self.hits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok()
    }
}

impl Asked {
    pub fn of<B>(request: &Request<B>) -> Self {
        let uri = request.uri();
        let mut words = uri.query().unwrap_or_default().split('&');
        Self {
            method: request.method().to_string(),
            target: uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")),
            watch: words.any(|word| word == "watch=true" || word == "watch=1"),
        }
    }
}

/// The `Status` that the API server would give as its reason.
pub(super) fn status(code: u16, retry_after: Option<u64>) -> Value {
    let reason = match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        413 => "RequestEntityTooLarge",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    };
    let message =
        if code == 410 { "too old resource version: 1 (2)" } else { "the proxy was told to say so" };
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code});
    if let Some(seconds) = retry_after {
        status["details"] = json!({"retryAfterSeconds": seconds});
    }
    status
}
