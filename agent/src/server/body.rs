//! Reads the body of a request within limits of size, time and speed. Does not keep the body.
//! I/O: reads a connection, timers.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};

/// The limits of a body.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Maximum number of bytes.
    pub largest: usize,
    /// Maximum duration.
    pub whole: Duration,
    /// Maximum duration between two pieces.
    pub gap: Duration,
}

/// Minimum number of bytes for each second after the first [`Pace::gap`].
const RATE: u64 = 1024;

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is too large")]
    TooLarge,
    #[error("the body did not arrive in time")]
    Slow,
    #[error("the connection broke before the end of the body")]
    Broken,
}

impl BodyError {
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns the response, after which the connection is closed: the rest of the body is not read.
    pub fn answer(self) -> Response {
        (self.status(), [(header::CONNECTION, "close")], format!("{self}\n")).into_response()
    }
}

/// Returns the pieces of a body; an error is the last one. A `Content-Length` above the limit is an error before
/// anything is read.
pub fn pieces(
    body: Body,
    headers: &HeaderMap,
    pace: Pace,
) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + 'static {
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let too_large =
        length.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > pace.largest));
    let reading =
        Reading { body: body.into_data_stream(), pace, started: Instant::now(), size: 0, over: false };
    stream::unfold((reading, too_large), |(mut reading, too_large)| async move {
        let next = if too_large { Some(Err(BodyError::TooLarge)) } else { reading.next().await };
        reading.over = next.as_ref().is_none_or(Result::is_err);
        next.map(|piece| (piece, (reading, false)))
    })
}

/// Passes each piece of a body to `take`.
pub async fn read(
    body: Body,
    headers: &HeaderMap,
    pace: Pace,
    mut take: impl FnMut(&[u8]),
) -> Result<(), BodyError> {
    let pieces = pieces(body, headers, pace);
    futures::pin_mut!(pieces);
    while let Some(piece) = pieces.next().await {
        take(&piece?);
    }
    Ok(())
}

struct Reading {
    body: axum::body::BodyDataStream,
    pace: Pace,
    started: Instant,
    size: usize,
    over: bool,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        if self.over {
            return None;
        }
        let Pace { largest, whole, gap } = self.pace;
        let end = (Instant::now() + gap).min(self.started + whole).min(self.started + self.due());
        let piece = match timeout_at(end, self.body.next()).await {
            Ok(Some(Ok(piece))) => piece,
            Ok(Some(Err(_))) => return Some(Err(BodyError::Broken)),
            Ok(None) => return None,
            Err(_) => return Some(Err(BodyError::Slow)),
        };
        self.size = self.size.saturating_add(piece.len());
        Some(if self.size > largest { Err(BodyError::TooLarge) } else { Ok(piece) })
    }

    /// Returns the time, from the start, by which more bytes must have arrived.
    fn due(&self) -> Duration {
        self.pace.gap
            + Duration::from_millis(u64::try_from(self.size).unwrap_or(u64::MAX).saturating_mul(1000) / RATE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace =
        Pace { largest: 100_000, whole: Duration::from_secs(1), gap: Duration::from_millis(300) };

    /// Reads a body of so many pieces of a size, each after a pause.
    async fn check(count: usize, size: usize, pause: Duration) -> (Result<(), BodyError>, Duration) {
        let pieces = stream::iter(0..count).then(move |_| async move {
            tokio::time::sleep(pause).await;
            std::io::Result::Ok(Bytes::from(vec![0; size]))
        });
        let started = Instant::now();
        let read = read(Body::from_stream(pieces), &HeaderMap::new(), PACE, |_| {}).await;
        (read, started.elapsed())
    }

    #[tokio::test]
    async fn a_body_comes_in_time_and_at_a_rate() {
        let (fast, slow) = (Duration::ZERO, Duration::from_millis(100));
        assert_eq!(check(10, 10_000, fast).await.0, Ok(()));
        assert_eq!(check(11, 10_000, fast).await.0, Err(BodyError::TooLarge));
        assert_eq!(check(0, 0, fast).await.0, Ok(()));
        // One byte each tenth of a second ends as soon as silence does; what is fast enough ends if it is too long.
        for (count, size, pause, end) in
            [(100, 1, slow, PACE.gap), (1, 1, PACE.gap * 10, PACE.gap), (100, 500, slow, PACE.whole)]
        {
            let (read, elapsed) = check(count, size, pause).await;
            assert_eq!(read, Err(BodyError::Slow), "{size}");
            assert!(elapsed >= end && elapsed < end + Duration::from_millis(600), "{size}: {elapsed:?}");
        }
    }

    #[tokio::test]
    async fn a_length_that_is_too_large_is_refused_before_anything_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, 100_001.into());
        let body = Body::from_stream(stream::pending::<std::io::Result<Bytes>>());
        assert_eq!(read(body, &headers, PACE, |_| {}).await, Err(BodyError::TooLarge));
        headers.insert(header::CONTENT_LENGTH, u64::MAX.into());
        assert_eq!(read(Body::from("x"), &headers, PACE, |_| {}).await, Err(BodyError::TooLarge));
    }
}
