//! Both listeners over TLS, with and without certificates of the senders.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use driftlead_collector::{CollectorConfig, Signal, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use support::{GrpcCall, HttpCall, Server, Setup, exchange_over, inference, large_logs, logs_json, parse};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key for a name, PEM.
fn issue(authority: &Authority, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, authority)
        .unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn write_files(folder: &Path, server: &(String, String), clients: Option<&Authority>) -> TlsConfig {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    TlsConfig {
        certificate: file("tls.crt", &server.0),
        key: file("tls.key", &server.1),
        client_ca: clients.map(|authority| file("clients.pem", &authority.pem())),
    }
}

async fn server_with(tls: TlsConfig) -> Server {
    let config = CollectorConfig {
        tls: Some(tls),
        ..CollectorConfig::default()
    };
    Server::start(Setup {
        config,
        ..Setup::default()
    })
    .await
}

/// A connection of a client that trusts an authority, and shows a certificate if it has one.
async fn connect(
    address: SocketAddr,
    trusted: &Authority,
    own: Option<&(String, String)>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut client = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    };
    client.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, stream).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn telemetry_comes_over_tls() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority());
    let server = server_with(write_files(folder.path(), &issue(&authority, "localhost"), None)).await;
    let json = HttpCall::json(Signal::Logs, logs_json(&[inference("r-1")])).into_bytes();
    let stream = connect(server.http, &authority, None, b"http/1.1").await.unwrap();
    assert_eq!(parse(&exchange_over(stream, &json).await).status, 200);
    let stream = connect(server.grpc, &authority, None, b"h2").await.unwrap();
    let large = large_logs(3_000_000);
    assert_eq!(GrpcCall::export(Signal::Logs, &large).send_over(stream).await.code, Some(0));

    let stranger = self::authority();
    assert!(connect(server.http, &stranger, None, b"http/1.1").await.is_err());
    let plain = TcpStream::connect(server.http).await.unwrap();
    assert!(!exchange_over(plain, &json).await.starts_with(b"HTTP/1.1 200"));
    assert_eq!(server.frames().await.len(), 2);
    assert_eq!(server.status.counts().requests_refused["tls_handshake"], 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_authority_for_senders_only_theirs_may_connect() {
    let (folder, authority, clients) = (tempfile::tempdir().unwrap(), authority(), authority());
    let server = server_with(write_files(folder.path(), &issue(&authority, "localhost"), Some(&clients))).await;
    let json = HttpCall::json(Signal::Logs, logs_json(&[inference("r-1")])).into_bytes();
    let (known, unknown) = (issue(&clients, "shop"), issue(&authority, "shop"));
    for (own, expected) in [(Some(&known), true), (Some(&unknown), false), (None, false)] {
        // With TLS 1.3 a client learns only when it reads that its certificate was refused.
        let taken = match connect(server.http, &authority, own, b"http/1.1").await {
            Ok(stream) => exchange_over(stream, &json).await.starts_with(b"HTTP/1.1 200"),
            Err(_) => false,
        };
        assert_eq!(taken, expected);
    }
    assert_eq!(server.frames().await.len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_says_nothing_keeps_nobody_waiting() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority());
    let server = server_with(write_files(folder.path(), &issue(&authority, "localhost"), None)).await;
    let _silent = TcpStream::connect(server.http).await.unwrap();
    let json = HttpCall::json(Signal::Logs, logs_json(&[inference("r-1")])).into_bytes();
    let stream = connect(server.http, &authority, None, b"http/1.1").await.unwrap();
    assert_eq!(parse(&exchange_over(stream, &json).await).status, 200);
    server.stop().await;
}
