//! The log of a container: a page with its last lines, and a stream of plain text that follows it. Read with the rights of the
//! visitor. I/O: HTTP, API requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use holdfast_diff::visible;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::access::{Means, Visitor};
use super::form::Form;
use super::rights::Rights;
use crate::api::Sync;
use crate::cluster::inspect::{self, InspectError, Lines, LogQuery, MOST};
use crate::cluster::people::{Act, PersonError};

/// Lines that are shown if no number is requested.
const LINES: i64 = 200;
/// Characters of a line that is shown whole.
const WIDE: usize = 4000;
/// Logs that are followed at the same time, and for how long.
const FOLLOWED: usize = 100;
const LONGEST: Duration = Duration::from_mins(30);

/// The last lines of a log.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    #[serde(skip)]
    pub sync: Arc<Sync>,
    pub namespace: String,
    pub pod: String,
    pub container: String,
    pub previous: bool,
    /// The number of lines that was requested.
    pub limit: i64,
    pub lines: Vec<String>,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("cannot check your rights: {0}")]
    Rights(#[from] PersonError),
    #[error("the address names no pod and container")]
    Names,
    #[error("sign in to read logs: this UI shows them with your own rights only")]
    Nobody,
    #[error("you may not read logs of pods in this namespace")]
    Forbidden,
    #[error("cannot read the log: {0}")]
    Read(#[from] InspectError),
    #[error("{FOLLOWED} logs are followed at the moment; close one of them")]
    Busy,
}

impl LogError {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Names => StatusCode::BAD_REQUEST,
            Self::Nobody | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Read(error) if error.is_hidden() => StatusCode::NOT_FOUND,
            Self::Read(InspectError::Refused(kube::Error::Api(status))) if status.code == 400 => {
                StatusCode::CONFLICT
            }
            Self::Read(_) => StatusCode::BAD_GATEWAY,
            Self::Rights(_) | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Reads the query of an address.
pub fn query(form: &Form) -> Result<LogQuery, LogError> {
    let text = |name: &str| form.get(name).to_owned();
    let query = LogQuery {
        namespace: text("namespace"),
        pod: text("pod"),
        container: text("container"),
        lines: form.get("lines").parse().unwrap_or(LINES).clamp(1, MOST),
        previous: form.get("previous") == "true",
    };
    if query.is_valid() { Ok(query) } else { Err(LogError::Names) }
}

async fn allow(rights: &Rights, visitor: &Visitor, namespace: &str) -> Result<(), LogError> {
    match visitor.means {
        Means::Nothing => Err(LogError::Nobody),
        // The API server decides about the request itself.
        Means::Theirs(_) => Ok(()),
        Means::Agents(_) => {
            let act = Act::Resource { verb: "get", group: "", resource: "pods/log", namespace };
            if rights.may(visitor, act).await? { Ok(()) } else { Err(LogError::Forbidden) }
        }
    }
}

/// The last lines.
pub async fn log(
    rights: &Rights,
    visitor: &Visitor,
    sync: Arc<Sync>,
    query: LogQuery,
) -> Result<Log, LogError> {
    allow(rights, visitor, &query.namespace).await?;
    let text = inspect::logs(&visitor.eyes, &query).await?;
    let LogQuery { namespace, pod, container, lines: limit, previous } = query;
    let lines = text.lines().map(shown).collect();
    Ok(Log { sync, namespace, pod, container, previous, limit, lines })
}

/// A line without control characters.
fn shown(line: &str) -> String {
    let end = line.char_indices().nth(WIDE).map_or(line.len(), |(end, _)| end);
    let cut = if end < line.len() { " [shortened]" } else { "" };
    format!("{}{cut}", visible::line(&line[..end]))
}

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A log that is followed, until this is dropped.
struct Seat;

impl Seat {
    fn take() -> Result<Self, LogError> {
        let taken = OPEN
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| (open < FOLLOWED).then_some(open + 1));
        taken.map(|_| Self).map_err(|_| LogError::Busy)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Following {
    lines: Lines,
    end: Instant,
    _seat: Seat,
}

/// The log as plain text, line by line as it is written.
pub async fn follow(rights: &Rights, visitor: &Visitor, query: &LogQuery) -> Result<Response, LogError> {
    allow(rights, visitor, &query.namespace).await?;
    let seat = Seat::take()?;
    let lines = inspect::follow(&visitor.eyes, query).await?;
    let following = Following { lines, end: Instant::now() + LONGEST, _seat: seat };
    let body = Body::from_stream(stream::unfold(following, |mut following| async move {
        let line = timeout_at(following.end, following.lines.next()).await.ok()??;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(format!("{}\n", shown(&line)))), following))
    }));
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_bounded_and_has_no_control_characters() {
        assert_eq!(shown("\u{1b}[31mred\u{202e}"), "\\x1b[31mred\\u{202e}");
        assert!(shown(&"é".repeat(5000)).ends_with("é [shortened]"));
        let lines = |text: &str| {
            query(&Form::parse(format!("namespace=a&pod=b&{text}").as_bytes())).map(|query| query.lines)
        };
        assert!(matches!(lines(""), Ok(LINES)) && matches!(lines("lines=99999999"), Ok(MOST)));
        assert!(matches!(lines("lines=-5"), Ok(1)) && matches!(lines("lines=x"), Ok(LINES)));
        assert!(matches!(query(&Form::parse(b"namespace=a&pod=../b")), Err(LogError::Names)));
    }

    #[test]
    fn the_seats_of_followed_logs_are_given_back() {
        let seats: Vec<Seat> = (0..FOLLOWED).map_while(|_| Seat::take().ok()).collect();
        assert!(seats.len() == FOLLOWED && Seat::take().is_err());
        drop(seats);
        assert!(Seat::take().is_ok());
    }
}
