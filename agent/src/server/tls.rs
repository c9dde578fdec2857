//! The server certificate of the listener. Its files are read again while it listens, so that a renewed one takes
//! effect without a restart and without closing connections.
//!
//! I/O: reads files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Interval at which the files are read again. The kubelet needs up to a minute to update them.
const PERIOD: Duration = Duration::from_secs(10);
/// Maximum size of a file.
const LARGEST: u64 = 1024 * 1024;

/// Why the certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {flag} {}: {source}", file.display())]
    Read { flag: &'static str, file: PathBuf, source: io::Error },
    #[error("{flag} {} is larger than {LARGEST} bytes", file.display())]
    Large { flag: &'static str, file: PathBuf },
    #[error("--tls-cert {} holds no certificate in PEM form: {source}", file.display())]
    Certificate { file: PathBuf, source: pem::Error },
    #[error("--tls-cert {} holds no certificate; it needs a BEGIN CERTIFICATE block", file.display())]
    Empty { file: PathBuf },
    #[error("--tls-key {} holds no private key in PEM form: {source}", file.display())]
    Key { file: PathBuf, source: pem::Error },
    #[error("the certificate of --tls-cert and the key of --tls-key do not match: {0}")]
    Pair(#[source] rustls::Error),
}

/// The current certificate. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    files: Arc<Files>,
    current: Arc<RwLock<Current>>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

struct Current {
    /// The content of the files.
    read: (Vec<u8>, Vec<u8>),
    config: Arc<ServerConfig>,
    leaf: CertificateDer<'static>,
}

impl Tls {
    /// Reads a certificate with its chain, and its key, both in PEM form.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let current = files.parse(files.read()?)?;
        Ok(Self { files: Arc::new(files), current: Arc::new(RwLock::new(current)) })
    }

    /// Reads the files periodically. A pair that cannot be used changes nothing.
    pub async fn renew(self) {
        let mut failed = false;
        loop {
            tokio::time::sleep(PERIOD).await;
            let tls = self.clone();
            let Ok(renewed) = tokio::task::spawn_blocking(move || tls.renew_once()).await else { continue };
            match renewed {
                Ok(false) => {}
                Ok(true) => tracing::info!("Loaded a new TLS certificate"),
                Err(error) if !failed => {
                    tracing::warn!(%error, "Cannot load the new TLS certificate, keeping the old one");
                    failed = true;
                    continue;
                }
                Err(_) => continue,
            }
            failed = false;
        }
    }

    /// Reads the files. Returns true if they have changed and are used from now on.
    fn renew_once(&self) -> Result<bool, TlsError> {
        let read = self.files.read()?;
        if self.current.read().read == read {
            return Ok(false);
        }
        let new = self.files.parse(read)?;
        *self.current.write() = new;
        Ok(true)
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = self.current.read().config.clone();
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Returns the current certificate.
    pub(super) fn leaf(&self) -> CertificateDer<'static> {
        self.current.read().leaf.clone()
    }
}

impl Files {
    fn read(&self) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
        Ok((content("--tls-cert", &self.certificate)?, content("--tls-key", &self.key)?))
    }

    fn parse(&self, read: (Vec<u8>, Vec<u8>)) -> Result<Current, TlsError> {
        let file = || self.certificate.clone();
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&read.0)
            .collect::<Result<_, _>>()
            .map_err(|source| TlsError::Certificate { file: file(), source })?;
        let leaf = chain.first().cloned().ok_or_else(|| TlsError::Empty { file: file() })?;
        let key = PrivateKeyDer::from_pem_slice(&read.1)
            .map_err(|source| TlsError::Key { file: self.key.clone(), source })?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Current { read, config: Arc::new(config), leaf })
    }
}

fn content(flag: &'static str, file: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { flag, file: file.to_owned(), source };
    if fs::metadata(file).map_err(failed)?.len() > LARGEST {
        return Err(TlsError::Large { flag, file: file.to_owned() });
    }
    fs::read(file).map_err(failed)
}
