//! The last contact with the API server, and how long a request may wait for it. Each watch receives a bookmark about once a
//! minute, so an API server that does not answer is distinguished from one at which nothing happens.
//!
//! No I/O.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body::{Frame, SizeHint};
use kube::client::Body;
use tower::{BoxError, Layer, Service};

/// How long the beginning of any answer may take. The API server itself gives up after a minute.
pub const LIMIT: Duration = Duration::from_secs(65);

/// When the API server was heard last.
pub struct Contact {
    started: Instant,
    /// Milliseconds after the start.
    heard: AtomicU64,
}

impl Default for Contact {
    fn default() -> Self {
        Self { started: Instant::now(), heard: AtomicU64::new(0) }
    }
}

impl Contact {
    /// When a byte of any answer came last.
    pub fn last(&self) -> Instant {
        self.started + Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }

    fn heard(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(now, Ordering::Relaxed);
    }
}

/// Notes what is heard, and gives up what is not answered within a limit.
pub struct Listening(pub Arc<Contact>, pub Duration);

impl<S> Layer<S> for Listening {
    type Service = Listener<S>;

    fn layer(&self, inner: S) -> Listener<S> {
        Listener { inner, contact: self.0.clone(), limit: self.1 }
    }
}

pub struct Listener<S> {
    inner: S,
    contact: Arc<Contact>,
    limit: Duration,
}

impl<S, B> Service<Request<Body>> for Listener<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: 'static,
{
    type Response = Response<Heard<B>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (contact, limit) = (self.contact.clone(), self.limit);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = match tokio::time::timeout(limit, answer).await {
                Ok(answer) => answer.map_err(Into::into)?,
                Err(_) => {
                    return Err(format!("the API server gave no answer within {} s", limit.as_secs()).into());
                }
            };
            contact.heard();
            Ok(answer.map(|inner| Heard { inner, contact }))
        })
    }
}

/// The body of an answer.
pub struct Heard<B> {
    inner: B,
    contact: Arc<Contact>,
}

impl<B: http_body::Body + Unpin> http_body::Body for Heard<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.inner).poll_frame(context);
        if matches!(frame, Poll::Ready(Some(Ok(_)))) {
            self.contact.heard();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn what_is_not_answered_is_given_up() {
        let contact = Arc::new(Contact::default());
        let silent = service_fn(|_: Request<Body>| std::future::pending::<Result<Response<()>, BoxError>>());
        let mut client = Listening(contact.clone(), Duration::from_secs(1)).layer(silent);
        let answer = client.call(Request::new(Body::empty())).await;
        assert!(answer.is_err_and(|error| error.to_string().contains("no answer within 1 s")));
    }

    #[tokio::test]
    async fn an_answer_is_heard() {
        let contact = Arc::new(Contact::default());
        let before = contact.last();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let prompt = service_fn(|_: Request<Body>| async { Ok::<_, BoxError>(Response::new(())) });
        assert!(
            Listening(contact.clone(), LIMIT).layer(prompt).call(Request::new(Body::empty())).await.is_ok()
        );
        assert!(contact.last() > before);
    }
}
