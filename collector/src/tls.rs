//! TLS of the OTLP listeners: certificate and key from files, read again when they change, and the senders'
//! certificates checked where an authority for them is given (mutual TLS).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the files are looked at: a renewed certificate counts this soon.
const RELOAD_INTERVAL: Duration = Duration::from_secs(30);
/// What is spoken inside, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where certificate and key lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate and those that lead to its authority, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM (PKCS #8, PKCS #1 or SEC1).
    pub key: PathBuf,
    /// Authorities of senders, PEM. Given, only senders with a certificate of theirs may connect.
    pub client_ca: Option<PathBuf>,
}

/// Certificate and key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("[otlp.tls] cannot read {path}: {problem}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A file does not hold what it should.
    #[error("[otlp.tls] {path} holds no {expected} in PEM: {problem}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Certificate and key do not go together, or are of a kind that is not supported.
    #[error("[otlp.tls] certificate and key cannot be used: {0}")]
    Unusable(String),
}

/// The files as they were read.
#[derive(PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// What listeners accept with. Clones share it.
#[derive(Clone)]
pub(crate) struct Tls {
    config: TlsConfig,
    current: Arc<Mutex<Current>>,
}

struct Current {
    files: Files,
    server: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be used.
    pub(crate) fn load(config: TlsConfig) -> Result<Self, TlsError> {
        let files = Files::read(&config)?;
        let server = Arc::new(files.server(&config)?);
        Ok(Self {
            config,
            current: Arc::new(Mutex::new(Current { files, server })),
        })
    }

    /// Does the handshake.
    ///
    /// # Errors
    /// The sender speaks no TLS, has no certificate where one is needed, or is too slow.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let server = Arc::clone(&self.lock().server);
        timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(server).accept(stream)).await?
    }

    /// Reads the files again when they changed, until `token` fires. Files that cannot be used change nothing:
    /// a renewal writes them one after the other.
    pub(crate) async fn watch(self, token: CancellationToken) {
        let mut ticks = interval(RELOAD_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        while token.run_until_cancelled(ticks.tick()).await.is_some() {
            let tls = self.clone();
            // Only a runtime that is stopping fails here.
            let Ok(outcome) = tokio::task::spawn_blocking(move || tls.reload()).await else {
                return;
            };
            match outcome {
                Ok(true) => tracing::info!("the certificate of the OTLP listeners was read again"),
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "the certificate from before stays in use"),
            }
        }
    }

    /// Whether anything changed.
    fn reload(&self) -> Result<bool, TlsError> {
        let files = Files::read(&self.config)?;
        if files == self.lock().files {
            return Ok(false);
        }
        let server = Arc::new(files.server(&self.config)?);
        *self.lock() = Current { files, server };
        Ok(true)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| TlsError::Read {
                path: path.to_owned(),
                problem: error.to_string(),
            })
        };
        Ok(Self {
            certificate: read(&config.certificate)?,
            key: read(&config.key)?,
            client_ca: config.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn server(&self, config: &TlsConfig) -> Result<ServerConfig, TlsError> {
        let unusable = |error: rustls::Error| TlsError::Unusable(error.to_string());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match (&self.client_ca, &config.client_ca) {
            (Some(bytes), Some(path)) => {
                let mut authorities = RootCertStore::empty();
                for certificate in certificates(bytes, path)? {
                    authorities.add(certificate).map_err(unusable)?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
                    .build()
                    .map_err(|error| TlsError::Unusable(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| TlsError::Pem {
            path: config.key.clone(),
            expected: "private key",
            problem: error.to_string(),
        })?;
        let mut server = builder
            .with_single_cert(certificates(&self.certificate, &config.certificate)?, key)
            .map_err(unusable)?;
        server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(server)
    }
}

fn certificates(bytes: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |problem: String| TlsError::Pem {
        path: path.to_owned(),
        expected: "certificate",
        problem,
    };
    let found = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with the certificate and key of a fresh authority of itself.
    fn files() -> (tempfile::TempDir, TlsConfig) {
        let folder = tempfile::tempdir().unwrap();
        let config = TlsConfig {
            certificate: folder.path().join("tls.crt"),
            key: folder.path().join("tls.key"),
            client_ca: None,
        };
        write_new(&config);
        (folder, config)
    }

    fn write_new(config: &TlsConfig) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&config.certificate, made.cert.pem()).unwrap();
        std::fs::write(&config.key, made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
        let (_folder, config) = files();
        let tls = Tls::load(config.clone()).unwrap();
        assert_eq!(tls.reload(), Ok(false));
        write_new(&config);
        assert_eq!(tls.reload(), Ok(true));
        assert_eq!(tls.reload(), Ok(false));
        let before = Arc::clone(&tls.lock().server);
        std::fs::write(&config.certificate, "").unwrap();
        assert!(matches!(tls.reload(), Err(TlsError::Pem { .. })));
        std::fs::remove_file(&config.key).unwrap();
        assert!(matches!(tls.reload(), Err(TlsError::Read { .. })));
        assert!(Arc::ptr_eq(&before, &tls.lock().server));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let (_folder, config) = files();
        let key_of_another = files();
        for (certificate, key, client_ca, expected) in [
            (&config.certificate, &config.certificate, None, "private key"),
            (&config.key, &config.key, None, "certificate"),
            (&config.certificate, &key_of_another.1.key, None, "cannot be used"),
            (&config.certificate, &config.key, Some(config.key.clone()), "certificate"),
            (&config.certificate, &config.key, Some("/nowhere/ca.pem".into()), "/nowhere/ca.pem"),
        ] {
            let wrong = TlsConfig {
                certificate: certificate.clone(),
                key: key.clone(),
                client_ca,
            };
            let error = Tls::load(wrong).err().expect("it cannot be used").to_string();
            assert!(error.contains(expected) && error.contains("[otlp.tls]"), "{error}");
        }
    }
}
