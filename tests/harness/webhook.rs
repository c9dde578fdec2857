//! An admission webhook, which the API server calls over TLS: it injects, denies, or does not answer. I/O: network, disk.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::pki::Authority;
use crate::watchdog::Folder;

/// A running webhook, ended when this is dropped.
pub struct Webhook {
    port: u16,
    ca: String,
    task: JoinHandle<()>,
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Webhook {
    pub async fn start() -> anyhow::Result<Self> {
        let folder = Folder::make("webhook")?;
        let authority = Authority::make(folder.path())?;
        let leaf = authority.server("webhook", &["127.0.0.1"])?;
        let chain =
            CertificateDer::pem_slice_iter(leaf.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes())?;
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // A connection that breaks is the caller's to notice.
                    let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
                });
            }
        });
        Ok(Self { port, ca: STANDARD.encode(&authority.certificate), task })
    }

    /// How the API server reaches a behaviour: `inject`, `deny`, `slow` (it allows everything, after eight seconds) or `hang`.
    pub fn client_config(&self, behaviour: &str) -> Value {
        json!({"url": format!("https://127.0.0.1:{}/{behaviour}", self.port), "caBundle": self.ca})
    }

    /// A configuration that calls a behaviour for some resources in the namespaces with the label `webhook: <behaviour>`.
    pub fn configuration(&self, behaviour: &str, group: &str, resources: &[&str], seconds: u32) -> String {
        let kind = if behaviour == "inject" { "Mutating" } else { "Validating" };
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": format!("{kind}WebhookConfiguration"),
            "metadata": {"name": format!("test-{behaviour}")},
            "webhooks": [{"name": format!("{behaviour}.example.com"), "clientConfig": self.client_config(behaviour),
                "rules": [{"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": resources}],
                "namespaceSelector": {"matchLabels": {"webhook": behaviour}},
                "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail", "timeoutSeconds": seconds}]})
        .to_string()
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let behaviour = request.uri().path().trim_start_matches('/').to_owned();
    let review = match request.into_body().collect().await {
        Ok(body) => serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null),
        Err(_) => Value::Null,
    };
    if behaviour == "hang" {
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
    if behaviour == "slow" {
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    let mut response = json!({"uid": review["request"]["uid"], "allowed": behaviour != "deny"});
    if behaviour == "deny" {
        response["status"] = json!({"message": "the webhook of the tests wants none of it"});
    }
    if behaviour == "inject" {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(injected(&review["request"]["object"]).to_string()));
    }
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    Ok(Response::new(Full::new(Bytes::from(body.to_string()))))
}

/// A sidecar beside the containers, as service meshes do it, and an annotation with a time, as others do.
fn injected(object: &Value) -> Value {
    let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let has = containers.is_some_and(|all| all.iter().any(|container| container["name"] == "sidecar"));
    let sidecar = json!({"op": "add", "path": "/spec/template/spec/containers/0", "value": {"name": "sidecar", "image": "sidecar:1"}});
    let stamp = json!({"op": "add", "path": "/metadata/annotations/seen-at", "value": jiff::Timestamp::now().to_string()});
    if has { json!([stamp]) } else { json!([sidecar, stamp]) }
}
