//! How a receiver listens: HTTP and HTTPS on one port, one request a connection. Leaves what becomes of a request to its
//! parent. I/O: network, disk.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Answer, Asked, Reply, Shared};
use crate::pki::{Authority, Leaf};
use crate::watchdog::Folder;

/// The first byte of a TLS connection: a handshake record (RFC 8446, 5.1).
const HANDSHAKE: u8 = 0x16;

/// Accepts until it is aborted, which ends its connections too.
pub(super) async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(greet(Arc::clone(&shared), stream));
    }
}

async fn greet(shared: Arc<Shared>, stream: TcpStream) {
    let mut first = [0];
    // What breaks here is the caller's to notice.
    if !matches!(stream.peek(&mut first).await, Ok(1)) {
        return;
    }
    if first == [HANDSHAKE] {
        let Ok(stream) = shared.tls().accept(stream).await else { return };
        serve(&shared, stream).await;
    } else {
        serve(&shared, stream).await;
    }
}

/// A connection carries one request, so that the next one meets the behaviour of its time, also in its handshake.
async fn serve(shared: &Shared, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(|request| handle(shared, request));
    let server = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    // A connection that breaks is the caller's to notice.
    let _ = server.await;
}

async fn handle(shared: &Shared, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (at, time) = (Instant::now(), Timestamp::now());
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let asked =
        Asked { method: parts.method, path: parts.uri.path().to_owned(), headers: parts.headers, body };
    match shared.take(asked, at, time) {
        Reply::Never => std::future::pending().await,
        // hyper closes the connection without an answer.
        Reply::Close => Err(io::Error::other("told to close")),
        Reply::Answer(Answer { status, header, body, accepted: _ }) => {
            let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
            let mut response = Response::builder().status(status).header(CONTENT_TYPE, kind);
            if let Some((name, value)) = header {
                response = response.header(name, value);
            }
            response.body(Full::new(Bytes::from(body))).map_err(io::Error::other)
        }
    }
}

/// TLS with a certificate of an authority of its own, and the certificate of that.
pub(super) fn known() -> anyhow::Result<(String, TlsAcceptor)> {
    let folder = Folder::make("receiver")?;
    let authority = Authority::make(folder.path())?;
    let Leaf { certificate, key } = authority.server("receiver", &["127.0.0.1", "localhost"])?;
    Ok((authority.certificate.clone(), tls(&certificate, &key)?))
}

/// TLS with a certificate that signs itself.
pub(super) fn stranger() -> anyhow::Result<TlsAcceptor> {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    tls(&own.cert.pem(), &own.signing_key.serialize_pem())
}

fn tls(certificate: &str, key: &str) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
