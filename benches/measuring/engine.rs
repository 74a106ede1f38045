//! An engine beside the product, with the product's tables: what a peer stores into.

use driftlead_store::clickhouse::ClickHouse;
use driftlead_store::clickhouse::migrate::migrate;

use super::process;
use super::support::engine::StandaloneEngine;
use super::wait;

/// An engine whose tables are empty.
pub struct Engine {
    engine: StandaloneEngine,
    /// Its process.
    pub process_id: u32,
    /// Address of its HTTP interface.
    pub url: String,
    /// Password of its one user.
    pub password: String,
}

impl Engine {
    /// Starts it and makes the tables.
    pub async fn start() -> Self {
        let engine = StandaloneEngine::start();
        let configuration: toml::Table = engine.configuration().parse().expect("a configuration");
        let setting = |key: &str| configuration["clickhouse"][key].as_str().expect("a text").to_owned();
        let (url, password) = (setting("url"), setting("password"));
        let clickhouse = engine.connect();
        wait::until("the tables are made", wait::SELDOM, async || migrate(&clickhouse).await.ok()).await;
        let process_id = process::children_with("--standalone").pop().expect("the engine's process");
        Self {
            engine,
            process_id,
            url,
            password,
        }
    }

    /// `[clickhouse]` for a product that is to use it.
    pub fn configuration(&self) -> String {
        self.engine.configuration()
    }

    /// A connection.
    pub fn connect(&self) -> ClickHouse {
        self.engine.connect()
    }
}
