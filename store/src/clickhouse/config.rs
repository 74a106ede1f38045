//! Connections to ClickHouse: a server by its URL, or the embedded engine by its present address.

use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use clickhouse::{Client, Compression};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::sync::watch;

use super::ClickHouse;

/// The database that holds everything, unless configured.
pub const DEFAULT_DATABASE: &str = "driftlead";
/// Below ClickHouse's keep-alive (3 s in old servers), so that no request meets a connection that closes.
const IDLE_CONNECTION: Duration = Duration::from_secs(2);
/// A page waits no longer than this for a query.
const READER_EXECUTION_SECONDS: &str = "60";

/// `[clickhouse]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouseConfig {
    /// `http://…` or `https://…` of a server.
    pub url: String,
    /// User; empty is ClickHouse's `default`.
    pub user: String,
    /// Password or key.
    pub password: String,
    /// The database that holds everything; made when it is not there.
    pub database: String,
}

impl Default for ClickHouseConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".to_owned(),
            user: String::new(),
            password: String::new(),
            database: DEFAULT_DATABASE.to_owned(),
        }
    }
}

impl ClickHouse {
    /// Handles to a server. Nothing is sent yet: a server that is down is noticed by the first request.
    pub fn connect(config: &ClickHouseConfig) -> Self {
        let mut client = Client::default().with_url(&config.url).with_password(&config.password);
        if !config.user.is_empty() {
            client = client.with_user(&config.user);
        }
        Self::with_client(client.with_compression(compression_to(&config.url)), &config.database)
    }

    /// Handles to the embedded engine, wherever it is now.
    pub(crate) fn embedded(address: watch::Receiver<Option<SocketAddr>>, password: &str) -> Self {
        let connector = HttpConnector::new_with_resolver(EngineAddress(address));
        let http = HttpClient::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .build(connector);
        // The host is only a name: the resolver gives address and port.
        let client = Client::with_http_client(http).with_url("http://engine").with_password(password);
        Self::with_client(client.with_compression(Compression::None), DEFAULT_DATABASE)
    }

    fn with_client(unscoped: Client, database: &str) -> Self {
        let client = unscoped.clone().with_database(database);
        let writer = client
            .clone()
            .with_setting("async_insert", "0")
            .with_setting("deduplicate_blocks_in_dependent_materialized_views", "1")
            .with_setting("insert_deduplicate", "1");
        let reader = client
            .with_setting("readonly", "1")
            .with_setting("max_execution_time", READER_EXECUTION_SECONDS);
        Self {
            unscoped,
            writer,
            reader,
            database: database.to_owned(),
        }
    }
}

/// Over a network the bytes cost more than compressing them; within a machine it is the other way round.
fn compression_to(url: &str) -> Compression {
    let uri = url.parse::<axum::http::Uri>();
    let host = uri.as_ref().ok().and_then(|uri| uri.host()).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match host == "localhost" || address.is_ok_and(|address| address.is_loopback()) {
        true => Compression::None,
        false => Compression::Lz4,
    }
}

/// Resolves any name to the engine's present address.
#[derive(Clone)]
struct EngineAddress(watch::Receiver<Option<SocketAddr>>);

impl tower::Service<Name> for EngineAddress {
    type Response = std::option::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        let address = *self.0.borrow();
        ready(match address {
            Some(address) => Ok(Some(address).into_iter()),
            None => Err(std::io::Error::new(std::io::ErrorKind::NotConnected, "the engine is not up")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leaves_the_machine_is_compressed() {
        let check = |url: &str, compressed: bool| assert_eq!(compression_to(url) != Compression::None, compressed, "{url}");
        check("http://127.0.0.1:8123", false);
        check("http://[::1]:8123/", false);
        check("http://localhost:8123", false);
        check("https://clickhouse.example.com:8443", true);
        check("http://10.0.0.7:8123", true);
        check("http://localhost.example.com", true);
    }
}
