//! `/events`: one stream of server-sent events for each tab. It names what changed and that the visitor may read; the script then
//! loads the page again. I/O: HTTP, API requests about rights.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use tokio::sync::broadcast::{self, error::RecvError};

use super::access::Visitor;
use super::answer;
use super::desk::Desk;
use super::pulse::Beat;
use super::who::visitor;

/// How often a stream says that it is alive, and checks that its visitor may still see it.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a browser waits before it comes back, in milliseconds.
const RETRY: u32 = 2000;

/// One stream.
struct Tab {
    desk: Arc<Desk>,
    headers: HeaderMap,
    peer: SocketAddr,
    visitor: Visitor,
    missed: VecDeque<Beat>,
    coming: broadcast::Receiver<Beat>,
    has_begun: bool,
}

pub async fn events(
    State(desk): State<Arc<Desk>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let visitor = match visitor(&desk, &headers, peer.ip()).await {
        Ok(visitor) => visitor,
        Err(refusal) => return answer::refused(&desk, &headers, "/", &refusal),
    };
    let after = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(ToOwned::to_owned);
    let (missed, coming) = desk.pulse.subscribe(after.as_deref());
    let tab = Tab { desk, headers, peer, visitor, missed: missed.into(), coming, has_begun: false };
    let body = Body::from_stream(stream::unfold(tab, |mut tab| async move {
        let next = tab.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(next)), tab))
    }));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, body).into_response()
}

impl Tab {
    /// The next piece of the stream; `None` ends it.
    async fn next(&mut self) -> Option<String> {
        if !std::mem::replace(&mut self.has_begun, true) {
            return Some(format!("retry: {RETRY}\n\n"));
        }
        let pulse = self.desk.pulse.clone();
        loop {
            let beat = if let Some(beat) = self.missed.pop_front() {
                Ok(beat)
            } else {
                tokio::select! {
                    beat = self.coming.recv() => beat,
                    () = tokio::time::sleep(HEARTBEAT) => {
                        self.visitor = visitor(&self.desk, &self.headers, self.peer.ip()).await.ok()?;
                        return Some(": alive\n\n".to_owned());
                    }
                    () = pulse.stopped() => return None,
                }
            };
            match beat {
                Ok(beat) if self.may_read(&beat).await => {
                    return Some(format!(
                        "id: {}\nevent: changed\ndata: {}\n\n",
                        pulse.id(&beat),
                        beat.about
                    ));
                }
                Ok(_) => {}
                // Too slow: the browser comes back and loads its page as a whole.
                Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
            }
        }
    }

    async fn may_read(&self, beat: &Beat) -> bool {
        match beat.about.split_once('/') {
            Some((namespace, _)) => {
                self.desk.rights.reads(&self.visitor, "syncs", namespace).await.unwrap_or(false)
            }
            None => true,
        }
    }
}
