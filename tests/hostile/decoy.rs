//! A server that no request should reach, or that leads astray: it gives one answer to every request, and counts them.
//! I/O: network.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Ends when it is dropped.
pub struct Decoy {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Decoy {
    /// Answers with a status, headers and a body.
    pub async fn answering(at: &str, status: &str, headers: &str, body: &str) -> anyhow::Result<Self> {
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
            body.len()
        );
        let listener = TcpListener::bind((at.parse::<IpAddr>()?, 0)).await?;
        let (address, asked) = (listener.local_addr()?, Arc::new(AtomicUsize::new(0)));
        let count = asked.clone();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let answer = answer.clone();
                tokio::spawn(async move {
                    // The first piece has the head; what a client sends behind it is not read.
                    let _ = stream.read(&mut [0; 16 * 1024]).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Ok(Self { address, asked, serving })
    }

    /// Leads every request to this URL, with its method and its body.
    pub async fn leading(to: &str) -> anyhow::Result<Self> {
        Self::answering("127.0.0.1", "307 Temporary Redirect", &format!("Location: {to}\r\n"), "").await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections there were.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for Decoy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
