//! Driftlead: watches machine-learning models in production and acts when they fail.

mod cli;
mod engine;

use clap::Parser;

use crate::cli::{Cli, Command};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Engine(arguments) => engine::run(arguments).await,
        other => anyhow::bail!("{other:?} is not part of this build"),
    }
}
