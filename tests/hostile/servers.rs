//! Servers of a hostile tenant: they accept every connection, and answer never, or never to the end. They serve clients that speak
//! HTTP; for other protocols they are silent all the same. I/O: network.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How a server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Not a byte.
    Silent,
    /// An answer that begins as it should, at one byte a second.
    Dribble,
    /// Headers without end.
    Headers,
    /// A body without end.
    Body,
    /// A redirect to itself.
    Circle,
}

/// All of them.
pub const MANNERS: [Manner; 5] =
    [Manner::Circle, Manner::Headers, Manner::Body, Manner::Dribble, Manner::Silent];

/// A running server. It and its connections end when it is dropped.
pub struct Server {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
    seen: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(manner: Manner) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (open, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, total) = (open.clone(), seen.clone());
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                total.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, manner, Open::of(&count)));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, open, seen, task })
    }

    /// Without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Connections so far.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts a connection as open until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Serves until the other side closes the connection.
async fn serve(stream: TcpStream, manner: Manner, _open: Open) {
    let (mut from, mut to) = stream.into_split();
    let closed = async {
        let mut buffer = [0; 4096];
        while from.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    let answer = async {
        // What cannot be written any more is over.
        let _ = answer(&mut to, manner).await;
        std::future::pending::<()>().await;
    };
    tokio::select! { () = closed => {} () = answer => {} }
}

async fn answer(to: &mut tokio::net::tcp::OwnedWriteHalf, manner: Manner) -> std::io::Result<()> {
    const BEGIN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n";
    match manner {
        Manner::Silent => {}
        Manner::Dribble => {
            to.write_all(BEGIN).await?;
            to.write_all(b"Content-Length: 100000\r\n\r\n").await?;
            for byte in b"001e# service=git-upload-pack\n".iter().cycle() {
                to.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Manner::Headers => {
            to.write_all(BEGIN).await?;
            endless(to, b"X-More: and more\r\n").await?;
        }
        Manner::Body => {
            to.write_all(BEGIN).await?;
            to.write_all(b"Transfer-Encoding: chunked\r\n\r\n").await?;
            endless(to, b"1e\r\n001e# service=git-upload-pack\n\r\n").await?;
        }
        Manner::Circle => {
            to.write_all(
                b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            )
            .await?;
            to.shutdown().await?;
        }
    }
    Ok(())
}

/// Writes the same bytes for ever, as fast as a network could bring them.
async fn endless(to: &mut tokio::net::tcp::OwnedWriteHalf, bytes: &[u8]) -> std::io::Result<()> {
    let many = bytes.repeat(1000);
    loop {
        to.write_all(&many).await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
