//! A connection that ends if the other side does not receive what is sent. I/O: timers.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Fails a write that is not accepted as a whole within a limit, even if parts of it are.
pub struct WriteTimeout<S> {
    inner: S,
    limit: Duration,
    /// Since when a write waits to be accepted.
    waiting: bool,
    end: Pin<Box<Sleep>>,
}

impl<S> WriteTimeout<S> {
    pub fn new(inner: S, limit: Duration) -> Self {
        Self { inner, limit, waiting: false, end: Box::pin(tokio::time::sleep(limit)) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        if matches!(&written, Poll::Ready(Ok(count)) if *count == bytes.len()) {
            self.waiting = false;
            return written;
        }
        if matches!(written, Poll::Ready(Err(_))) {
            return written;
        }
        if !self.waiting {
            self.waiting = true;
            let end = Instant::now() + self.limit;
            self.end.as_mut().reset(end);
        }
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(500);

    /// Writes 1,000 bytes into a pipe of 10, of which the other side takes one each `pause`.
    async fn write(pause: Duration) -> io::Result<()> {
        let (near, mut far) = tokio::io::duplex(10);
        let reader = tokio::spawn(async move {
            while far.read_u8().await.is_ok() {
                if pause.is_zero() {
                    tokio::task::yield_now().await;
                } else {
                    tokio::time::sleep(pause).await;
                }
            }
        });
        let written = WriteTimeout::new(near, LIMIT).write_all(&[0; 1000]).await;
        reader.abort();
        written
    }

    #[tokio::test]
    async fn what_is_taken_too_slowly_is_not_sent_to_its_end() {
        let started = Instant::now();
        let error = write(Duration::from_millis(50)).await.expect_err("too slow");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(started.elapsed() < LIMIT * 10, "{:?}", started.elapsed());
        write(Duration::ZERO).await.expect("fast enough");
    }
}
