//! The part of a kubelet that serves logs, which the API server calls over TLS. A log that is followed has a line each tenth of a
//! second. I/O: network.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::stream;
use holdfast_tests::pki::Authority;
use holdfast_tests::shared::Shared;
use holdfast_tests::watchdog::Folder;
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Serves logs for the pods of all namespaces, until the process ends.
pub async fn serve_logs(shared: &Shared) -> anyhow::Result<()> {
    let folder = Folder::make("kubelet")?;
    let authority = Authority::make(folder.path())?;
    let leaf = authority.server("kubelet", &["127.0.0.1"])?;
    let chain = CertificateDer::pem_slice_iter(leaf.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes())?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
            });
        }
    });
    let status = json!({"status": {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}})
    .to_string();
    let patch = ["patch", "node", "loopback", "--subresource=status", "--type=merge", "-p", &status];
    shared.env.cluster.must(&patch).await.context("the node has no endpoint for logs")?;
    Ok(())
}

type Body = StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (path, query) =
        (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let follows = query.contains("follow=true");
    let line = move |at: usize| match at {
        0 => format!("{path}?{query}\n"),
        1 => "<script>alert(1)</script> \u{1b}[31mred\n".to_owned(),
        at => format!("line {at}\n"),
    };
    let lines = stream::unfold(0_usize, move |at| {
        let line = line(at);
        async move {
            if at >= 3 && !follows {
                return None;
            }
            if at > 3 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Some((Ok(Frame::data(Bytes::from(line))), at + 1))
        }
    });
    Ok(Response::new(StreamBody::new(Box::pin(lines))))
}
